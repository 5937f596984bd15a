//! What was found and what is known, together.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use findings::advisory::{Knowledge, find_vulnerabilities};
use findings::sbom::{Sbom, limits::DOCUMENT_BYTES};
use findings::{DecisionText, Package, ScanResult, ScanTarget};
use oci::{Algorithm, Digest, RepoName};
use policy::{Decision, Outcome, Point, Reason, Subject, Unknown, UnknownKind};
use time::OffsetDateTime;

use super::known::Known;
use super::resolve::Image;
use crate::judge::{
    Collected, Gathered, SubjectOf, Vex, add_vulnerabilities_of, of_configuration, subject_of,
};

/// The repository as which is judged what lies in none.
const NO_REPOSITORY: &str = "scan";

/// The points at which an image in the registry is judged.
const POINTS: [Point; 2] = [Point::Push, Point::Pull];

/// By what is judged.
pub(super) struct Asked {
    pub(super) known: Known,
    pub(super) is_judged: bool,
    pub(super) repository: Option<RepoName>,
    pub(super) now: OffsetDateTime,
}

/// Of an image or a directory.
pub(super) fn of_image(image: &Image, gathered: &Gathered, asked: &Asked) -> Result<ScanResult> {
    let overlay = gathered.image.overlay()?;
    let config = gathered.config.as_ref();
    let of_config = || config.map(|config| format!("{}/{}", config.os, config.architecture));
    let target = ScanTarget {
        name: image.name.clone(),
        digest: Some(image.digest),
        platform: image.platform.clone().or_else(of_config),
    };
    let mut result = ScanResult::of_image(target, &gathered.image, &overlay, config);
    if let Some(report) = &gathered.config_report {
        result.add_configuration(report.findings.iter().cloned());
    }
    result.add_configuration(of_configuration(&image.manifest, gathered, &overlay, asked.now));
    result.unknowns.extend(gathered.unknowns.iter().map(in_words));
    result.unknowns.extend(image.unread.iter().cloned());
    ask(&mut result, &asked.known);
    if asked.is_judged {
        let about = SubjectOf {
            repo: repository(asked, image.remote.as_ref().map(|remote| &remote.repository))?,
            digest: image.digest,
            media_type: image.manifest.media_type.clone(),
            manifest: image.manifest.clone(),
            pushed_by: None,
            in_use: false,
            attached: Collected::default(),
            now: asked.now,
        };
        let subject = subject_of(&about, gathered, &asked.known.facts)?;
        result.decision = Some(decide(&subject, asked));
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
    ask(&mut result, &asked.known);
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
        result.decision = Some(decide(&subject, asked));
    }
    Ok(result)
}

fn repository(asked: &Asked, of_image: Option<&RepoName>) -> Result<RepoName> {
    match asked.repository.as_ref().or(of_image) {
        Some(repository) => Ok(repository.clone()),
        None => Ok(NO_REPOSITORY.parse()?),
    }
}

/// Where there are no advisories, every package is one that nobody speaks of, and no generation was asked.
fn ask(result: &mut ScanResult, known: &Known) {
    let facts = &known.facts;
    let knowledge = Knowledge {
        index: &facts.index,
        kev: facts.kev.as_ref(),
        epss: facts.epss.as_ref(),
    };
    let packages = result.judged_packages();
    let report = find_vulnerabilities(&packages, result.os.as_ref(), &knowledge);
    result.set_vulnerabilities(report, facts.generation);
    if !known.has_advisories {
        result.advisory_generation = None;
        result
            .unknowns
            .push("no advisories were asked: name some with --advisories or --data".to_owned());
    }
}

/// The worse of the decisions at both points.
fn decide(subject: &Subject, asked: &Asked) -> DecisionText {
    let facts = &asked.known.facts;
    let decisions =
        POINTS.map(|point| policy::decide(&facts.policy, &facts.waivers, subject, point, asked.now));
    let [first, second] = decisions;
    let worse = if second.outcome > first.outcome {
        second
    } else {
        first
    };
    DecisionText {
        outcome: worse.outcome.as_str().to_owned(),
        reasons: reasons(&worse),
    }
}

fn reasons(decision: &Decision) -> Vec<String> {
    if decision.outcome == Outcome::NotApplicable {
        return vec!["this is no image: there is nothing to judge".to_owned()];
    }
    let mut reasons: Vec<String> = decision.reasons.iter().map(reason).collect();
    if decision.more_reasons > 0 {
        reasons.push(format!("and {} more", decision.more_reasons));
    }
    reasons
}

/// The message tells the fix, if there is one.
fn reason(reason: &Reason) -> String {
    format!("{}: {}", reason.rule, reason.message)
}

fn in_words(unknown: &Unknown) -> String {
    let what = match unknown.kind {
        UnknownKind::NotScannable => "a limit was reached",
        UnknownKind::ForeignLayer => "a layer is not there",
        UnknownKind::Ambiguous => "a layer can be read in two ways",
        UnknownKind::NoFeed => "no advisories",
        UnknownKind::NoOs => "an unknown operating system",
        UnknownKind::DiffIdMismatch => "layers are not what the configuration says",
        UnknownKind::TooManyFindings => "there is more than one decision looks at",
        UnknownKind::FactsTooLong => "a text is too long to be judged whole",
    };
    format!("{what}: {}", unknown.detail)
}
