//! One message for each owner and release.

use std::collections::BTreeMap;

use findings::Severity;
use oci::{Algorithm, Digest};
use policy::yaml::one_line;
use time::OffsetDateTime;

use super::{Work, WorkState};
use crate::application::{Application, Applications};
use crate::incident::Remedy;
use crate::message::{About, MAX_CONTACTS, Message, Part, Why, actions};
use crate::names::{BaseName, Contact, IncidentId, Owner};

/// Where the registry is reached: `registry.example:5000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// Of the registry's own URL.
    pub fn of_url(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let host = rest.split('/').next().unwrap_or_default();
        (!host.is_empty()).then(|| Self(host.to_owned()))
    }

    /// As it stands in front of repositories.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What [`subject_of`] begins with. No incident is called so.
pub const SUBJECT_PREFIX: &str = "work-";

/// What messages about a release of a base are known by: sinks remember by it what they told, and tickets are found again.
pub fn subject_of(base: &BaseName, release: &Digest) -> Option<IncidentId> {
    let known = Digest::of(Algorithm::Sha256, format!("{base}\n{release}").as_bytes());
    format!("{SUBJECT_PREFIX}{}", &known.hex()[..20]).parse().ok()
}

/// One message per owner of an image that a release of a base asks something of, or did; those without owner first. All work is that
/// of one release.
pub fn messages(
    all: &[Work],
    applications: &Applications,
    host: Option<&Host>,
    now: OffsetDateTime,
) -> Vec<Message> {
    let Some(first) = all.first() else {
        return Vec::new();
    };
    let Some(subject) = subject_of(&first.base, &first.task.to.digest) else {
        return Vec::new();
    };
    let mut by_owner: BTreeMap<Option<Owner>, Vec<(Option<&Application>, &Work)>> = BTreeMap::new();
    for work in all {
        let ownership = applications.owner_of(&work.repository);
        let whose = (ownership.application(), work);
        by_owner
            .entry(ownership.owner().cloned())
            .or_default()
            .push(whose);
    }
    let title = format!("base {} {}", first.base, one_line(&first.task.to.version, 100));
    by_owner
        .into_iter()
        .map(|(owner, work)| {
            let parts = parts(&work, host);
            let is_open = parts.iter().any(|part| part.open > 0);
            Message {
                incident: subject.clone(),
                about: About::Work,
                title: title.clone(),
                owner,
                contacts: contacts(&work),
                as_of: now,
                why: if is_open { Why::Affected } else { Why::Done },
                severity: parts
                    .iter()
                    .map(|part| part.severity)
                    .max()
                    .unwrap_or(Severity::Unknown),
                generation: 1,
                targets: Vec::new(),
                due: None,
                parts,
                link: None,
                at_least: false,
            }
        })
        .collect()
}

fn contacts(work: &[(Option<&Application>, &Work)]) -> Vec<Contact> {
    let applications = work.iter().filter_map(|(application, _)| *application);
    let mut contacts: Vec<Contact> = applications
        .filter_map(|application| application.contacts.as_ref())
        .flat_map(|contacts| contacts.value().iter().cloned())
        .collect();
    contacts.sort();
    contacts.dedup();
    contacts.truncate(MAX_CONTACTS);
    contacts
}

/// By application, or by repository where there is none.
fn parts(work: &[(Option<&Application>, &Work)], host: Option<&Host>) -> Vec<Part> {
    let mut by_subject: BTreeMap<String, Vec<&Work>> = BTreeMap::new();
    for (application, work) in work {
        let subject = application.map_or_else(
            || work.repository.to_string(),
            |application| application.name.to_string(),
        );
        by_subject.entry(subject).or_default().push(work);
    }
    by_subject
        .into_iter()
        .map(|(subject, work)| part(subject, &work, host))
        .collect()
}

fn part(subject: String, work: &[&Work], host: Option<&Host>) -> Part {
    let (open, closed): (Vec<&Work>, Vec<&Work>) =
        work.iter().partition(|work| work.state == WorkState::Open);
    let is_superseded = |work: &&&Work| work.state == WorkState::Superseded;
    let superseded = closed.iter().filter(is_superseded).count();
    let mut by_remedy: BTreeMap<Remedy, Vec<String>> = BTreeMap::new();
    for work in &open {
        let line = format!("{}:{}", work.repository, work.tag);
        let remedy = work.task.remedy(&work.base, host);
        by_remedy.entry(remedy).or_default().push(line);
    }
    let (actions, more_actions) = actions(by_remedy);
    let worst = open.iter().map(|work| work.task.severity()).max();
    Part {
        subject,
        open: open.len(),
        settled: closed.len() - superseded,
        superseded,
        due: None,
        severity: worst.unwrap_or(Severity::Unknown),
        actions,
        more_actions,
    }
}
