//! What can happen in an incident.

use findings::Severity;
use oci::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

use super::{Coverage, Deadlines, LineKey, ReliefKind, Vulnerability};
use crate::cohort::Cohort;
use crate::names::{BaseName, Contact, IncidentId, Owner, VulnerabilityId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who did it, or which part of the registry.
    pub actor: String,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

impl Event {
    /// One that is about to happen.
    pub fn new(at: OffsetDateTime, actor: &str, kind: EventKind) -> Self {
        let actor = actor.to_owned();
        Self { at, actor, kind }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// It was opened; the first event.
    Opened {
        /// Its id.
        id: IncidentId,
        /// What it is about.
        title: String,
        /// The group.
        vulnerabilities: Vec<Vulnerability>,
        /// By when it is to be over.
        deadlines: Deadlines,
        /// How much of the fleet is covered.
        coverage: Coverage,
        /// Versions that are without all of the group, one per line of releases in use; none: not told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<String>,
    },
    /// What tags and images are affected by. At the moment of the opening: what was affected then.
    Seen {
        /// At most [`super::LINES_PER_EVENT`].
        lines: Vec<Sighting>,
    },
    /// The group grew.
    VulnerabilityAdded {
        /// By which.
        vulnerability: Vulnerability,
        /// Whether a new generation begins with it.
        supersedes: bool,
        /// Versions that are without all of the group from now on; none: not told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<String>,
    },
    /// Other versions fix one of the group.
    FixChanged {
        /// Which.
        vulnerability: VulnerabilityId,
        /// All versions that fix it now.
        fixed_in: Vec<String>,
        /// Whether the earlier ones turned out not to, so that a new generation begins.
        supersedes: bool,
        /// Versions that are without all of the group from now on; none: not told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<String>,
    },
    /// One of the group is rated otherwise.
    SeverityChanged {
        /// Which.
        vulnerability: VulnerabilityId,
        /// How, by what policy decided.
        severity: Severity,
        /// What each source says.
        #[serde(default)]
        by_source: BTreeMap<String, Severity>,
    },
    /// Something makes it harmless for a while.
    Mitigated {
        /// Where.
        line: LineKey,
        /// Against which of the group.
        covers: Vec<VulnerabilityId>,
        /// Until when, not included.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        /// What.
        reason: String,
    },
    /// Mitigations turned out not to help.
    MitigationEnded {
        /// Where.
        line: LineKey,
        /// Why.
        reason: String,
    },
    /// Somebody bears it for a while.
    Waived {
        /// Where.
        line: LineKey,
        /// Which of the group.
        covers: Vec<VulnerabilityId>,
        /// Until when, not included.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        /// Why.
        reason: String,
    },
    /// Waivers were taken back.
    WaiverEnded {
        /// Where.
        line: LineKey,
        /// Why.
        reason: String,
    },
    /// The tag or image is there no more.
    Gone {
        /// Which.
        line: LineKey,
        /// Why.
        reason: String,
    },
    /// What still runs of it. As long as an affected replica does, it is open, whatever its tag offers; none is the last one gone.
    Running {
        /// Which.
        line: LineKey,
        /// By what the replicas are affected.
        affected_by: Vec<VulnerabilityId>,
        /// How many of them are.
        replicas: u32,
    },
    /// Another part of the fleet is covered.
    Covered {
        /// How much.
        coverage: Coverage,
    },
    /// Somebody says that it is over. What opens again later opens the incident again.
    Closed {
        /// What they say.
        note: String,
    },
}

impl EventKind {
    /// Its name, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Seen { .. } => "seen",
            Self::VulnerabilityAdded { .. } => "vulnerability-added",
            Self::FixChanged { .. } => "fix-changed",
            Self::SeverityChanged { .. } => "severity-changed",
            Self::Mitigated { .. } => "mitigated",
            Self::MitigationEnded { .. } => "mitigation-ended",
            Self::Waived { .. } => "waived",
            Self::WaiverEnded { .. } => "waiver-ended",
            Self::Gone { .. } => "gone",
            Self::Running { .. } => "running",
            Self::Covered { .. } => "covered",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What a tag or image offers at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which one.
    pub line: LineKey,
    /// The image behind it.
    pub digest: Digest,
    /// By which of the group it is affected; none: it is fixed.
    pub affected_by: Vec<VulnerabilityId>,
    /// Its cohort at this moment; counts when the line is seen first.
    pub cohort: Cohort,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// How they are reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// What must be done, all of it; at most [`super::MAX_REMEDIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
    /// What the registry itself knows to help, all of it; at most [`super::MAX_RELIEFS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliefs: Vec<SeenRelief>,
    /// Versions that fix something of the group for a package that is here; at most [`super::MAX_FIXES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// What it is affected by no more although nobody has pushed anything: nothing was fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
}

/// That advisories do not say any more what they said of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Of which of the group.
    pub ids: Vec<VulnerabilityId>,
    /// Why, as far as that is known.
    pub reason: String,
}

/// What the registry itself knows to help: a class that was taken out, a trusted statement, a waiver of the policy. It counts until
/// a later sighting says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRelief {
    /// Whether it makes it harmless, or somebody bears it.
    pub kind: ReliefKind,
    /// Against which of the group.
    pub covers: Vec<VulnerabilityId>,
    /// Until when, not included. `None`: as long as it is seen.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// What was seen, or by whose word.
    pub reason: String,
}

/// What must be done about a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Remedy {
    /// A newer tag of the same line is there and without all that this one has: use it, or move the tag to it.
    NewerTag {
        /// Which.
        tag: String,
    },
    /// It comes from the base, of which a fixed release is there: take it, by rebase or rebuild.
    TakeBase {
        /// Which base.
        base: BaseName,
        /// Which release.
        release: String,
    },
    /// It comes from the base, of which no fixed release is there: its owner has to act first.
    AwaitBase {
        /// Which base.
        base: BaseName,
    },
    /// It comes from one's own layers: update the package and rebuild.
    Upgrade {
        /// Which package.
        package: String,
        /// To one of these, by the line of releases in use: the lowest that is without all of the group.
        fixed_in: Vec<String>,
        /// What no version fixes yet that is after these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaves: Vec<VulnerabilityId>,
    },
    /// It comes from one's own layers, and nothing fixes it yet: mitigate or remove.
    NoFix {
        /// Which package.
        package: String,
    },
    /// The image is somebody else's: update it, ask for a statement, waive or remove.
    Vendor {
        /// Which image or vendor.
        image: String,
    },
    /// It could not be found out: have a look.
    Investigate {
        /// What is in the way.
        reason: String,
    },
    /// It cannot follow its base by itself: build it again on the release.
    BuildAgain {
        /// Which base.
        base: BaseName,
        /// Which release.
        release: String,
        /// The line of the Dockerfile as it is.
        from: String,
        /// The line as it should be.
        to: String,
        /// Why it cannot follow.
        why: String,
        /// What that fixes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fixes: Vec<String>,
        /// What stays in the application's own layers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remains: Vec<String>,
    },
    /// It can follow its base, and its repository does not take the new image: let that in.
    LetIn {
        /// Which base.
        base: BaseName,
        /// Which release.
        release: String,
        /// Why it is not taken.
        why: String,
        /// What that would fix.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fixes: Vec<String>,
        /// What stays in the application's own layers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remains: Vec<String>,
    },
    /// The same of an image that cannot follow and names no source: waive, ask for a statement, or remove.
    Without {
        /// Which base.
        base: BaseName,
        /// Which release.
        release: String,
        /// Why it cannot follow.
        why: String,
        /// What that would fix.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fixes: Vec<String>,
        /// What stays in the application's own layers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remains: Vec<String>,
    },
}

impl Remedy {
    /// What its owner waits for, as one word.
    pub const fn waits_on(&self) -> &'static str {
        match self {
            Self::NewerTag { .. } => "a move to a newer tag",
            Self::TakeBase { .. } => "a rebase",
            Self::AwaitBase { .. } => "the owner of the base",
            Self::Upgrade { .. } | Self::BuildAgain { .. } => "a rebuild",
            Self::LetIn { .. } => "its repository",
            Self::NoFix { .. } => "a fix",
            Self::Vendor { .. } | Self::Without { .. } => "the vendor",
            Self::Investigate { .. } => "somebody to look",
        }
    }
}
