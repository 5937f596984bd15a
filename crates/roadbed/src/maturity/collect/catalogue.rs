//! The catalogue of the road: whether it is kept, and whether it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;
use maturity::{
    facts::Entry,
    signal::Fact,
    words::{Subject, SubjectKind, SubjectName},
};
use oci::{Digest, RepoName};
use road::{
    cohort::{Because, Cohort, Verdict, of_application},
    names::{ApplicationName, BaseName},
    paving::RoadKind,
};
use store::{EventKind, LogLine, Store};
use time::{Duration, OffsetDateTime};

use super::ground::{Ground, Places, before, team_of};
use super::notes::Notes;
use super::registry::percent;
use crate::maturity::collector::{Asked, Collected, Collector, ORGANISATION, PLATFORM};

/// How far back changes are looked at.
const CHANGED_WITHIN: Duration = Duration::days(365);

/// How far back applications are new.
const NEW_WITHIN: Duration = Duration::days(180);

/// How far back it is looked at which bases were in use then.
const THEN: Duration = Duration::days(90);

/// Changes that are looked at: the latest.
const MAX_CHANGES: usize = 300;

/// Lines of the audit log that may change the catalogue.
const CHANGES: [&str; 5] = [
    "base.set",
    "base.remove",
    "road.set",
    "road.remove",
    "catalog.import",
];

/// Tells of the catalogue.
pub(super) struct Catalogue(pub(super) Arc<Ground>);

impl Collector for Catalogue {
    fn name(&self) -> &'static str {
        "catalogue"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            if !CHANGES.contains(&event.kind.as_str()) {
                return Ok(Vec::new());
            }
            let places = self.0.places(asked).await?;
            let mut notes = Notes::about(asked, ORGANISATION.parse()?);
            note_change(&self.0.store, &mut notes, event).await?;
            self.note_paths(&mut notes, &places).await?;
            let mut entries = notes.into_entries();
            entries.extend(self.of_platform(asked, &places).await?);
            Ok(entries)
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            let places = self.0.places(asked).await?;
            if subject.to_string() == PLATFORM {
                return self.of_platform(asked, &places).await;
            }
            if subject.kind != SubjectKind::Org {
                return Ok(Vec::new());
            }
            self.of_organisation(asked, &places).await
        })
    }
}

impl Catalogue {
    async fn of_platform(&self, asked: Asked, places: &Places) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let paving = &places.road.paving;
        let entries = places.road.bases.iter().len() + paving.toolchains().len() + paving.paths().len();
        let mut notes = Notes::about(asked, PLATFORM.parse()?);
        if entries > 0 {
            // None is taken that has no life cycle and no end.
            notes.states(store).await?.number(Fact::CatalogueDated, 100);
        }
        Ok(notes.into_entries())
    }

    async fn of_organisation(&self, asked: Asked, places: &Places) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let mut notes = Notes::about(asked, ORGANISATION.parse()?);
        let since = before(asked.at, CHANGED_WITHIN);
        for line in store.last_lines(&CHANGES, since, MAX_CHANGES).await? {
            note_change(store, &mut notes, &line).await?;
        }
        for (base, since) in &places.road.retired {
            let mut page = notes.item(store, &format!("base:{base}"), *since).await?;
            page.flag(Fact::CatalogueRetired, true);
        }
        self.note_new(&mut notes, places).await?;
        self.note_paths(&mut notes, places).await?;
        self.note_use(&mut notes, places).await?;
        Ok(notes.into_entries())
    }

    /// Applications that were declared lately.
    async fn note_new(&self, notes: &mut Notes, places: &Places) -> Result<()> {
        let (store, now) = (&self.0.store, notes.asked.at);
        let paving = &places.road.paving;
        for app in places.applications() {
            let first = store.first_line(app.name.as_str(), "application.set").await?;
            let Some((seq, at)) = first.filter(|(_, at)| now - at.to_utc() <= NEW_WITHIN) else {
                continue;
            };
            let is_on_path = paving
                .app_road(&app.name, now)
                .is_some_and(|road| road.path.is_some());
            let is_exempt = places.is_vouched(&app.name) && paving.exemption(&app.name, now).is_some();
            let mut page = notes
                .item(store, &format!("app:{}", app.name), at.to_utc())
                .await?;
            page.by([Some(seq)])
                .flag(Fact::NewAppOnPath, is_on_path || is_exempt);
        }
        Ok(())
    }

    /// How many teams share the path that most share.
    async fn note_paths(&self, notes: &mut Notes, places: &Places) -> Result<()> {
        let now = notes.asked.at;
        let mut teams: BTreeMap<&str, BTreeSet<SubjectName>> = BTreeMap::new();
        for app in places.applications() {
            let road = places.road.paving.app_road(&app.name, now);
            let path = road.and_then(|road| road.path.as_ref());
            let team = app.owner.as_ref().and_then(|owner| team_of(owner.value()));
            if let (Some(path), Some(team)) = (path, team) {
                teams.entry(path.parts().0).or_default().insert(team);
            }
        }
        if places.road.paving.paths().len() > 0 {
            let most = teams.values().map(BTreeSet::len).max().unwrap_or_default();
            let mut page = notes.states(&self.0.store).await?;
            page.number(Fact::GoldenPathTeams, i64::try_from(most).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Where the newest images stand.
    async fn note_use(&self, notes: &mut Notes, places: &Places) -> Result<()> {
        let (store, now) = (&self.0.store, notes.asked.at);
        let newest = store.newest_images(before(now, Duration::ZERO)).await?;
        let stands = self.stands(places, &newest, now);
        let verdicts: BTreeMap<&ApplicationName, Verdict> = places
            .applications()
            .map(|app| {
                let own = stands.by_app.get(&app.name).cloned().unwrap_or_default();
                (&app.name, of_application(own))
            })
            .collect();
        let then = store.newest_images(before(now, THEN)).await?;
        let bases_then = self.stands(places, &then, now).bases;
        let count = |is: &dyn Fn(&Verdict) -> bool| verdicts.values().filter(|verdict| is(verdict)).count();
        let of = |cohort: Cohort| count(&|verdict| verdict.cohort == cohort);
        let (paved, exempt, own) = (of(Cohort::Paved), of(Cohort::Exempt), of(Cohort::OwnRoad));
        let retired = count(&|verdict| {
            let has_ended = matches!(verdict.because, Because::SupportEnded { .. });
            has_ended && verdict.cohort != Cohort::Exempt
        });
        let mut page = notes.states(store).await?;
        if let Some(percent) = percent(paved, verdicts.len()) {
            page.number(Fact::RoadAdoption, percent);
            page.number(Fact::RetiredInUse, i64::try_from(retired).unwrap_or(i64::MAX));
            page.number(
                Fact::OffRoadExempt,
                self::percent(exempt, exempt + own).unwrap_or(100),
            );
        }
        // Without any then there is nothing to compare to.
        if !bases_then.is_empty() {
            let lines = |bases: &BTreeSet<BaseName>| i64::try_from(bases.len()).unwrap_or(i64::MAX);
            page.number(Fact::BaseLinesChange, lines(&stands.bases) - lines(&bases_then));
        }
        Ok(())
    }

    fn stands(&self, places: &Places, images: &[(RepoName, Digest)], now: OffsetDateTime) -> Stands {
        let mut stands = Stands::default();
        for (repository, image) in images {
            let Some((app, _)) = places.app_of(repository) else {
                continue;
            };
            let Some((lineage, verdict)) = self.0.lineage(places, app, (repository, image), now) else {
                continue;
            };
            stands.bases.extend(lineage.base().map(|base| base.base.clone()));
            stands.by_app.entry(app.clone()).or_default().push(verdict);
        }
        stands
    }
}

/// Where images stand.
#[derive(Default)]
struct Stands {
    by_app: BTreeMap<ApplicationName, Vec<Verdict>>,
    bases: BTreeSet<BaseName>,
}

/// Notes that the catalogue was changed, if a line says so: a base, a toolchain or a golden path.
async fn note_change(store: &Store, notes: &mut Notes, line: &LogLine) -> Result<()> {
    let Some(change) = change(line) else {
        return Ok(());
    };
    let key = format!("event:{}", line.seq);
    let mut page = notes.item(store, &key, line.at.to_utc()).await?;
    page.by([Some(line.seq)]).flag(Fact::CatalogueChanged, true);
    if change == Change::Retired {
        page.flag(Fact::CatalogueRetired, true);
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    Set,
    Retired,
}

fn change(line: &LogLine) -> Option<Change> {
    let is_of_road = || {
        let kind = line
            .subject
            .split_once('/')
            .and_then(|(kind, _)| RoadKind::from_name(kind));
        matches!(kind, Some(RoadKind::Toolchain | RoadKind::GoldenPath))
    };
    match EventKind::from_name(&line.kind)? {
        EventKind::BaseSet => Some(Change::Set),
        EventKind::BaseRemove => Some(Change::Retired),
        EventKind::RoadSet if is_of_road() => Some(Change::Set),
        EventKind::RoadRemove if is_of_road() => Some(Change::Retired),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use store::Timestamp;

    use super::*;

    #[test]
    fn the_catalogue_is_changed_by_what_is_in_it() {
        let of = |kind: &str, subject: &str| {
            change(&LogLine {
                seq: 1,
                at: Timestamp(0),
                kind: kind.to_owned(),
                subject: subject.to_owned(),
                actor: "ann".to_owned(),
                cause: "api".to_owned(),
                body: serde_json::json!({}),
            })
        };
        assert_eq!(of("base.set", "java"), Some(Change::Set));
        assert_eq!(of("road.set", "GoldenPath/java@3"), Some(Change::Set));
        assert_eq!(of("road.remove", "Toolchain/actions"), Some(Change::Retired));
        assert_eq!(of("road.set", "Exemption/video:TE-CON-2"), None);
        assert_eq!(of("tag.set", "shop/app:1"), None);
    }
}
