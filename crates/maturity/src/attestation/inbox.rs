//! What people have to look at: what is due, what ends soon and what ended.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Record;
use crate::facts::Facts;
use crate::model::{Criterion, Model, Needs};
use crate::words::{CriterionId, RecordId, Role, Subject};

/// Why something is in the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InboxKind {
    /// It ended and nobody renewed it.
    Expired,
    /// It ends soon.
    Expiring,
    /// A second person must confirm it.
    Unconfirmed,
    /// Nobody vouched for it yet.
    Due,
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxItem {
    /// Why.
    pub kind: InboxKind,
    /// For whom.
    pub subject: Subject,
    /// What.
    pub criterion: CriterionId,
    /// Who may vouch for it.
    pub role: Role,
    /// Which attestation; none yet of what is due.
    pub attestation: Option<RecordId>,
    /// When it ends or ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// The inbox of everybody, what ended first; `soon` is how long before its end something is in it.
pub fn inbox(facts: &Facts, model: &Model, now: OffsetDateTime, soon: Duration) -> Vec<InboxItem> {
    let mut items = Vec::new();
    for subject in facts.subjects() {
        for criterion in model.criteria() {
            let counts = criterion.scope == subject.kind && criterion.counts(now);
            if counts && let Some(item) = look(facts, criterion, &subject, now, soon) {
                items.push(item);
            }
        }
    }
    items.sort_by_key(|item| (item.kind, item.until));
    items
}

fn look(
    facts: &Facts,
    criterion: &Criterion,
    subject: &Subject,
    now: OffsetDateTime,
    soon: Duration,
) -> Option<InboxItem> {
    let attester = criterion.attester.as_ref()?;
    let item = |kind, record: Option<&Record>| InboxItem {
        kind,
        subject: subject.clone(),
        criterion: criterion.id.clone(),
        role: attester.role.clone(),
        attestation: record.map(|record| record.attestation.id.clone()),
        until: record.map(|record| record.ends_at(attester)),
    };
    let records = facts.attested(subject, &criterion.id);
    let records: Vec<&Record> = records.filter(|record| record.revoked.is_none()).collect();
    let ends = |record: &&&Record| record.ends_at(attester);
    let is_live = |record: &&&Record| record.ends_at(attester) > now;
    let confirmed = records.iter().filter(|record| !record.waits(attester));
    if let Some(last) = confirmed.clone().filter(is_live).max_by_key(ends) {
        let is_soon = last.ends_at(attester) <= now + soon;
        return is_soon.then(|| item(InboxKind::Expiring, Some(last)));
    }
    if let Some(waiting) = records.iter().filter(is_live).max_by_key(ends) {
        return Some(item(InboxKind::Unconfirmed, Some(waiting)));
    }
    if let Some(last) = confirmed.max_by_key(ends) {
        return Some(item(InboxKind::Expired, Some(last)));
    }
    // What evidence alone can prove is not asked of people.
    let is_due = criterion.is_core() && attester.needs == Needs::Both;
    is_due.then(|| item(InboxKind::Due, None))
}
