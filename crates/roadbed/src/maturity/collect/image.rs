//! What one image shows.

use maturity::signal::Fact;
use road::{
    cohort::{Because, Verdict},
    golden_path::Toolchain,
    lineage::Lineage,
};
use store::{KnownImage, Rules, Timestamp};
use time::{Duration, OffsetDateTime};

use super::said::Said;

/// After so long an image that nobody has decided on is one that is not decided on.
const UNDECIDED: Duration = Duration::hours(1);

/// The level of SLSA's build track from which builds are isolated.
const ISOLATED: u8 = 3;

/// An image with all that is known of it.
pub(super) struct Shown<'s> {
    pub(super) image: &'s KnownImage,
    /// What was decided; `None`: nothing, or it cannot be read.
    pub(super) said: Option<&'s Said>,
    /// What it stands on; `None`: it was not looked into.
    pub(super) lineage: Option<&'s (Lineage, Verdict)>,
    /// Until when its base is supported.
    pub(super) base_until: Option<OffsetDateTime>,
    /// Whether its labels name source and revision; `None`: they were not read.
    pub(super) is_labelled: Option<bool>,
    /// Whether a program pushed it; `None`: nobody knows.
    pub(super) is_by_robot: Option<bool>,
    /// Whether it came from an upstream.
    pub(super) is_foreign: bool,
    /// Since when all pulls are known.
    pub(super) pulls_since: Option<Timestamp>,
    /// What holds for its repository.
    pub(super) rules: &'s Rules,
    /// Toolchains that are supported.
    pub(super) toolchains: &'s [&'s Toolchain],
    /// Rules of the policy that speak of secrets.
    pub(super) secret_rules: &'s [String],
    pub(super) now: OffsetDateTime,
}

/// A fact of an image, and until when it counts.
pub(super) type Shows = (Fact, bool, Option<OffsetDateTime>);

/// All facts of an image that are known.
pub(super) fn shows(of: &Shown<'_>) -> Vec<Shows> {
    let mut shows: Vec<(Fact, Option<bool>)> = looked_at(of);
    if of.is_foreign {
        shows.push((Fact::ForeignSbom, Some(of.image.has_sbom)));
    } else {
        shows.extend(built(of));
    }
    let mut known: Vec<Shows> = shows
        .into_iter()
        .filter_map(|(fact, is_so)| Some((fact, is_so?, None)))
        .collect();
    if let Some((lineage, verdict)) = of.lineage {
        known.push((Fact::BaseKnown, lineage.base().is_some(), None));
        if let Some(is_approved) = is_approved(verdict) {
            let until = of.base_until.filter(|_| is_approved);
            known.push((Fact::BaseApproved, is_approved, until));
        }
    }
    known
}

fn looked_at(of: &Shown<'_>) -> Vec<(Fact, Option<bool>)> {
    let image = of.image;
    let is_decided = match &image.decision {
        Some(_) => Some(true),
        // It may be on its way.
        None => (image.pushed_at.to_utc() + UNDECIDED < of.now).then_some(false),
    };
    let looked = image.looked;
    let is_scanned = is_decided.map(|_| looked.blobs > 0 && looked.whole == looked.blobs);
    vec![
        (Fact::ImageDecided, is_decided),
        (Fact::ImageScanned, is_scanned),
        (Fact::DecidedBeforeUse, decided_before_use(of)),
        (
            Fact::ImageSecretFree,
            of.said.and_then(|said| said.is_secret_free(of.secret_rules)),
        ),
        (Fact::ImageSigned, of.said.map(Said::is_signed)),
    ]
}

/// What whoever builds and pushes it sees to.
fn built(of: &Shown<'_>) -> Vec<(Fact, Option<bool>)> {
    let image = of.image;
    let provenance = of.said.map(|said| said.has_provenance() || image.has_provenance);
    let built_by = |least: u8| {
        let toolchains = of
            .toolchains
            .iter()
            .filter(move |toolchain| toolchain.slsa_level >= least);
        let builders = toolchains
            .flat_map(|toolchain| &toolchain.builders)
            .map(String::as_str);
        of.said.map(|said| said.is_built_by(builders))
    };
    // Without a toolchain nobody has said what is approved.
    let toolchain = built_by(0).filter(|_| !of.toolchains.is_empty());
    vec![
        (Fact::SbomPresent, image.decision.as_ref().map(|_| image.has_sbom)),
        (Fact::ProvenancePresent, provenance),
        (Fact::ProvenanceHosted, of.said.map(Said::is_hosted)),
        (Fact::ProvenanceIsolated, built_by(ISOLATED)),
        (Fact::ToolchainApproved, toolchain),
        (Fact::RevisionLabelled, of.is_labelled),
        (Fact::PushedByRobot, of.is_by_robot),
        (Fact::TagByRule, tag_by_rule(of)),
    ]
}

/// Of an image that was never pulled, and where pulls of that time are known no more, it is not known.
fn decided_before_use(of: &Shown<'_>) -> Option<bool> {
    let used = of.image.first_use?;
    let Some((_, decided)) = of.image.events.first_decision else {
        return Some(false);
    };
    let is_known = of.pulls_since.is_none_or(|since| since <= of.image.pushed_at);
    if decided > used {
        return Some(false);
    }
    is_known.then_some(true)
}

/// By the tags that its repository does not let anybody move: they say how releases are called. Without tags or a rule: not known.
fn tag_by_rule(of: &Shown<'_>) -> Option<bool> {
    let rule = of.rules.immutable_tags.as_ref()?;
    let tags = &of.image.tags;
    (!tags.is_empty()).then(|| tags.iter().any(|tag| rule.covers(tag)))
}

/// Whether the base itself is approved and supported; how old the release is, is another question.
fn is_approved(verdict: &Verdict) -> Option<bool> {
    match &verdict.because {
        Because::Current { .. } | Because::WithinPromise { .. } | Because::PromiseOver { .. } => Some(true),
        Because::SupportEnded { .. }
        | Because::Experimental { .. }
        | Because::NotDeclared { .. }
        | Because::NotSigned { .. }
        | Because::NoBase => Some(false),
        Because::LayersUnknown | Because::NoImages => None,
    }
}
