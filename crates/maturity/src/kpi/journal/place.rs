//! What ran in one place.

use oci::Digest;
use time::OffsetDateTime;

use super::READY_FOR;
use crate::kpi::event::Facing;

/// How many replicas are ready from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// From when.
    pub at: OffsetDateTime,
    /// How many.
    pub replicas: u32,
    /// Who can reach them.
    pub facing: Facing,
}

/// A digest, from when it is there to when it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The image or index.
    pub digest: Digest,
    /// From when.
    pub from: OffsetDateTime,
    /// Up to when; `None` while it is there.
    pub until: Option<OffsetDateTime>,
    /// Nothing of it runs, but something would start it.
    pub is_dormant: bool,
    /// Its replicas, in the order of time; none while it is dormant.
    pub levels: Vec<Level>,
}

/// A rollout that became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: OffsetDateTime,
    /// Of what.
    pub digest: Digest,
    /// Whether it stayed ready for as long as it must to have been shipped.
    pub held: bool,
}

/// All of one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceHistory {
    /// Whether customers use it.
    pub is_production: bool,
    /// Every rollout, in the order of time.
    pub starts: Vec<Start>,
    /// What was there, in the order of its beginning.
    pub stays: Vec<Stay>,
}

impl PlaceHistory {
    fn open(&mut self, digest: Digest) -> Option<&mut Stay> {
        self.stays
            .iter_mut()
            .rev()
            .find(|stay| stay.digest == digest && stay.until.is_none())
    }

    fn close(&mut self, digest: Digest, at: OffsetDateTime) {
        if let Some(stay) = self.open(digest) {
            stay.until = Some(at);
        }
    }

    pub(super) fn ready(&mut self, digest: Digest, level: Level) {
        let at = level.at;
        self.starts.push(Start {
            at,
            digest,
            held: false,
        });
        match self.open(digest) {
            Some(stay) if !stay.is_dormant => stay.levels.push(level),
            _ => {
                self.close(digest, at);
                self.stays.push(Stay {
                    digest,
                    from: at,
                    until: None,
                    is_dormant: false,
                    levels: vec![level],
                });
            }
        }
    }

    /// Replicas of what was never ready are not counted: there is nothing to count them from.
    pub(super) fn scaled(&mut self, digest: Digest, at: OffsetDateTime, replicas: u32) {
        let Some(stay) = self.open(digest) else { return };
        if let Some(last) = stay.levels.last().copied() {
            stay.levels.push(Level { at, replicas, ..last });
        }
    }

    pub(super) fn dormant(&mut self, digest: Digest, at: OffsetDateTime) {
        if self.open(digest).is_some_and(|stay| stay.is_dormant) {
            return;
        }
        self.close(digest, at);
        self.stays.push(Stay {
            digest,
            from: at,
            until: None,
            is_dormant: true,
            levels: Vec::new(),
        });
    }

    pub(super) fn gone(&mut self, digest: Digest, at: OffsetDateTime) {
        self.close(digest, at);
    }

    /// Under the proxy: what is published is there until something else is.
    pub(super) fn published(&mut self, digest: Digest, at: OffsetDateTime) {
        let last = self.starts.last().copied();
        if last.is_some_and(|last| last.digest == digest) {
            return;
        }
        if let Some(last) = last {
            self.close(last.digest, at);
        }
        let level = Level {
            at,
            replicas: 0,
            facing: Facing::Unknown,
        };
        self.ready(digest, level);
    }

    /// Says of each rollout whether it stayed ready for long enough. What is published was published.
    pub(super) fn settle(&mut self, now: OffsetDateTime, is_proxy: bool) {
        let Self { starts, stays, .. } = self;
        for start in starts {
            let stay = stays.iter().find(|stay| {
                let is_there = stay.from <= start.at && stay.until.is_none_or(|until| until >= start.at);
                !stay.is_dormant && stay.digest == start.digest && is_there
            });
            let until = stay.and_then(|stay| stay.until).unwrap_or(now);
            start.held = is_proxy || until - start.at >= READY_FOR;
        }
    }
}
