//! All that is known of one image in one value, as reports show it.

use anyhow::Result;
use findings::{
    DecisionText, ScanResult, ScanTarget,
    advisory::{Knowledge, find_vulnerabilities},
};
use policy::{Decision, Outcome, Point, Reason, Subject, Unknown, UnknownKind};
use time::OffsetDateTime;

use super::{
    evidence::Gathered,
    knowledge::Facts,
    subject::{SubjectOf, of_configuration, subject_of},
};

/// The points at which an image in the registry is judged.
const POINTS: [Point; 2] = [Point::Push, Point::Pull];

/// What was found in an image and what advisories say about it; nothing was decided yet.
pub(crate) fn result_of(
    name: String,
    platform: Option<String>,
    about: &SubjectOf,
    gathered: &Gathered,
    facts: &Facts,
) -> Result<ScanResult> {
    let overlay = gathered.image.overlay()?;
    let config = gathered.config.as_ref();
    let of_config = || config.map(|config| format!("{}/{}", config.os, config.architecture));
    let target = ScanTarget {
        name,
        digest: Some(about.digest),
        platform: platform.or_else(of_config),
    };
    let mut result = ScanResult::of_image(target, &gathered.image, &overlay, config);
    if let Some(report) = &gathered.config_report {
        result.add_configuration(report.findings.iter().cloned());
    }
    result.add_configuration(of_configuration(&about.manifest, gathered, &overlay, about.now));
    result.unknowns.extend(gathered.unknowns.iter().map(in_words));
    ask(&mut result, facts);
    Ok(result)
}

/// What advisories say. Where there are none, every package is one that nobody speaks of.
pub(crate) fn ask(result: &mut ScanResult, facts: &Facts) {
    let knowledge = Knowledge {
        index: &facts.index,
        kev: facts.kev.as_ref(),
        epss: facts.epss.as_ref(),
    };
    let packages = result.judged_packages();
    let report = find_vulnerabilities(&packages, result.os.as_ref(), &knowledge);
    result.set_vulnerabilities(report, facts.generation);
}

/// What the policy makes of an image.
pub(crate) fn decision_on(about: &SubjectOf, gathered: &Gathered, facts: &Facts) -> Result<DecisionText> {
    Ok(decision_of(
        &subject_of(about, gathered, facts)?,
        facts,
        about.now,
    ))
}

/// The worse of the decisions at both points.
pub(crate) fn decision_of(subject: &Subject, facts: &Facts, now: OffsetDateTime) -> DecisionText {
    let [first, second] =
        POINTS.map(|point| policy::decide(&facts.policy, &facts.waivers, subject, point, now));
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
    let mut reasons: Vec<String> = decision.reasons.iter().map(reason_line).collect();
    if decision.more_reasons > 0 {
        reasons.push(format!("and {} more", decision.more_reasons));
    }
    reasons
}

/// The message tells the fix, if there is one.
pub(crate) fn reason_line(reason: &Reason) -> String {
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
        UnknownKind::MalformedEvidence => "a file that says what is installed cannot be read",
        UnknownKind::NotLookedAtByClamd => "a layer was not looked at by clamd",
        UnknownKind::NotJudged => "it could not be judged",
        UnknownKind::TooManyFindings => "there is more than one decision looks at",
        UnknownKind::FactsTooLong => "a text is too long to be judged whole",
        UnknownKind::OnlyPackages => "an SBOM tells of packages alone",
    };
    format!("{what}: {}", unknown.detail)
}
