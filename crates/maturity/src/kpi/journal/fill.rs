//! From events to what they say.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use time::OffsetDateTime;

use super::{Journal, Level, Matched, PlaceHistory, Standing};
use crate::kpi::event::{App, Event, Place, ReleaseLine, VulnerabilityGroup, What, published_place};
use crate::kpi::{Frame, Severity, Source};

/// What the last look at one manifest said.
enum Look {
    Found(Matched),
    Clear(OffsetDateTime),
}

/// What is only needed while events are read.
struct Filling<'f> {
    journal: Journal,
    frame: &'f Frame<'f>,
    /// Parts of indexes.
    parts: BTreeMap<Digest, Digest>,
    /// What each manifest stands on.
    lineages: BTreeMap<Digest, Standing>,
    looks: BTreeMap<VulnerabilityGroup, BTreeMap<Digest, Look>>,
}

pub(super) fn fill(events: impl IntoIterator<Item = Event>, frame: &Frame<'_>) -> Journal {
    let counts = |event: &Event| event.at <= frame.now;
    let ordered: BTreeSet<Event> = events.into_iter().filter(counts).collect();
    let mut filling = Filling {
        journal: empty(frame),
        frame,
        parts: parts(&ordered),
        lineages: BTreeMap::new(),
        looks: BTreeMap::new(),
    };
    for Event { at, source, what } in ordered {
        filling.take(at, source, what);
    }
    filling.finish()
}

/// Which index a manifest is a part of: the first that was pushed with it.
fn parts(ordered: &BTreeSet<Event>) -> BTreeMap<Digest, Digest> {
    let mut parts = BTreeMap::new();
    for event in ordered {
        if let What::Push {
            digest,
            index: Some(index),
            ..
        } = &event.what
        {
            parts.entry(*digest).or_insert(*index);
        }
    }
    parts
}

fn empty(frame: &Frame<'_>) -> Journal {
    Journal {
        now: frame.now,
        source: frame.source,
        places: BTreeMap::new(),
        revisions: BTreeMap::new(),
        standings: BTreeMap::new(),
        pushed: BTreeMap::new(),
        scanned: BTreeMap::new(),
        admitted: BTreeMap::new(),
        rollouts_failed: Vec::new(),
        incidents: Vec::new(),
        advisories: BTreeMap::new(),
        fixes: BTreeMap::new(),
        matches: BTreeMap::new(),
        affecting: BTreeMap::new(),
        cleared: BTreeMap::new(),
        notified: BTreeMap::new(),
        mitigated: BTreeMap::new(),
    }
}

impl Filling<'_> {
    /// The index instead of its part.
    fn whole(&self, digest: Digest) -> Digest {
        self.parts.get(&digest).copied().unwrap_or(digest)
    }

    fn take(&mut self, at: OffsetDateTime, source: Source, what: What) {
        match what {
            What::Push {
                app, digest, release, ..
            } => self.push(at, app, digest, release),
            What::Label { digest, revision, .. } => {
                let whole = self.whole(digest);
                if let Some(revision) = revision {
                    self.journal.revisions.entry(whole).or_insert(revision);
                }
            }
            What::Lineage {
                digest,
                base,
                app_layers,
            } => {
                let bases = base.into_iter().collect();
                self.lineages.insert(digest, Standing { bases, app_layers });
            }
            What::Scanned { digest } => {
                let whole = self.whole(digest);
                self.journal.scanned.entry(whole).or_insert(at);
            }
            What::Incident { app, digest } => {
                let whole = self.whole(digest);
                self.journal.incidents.push((app, whole, at));
            }
            What::Advisory { group, .. } => {
                self.journal.advisories.entry(group).or_insert(at);
            }
            What::FixAvailable { group, line } => {
                self.journal.fixes.entry((group, line)).or_insert(at);
            }
            What::Match {
                digest,
                group,
                severity,
                line,
                ..
            } => self.found(at, digest, group, (severity, line)),
            What::Cleared { digest, group } => self.clear(at, digest, group),
            What::Notify { app, group } => {
                self.journal.notified.entry((app, group)).or_insert(at);
            }
            What::Mitigate { app, group, until } => {
                let spans = self.journal.mitigated.entry((app, group)).or_default();
                spans.push((at, until));
            }
            // Stops no clock.
            What::Exempt { .. } => {}
            runs => self.run(at, source, runs),
        }
    }

    fn push(&mut self, at: OffsetDateTime, app: App, digest: Digest, release: bool) {
        let whole = self.whole(digest);
        let of_app = self.journal.pushed.entry(app.clone()).or_default();
        of_app.entry(whole).or_insert(at);
        if release && self.frame.source == Source::RegistryProxy {
            let history = self.journal.places.entry(published_place(app)).or_default();
            history.is_production = true;
            history.published(whole, at);
        }
    }

    /// What runs counts only by the word of clusters, and only where they were asked for.
    fn run(&mut self, at: OffsetDateTime, source: Source, what: What) {
        if (source, self.frame.source) != (Source::Cluster, Source::Cluster) {
            return;
        }
        match what {
            What::Ready {
                place,
                digest,
                replicas,
                facing,
            } => {
                let level = Level { at, replicas, facing };
                self.change(place, digest, |history, whole| history.ready(whole, level));
            }
            What::Scaled {
                place,
                digest,
                replicas,
            } => self.change(place, digest, |history, whole| {
                history.scaled(whole, at, replicas);
            }),
            What::Dormant { place, digest } => {
                self.change(place, digest, |history, whole| history.dormant(whole, at));
            }
            What::Gone { place, digest } => {
                self.change(place, digest, |history, whole| history.gone(whole, at));
            }
            What::Admitted { place, digest } => {
                let whole = self.whole(digest);
                if self.frame.production.contains(&place.environment) {
                    self.journal.admitted.entry((place.app, whole)).or_insert(at);
                }
            }
            What::RolloutFailed { place, digest } => {
                let whole = self.whole(digest);
                if self.frame.production.contains(&place.environment) {
                    self.journal.rollouts_failed.push((place, whole, at));
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, place: Place, digest: Digest, change: impl FnOnce(&mut PlaceHistory, Digest)) {
        let whole = self.whole(digest);
        let is_production = self.frame.production.contains(&place.environment);
        let history = self.journal.places.entry(place).or_default();
        history.is_production = is_production;
        change(history, whole);
    }

    fn found(
        &mut self,
        at: OffsetDateTime,
        digest: Digest,
        group: VulnerabilityGroup,
        (severity, line): (Severity, Option<ReleaseLine>),
    ) {
        let looks = self.looks.entry(group).or_default();
        if let Some(Look::Found(matched)) = looks.get_mut(&digest) {
            matched.severity = matched.severity.max(severity);
            matched.lines.insert(line);
        } else {
            let lines = BTreeSet::from([line]);
            looks.insert(digest, Look::Found(Matched { at, severity, lines }));
        }
    }

    /// What was found before and is not there at a second look never was: the image is the same.
    fn clear(&mut self, at: OffsetDateTime, digest: Digest, group: VulnerabilityGroup) {
        let looks = self.looks.entry(group).or_default();
        if !matches!(looks.get(&digest), Some(Look::Clear(_))) {
            looks.insert(digest, Look::Clear(at));
        }
    }

    fn finish(mut self) -> Journal {
        let is_proxy = self.frame.source == Source::RegistryProxy;
        for history in self.journal.places.values_mut() {
            history.settle(self.frame.now, is_proxy);
        }
        for (digest, standing) in std::mem::take(&mut self.lineages) {
            let whole = self.whole(digest);
            let of_whole = self.journal.standings.entry(whole).or_default();
            of_whole.bases.extend(standing.bases);
            of_whole.app_layers.extend(standing.app_layers);
        }
        for (group, looks) in std::mem::take(&mut self.looks) {
            for (digest, look) in looks {
                let whole = self.whole(digest);
                self.look(&group, whole, look);
            }
        }
        self.drop_partly_clear();
        self.journal
    }

    /// An index has what any of its parts has.
    fn look(&mut self, group: &VulnerabilityGroup, whole: Digest, look: Look) {
        match look {
            Look::Clear(at) => {
                let cleared = self.journal.cleared.entry(group.clone()).or_default();
                let known = cleared.entry(whole).or_insert(at);
                *known = at.max(*known);
            }
            Look::Found(found) => {
                let matches = self.journal.matches.entry(group.clone()).or_default();
                let known = matches.entry(whole).or_insert_with(|| found.clone());
                known.at = known.at.min(found.at);
                known.severity = known.severity.max(found.severity);
                known.lines.extend(found.lines);
                let affecting = self.journal.affecting.entry(whole).or_default();
                affecting.insert(group.clone());
            }
        }
    }

    /// An index is clear when none of its parts has it.
    fn drop_partly_clear(&mut self) {
        let Journal { matches, cleared, .. } = &mut self.journal;
        for (group, digests) in cleared {
            if let Some(affected) = matches.get(group) {
                digests.retain(|digest, _| !affected.contains_key(digest));
            }
        }
    }
}
