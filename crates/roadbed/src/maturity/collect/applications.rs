//! What is said of applications and teams: whose they are, how important, on which path, and what they need not do. Where they belong is
//! told by whoever follows the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use maturity::{
    exemption::{Exemption, LONGEST_EXEMPTION},
    facts::{Entry, EntryKind},
    signal::Fact,
    words::{RecordId, Subject, SubjectKind},
};
use oci::{Algorithm, Digest};
use road::{
    app_road::{AppRoad, AutoRebase},
    application::Application,
    exemption::{Exemption as RoadExemption, ExemptionState},
    names::ApplicationName,
    paving::{RoadEntry, RoadKind},
};
use store::{EventKind, LogLine, Store};
use time::{Duration, OffsetDateTime};

use super::ground::{Ground, Places, app_named, subject_of, team_of};
use super::notes::Notes;
use crate::maturity::collector::{Asked, Collected, Collector};

/// How far back exemptions are counted for whether there are more of them now.
const THEN: Duration = Duration::days(90);

/// Tells of applications and teams.
pub(super) struct Applications(pub(super) Arc<Ground>);

impl Collector for Applications {
    fn name(&self) -> &'static str {
        "applications"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            let places = self.0.places(asked).await?;
            let mut entries = Vec::new();
            for app in touched(event, &places) {
                entries.extend(self.of_app(asked, &places, &app).await?);
            }
            entries.extend(ended(asked, event));
            Ok(entries)
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            let places = self.0.places(asked).await?;
            match subject.kind {
                SubjectKind::App => match app_named(subject) {
                    Some(app) => self.of_app(asked, &places, &app).await,
                    None => Ok(Vec::new()),
                },
                SubjectKind::Team => self.of_team(asked, &places, subject).await,
                SubjectKind::Platform | SubjectKind::Org => Ok(Vec::new()),
            }
        })
    }
}

/// The applications that a line of the audit log is about.
fn touched(event: &LogLine, places: &Places) -> BTreeSet<ApplicationName> {
    let all = || -> BTreeSet<ApplicationName> { places.applications().map(|app| app.name.clone()).collect() };
    let one = |name: &str| -> BTreeSet<ApplicationName> { name.parse().ok().into_iter().collect() };
    match EventKind::from_name(&event.kind) {
        Some(EventKind::ApplicationSet) => one(&event.subject),
        Some(EventKind::CatalogImport) => all(),
        Some(EventKind::RoadSet | EventKind::RoadRemove | EventKind::RoadEnds | EventKind::RoadEnd) => {
            match event.subject.split_once('/') {
                Some((kind, name)) if kind == RoadKind::AppRoad.as_str() => one(name),
                Some((kind, name)) if kind == RoadKind::Exemption.as_str() => {
                    one(name.rsplit_once(':').map_or(name, |(app, _)| app))
                }
                // A path that comes or goes moves those on it.
                Some((kind, _)) if kind == RoadKind::GoldenPath.as_str() => all(),
                _ => BTreeSet::new(),
            }
        }
        _ => BTreeSet::new(),
    }
}

/// An exemption that was taken back, or had its place taken by another one.
fn ended(asked: Asked, event: &LogLine) -> Option<Entry> {
    let kind = EventKind::from_name(&event.kind)?;
    if !matches!(kind, EventKind::RoadSet | EventKind::RoadRemove) {
        return None;
    }
    let entry =
        |key: &str| -> Option<RoadEntry> { serde_json::from_value(event.body.get(key)?.clone()).ok() };
    let RoadEntry::Exemption(was) = entry("was")? else {
        return None;
    };
    if let Some(RoadEntry::Exemption(now)) = entry("to")
        && exempted(&now) == exempted(&was)
    {
        return None;
    }
    let id = exempted(&was)?.id;
    Some(Entry {
        event: asked.event,
        at: asked.at,
        kind: EntryKind::ExemptionEnded(id),
    })
}

impl Applications {
    async fn of_app(&self, asked: Asked, places: &Places, name: &ApplicationName) -> Result<Vec<Entry>> {
        let (Some(app), Some(subject)) = (places.road.applications.get(name), subject_of(name)) else {
            return Ok(Vec::new());
        };
        let store = &self.0.store;
        let road = places.road.paving.app_road(name, asked.at);
        let mut notes = Notes::about(asked, subject);
        let exemptions: Vec<&RoadExemption> = if places.is_vouched(name) {
            places.road.paving.exemptions_of(name).collect()
        } else {
            Vec::new()
        };
        let wanted: Vec<Exemption> = exemptions
            .iter()
            .filter_map(|exemption| exempted(exemption))
            .collect();
        let wanted: Vec<Exemption> = wanted
            .into_iter()
            .filter(|exemption| exemption.is_live(asked.at))
            .collect();
        if !wanted.is_empty() {
            let granted = granted(store).await?;
            let new = wanted
                .into_iter()
                .filter(|exemption| !granted.contains(exemption.id.as_str()));
            for exemption in new {
                notes.add(EntryKind::Exempted(Box::new(exemption)));
            }
        }
        self.note(&mut notes, places, (app, road), &exemptions).await?;
        Ok(notes.into_entries())
    }

    async fn note(
        &self,
        notes: &mut Notes,
        places: &Places,
        (app, road): (&Application, Option<&AppRoad>),
        exemptions: &[&RoadExemption],
    ) -> Result<()> {
        let store = &self.0.store;
        let now = notes.asked.at;
        let paving = &places.road.paving;
        let said = lines(store, app).await?;
        let mut page = notes.states(store).await?;
        page.by(said.app)
            .flag(Fact::OwnerKnown, app.owner.is_some())
            .flag(
                Fact::ContactKnown,
                app.contacts
                    .as_ref()
                    .is_some_and(|contacts| !contacts.value().is_empty()),
            );
        let has_tier = app.tier.is_some() || road.is_some_and(|road| road.tier.is_some());
        page.flag(Fact::TierDeclared, has_tier);
        let until = road.and_then(|road| paving.end_of(road));
        let takes = road.is_some_and(|road| road.auto_rebase != AutoRebase::Never);
        page.by(said.road)
            .flag_until(Fact::RebaseRingSet, takes, until.filter(|_| takes));
        let path = road.and_then(|road| road.path.as_ref());
        let path_until = path
            .and_then(|path| paving.end_of_path(path))
            .into_iter()
            .chain(until)
            .min();
        page.flag_until(
            Fact::GoldenPathNamed,
            path.is_some(),
            path_until.filter(|_| path.is_some()),
        );
        if let Some(behind) =
            path.and_then(|path| drift(path.parts(), paving.paths().map(|path| path.id.parts())))
        {
            page.number(Fact::GoldenPathDrift, behind);
        }
        let live = |exemption: &&&RoadExemption| exemption.is_live(now);
        let lasting = exemptions
            .iter()
            .filter(live)
            .map(|exemption| exemption.until)
            .max();
        page.flag_until(Fact::BaseExempt, lasting.is_some(), lasting);
        let count = |state: ExemptionState| {
            let same = exemptions
                .iter()
                .filter(|exemption| exemption.state(now) == state);
            i64::try_from(same.count()).unwrap_or(i64::MAX)
        };
        page.number(Fact::ExemptionsLive, count(ExemptionState::Live))
            // None is kept without owner, reason, another person's word and an end.
            .number(Fact::ExemptionsComplete, 100)
            .number(Fact::ExemptionsExpired, count(ExemptionState::Expired));
        Ok(())
    }

    async fn of_team(&self, asked: Asked, places: &Places, team: &Subject) -> Result<Vec<Entry>> {
        let is_its = |app: &&Application| {
            let owner = app.owner.as_ref().and_then(|owner| team_of(owner.value()));
            owner.is_some_and(|owner| owner == team.name)
        };
        let apps: BTreeSet<&ApplicationName> = places
            .applications()
            .filter(is_its)
            .map(|app| &app.name)
            .collect();
        if apps.is_empty() {
            return Ok(Vec::new());
        }
        let store = &self.0.store;
        let (now, then) = (asked.at, asked.at - THEN);
        let (mut live_now, mut live_then) = (0_i64, 0_i64);
        for stored in store.road_entries_ever().await? {
            let RoadEntry::Exemption(exemption) = &stored.entry else {
                continue;
            };
            if !apps.contains(&exemption.application) {
                continue;
            }
            let was_there =
                |at: OffsetDateTime| stored.removed_at.is_none_or(|removed| at < removed.to_utc());
            live_now += i64::from(exemption.is_live(now) && was_there(now));
            live_then += i64::from(exemption.is_live(then) && was_there(then));
        }
        let mut notes = Notes::about(asked, team.clone());
        let mut page = notes.states(store).await?;
        // What a person owns has no team.
        page.flag(Fact::OwnerIsGroup, true)
            .number(Fact::ExemptionsChange, live_now - live_then);
        Ok(notes.into_entries())
    }
}

/// Lines of the audit log about an application.
struct Lines {
    app: [Option<i64>; 1],
    road: [Option<i64>; 1],
}

async fn lines(store: &Store, app: &Application) -> Result<Lines> {
    let name = app.name.as_str();
    let road = format!("{}/{name}", RoadKind::AppRoad);
    Ok(Lines {
        app: [store.last_line(name, &["application.set"]).await?],
        road: [store.last_line(&road, &["road.set", "road.remove"]).await?],
    })
}

/// The ids of exemptions that were told before.
async fn granted(store: &Store) -> Result<BTreeSet<String>> {
    let bodies = store.maturity_bodies("exempted/").await?;
    let id = |body: String| match serde_json::from_str(&body) {
        Ok(EntryKind::Exempted(exemption)) => Some(exemption.id.to_string()),
        _ => None,
    };
    Ok(bodies.into_iter().filter_map(id).collect())
}

/// An exemption of the road from a criterion, as models know it. `None`: its rule cannot be one.
pub(super) fn exempted(road: &RoadExemption) -> Option<Exemption> {
    let by = road.approved_by.iter().find(|by| **by != road.owner)?;
    let until = road.until.min(road.from.checked_add(LONGEST_EXEMPTION)?);
    let said = format!("{}\n{}\n{until}\n{}\n{by}", road.owner, road.from, road.reason);
    let mut digits = Digest::of(Algorithm::Sha256, said.as_bytes()).hex();
    digits.truncate(16);
    // What it says is part of its id: one that was renewed is another one.
    let id: RecordId = format!("{}:{}/{digits}", road.application, road.rule)
        .parse()
        .ok()?;
    Some(Exemption {
        id,
        subject: subject_of(&road.application)?,
        criterion: road.rule.as_str().parse().ok()?,
        from: road.from,
        until,
        reason: road.reason.clone(),
        requested_by: road.owner.to_string().parse().ok()?,
        approved_by: by.to_string().parse().ok()?,
    })
}

/// How many major versions of a golden path come after the one that is named.
fn drift<'p>(named: (&str, &str), all: impl Iterator<Item = (&'p str, &'p str)>) -> Option<i64> {
    let own = major(named.1)?;
    let same = all.filter(|(name, _)| *name == named.0);
    let newest = same.filter_map(|(_, version)| major(version)).max()?;
    Some((newest - own).max(0))
}

fn major(version: &str) -> Option<i64> {
    let digits = version.strip_prefix('v').unwrap_or(version);
    digits.split(['.', '-', '_']).next()?.parse().ok()
}
