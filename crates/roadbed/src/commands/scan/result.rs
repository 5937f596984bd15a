//! What was found and what is known, together.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use findings::ScanResult;
use findings::sbom::{Sbom, limits::DOCUMENT_BYTES};
use oci::{Algorithm, Digest, RepoName};
use time::OffsetDateTime;

use super::known::Known;
use super::resolve::Image;
use crate::judge::{
    Collected, Gathered, SbomOf, SubjectOf, decision_of_sbom, decision_on, result_of, result_of_sbom,
};

/// The repository as which is judged what lies in none.
const NO_REPOSITORY: &str = "scan";

/// By what is judged.
pub(super) struct Asked {
    pub(super) known: Known,
    pub(super) is_judged: bool,
    pub(super) repository: Option<RepoName>,
    pub(super) now: OffsetDateTime,
}

/// Of an image or a directory.
pub(super) fn of_image(image: &Image, gathered: &Gathered, asked: &Asked) -> Result<ScanResult> {
    let about = SubjectOf {
        lie: None,
        repo: repository(asked, image.remote.as_ref().map(|remote| &remote.repository))?,
        digest: image.digest,
        media_type: image.manifest.media_type.clone(),
        manifest: image.manifest.clone(),
        pushed_by: None,
        in_use: false,
        now: asked.now,
        seen: store::Seen::default(),
        attached: Collected::default(),
    };
    let facts = &asked.known.facts;
    let (name, platform) = (image.name.clone(), image.platform.clone());
    let mut result = result_of(name, platform, &about, gathered, facts)?;
    result.unknowns.extend(image.unread.iter().cloned());
    tell_unasked(&mut result, &asked.known);
    if asked.is_judged {
        result.decision = Some(decision_on(&about, gathered, facts)?);
    }
    Ok(result)
}

/// The bytes of an SBOM.
pub(super) fn read_sbom(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes)
}

/// Of an SBOM, which tells of packages only.
pub(super) fn of_sbom(name: &str, file: &Path, asked: &Asked) -> Result<ScanResult> {
    let bytes = read_sbom(file)?;
    let sbom = Sbom::read(&bytes).with_context(|| format!("cannot read {}", file.display()))?;
    let facts = &asked.known.facts;
    let mut result = result_of_sbom(name.to_owned(), sbom, facts);
    tell_unasked(&mut result, &asked.known);
    if asked.is_judged {
        let of = SbomOf {
            repo: repository(asked, None)?,
            digest: Digest::of(Algorithm::Sha256, &bytes),
            pushed_by: None,
            now: asked.now,
        };
        result.decision = Some(decision_of_sbom(&result, of, facts));
    }
    Ok(result)
}

fn repository(asked: &Asked, of_image: Option<&RepoName>) -> Result<RepoName> {
    match asked.repository.as_ref().or(of_image) {
        Some(repository) => Ok(repository.clone()),
        None => Ok(NO_REPOSITORY.parse()?),
    }
}

/// Where nobody named advisories, no generation of them was asked.
fn tell_unasked(result: &mut ScanResult, known: &Known) {
    if !known.has_advisories {
        result.advisory_generation = None;
        result.unknowns.push(
            "no advisories were asked: name some with --advisories or --data, or ask a registry with --server"
                .to_owned(),
        );
    }
}
