//! What was found and what is known, together.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use findings::sbom::{Sbom, limits::DOCUMENT_BYTES};
use findings::{Package, ScanResult, ScanTarget};
use oci::{Algorithm, Digest, RepoName};
use policy::Subject;
use time::OffsetDateTime;

use super::known::Known;
use super::resolve::Image;
use crate::judge::{
    Collected, Gathered, SubjectOf, Vex, add_vulnerabilities_of, ask, decision_of, decision_on, result_of,
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

/// Of an SBOM, which tells of packages only.
pub(super) fn of_sbom(name: &str, file: &Path, asked: &Asked) -> Result<ScanResult> {
    let unreadable = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(DOCUMENT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(unreadable)?;
    let sbom = Sbom::read(&bytes).with_context(unreadable)?;
    let target = ScanTarget {
        name: name.to_owned(),
        ..ScanTarget::default()
    };
    let mut result = ScanResult::of_sbom(target, sbom);
    result
        .unknowns
        .push("an SBOM does not tell of secrets, malware and configuration".to_owned());
    ask(&mut result, &asked.known.facts);
    tell_unasked(&mut result, &asked.known);
    if asked.is_judged {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let mut subject = Subject::new(repository(asked, None)?, digest);
        subject.advisory_generation = asked.known.facts.generation;
        let placed: Vec<(&Package, Option<usize>, &str)> = result
            .packages
            .iter()
            .filter(|placed| placed.owned_by.is_none())
            .map(|placed| (&placed.package, placed.layer, placed.path.as_str()))
            .collect();
        add_vulnerabilities_of(
            &mut subject,
            &placed,
            result.os.as_ref(),
            &asked.known.facts,
            &Vex::default(),
        );
        result.decision = Some(decision_of(&subject, &asked.known.facts, asked.now));
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
