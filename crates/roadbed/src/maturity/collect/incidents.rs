//! Incidents: whether fixes came in time, by whom, and whether what was fixed came back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use findings::Severity;
use maturity::{
    facts::Entry,
    signal::Fact,
    words::{EventId, Subject, SubjectKind},
};
use road::{
    incident::{Incident, Status},
    names::{ApplicationName, IncidentId},
};
use store::{EventKind, LogLine, StoredIncident};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::ground::{Ground, HISTORY, Places, app_named, subject_of};
use super::images::is_by_robot;
use super::lines::{LineFacts, closed, facts, recurrence};
use super::notes::Notes;
use crate::maturity::collector::{Asked, Collected, Collector};

/// Events of an incident that are read at a time: each can hold hundreds of lines.
const PAGE: usize = 20;

/// Lines of all incidents that are looked at: the latest incidents. Default: the only value.
const MAX_LINES: usize = 200_000;

/// Within this time what comes back is the same problem.
const BACK_WITHIN: Duration = Duration::days(180);

/// Problems of bases whose deadline is over that are looked at: the latest. Default: the only value.
const MAX_DEBTS: usize = 1_000;

/// How a drill is called: in its title.
const DRILL: &str = "drill";

/// Tells of incidents.
pub(super) struct Incidents {
    ground: Arc<Ground>,
    /// As they were for the last line that was asked about: every subject is asked about with the same one.
    told: Mutex<Option<(EventId, Arc<Told>)>>,
}

/// One incident as a whole.
struct Whole {
    id: IncidentId,
    opened_at: OffsetDateTime,
    is_drill: bool,
    is_over: bool,
    closed_at: Option<OffsetDateTime>,
    /// When the first deadline of a line ends.
    due: Option<OffsetDateTime>,
}

/// All incidents.
struct Told {
    incidents: Vec<Whole>,
    lines: BTreeMap<ApplicationName, Vec<(IncidentId, LineFacts)>>,
    recurrence: Option<i64>,
}

impl Incidents {
    pub(super) fn of(ground: Arc<Ground>) -> Self {
        Self {
            ground,
            told: Mutex::default(),
        }
    }
}

impl Collector for Incidents {
    fn name(&self) -> &'static str {
        "incidents"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            let kinds = [
                EventKind::IncidentOpen,
                EventKind::IncidentChange,
                EventKind::IncidentClose,
            ];
            let is_one = EventKind::from_name(&event.kind).is_some_and(|kind| kinds.contains(&kind));
            match event.subject.parse() {
                Ok(id) if is_one => self.of_incident(asked, event, &id).await,
                _ => Ok(Vec::new()),
            }
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            let mut notes = Notes::about(asked, subject.clone());
            match (subject.kind, app_named(subject)) {
                (SubjectKind::App, Some(app)) => {
                    let told = self.told(asked).await?;
                    let lines = told.lines.get(&app).map_or(&[][..], Vec::as_slice);
                    self.note(&mut notes, lines).await?;
                }
                (SubjectKind::Org, _) => {
                    let told = self.told(asked).await?;
                    self.note_whole(&mut notes, &told).await?;
                }
                _ => {}
            }
            Ok(notes.into_entries())
        })
    }
}

impl Incidents {
    /// What a line of the audit log has changed: the lines of the incident that its event names, or all when it was opened or closed.
    async fn of_incident(&self, asked: Asked, event: &LogLine, id: &IncidentId) -> Result<Vec<Entry>> {
        let places = self.ground.places(asked).await?;
        let Some(incident) = self.read(id).await? else {
            return Ok(Vec::new());
        };
        let lines = lines_of(&incident, &places, asked.at);
        let named = self.named(event, id).await?;
        let mut entries = Vec::new();
        for (app, lines) in &lines {
            let is_named = |line: &(IncidentId, LineFacts)| {
                named.as_ref().is_none_or(|named| named.contains(&line.1.key))
            };
            let Some(subject) = subject_of(app).filter(|_| lines.iter().any(is_named)) else {
                continue;
            };
            let mut notes = Notes::about(asked, subject);
            self.note(&mut notes, lines).await?;
            entries.extend(notes.into_entries());
        }
        Ok(entries)
    }

    /// The lines that an event of an incident is about. `None`: it may be about all.
    async fn named(&self, event: &LogLine, id: &IncidentId) -> Result<Option<BTreeSet<String>>> {
        let seq = event.body.get("seq").and_then(serde_json::Value::as_u64);
        let Some(seq) = seq.filter(|seq| *seq > 0) else {
            return Ok(None);
        };
        let events = self.ground.store.incident_events(id, seq - 1, 1).await?;
        let key = |line: &road::incident::LineKey| format!("{id}:{line}");
        Ok(events.first().and_then(|event| match &event.kind {
            road::incident::EventKind::Seen { lines } => {
                Some(lines.iter().map(|one| key(&one.line)).collect())
            }
            road::incident::EventKind::Gone { line, .. } => Some(BTreeSet::from([key(line)])),
            _ => None,
        }))
    }

    async fn told(&self, asked: Asked) -> Result<Arc<Told>> {
        let mut kept = self.told.lock().await;
        if let Some((event, told)) = kept.as_ref()
            && *event == asked.event
        {
            return Ok(Arc::clone(told));
        }
        let told = Arc::new(self.read_all(asked).await?);
        *kept = Some((asked.event, Arc::clone(&told)));
        Ok(told)
    }

    /// One incident after the other is read, and only what is told of it is kept.
    async fn read_all(&self, asked: Asked) -> Result<Told> {
        let places = self.ground.places(asked).await?;
        let mut told = Told {
            incidents: Vec::new(),
            lines: BTreeMap::new(),
            recurrence: None,
        };
        let mut count = 0;
        for stored in self.ground.store.incidents().await? {
            if !is_recent(&stored, asked.at) || count >= MAX_LINES {
                continue;
            }
            let Some(incident) = self.read(&stored.id).await? else {
                continue;
            };
            count += incident.lines().len();
            told.incidents.push(whole(&incident, asked.at));
            for (app, lines) in lines_of(&incident, &places, asked.at) {
                told.lines.entry(app).or_default().extend(lines);
            }
        }
        let lines = told.lines.values().flatten().map(|(_, line)| line);
        told.recurrence = recurrence(lines, BACK_WITHIN, asked.at);
        Ok(told)
    }

    /// What its events make of an incident, a page at a time.
    async fn read(&self, id: &IncidentId) -> Result<Option<Incident>> {
        let (mut incident, mut after): (Option<Incident>, u64) = (None, 0);
        loop {
            let events = self.ground.store.incident_events(id, after, PAGE).await?;
            if events.is_empty() {
                return Ok(incident);
            }
            after += events.len() as u64;
            let unreadable = || format!("incident {id} cannot be read");
            match &mut incident {
                None => incident = Some(Incident::replay(&events).with_context(unreadable)?),
                Some(incident) => {
                    for event in &events {
                        incident.apply(event).with_context(unreadable)?;
                    }
                }
            }
        }
    }

    async fn note(&self, notes: &mut Notes, lines: &[(IncidentId, LineFacts)]) -> Result<()> {
        let store = &self.ground.store;
        let mut by_incident: BTreeMap<&IncidentId, Vec<&LineFacts>> = BTreeMap::new();
        for (id, line) in lines {
            by_incident.entry(id).or_default().push(line);
        }
        for (id, lines) in by_incident {
            let last = store
                .last_line(
                    id.as_str(),
                    &["incident.open", "incident.change", "incident.close"],
                )
                .await?;
            if let Some((at, minutes)) = closed(&lines) {
                let mut page = notes.item(store, &format!("incident:{id}"), at).await?;
                page.by([last]).number(Fact::IncidentClosed, minutes);
            }
            for line in lines {
                self.note_line(notes, line, last).await?;
            }
        }
        Ok(())
    }

    async fn note_line(&self, notes: &mut Notes, line: &LineFacts, last: Option<i64>) -> Result<()> {
        let store = &self.ground.store;
        let mut page = notes.item(store, &line.key, line.since).await?;
        page.by([last]);
        if let Some(proposed) = line.proposed.filter(|_| line.severity >= Severity::High) {
            page.flag(Fact::FixProposed, proposed);
        }
        if let Some(in_time) = line.in_time {
            page.flag(Fact::FixWithinDeadline, in_time);
        }
        let fixed = line
            .over
            .filter(|(_, fixed)| *fixed && line.severity == Severity::Critical);
        if let Some((at, _)) = fixed {
            let is_rebase = store.rebased_from(&line.repository, &line.image).await?.is_some();
            let pusher = store.pusher(&line.repository, &line.image).await?;
            let is_by_robot = || pusher.and_then(|pusher| is_by_robot(store, &pusher));
            let is_automated = if is_rebase { Some(true) } else { is_by_robot() };
            if let Some(is_automated) = is_automated {
                let mut page = notes.item(store, &line.key, at).await?;
                page.by([last]).flag(Fact::FixAutomated, is_automated);
            }
        }
        Ok(())
    }

    async fn note_whole(&self, notes: &mut Notes, told: &Told) -> Result<()> {
        let store = &self.ground.store;
        let now = notes.asked.at;
        for incident in &told.incidents {
            let at = incident.closed_at.unwrap_or(incident.opened_at);
            if incident.is_drill {
                let mut page = notes.item(store, &format!("drill:{}", incident.id), at).await?;
                page.flag(Fact::IncidentDrill, incident.is_over);
            }
            if let Some(due) = incident.due.filter(|due| *due <= now) {
                let mut page = notes
                    .item(store, &format!("incident:{}", incident.id), due)
                    .await?;
                page.flag(Fact::DeadlineTracked, true);
            }
        }
        let mut debts = store.base_debts(None).await?;
        debts.retain(|debt| debt.due_at <= now && now - debt.due_at <= HISTORY);
        debts.sort_by_key(|debt| std::cmp::Reverse(debt.due_at));
        for debt in debts.iter().take(MAX_DEBTS) {
            let key = format!("debt:{}:{}", debt.base, debt.vulnerability);
            let mut page = notes.item(store, &key, debt.due_at).await?;
            // How it went is kept, however that was.
            page.flag(Fact::DeadlineTracked, true);
        }
        if let Some(percent) = told.recurrence {
            notes
                .states(store)
                .await?
                .number(Fact::IncidentRecurrence, percent);
        }
        Ok(())
    }
}

fn is_recent(stored: &StoredIncident, now: OffsetDateTime) -> bool {
    let settled = stored.settled_at.map(store::Timestamp::to_utc);
    settled.is_none_or(|settled| now - settled <= HISTORY)
}

fn whole(incident: &Incident, now: OffsetDateTime) -> Whole {
    let is_over = matches!(incident.status(now), Status::Closed { .. });
    Whole {
        id: incident.id().clone(),
        opened_at: incident.opened_at(),
        is_drill: incident.title().to_lowercase().contains(DRILL),
        is_over: is_over && incident.lines().all(|line| !line.state(now).is_open()),
        closed_at: incident.closed_at(),
        due: incident.lines().map(|line| facts(incident, line, now).due).min(),
    }
}

/// The lines of an incident by whose they are.
fn lines_of(
    incident: &Incident,
    places: &Places,
    now: OffsetDateTime,
) -> BTreeMap<ApplicationName, Vec<(IncidentId, LineFacts)>> {
    let mut by_app: BTreeMap<ApplicationName, Vec<(IncidentId, LineFacts)>> = BTreeMap::new();
    for line in incident.lines() {
        let whose = places.road.applications.owner_of(&line.key.repository);
        if let Some(app) = whose.application() {
            let lines = by_app.entry(app.name.clone()).or_default();
            lines.push((incident.id().clone(), facts(incident, line, now)));
        }
    }
    by_app
}
