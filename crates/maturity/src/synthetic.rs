//! An organisation that nobody has, for benchmarks and tests: the same seed makes the same one.
//!
//! Every application has a care of its own, near that of its team, which grows or falls over time: how often an image is signed,
//! how soon an attestation is renewed. Facts lapse and come back, applications move, a team disappears. Entries come in the order of
//! time, a day at a time, so that two years of events need not be in memory.

mod random;
mod values;

use std::collections::VecDeque;

use time::{Duration, OffsetDateTime};

use crate::facts::{Entry, EntryKind, Placement, Targets};
use crate::model::{Attester, Criterion, Model};
use crate::words::{EventId, Subject, SubjectKind, SubjectName};

use random::Random;
use values::Writer;

/// What an organisation is made from. Figures are to be told with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Of the choice.
    pub seed: u64,
    /// Teams.
    pub teams: u32,
    /// Applications of all teams.
    pub apps: u32,
    /// Images that are pushed, of all applications.
    pub images: u32,
    /// Days of events.
    pub days: u32,
    /// The first of them.
    pub start: OffsetDateTime,
}

impl Parameters {
    /// 60 teams, 560 applications, 22,000 images, two years.
    pub const LARGE: Self = Self {
        seed: 20_251_022,
        teams: 60,
        apps: 560,
        images: 22_000,
        days: 730,
        start: OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(20_000)),
    };

    /// Enough for a test.
    pub const SMALL: Self = Self {
        teams: 4,
        apps: 12,
        images: 240,
        days: 200,
        ..Self::LARGE
    };
}

#[derive(Debug)]
struct App {
    name: SubjectName,
    team: u32,
    tier: u8,
    /// Of a thousand.
    care: u32,
    random: Random,
}

/// An organisation, as a sequence of entries.
#[derive(Debug)]
pub struct Organisation {
    parameters: Parameters,
    apps: Vec<App>,
    attested: Vec<Attested>,
    random: Random,
    day: u32,
    writer: Writer,
    ready: VecDeque<Entry>,
}

/// A criterion for which somebody vouches.
#[derive(Debug)]
struct Attested {
    criterion: Criterion,
    attester: Attester,
}

impl Organisation {
    /// Nothing of it is made yet but its applications.
    pub fn new(parameters: Parameters, model: &Model) -> Self {
        let mut random = Random::of(parameters.seed);
        let cares: Vec<u32> = (0..parameters.teams).map(|_| 400 + random.below(550)).collect();
        let apps = (0..parameters.apps).filter_map(|number| {
            let team = number % parameters.teams.max(1);
            let near = cares.get(team as usize).copied().unwrap_or(500);
            Some(App {
                name: format!("team-{team}/app-{number}").parse().ok()?,
                team,
                tier: u8::try_from(1 + number % 3).unwrap_or(3),
                care: (near + random.below(200)).saturating_sub(100).min(995),
                random: Random::of(parameters.seed ^ u64::from(number + 1)),
            })
        });
        let attested = model.criteria().iter().filter_map(|criterion| {
            let attester = criterion.attester.clone()?;
            let criterion = criterion.clone();
            Some(Attested { criterion, attester })
        });
        Self {
            apps: apps.collect(),
            attested: attested.collect(),
            parameters,
            random,
            day: 0,
            writer: Writer::default(),
            ready: VecDeque::new(),
        }
    }

    /// The moment after the last entry.
    pub fn end(&self) -> OffsetDateTime {
        self.parameters.start + Duration::days(i64::from(self.parameters.days))
    }

    fn make_day(&mut self) {
        let day = self.day;
        let noon = self.parameters.start + Duration::days(i64::from(day)) + Duration::hours(12);
        self.writer.begin(noon);
        if day == 0 {
            for app in &self.apps {
                self.writer.entry(placed(app, app.team));
            }
        }
        self.writer
            .larger_subjects(day, self.parameters.teams, &mut self.random);
        for number in 0..self.apps.len() {
            self.make_app(day, number);
        }
        self.vouch(day);
        self.moves(day);
        self.ready.extend(self.writer.take());
        self.day += 1;
    }

    fn make_app(&mut self, day: u32, number: usize) {
        let app = &mut self.apps[number];
        let (count, days) = (
            self.parameters.images / self.parameters.apps.max(1),
            self.parameters.days.max(1),
        );
        // The number of images is exact: each application has its share, spread over the days.
        let place = u32::try_from(number).unwrap_or_default();
        let upto = |day: u32| (u64::from(day) * u64::from(count) + u64::from(place % days)) / u64::from(days);
        for _ in upto(day)..upto(day + 1) {
            self.writer.image(&app.name, app.care, &mut app.random);
        }
        if day % 30 == place % 30 {
            // Some collections fail: what they would have told lapses, and comes back with the next.
            if app.random.below(100) >= 3 {
                self.writer.states(&app.name, app.care, &mut app.random);
            }
            self.writer.happenings(&app.name, app.care, &mut app.random);
            app.care = (app.care + app.random.below(30))
                .saturating_sub(12)
                .clamp(100, 995);
        }
    }

    fn vouch(&mut self, day: u32) {
        let Self {
            apps,
            attested,
            random,
            writer,
            parameters,
            ..
        } = self;
        for (number, Attested { criterion, attester }) in attested.iter().enumerate() {
            let is_due = |place: usize| {
                let offset = u32::try_from(number * 7 + place * 13).unwrap_or_default();
                (day + offset).is_multiple_of(attester.expires_days) || (day == 3 && offset.is_multiple_of(2))
            };
            if criterion.scope == SubjectKind::App {
                for (_, app) in apps.iter().enumerate().filter(|(place, _)| is_due(*place)) {
                    if random.below(1000) < app.care {
                        writer.attestation(criterion, attester, Subject::app(app.name.clone()));
                    }
                }
                continue;
            }
            for (_, subject) in values::larger(criterion.scope, parameters.teams)
                .enumerate()
                .filter(|(place, _)| is_due(*place))
            {
                if random.below(1000) < 700 {
                    writer.attestation(criterion, attester, subject);
                }
            }
        }
    }

    fn moves(&mut self, day: u32) {
        let teams = self.parameters.teams;
        if teams < 2 {
            return;
        }
        if day % 7 == 3 {
            let chosen = self.random.below(self.parameters.apps) as usize;
            let team = self.random.below(teams);
            if let Some(app) = self.apps.get_mut(chosen) {
                app.team = team;
                self.writer.entry(placed(app, team));
            }
        }
        let last = teams - 1;
        if day == self.parameters.days * 2 / 3
            && let Ok(name) = format!("team-{last}").parse()
        {
            self.writer.entry(EntryKind::Gone(Subject::team(name)));
        }
        if day == self.parameters.days * 2 / 3 + 10 {
            for app in self.apps.iter_mut().filter(|app| app.team == last) {
                app.team = 0;
                self.writer.entry(placed(app, 0));
            }
        }
    }
}

impl Iterator for Organisation {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.ready.is_empty() && self.day < self.parameters.days {
            self.make_day();
        }
        self.ready.pop_front()
    }
}

fn placed(app: &App, team: u32) -> EntryKind {
    let aim = if app.tier == 1 { 3 } else { 2 };
    let categories = ["technology", "process", "roadbed"]
        .iter()
        .filter_map(|name| Some((name.parse().ok()?, aim)));
    let targets = Targets {
        categories: categories.collect(),
        ..Targets::default()
    };
    EntryKind::Placed(Box::new(Placement {
        app: app.name.clone(),
        team: format!("team-{team}").parse().ok(),
        platform: None,
        tier: Some(app.tier),
        targets,
    }))
}

/// The number of an entry and its moment, counted up.
#[derive(Debug, Default)]
struct Counter {
    event: u64,
    within_day: i64,
}

impl Counter {
    fn next(&mut self, noon: OffsetDateTime, kind: EntryKind) -> Entry {
        self.event += 1;
        self.within_day += 1;
        Entry {
            event: EventId(self.event),
            at: noon + Duration::milliseconds(self.within_day),
            kind,
        }
    }
}

#[cfg(test)]
mod tests;
