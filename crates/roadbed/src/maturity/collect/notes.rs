//! Evidence under ids that stay: `subject|item|fact|moment`.
//!
//! What was noted before is read back by its name. The same value again is not written again; another one gets the present moment and
//! so a greater id, by which it counts among observations that are equally old. A state that stays is noted anew now and then, so that a
//! condition on its age holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use maturity::{
    evidence::{Evidence, MAX_EVENTS, Observation, Source, Trust, Value},
    facts::{Entry, EntryKind},
    signal::Fact,
    words::{EventId, EvidenceId, ItemKey, Subject},
};
use oci::{Algorithm, Digest};
use store::{Store, Timestamp};
use time::{Duration, OffsetDateTime};

use crate::maturity::collector::{Asked, MAX_COLLECTED};

/// Who has seen it, in evidence.
const SOURCE: &str = "registry";

/// After so long a state that has not changed is noted anew.
const ANEW: Duration = Duration::days(30);

/// The same of what is an age itself: every night.
const AGE_ANEW: Duration = Duration::hours(20);

/// What stands for an item in ids: so much of a digest of it.
const ITEM_DIGITS: usize = 24;

/// Evidence of one subject that is being gathered.
pub(super) struct Notes {
    pub(super) asked: Asked,
    pub(super) subject: Subject,
    entries: Vec<Entry>,
}

/// What was noted last of a fact.
struct Known {
    /// When, in microseconds since 1970.
    moment: i64,
    value: String,
    observed: i64,
    until: i64,
}

/// Evidence of one item, or of the states of the subject.
pub(super) struct Page<'n> {
    notes: &'n mut Notes,
    item: Option<ItemKey>,
    prefix: String,
    observed_at: OffsetDateTime,
    events: Vec<EventId>,
    known: BTreeMap<String, Known>,
    /// It happened after what it is asked for: the line that tells of it is still to come.
    is_early: bool,
}

impl Notes {
    pub(super) fn about(asked: Asked, subject: Subject) -> Self {
        Self {
            asked,
            subject,
            entries: Vec::new(),
        }
    }

    /// What holds of the subject now.
    pub(super) async fn states(&mut self, store: &Store) -> Result<Page<'_>> {
        let at = self.asked.at;
        self.page(store, None, at).await
    }

    /// What is about an image, or something that happened at a moment. `key` tells it from others.
    pub(super) async fn item(&mut self, store: &Store, key: &str, at: OffsetDateTime) -> Result<Page<'_>> {
        let item: ItemKey = match key.parse() {
            Ok(item) => item,
            // Longer than one may be.
            Err(_) => short(key).parse()?,
        };
        self.page(store, Some(item), at).await
    }

    async fn page(
        &mut self,
        store: &Store,
        item: Option<ItemKey>,
        observed_at: OffsetDateTime,
    ) -> Result<Page<'_>> {
        let place = item
            .as_ref()
            .map_or_else(|| "-".to_owned(), |item| short(item.as_str()));
        let prefix = format!("{}|{place}|", self.subject);
        let mut known = BTreeMap::new();
        for name in store.maturity_names(&prefix).await? {
            if let Some((fact, last)) = read(&name[prefix.len()..]) {
                known.insert(fact, last);
            }
        }
        Ok(Page {
            is_early: observed_at > self.asked.at,
            notes: self,
            item,
            prefix,
            observed_at,
            events: Vec::new(),
            known,
        })
    }

    /// Adds something that is no evidence.
    pub(super) fn add(&mut self, kind: EntryKind) {
        self.entries.push(Entry {
            event: self.asked.event,
            at: self.asked.at,
            kind,
        });
    }

    /// What is new, the newest if it is too much.
    pub(super) fn into_entries(mut self) -> Vec<Entry> {
        let surplus = self.entries.len().saturating_sub(MAX_COLLECTED);
        self.entries.drain(..surplus);
        self.entries
    }
}

impl Page<'_> {
    /// The lines of the audit log that what follows rests on.
    pub(super) fn by(&mut self, events: impl IntoIterator<Item = Option<i64>>) -> &mut Self {
        let numbers = events
            .into_iter()
            .flatten()
            .filter_map(|seq| u64::try_from(seq).ok());
        self.events = numbers.map(EventId).take(MAX_EVENTS).collect();
        self
    }

    /// That something is so or not.
    pub(super) fn flag(&mut self, fact: Fact, is_so: bool) -> &mut Self {
        self.note(fact, Value::Flag(is_so), None)
    }

    /// The same until a moment that is known.
    pub(super) fn flag_until(&mut self, fact: Fact, is_so: bool, until: Option<OffsetDateTime>) -> &mut Self {
        self.note(fact, Value::Flag(is_so), until)
    }

    /// How many.
    pub(super) fn number(&mut self, fact: Fact, number: i64) -> &mut Self {
        self.note(fact, Value::Number(number), None)
    }

    fn note(&mut self, fact: Fact, value: Value, until: Option<OffsetDateTime>) -> &mut Self {
        let until = until.filter(|until| *until > self.observed_at);
        if self.is_early || self.is_known(&fact, value, until) {
            return self;
        }
        let id = format!("{}{fact}|{:017}", self.prefix, micros(self.notes.asked.at));
        // Words of the catalogue and of this file: it is one.
        let Ok(id) = id.parse::<EvidenceId>() else {
            return self;
        };
        let seen = Observation {
            id,
            value,
            observed_at: self.observed_at,
            valid_until: until,
            source: Source {
                name: Arc::from(SOURCE),
                trust: Trust::Registry,
            },
            events: self.events.clone(),
        };
        let evidence = Evidence {
            subject: self.notes.subject.clone(),
            fact,
            item: self.item.clone(),
            seen,
        };
        self.notes.add(EntryKind::Seen(Box::new(evidence)));
        self
    }

    /// Whether it would say nothing new.
    fn is_known(&self, fact: &Fact, value: Value, until: Option<OffsetDateTime>) -> bool {
        let Some(known) = self.known.get(&fact.to_string()) else {
            return false;
        };
        let is_same = known.value == value.to_string()
            && known.until == until.map_or(0, OffsetDateTime::unix_timestamp);
        let age = micros(self.notes.asked.at) - known.moment;
        match self.item {
            // What was pushed again, or turned out to have happened otherwise, is another observation.
            Some(_) => is_same && known.observed == self.observed_at.unix_timestamp(),
            None => is_same && age < anew(fact).whole_seconds() * 1_000_000,
        }
    }
}

fn anew(fact: &Fact) -> Duration {
    match fact {
        Fact::AdvisoryAge | Fact::RematchAge => AGE_ANEW,
        _ => ANEW,
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    Timestamp::from(at).micros()
}

/// What stands for a key.
fn short(key: &str) -> String {
    let mut digits = Digest::of(Algorithm::Sha256, key.as_bytes()).hex();
    digits.truncate(ITEM_DIGITS);
    digits
}

/// The end of the name of an entry, as it is kept: `fact|moment value observed until`.
fn read(name: &str) -> Option<(String, Known)> {
    let (id, rest) = name.split_once(' ')?;
    let (fact, moment) = id.split_once('|')?;
    let mut words = rest.split(' ');
    let known = Known {
        value: words.next()?.to_owned(),
        observed: words.next()?.parse().ok()?,
        until: words.next()?.parse().ok()?,
        moment: moment.parse().ok()?,
    };
    Some((fact.to_owned(), known))
}
