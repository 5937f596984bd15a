//! Short ways to tell what happened.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use oci::{Algorithm, Digest};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::event::{Event, Facing, What};
use super::journal::Journal;
use super::ships::Ships;
use super::{App, Coverage, Environment, Frame, Place, Severity, Source, VulnerabilityGroup};

/// A Monday, so that the week before it is full.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-30 00:00 UTC);

static PRODUCTION: LazyLock<BTreeSet<Environment>> =
    LazyLock::new(|| BTreeSet::from(["production".parse().unwrap()]));

/// So many running, so many of them known in full.
pub(crate) fn coverage(known: u64, running: u64) -> Coverage {
    Coverage {
        running,
        known,
        app: running,
        owner: known,
        sbom: running,
        revision: running,
    }
}

/// Asked at [`NOW`] about clusters, with all known.
pub(crate) fn frame() -> Frame<'static> {
    Frame {
        now: NOW,
        source: Source::Cluster,
        coverage: coverage(10, 10),
        production: &PRODUCTION,
    }
}

/// The same about the registry.
pub(crate) fn proxy() -> Frame<'static> {
    Frame {
        source: Source::RegistryProxy,
        ..frame()
    }
}

pub(crate) fn digest(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

pub(crate) fn app(name: &str) -> App {
    name.parse().unwrap()
}

pub(crate) fn group(name: &str) -> VulnerabilityGroup {
    name.parse().unwrap()
}

pub(crate) fn place(app: &str, cluster: &str) -> Place {
    Place {
        app: app.parse().unwrap(),
        environment: "production".parse().unwrap(),
        cluster: cluster.parse().unwrap(),
    }
}

/// So many hours before [`NOW`].
pub(crate) fn ago(hours: i64) -> OffsetDateTime {
    NOW - Duration::hours(hours)
}

pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: i64 = 24;

/// Events under way.
#[derive(Default)]
pub(crate) struct Story(pub(crate) Vec<Event>);

impl Story {
    pub(crate) fn tell(&mut self, at: OffsetDateTime, what: What) -> &mut Self {
        let source = Source::Cluster;
        self.0.push(Event { at, source, what });
        self
    }

    /// What an image is made of: its own layers by one name, its base and its revision.
    pub(crate) fn image(&mut self, image: &str, layers: &str, base: &str, revision: &str) -> &mut Self {
        let digest = digest(image);
        self.tell(
            ago(1_000 * DAY),
            What::Lineage {
                digest,
                base: Some(super::testing::digest(base)),
                app_layers: BTreeSet::from([super::testing::digest(layers)]),
            },
        );
        self.tell(
            ago(1_000 * DAY),
            What::Label {
                digest,
                revision: Some(revision.parse().unwrap()),
                created: None,
            },
        )
    }

    pub(crate) fn push(&mut self, at: OffsetDateTime, app: &str, image: &str) -> &mut Self {
        let what = What::Push {
            app: app.parse().unwrap(),
            digest: digest(image),
            index: None,
            release: true,
        };
        self.tell(at, what)
    }

    /// Two replicas inside.
    pub(crate) fn ready(&mut self, at: OffsetDateTime, place: &Place, image: &str) -> &mut Self {
        let what = What::Ready {
            place: place.clone(),
            digest: digest(image),
            replicas: 2,
            facing: Facing::Internal,
        };
        self.tell(at, what)
    }

    pub(crate) fn gone(&mut self, at: OffsetDateTime, place: &Place, image: &str) -> &mut Self {
        let what = What::Gone {
            place: place.clone(),
            digest: digest(image),
        };
        self.tell(at, what)
    }

    /// Ready, and what was there before gone five minutes later.
    pub(crate) fn roll(&mut self, at: OffsetDateTime, place: &Place, from: &str, to: &str) -> &mut Self {
        self.ready(at, place, to);
        self.gone(at + Duration::minutes(5), place, from)
    }

    pub(crate) fn dormant(&mut self, at: OffsetDateTime, place: &Place, image: &str) -> &mut Self {
        let what = What::Dormant {
            place: place.clone(),
            digest: digest(image),
        };
        self.tell(at, what)
    }

    pub(crate) fn rollout_failed(&mut self, at: OffsetDateTime, place: &Place, image: &str) -> &mut Self {
        let what = What::RolloutFailed {
            place: place.clone(),
            digest: digest(image),
        };
        self.tell(at, what)
    }

    pub(crate) fn scanned(&mut self, at: OffsetDateTime, image: &str) -> &mut Self {
        let what = What::Scanned {
            digest: digest(image),
        };
        self.tell(at, what)
    }

    pub(crate) fn advisory(&mut self, at: OffsetDateTime, group: &str) -> &mut Self {
        let what = What::Advisory {
            group: group.parse().unwrap(),
            id: "GHSA-jfh8-c2jp-5v3q".parse().unwrap(),
            feed: "GHSA".parse().unwrap(),
            modified: at,
        };
        self.tell(at, what)
    }

    pub(crate) fn fix(&mut self, at: OffsetDateTime, group: &str, line: Option<&str>) -> &mut Self {
        let what = What::FixAvailable {
            group: group.parse().unwrap(),
            line: line.map(|line| line.parse().unwrap()),
        };
        self.tell(at, what)
    }

    pub(crate) fn matched(&mut self, at: OffsetDateTime, image: &str, group: &str, line: &str) -> &mut Self {
        let what = What::Match {
            digest: digest(image),
            group: group.parse().unwrap(),
            component: "pkg:maven/org.apache.logging.log4j/log4j-core".parse().unwrap(),
            severity: Severity::Critical,
            line: Some(line.parse().unwrap()),
        };
        self.tell(at, what)
    }

    pub(crate) fn cleared(&mut self, at: OffsetDateTime, image: &str, group: &str) -> &mut Self {
        let what = What::Cleared {
            digest: digest(image),
            group: group.parse().unwrap(),
        };
        self.tell(at, what)
    }

    pub(crate) fn journal(&self) -> Journal {
        self.asked(&frame())
    }

    pub(crate) fn asked(&self, frame: &Frame<'_>) -> Journal {
        Journal::of(self.0.clone(), frame)
    }

    pub(crate) fn ships(&self) -> Ships {
        Ships::of(&self.journal())
    }
}
