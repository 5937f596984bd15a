//! What happened, as values. Whatever stores or collects them is elsewhere; tags and people are not in them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use oci::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use super::{Severity, Source};
use crate::words::written_as_text;

/// Longest name of an application, environment, cluster, vulnerability, release line or revision, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the name of {what} has {bytes} bytes or characters that do not show: write 1 to {MAX_NAME_BYTES} bytes on one line"
)]
pub struct NameError {
    /// Of what.
    pub what: &'static str,
    /// How long the text is.
    pub bytes: usize,
}

/// Names that only have to be told apart: their grammar is kept where they come from.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
                fits.then(|| Self(text.into()))
                    .ok_or(NameError { what: $what, bytes: text.len() })
            }
        }

        written_as_text!($name, NameError);
    };
}

name! {
    /// An application.
    App, "an application"
}

name! {
    /// Where it runs: `production`.
    Environment, "an environment"
}

name! {
    /// A cluster.
    Cluster, "a cluster"
}

name! {
    /// Vulnerabilities that are closed together, usually one with its aliases.
    VulnerabilityGroup, "a group of vulnerabilities"
}

name! {
    /// The line of releases that a component belongs to, such as `2.12`.
    ReleaseLine, "a release line"
}

name! {
    /// A commit of a source repository.
    Revision, "a revision"
}

name! {
    /// An advisory: `GHSA-jfh8-c2jp-5v3q`.
    AdvisoryId, "an advisory"
}

name! {
    /// What publishes advisories: `GHSA`.
    Feed, "a source of advisories"
}

name! {
    /// A component of an image, as a package URL.
    Component, "a component"
}

/// One application in one environment of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which application.
    pub app: App,
    /// In which environment.
    pub environment: Environment,
    /// Of which cluster.
    pub cluster: Cluster,
}

/// Who could reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facing {
    /// Everybody.
    Internet,
    /// Only what is inside.
    Internal,
    /// Nobody knows.
    Unknown,
}

/// What happened, when, and by whose word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, not when it was told.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who saw it.
    pub source: Source,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A manifest was pushed.
    Push {
        /// Which application's repository it came to.
        app: App,
        /// The manifest.
        digest: Digest,
        /// The index that it is a part of; an index and its parts count as one.
        #[serde(default)]
        index: Option<Digest>,
        /// Whether it came under a tag that the organisation releases by.
        release: bool,
    },
    /// What an image says of itself.
    Label {
        /// The image.
        digest: Digest,
        /// `org.opencontainers.image.revision`.
        #[serde(default)]
        revision: Option<Revision>,
        /// `org.opencontainers.image.created`, which is when it was built, not when it was committed.
        #[serde(default, with = "time::serde::rfc3339::option")]
        created: Option<OffsetDateTime>,
    },
    /// What an image stands on.
    Lineage {
        /// The image.
        digest: Digest,
        /// Its base.
        #[serde(default)]
        base: Option<Digest>,
        /// The layers that are its own.
        app_layers: BTreeSet<Digest>,
    },
    /// The first verdict of the scanner.
    Scanned {
        /// The image.
        digest: Digest,
    },
    /// A cluster let it in.
    Admitted {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
    },
    /// A rollout became ready. What does not stay so for [`READY_FOR`](super::journal::READY_FOR) was not shipped.
    Ready {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
        /// How many replicas are ready from then on.
        replicas: u32,
        /// Who can reach them.
        facing: Facing,
    },
    /// The number of ready replicas changed; nothing was rolled out.
    Scaled {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
        /// How many are ready from then on.
        replicas: u32,
    },
    /// Nothing of it runs, but a job or a workload scaled to zero would start it.
    Dormant {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
    },
    /// Nothing of it runs any more, and nothing would start it.
    Gone {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
    },
    /// A rollout exceeded its progress deadline.
    RolloutFailed {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The image.
        digest: Digest,
    },
    /// An incident record of the organisation names a version.
    Incident {
        /// Whose.
        app: App,
        /// The image.
        digest: Digest,
    },
    /// A trusted source published an advisory. The time of the event is that of publication.
    Advisory {
        /// About what.
        group: VulnerabilityGroup,
        /// Which.
        id: AdvisoryId,
        /// Who published it.
        feed: Feed,
        /// When it was last changed.
        #[serde(with = "time::serde::rfc3339")]
        modified: OffsetDateTime,
    },
    /// There is a fixed version for a line of releases.
    FixAvailable {
        /// Of what.
        group: VulnerabilityGroup,
        /// For which line; `None` for every one.
        #[serde(default)]
        line: Option<ReleaseLine>,
    },
    /// An image was found to have a vulnerability.
    Match {
        /// The image.
        digest: Digest,
        /// Which.
        group: VulnerabilityGroup,
        /// In which component.
        component: Component,
        /// How bad.
        severity: Severity,
        /// The line of releases that its component belongs to.
        #[serde(default)]
        line: Option<ReleaseLine>,
    },
    /// An image was looked at again and does not have it.
    Cleared {
        /// The image.
        digest: Digest,
        /// Which.
        group: VulnerabilityGroup,
    },
    /// The owner of an application was told.
    Notify {
        /// Which application.
        app: App,
        /// Of what.
        group: VulnerabilityGroup,
    },
    /// An application was exempted. This stops no clock.
    Exempt {
        /// Which application.
        app: App,
        /// From what.
        group: VulnerabilityGroup,
        /// Until when, not included.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// A mitigation is in force. This stops no clock, but its time is told apart.
    Mitigate {
        /// For which application.
        app: App,
        /// Against what.
        group: VulnerabilityGroup,
        /// Until when, not included.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
}

/// Where published versions are, as long as no cluster says where they run.
pub(crate) fn published_place(app: App) -> Place {
    Place {
        app,
        environment: Environment("published".into()),
        cluster: Cluster("registry".into()),
    }
}
