//! What followed its base: whether tags did, in which time, and whether a person had to do anything for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use findings::Severity;
use maturity::{
    facts::Entry,
    signal::Fact,
    words::{Subject, SubjectKind},
};
use oci::{Digest, RepoName};
use road::{
    app_road::Ring,
    names::{ApplicationName, BaseName},
};
use store::{EventKind, FollowedBase, ItemState, LogLine};
use time::{Duration, OffsetDateTime};

use super::ground::{Ground, HISTORY, Places, app_named, before, subject_of};
use super::notes::Notes;
use crate::maturity::collector::{Asked, Collected, Collector, ORGANISATION, PLATFORM};

/// Tells of rebases.
pub(super) struct Rebases(pub(super) Arc<Ground>);

/// Within which time a tag of a ring is to follow: half an hour for those that go first, a day for most.
const fn time_of(ring: Ring) -> Duration {
    match ring {
        Ring::Canary => Duration::minutes(30),
        Ring::Early => Duration::hours(4),
        Ring::Normal => Duration::hours(24),
        Ring::Late => Duration::hours(72),
    }
}

impl Collector for Rebases {
    fn name(&self) -> &'static str {
        "rebases"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            let Some(repository) = repository_of(event) else {
                return Ok(Vec::new());
            };
            let places = self.0.places(asked).await?;
            let Some((app, _)) = places.app_of(&repository) else {
                return Ok(Vec::new());
            };
            let Some(subject) = subject_of(app) else {
                return Ok(Vec::new());
            };
            self.of_repositories(asked, &places, (&subject, app), &[repository])
                .await
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            let places = self.0.places(asked).await?;
            match (subject.kind, app_named(subject)) {
                (SubjectKind::App, Some(app)) => {
                    let repositories = places.repositories(&app).iter();
                    let repositories: Vec<RepoName> = repositories.map(|known| known.name.clone()).collect();
                    self.of_repositories(asked, &places, (subject, &app), &repositories)
                        .await
                }
                _ if [ORGANISATION, PLATFORM].contains(&subject.to_string().as_str()) => {
                    self.of_all(asked, &places, subject).await
                }
                _ => Ok(Vec::new()),
            }
        })
    }
}

/// The repository whose tag a line of the audit log is about that is to follow its base.
fn repository_of(event: &LogLine) -> Option<RepoName> {
    let kinds = [
        EventKind::RebaseAsk,
        EventKind::RebaseApprove,
        EventKind::RebaseReject,
        EventKind::RebaseMove,
        EventKind::RebaseRefuse,
        EventKind::RebaseUndo,
    ];
    let kind = EventKind::from_name(&event.kind)?;
    let (repository, _) = event.subject.rsplit_once(':')?;
    kinds.contains(&kind).then(|| repository.parse().ok()).flatten()
}

impl Rebases {
    async fn of_repositories(
        &self,
        asked: Asked,
        places: &Places,
        (subject, app): (&Subject, &ApplicationName),
        repositories: &[RepoName],
    ) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let road = places.road.paving.app_road(app, asked.at);
        let within = time_of(road.map(|road| road.ring).unwrap_or_default());
        let mut notes = Notes::about(asked, subject.clone());
        for repository in repositories {
            for item in store
                .followed_bases(Some(repository), before(asked.at, HISTORY))
                .await?
            {
                let fixed = worst_fixed(places, &item.old_release);
                let facts = facts(&item, fixed, within, asked.at);
                if facts.is_empty() {
                    continue;
                }
                let tag = format!("{repository}:{}", item.tag);
                let kinds = ["rebase.move", "rebase.reject", "rebase.refuse", "rebase.ask"];
                let last = store.last_line(&tag, &kinds).await?;
                let at = item.settled_at.unwrap_or(item.created_at).to_utc();
                let mut page = notes.item(store, &format!("follow:{}", item.id), at).await?;
                page.by([last]);
                for (fact, is_so) in facts {
                    page.flag(fact, is_so);
                }
            }
        }
        Ok(notes.into_entries())
    }

    /// What many did together.
    async fn of_all(&self, asked: Asked, places: &Places, subject: &Subject) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let all = store.followed_bases(None, before(asked.at, HISTORY)).await?;
        let mut notes = Notes::about(asked, subject.clone());
        for ((base, release), wave) in waves(&all, places) {
            let key = format!("release:{base}@{release}");
            let mut page = notes.item(store, &key, wave.last).await?;
            if subject.kind == SubjectKind::Org {
                page.number(
                    Fact::MassUpdate,
                    i64::try_from(wave.apps.len()).unwrap_or(i64::MAX),
                );
            } else if wave.is_serious {
                page.flag(Fact::HandsFreeFix, !wave.was_approved);
            }
        }
        Ok(notes.into_entries())
    }
}

/// The worst problem that the release after one is without.
fn worst_fixed(places: &Places, release: &Digest) -> Option<Severity> {
    Some(places.road.releases.release(release)?.superseded?.worst_fixed)
}

/// What a tag that could follow its base says. Of one that could not, or was left out, nothing: it was offered nothing.
fn facts(
    item: &FollowedBase,
    fixed: Option<Severity>,
    within: Duration,
    now: OffsetDateTime,
) -> Vec<(Fact, bool)> {
    let is_serious = fixed.is_some_and(|severity| severity >= Severity::High);
    // Work that was asked of its owner is a proposal too.
    let proposed = is_serious.then_some((Fact::FixProposed, true));
    let in_time = in_time(item, within, now);
    let is_critical = fixed == Some(Severity::Critical);
    let mended = is_critical.then(|| {
        let moved = (item.state == ItemState::Moved).then_some((Fact::FixAutomated, true));
        let in_ring = in_time.map(|is_so| (Fact::FixWithinRing, is_so));
        moved.into_iter().chain(in_ring)
    });
    let accepted = in_time.map(|is_so| (Fact::RebaseAccepted, is_so));
    accepted
        .into_iter()
        .chain(proposed)
        .chain(mended.into_iter().flatten())
        .collect()
}

fn in_time(item: &FollowedBase, within: Duration, now: OffsetDateTime) -> Option<bool> {
    let due = item.created_at.to_utc() + within;
    match item.state {
        ItemState::Moved => Some(item.settled_at.is_none_or(|settled| settled.to_utc() <= due)),
        ItemState::Failed | ItemState::Rejected => Some(false),
        ItemState::New | ItemState::Asking | ItemState::Waiting | ItemState::Made => {
            (due < now).then_some(false)
        }
        ItemState::Impossible | ItemState::LeftOut => None,
    }
}

/// The tags that followed one release.
struct Wave {
    apps: BTreeSet<ApplicationName>,
    last: OffsetDateTime,
    is_serious: bool,
    was_approved: bool,
}

fn waves(all: &[FollowedBase], places: &Places) -> BTreeMap<(BaseName, Digest), Wave> {
    let mut waves: BTreeMap<(BaseName, Digest), Wave> = BTreeMap::new();
    for item in all.iter().filter(|item| item.state == ItemState::Moved) {
        let at = item.settled_at.unwrap_or(item.created_at).to_utc();
        let key = (item.base.clone(), item.new_release);
        let wave = waves.entry(key).or_insert_with(|| Wave {
            apps: BTreeSet::new(),
            last: at,
            is_serious: false,
            was_approved: false,
        });
        wave.last = wave.last.max(at);
        let fixed = worst_fixed(places, &item.old_release);
        wave.is_serious |= fixed.is_some_and(|severity| severity >= Severity::High);
        wave.was_approved |= item.was_approved;
        if let Some((app, _)) = places.app_of(&item.repository) {
            wave.apps.insert(app.clone());
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use store::Timestamp;
    use time::macros::datetime;

    use super::*;

    const FOUND: OffsetDateTime = datetime!(2026-03-01 9:00 UTC);

    fn item(state: ItemState, minutes: Option<i64>) -> FollowedBase {
        let release = |name: &str| Digest::of(oci::Algorithm::Sha256, name.as_bytes());
        FollowedBase {
            id: "1".to_owned(),
            repository: "shop/app".parse().unwrap(),
            tag: "1".parse().unwrap(),
            base: "java".parse().unwrap(),
            old_release: release("old"),
            new_release: release("new"),
            state,
            was_approved: false,
            created_at: Timestamp::from(FOUND),
            settled_at: minutes.map(|minutes| Timestamp::from(FOUND + Duration::minutes(minutes))),
        }
    }

    #[test]
    fn a_tag_follows_within_the_time_of_its_ring_or_does_not() {
        let within = time_of(Ring::Canary);
        let later = FOUND + Duration::hours(1);
        let of = |state, minutes| in_time(&item(state, minutes), within, later);
        assert_eq!(of(ItemState::Moved, Some(30)), Some(true));
        assert_eq!(of(ItemState::Moved, Some(31)), Some(false));
        assert_eq!(of(ItemState::Rejected, Some(1)), Some(false));
        assert_eq!(of(ItemState::Asking, None), Some(false));
        assert_eq!(in_time(&item(ItemState::Asking, None), within, FOUND), None);
        assert_eq!(of(ItemState::Impossible, Some(1)), None);
    }

    #[test]
    fn only_what_was_critical_is_a_critical_fix() {
        let moved = item(ItemState::Moved, Some(5));
        let of = |fixed| facts(&moved, fixed, Duration::hours(1), FOUND);
        assert_eq!(of(None), [(Fact::RebaseAccepted, true)]);
        assert_eq!(
            of(Some(Severity::High)),
            [(Fact::RebaseAccepted, true), (Fact::FixProposed, true)]
        );
        let all = [
            (Fact::RebaseAccepted, true),
            (Fact::FixProposed, true),
            (Fact::FixAutomated, true),
            (Fact::FixWithinRing, true),
        ];
        assert_eq!(of(Some(Severity::Critical)), all);
    }
}
