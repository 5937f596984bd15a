//! A judgement of an image that is not here, by what a client says it found in it.
//!
//! A client can claim what it likes: the answer is about its claim, goes to nobody else, and is not kept. What it could still do
//! is to have the server compute, so what the reports may hold is bounded here beyond the bytes that they have.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use findings::{LayerReport, ScanResult, sbom::Sbom};
use oci::{Algorithm, Descriptor, Digest, Manifest, ManifestKind, ManifestLimits, RepoName};
use thiserror::Error;
use time::OffsetDateTime;
use web::{
    JudgingError,
    wire::{UnpushedBlob, UnpushedImage},
};

use super::{
    Collected, Facts, Gathered, SbomOf, SignatureLimits, SubjectOf, asked::failed, attached,
    decision_of_sbom, decision_on, result_of, result_of_sbom,
};
use crate::worker;

/// What the reports of one image may hold.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Packages of all layers.
    packages: usize,
    /// Findings of all layers.
    findings: usize,
    /// Paths that layers delete, and directories that they hide.
    whiteouts: usize,
    /// Bytes of all listings, uncompressed.
    listings: u64,
    /// Bytes of all paths in all listings, written out.
    paths: u64,
    /// Files and units that upper layers hide, each as often as something hides it.
    steps: u64,
}

const LIMITS: Limits = Limits {
    packages: 50_000,
    findings: 50_000,
    whiteouts: 100_000,
    listings: 256 << 20,
    paths: 1 << 30,
    steps: 50_000_000,
};

/// Why reports are not looked at.
#[derive(Debug, Error)]
enum Refused {
    #[error(
        "the image has {has} {what}, more than the {most} that are judged without a push; push it, it is held until it is judged"
    )]
    TooMany { what: &'static str, has: u64, most: u64 },
    #[error("the report of {0} cannot be used, {1}: scan with the registry's own version of roadbed")]
    Unbelievable(Digest, &'static str),
    #[error("the report of a layer cannot be read: {0}")]
    Listing(#[from] findings::ListingError),
}

/// What would become of it.
pub(super) async fn judge(
    repo: RepoName,
    pusher: Option<String>,
    image: UnpushedImage,
    facts: Arc<Facts>,
    (now, signatures): (OffsetDateTime, SignatureLimits),
) -> Result<ScanResult, JudgingError> {
    // Reports are read and conditions evaluated; a thread that serves connections must not.
    let judged = tokio::task::spawn_blocking(move || {
        check(&image, &LIMITS).map_err(|refused| JudgingError::Malformed(refused.to_string()))?;
        let (platform, unread) = (image.platform.clone(), image.unread.clone());
        let mut image = image;
        let attached = image.signatures.take().map_or_else(
            || Ok(Collected::default()),
            |given| attached::claimed(given, &image.digest, signatures),
        );
        let attached = attached.map_err(|error| JudgingError::Malformed(error.to_string()))?;
        let (mut about, gathered) = taken(repo, pusher, image, now);
        about.attached = attached;
        gathered
            .image
            .overlay_within(LIMITS.steps)
            .map_err(|error| JudgingError::Malformed(error.to_string()))?;
        let mut result = result_of(String::new(), platform, &about, &gathered, &facts).map_err(failed)?;
        result.unknowns.extend(unread);
        result.decision = Some(decision_on(&about, &gathered, &facts).map_err(failed)?);
        Ok(result)
    });
    judged.await.context("the judgement was lost").map_err(failed)?
}

/// What would become of an image with this SBOM. Whoever made it may say anything: what would make its packages look better does not
/// count.
pub(super) async fn judge_sbom(
    repo: RepoName,
    pusher: Option<String>,
    text: String,
    facts: Arc<Facts>,
    now: OffsetDateTime,
) -> Result<ScanResult, JudgingError> {
    let judged = tokio::task::spawn_blocking(move || {
        let malformed = |error: String| JudgingError::Malformed(error);
        let sbom = Sbom::read(text.as_bytes()).map_err(|error| malformed(with_causes(&error)))?;
        bounded("packages", sbom.packages.len() as u64, LIMITS.packages as u64)
            .map_err(|refused| malformed(refused.to_string()))?;
        let of = SbomOf {
            repo,
            digest: Digest::of(Algorithm::Sha256, text.as_bytes()),
            pushed_by: pusher,
            now,
        };
        let mut result = result_of_sbom(String::new(), sbom.without_excuses(), &facts);
        result.decision = Some(decision_of_sbom(&result, of, &facts));
        Ok(result)
    });
    judged.await.context("the judgement was lost").map_err(failed)?
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn check(image: &UnpushedImage, limits: &Limits) -> Result<(), Refused> {
    let most = ManifestLimits::default();
    bounded("layers", image.layers.len() as u64, most.layers as u64)?;
    bounded("annotations", image.annotations.len() as u64, most.layers as u64)?;
    let mut counted = [0; 3];
    let (mut listings, mut paths) = (0, 0);
    for (blob, report) in reports(image) {
        worker::check(report, &blob.digest).map_err(|why| Refused::Unbelievable(blob.digest, why))?;
        counted[0] += report
            .units
            .iter()
            .map(|unit| unit.unit.packages.len())
            .sum::<usize>();
        counted[1] += report.findings.len();
        counted[2] += report.whiteouts.len() + report.opaque.len();
        let left = limits.listings - listings;
        listings += report
            .listing
            .for_each(left, |path, _| paths += path.len() as u64)?;
    }
    let words = ["packages", "findings", "deleted paths"];
    let mosts = [limits.packages, limits.findings, limits.whiteouts];
    for ((what, has), most) in words.into_iter().zip(counted).zip(mosts) {
        bounded(what, has as u64, most as u64)?;
    }
    bounded("bytes of paths", paths, limits.paths)
}

fn bounded(what: &'static str, has: u64, most: u64) -> Result<(), Refused> {
    if has > most {
        return Err(Refused::TooMany { what, has, most });
    }
    Ok(())
}

fn reports(image: &UnpushedImage) -> impl Iterator<Item = (&UnpushedBlob, &LayerReport)> {
    let blobs = image.config.iter().chain(&image.layers);
    blobs.filter_map(|blob| Some((blob, blob.report.as_ref()?)))
}

/// As if it had been pushed now.
fn taken(
    repo: RepoName,
    pushed_by: Option<String>,
    image: UnpushedImage,
    now: OffsetDateTime,
) -> (SubjectOf, Gathered) {
    let mut gathered = Gathered::default();
    let mut take = |blob: UnpushedBlob| {
        let descriptor = Descriptor::new(blob.media_type, blob.digest, blob.size);
        (descriptor, blob.report.map(Arc::new))
    };
    let config = image.config.map(&mut take).map(|(config, report)| {
        gathered.set_config(&config, report);
        config
    });
    let mut layers = Vec::new();
    for (layer, report) in image.layers.into_iter().map(take) {
        gathered.push_layer(&layer, report);
        layers.push(layer);
    }
    let about = SubjectOf {
        lie: None,
        repo,
        digest: image.digest,
        media_type: image.media_type.clone(),
        manifest: Manifest {
            kind: ManifestKind::Image,
            media_type: image.media_type,
            artifact_type: image.artifact_type.clone(),
            declared_artifact_type: image.artifact_type,
            config,
            layers,
            manifests: Vec::new(),
            subject: None,
            annotations: image.annotations,
        },
        pushed_by,
        in_use: false,
        now,
        seen: store::Seen::default(),
        attached: Collected::default(),
    };
    (about, gathered)
}

#[cfg(test)]
mod tests {
    use findings::{Compression, Listing, ListingEntry, SCHEMA};
    use oci::media_type::{OCI_IMAGE_MANIFEST, OCI_LAYER};

    use super::*;

    const SMALL: Limits = Limits {
        packages: 1,
        findings: 1,
        whiteouts: 2,
        listings: 100,
        paths: 50,
        steps: 10,
    };

    fn image(change: impl Fn(&mut LayerReport)) -> UnpushedImage {
        let digest = Digest::of(Algorithm::Sha256, b"layer");
        let mut report = LayerReport {
            schema: SCHEMA,
            analysers: "test".to_owned(),
            blob: digest,
            diff_id: None,
            compression: Compression::None,
            bytes: 0,
            entries: 0,
            config: None,
            units: Vec::new(),
            whiteouts: Vec::new(),
            opaque: Vec::new(),
            findings: Vec::new(),
            oddities: Vec::new(),
            not_scannable: Vec::new(),
            listing: Listing::default(),
            tables: None,
            rebase: None,
            chart: None,
        };
        change(&mut report);
        UnpushedImage {
            digest,
            media_type: OCI_IMAGE_MANIFEST.parse().unwrap(),
            artifact_type: None,
            platform: None,
            annotations: std::collections::BTreeMap::new(),
            config: None,
            layers: vec![UnpushedBlob {
                media_type: OCI_LAYER.parse().unwrap(),
                digest,
                size: 1,
                report: Some(report),
            }],
            unread: Vec::new(),
            signatures: None,
        }
    }

    fn refusal(change: impl Fn(&mut LayerReport)) -> String {
        check(&image(change), &SMALL).unwrap_err().to_string()
    }

    fn listing(names: &[&str]) -> Listing {
        let entry = |name: &&str| ListingEntry {
            path: (*name).to_owned(),
            kind: '0',
            mode: 0,
            size: 0,
            content: String::new(),
        };
        Listing::of(&names.iter().map(entry).collect::<Vec<_>>())
    }

    #[test]
    fn what_no_child_would_say_is_not_looked_at() {
        check(&image(|_| {}), &SMALL).unwrap();
        assert!(refusal(|report| report.schema += 1).contains("the registry's own version"));
        let other = Digest::of(Algorithm::Sha256, b"other");
        assert!(refusal(|report| report.blob = other).contains("another blob"));
        let damaged = Listing::from_bytes(b"no zlib".to_vec());
        assert!(refusal(|report| report.listing = damaged.clone()).contains("damaged"));
    }

    #[test]
    fn signatures_are_about_the_image_that_was_sent() {
        let digest = Digest::of(Algorithm::Sha256, b"{}");
        let index_type = oci::media_type::OCI_IMAGE_INDEX;
        let nothing = format!(r#"{{"schemaVersion":2,"mediaType":"{index_type}","manifests":[]}}"#);
        let claim = |manifest: &str, index: Option<&str>, is_for_index: bool| {
            let artifact = web::wire::UnpushedArtifact {
                of_index: is_for_index,
                manifest: nothing.clone(),
                documents: std::collections::BTreeMap::new(),
            };
            let given = web::wire::UnpushedSignatures {
                manifest: manifest.to_owned(),
                index: index.map(str::to_owned),
                artifacts: vec![artifact],
                is_cut: false,
            };
            attached::claimed(given, &digest, SignatureLimits::default())
                .err()
                .map(|error| error.to_string())
        };
        let said = claim("another", None, false).unwrap();
        assert!(said.contains("another digest than the image"), "{said}");
        let said = claim("{}", Some(&nothing), false).unwrap();
        assert!(said.contains("does not name the image"), "{said}");
        let said = claim("{}", None, true).unwrap();
        assert!(said.contains("does not name the image"), "{said}");
    }

    #[test]
    fn reports_that_would_cost_too_much_are_refused() {
        let deleted = refusal(|report| report.whiteouts = vec!["a".to_owned(); 3]);
        assert!(deleted.contains("3 deleted paths, more than the 2"), "{deleted}");
        let long = "x".repeat(60);
        let paths = refusal(|report| report.listing = listing(&[&long]));
        assert!(paths.contains("60 bytes of paths"), "{paths}");
        // Small as it travels, large once it is unpacked.
        let names: Vec<String> = (0..50).map(|number| format!("{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let bomb = refusal(|report| report.listing = listing(&names));
        assert!(bomb.contains("more than 100 bytes"), "{bomb}");
        let mut many = image(|_| {});
        many.layers = vec![many.layers[0].clone(); ManifestLimits::default().layers + 1];
        assert!(check(&many, &LIMITS).unwrap_err().to_string().contains("layers"));
    }
}
