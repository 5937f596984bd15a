//! What an image stands on and says of itself: noted while it is judged, told when somebody asks.

use std::collections::BTreeMap;

use anyhow::Result;
use findings::ImageConfig;
use oci::{Digest, Manifest};
use policy::JudgedFinding;
use road::{
    application::ImageWords,
    cohort,
    lineage::{BaseHint, Lineage},
};
use store::{ImageNote, RoadEntries};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use web::wire::{FindingsByOrigin, ImageLineage};

use super::{evidence::Gathered, image::Ready, knowledge::Facts, subject_of};

/// What the store keeps of it. `None`: it is no image.
pub(super) fn note_of(ready: &Ready, signed_by: &[String]) -> Option<ImageNote> {
    let config = ready.gathered.config.as_ref()?;
    let repository = &ready.about.repo;
    let origin = format!("image in {repository}");
    let known: Option<Vec<Digest>> = diff_ids(&ready.gathered).into_iter().collect();
    Some(ImageNote {
        platform: platform(config),
        diff_ids: known.unwrap_or_default(),
        words: words(ready).statement(repository, &origin),
        signed_by: signed_by.to_vec(),
        made_at: made_at(config),
    })
}

/// All of it, by one state of everything. Computes for a while.
pub(super) fn lineage_of(ready: &Ready, facts: &Facts, road: &RoadEntries) -> Result<ImageLineage> {
    let subject = subject_of(&ready.about, &ready.gathered, facts)?;
    let lineage = road.releases.lineage(&diff_ids(&ready.gathered));
    let base = lineage.base().and_then(|standing| road.bases.get(&standing.base));
    let layer = |finding: &&JudgedFinding| finding.layer.and_then(|layer| usize::try_from(layer).ok());
    let whose = road.applications.owner_of(&ready.about.repo).vouched();
    let exemption = whose.and_then(|application| road.paving.exemption(&application.name, ready.now));
    let split = lineage.split(&subject.findings, layer);
    Ok(ImageLineage {
        digest: ready.about.digest,
        platform: ready.gathered.config.as_ref().map(platform).unwrap_or_default(),
        base_owner: base.map(|base| base.owner.clone()),
        standing: cohort::of_image(Some(&lineage), &road.bases, exemption, ready.now),
        hint: hint(&ready.about.manifest, &ready.gathered, &lineage, road),
        findings: FindingsByOrigin {
            base: by_severity(&split.base),
            own: by_severity(&split.own),
            unknown: by_severity(&split.unknown),
        },
        lineage,
    })
}

/// What an image says of its base and is not true: it names a known release and does not stand on it.
pub(super) fn lie(manifest: &Manifest, gathered: &Gathered, road: &RoadEntries) -> Option<String> {
    // Most images name none.
    words_of(manifest, gathered).base_digest?;
    let lineage = road.releases.lineage(&diff_ids(gathered));
    match hint(manifest, gathered, &lineage, road) {
        BaseHint::Lies { said, base, found } => {
            let found = found.map_or_else(|| "no approved base".to_owned(), |found| found.to_string());
            Some(format!(
                "says it is built on {base} ({said}) and stands on {found}"
            ))
        }
        BaseHint::Silent | BaseHint::Agrees { .. } | BaseHint::NotBorneOut { .. } => None,
    }
}

fn hint(manifest: &Manifest, gathered: &Gathered, lineage: &Lineage, road: &RoadEntries) -> BaseHint {
    let (all, of_labels) = (words_of(manifest, gathered), ImageWords::read(labels(gathered)).0);
    BaseHint::check_both(&all, &of_labels, lineage, &road.releases, &road.bases)
}

/// Labels first: what the manifest says counts more than what its configuration does.
fn words(ready: &Ready) -> ImageWords {
    words_of(&ready.about.manifest, &ready.gathered)
}

fn words_of(manifest: &Manifest, gathered: &Gathered) -> ImageWords {
    let annotations = manifest.annotations.iter();
    let annotations = annotations.map(|(name, value)| (name.as_str(), value.as_str()));
    ImageWords::read(labels(gathered).chain(annotations)).0
}

fn labels(gathered: &Gathered) -> impl Iterator<Item = (&str, &str)> {
    let labels = gathered.config.iter().flat_map(|config| &config.labels);
    labels.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// As computed, never as the configuration claims.
pub(super) fn diff_ids(gathered: &Gathered) -> Vec<Option<Digest>> {
    let ids = gathered.diff_ids.iter();
    ids.map(|id| id.as_deref().and_then(|id| id.parse().ok()))
        .collect()
}

/// 1970 where it does not say, or nothing that can be read.
fn made_at(config: &ImageConfig) -> OffsetDateTime {
    let said = config.created.as_deref();
    let made_at = said.and_then(|said| OffsetDateTime::parse(said, &Rfc3339).ok());
    made_at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn platform(config: &ImageConfig) -> String {
    format!("{}/{}", config.os, config.architecture)
}

fn by_severity(findings: &[&JudgedFinding]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.suppressed.is_none()) {
        *counts.entry(finding.severity.as_str().to_owned()).or_default() += 1;
    }
    counts
}
