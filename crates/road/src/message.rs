//! What is told to whom: one message per incident and owner, with what that owner must do, and how each kind of receiver wants it
//! written.
//!
//! A [`Message`] is a value. Its encoders ([`cloud_event()`], [`slack`], [`jira`], [`servicenow`], [`email()`]) make payloads and send
//! nothing; [`Schedule`] says when each should go. Every encoder escapes for its own format.

mod audit;
mod chat;
mod clock;
mod cloud_event;
mod mail;
mod schedule;
mod ticket;
mod told;
mod words;

use std::collections::BTreeMap;

use findings::Severity;
use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::incident::{Incident, Line, Remedy};
use crate::names::{Contact, IncidentId, Owner};

pub use audit::{AUDIT_TYPE_PREFIX, AuditEvent, audit_event};
pub use chat::{MAX_SLACK_SECTION_CHARS, slack, slack_digest};
pub use clock::Zone;
pub use cloud_event::{EVENT_TYPE, MAX_PARTS_SENT, WORK_EVENT_TYPE, cloud_event};
pub use mail::{Email, MAX_MAIL_LINE_BYTES, MAX_RECIPIENTS, MailError, email};
pub use schedule::{Delivery, QuietHours, Schedule, ScheduleError};
pub use ticket::{JiraSettings, Ticket, Upsert, jira, servicenow, tickets};
pub use told::Told;

/// Most tags and images that one action names; the rest is counted.
pub const MAX_LINES_NAMED: usize = 20;

/// Most things to do that one application is told; the rest is counted.
pub const MAX_ACTIONS: usize = 50;

/// Most applications that one written message names; the rest is counted. The value has all of them.
pub const MAX_PARTS_WRITTEN: usize = 50;

/// Most contacts of one message.
pub const MAX_CONTACTS: usize = 50;

/// How long before its time something counts as due soon.
pub const SOON: Duration = Duration::hours(24);

/// Why somebody is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing of theirs is open any more.
    Done,
    /// Something of theirs is affected.
    Affected,
    /// The fix that was aimed at is superseded.
    NewTarget,
    /// Something that was fixed is affected again.
    Reopened,
    /// Something must be done within [`SOON`].
    DueSoon,
    /// Something should have been done.
    Overdue,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// An incident.
    #[default]
    Incident,
    /// Images that cannot follow a release of their base.
    Work,
}

impl About {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_incident(&self) -> bool {
        *self == Self::Incident
    }
}

/// What one owner is told about one incident, or about a release of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which incident; of work, what stands for the release of the base.
    pub incident: IncidentId,
    /// Which of both.
    #[serde(default, skip_serializing_if = "About::is_incident")]
    pub about: About,
    /// What that is about.
    pub title: String,
    /// To whom; `None`: to those who look after what nobody owns.
    pub owner: Option<Owner>,
    /// How they are reached.
    pub contacts: Vec<Contact>,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// Why.
    pub why: Why,
    /// The worst of what is open.
    pub severity: Severity,
    /// The present generation.
    pub generation: u16,
    /// Versions to go to.
    pub targets: Vec<String>,
    /// The first moment by which something must be done.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due: Option<OffsetDateTime>,
    /// By application, those without one by repository; also those where nothing is open any more.
    pub parts: Vec<Part>,
    /// Where to read more.
    pub link: Option<String>,
    /// Not all images could be looked into or have an owner: there may be more than is counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

/// What is to be done about one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The application, or the repository of what belongs to none.
    pub subject: String,
    /// How many of its tags and images somebody has to do something about.
    pub open: usize,
    /// How many are fixed, gone, mitigated or waived.
    pub settled: usize,
    /// Of work: how many are asked for anew by a newer release, or not at all any more.
    #[serde(default, skip_serializing_if = "is_none")]
    pub superseded: usize,
    /// The first moment by which something must be done.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due: Option<OffsetDateTime>,
    /// The worst of what is open.
    pub severity: Severity,
    /// What to do, and where, at most [`MAX_ACTIONS`].
    pub actions: Vec<Action>,
    /// How much more there is to do.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more_actions: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What.
    pub remedy: Remedy,
    /// With which tags and images, at most [`MAX_LINES_NAMED`].
    pub lines: Vec<String>,
    /// How many more.
    pub more: usize,
}

impl Message {
    /// Tells messages apart that say something else, whenever they say it: what was sent already need not be sent again.
    pub fn fingerprint(&self) -> Digest {
        let mut same = self.clone();
        same.as_of = OffsetDateTime::UNIX_EPOCH;
        let bytes = serde_json::to_vec(&same).unwrap_or_default();
        Digest::of(Algorithm::Sha256, &bytes)
    }
}

/// One message per owner of anything that is or was affected, by owner; those without owner first.
pub fn messages(incident: &Incident, link: Option<&str>, now: OffsetDateTime) -> Vec<Message> {
    let mut by_owner: BTreeMap<Option<&Owner>, Vec<&Line>> = BTreeMap::new();
    for line in incident.lines() {
        by_owner.entry(line.owner.as_ref()).or_default().push(line);
    }
    by_owner
        .into_iter()
        .map(|(owner, lines)| message(incident, owner, &lines, link, now))
        .collect()
}

fn message(
    incident: &Incident,
    owner: Option<&Owner>,
    lines: &[&Line],
    link: Option<&str>,
    now: OffsetDateTime,
) -> Message {
    let mut by_subject: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        let application = line.key.application.as_ref().map(ToString::to_string);
        let subject = application.unwrap_or_else(|| line.key.repository.to_string());
        by_subject.entry(subject).or_default().push(line);
    }
    let parts: Vec<Part> = by_subject
        .into_iter()
        .map(|(subject, lines)| part(incident, subject, &lines, now))
        .collect();
    let mut contacts: Vec<Contact> = lines
        .iter()
        .flat_map(|line| line.contacts.iter().cloned())
        .collect();
    contacts.sort();
    contacts.dedup();
    contacts.truncate(MAX_CONTACTS);
    let last = incident.generations().last();
    Message {
        incident: incident.id().clone(),
        about: About::Incident,
        title: incident.title().to_owned(),
        owner: owner.cloned(),
        contacts,
        as_of: now,
        why: why(incident, lines, now),
        severity: parts
            .iter()
            .map(|part| part.severity)
            .max()
            .unwrap_or(Severity::Unknown),
        generation: last.map_or(1, |generation| generation.number),
        targets: last.map_or_else(Vec::new, |generation| generation.targets.clone()),
        due: parts.iter().filter_map(|part| part.due).min(),
        parts,
        link: link.map(str::to_owned),
        at_least: !incident.coverage().is_whole(),
    }
}

/// The most urgent of all that is true.
fn why(incident: &Incident, lines: &[&Line], now: OffsetDateTime) -> Why {
    use crate::incident::ReopeningCause;
    let open = lines.iter().filter(|line| line.state(now).is_open());
    let why = open.map(|line| match incident.due(line) {
        Some(due) if due <= now => Why::Overdue,
        Some(due) if due - now <= SOON => Why::DueSoon,
        _ => match line.last_reopening.map(|reopening| reopening.cause) {
            Some(ReopeningCause::Regressed) => Why::Reopened,
            Some(ReopeningCause::Superseded) => Why::NewTarget,
            None if incident.generations().len() > 1 => Why::NewTarget,
            None => Why::Affected,
        },
    });
    why.max().unwrap_or(Why::Done)
}

fn part(incident: &Incident, subject: String, lines: &[&Line], now: OffsetDateTime) -> Part {
    let (open, settled): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.state(now).is_open());
    let mut by_remedy: BTreeMap<Remedy, Vec<String>> = BTreeMap::new();
    for line in &open {
        let unknown = [Remedy::Investigate {
            reason: "nobody has told yet what fixes it".to_owned(),
        }];
        let remedies = if line.remedies.is_empty() {
            &unknown[..]
        } else {
            &line.remedies
        };
        for remedy in remedies {
            by_remedy
                .entry(remedy.clone())
                .or_default()
                .push(line.key.to_string());
        }
    }
    let (actions, more_actions) = actions(by_remedy);
    let severity = open.iter().map(|line| incident.severity_now(line)).max();
    Part {
        subject,
        open: open.len(),
        settled: settled.len(),
        superseded: 0,
        due: open.iter().filter_map(|line| incident.due(line)).min(),
        severity: severity.unwrap_or(Severity::Unknown),
        actions,
        more_actions,
    }
}

/// What is to be done with which tags and images, and how much more there is.
pub(crate) fn actions(by_remedy: BTreeMap<Remedy, Vec<String>>) -> (Vec<Action>, usize) {
    let more_actions = by_remedy.len().saturating_sub(MAX_ACTIONS);
    let action = |(remedy, mut lines): (Remedy, Vec<String>)| {
        let more = lines.len().saturating_sub(MAX_LINES_NAMED);
        lines.truncate(MAX_LINES_NAMED);
        Action { remedy, lines, more }
    };
    let actions = by_remedy.into_iter().take(MAX_ACTIONS).map(action);
    (actions.collect(), more_actions)
}

#[cfg(test)]
pub(crate) mod tests;
