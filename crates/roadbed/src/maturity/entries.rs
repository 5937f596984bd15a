//! Entries and changes as the store keeps them.

use anyhow::{Context as _, Result};
use maturity::{
    evidence::Evidence,
    facts::{Entry, EntryKind},
    history::Change,
    words::EventId,
};
use oci::{Algorithm, Digest};
use store::{MaturityChange, MaturityEntry, Timestamp};
use time::OffsetDateTime;

use super::collector::Asked;

/// What is said, as it waits for its line of the log.
pub(super) fn said(kinds: &[EntryKind]) -> serde_json::Result<Vec<String>> {
    kinds.iter().map(serde_json::to_string).collect()
}

/// What was said with a line of the log.
pub(super) fn heard(asked: Asked, said: &[String]) -> Result<Vec<Entry>> {
    let entry = |text: &String| -> Result<Entry> {
        let kind = serde_json::from_str(text)
            .with_context(|| format!("what was said with event {} cannot be read", asked.event.0))?;
        Ok(of(asked, kind))
    };
    said.iter().map(entry).collect()
}

/// Something that counts from a line of the log on.
pub(super) fn of(asked: Asked, kind: EntryKind) -> Entry {
    Entry {
        event: asked.event,
        at: asked.at,
        kind,
    }
}

/// An entry as it is kept.
pub(super) fn kept(entry: &Entry) -> Result<MaturityEntry> {
    let body = serde_json::to_string(&entry.kind).context("an entry cannot be written")?;
    let event = place(entry.event);
    let (kind, subject) = about(&entry.kind);
    let name = if let EntryKind::Seen(evidence) = &entry.kind {
        seen_name(evidence)
    } else {
        let digest = Digest::of(Algorithm::Sha256, body.as_bytes());
        format!("{kind}/{event}/{digest}")
    };
    Ok(MaturityEntry {
        name,
        event,
        at: Timestamp::from(entry.at),
        subject,
        kind: kind.to_owned(),
        body,
    })
}

/// `id value observed until`: the same observation comes twice under the same name, and counts once. Collectors read it back. One that says
/// something else under the same id is kept beside it: which of them counts is for the assessment to say, and the same after every start.
fn seen_name(evidence: &Evidence) -> String {
    let seen = &evidence.seen;
    let until = seen.valid_until.map_or(0, OffsetDateTime::unix_timestamp);
    format!(
        "{} {} {} {until}",
        seen.id,
        seen.value,
        seen.observed_at.unix_timestamp()
    )
}

fn about(kind: &EntryKind) -> (&'static str, String) {
    match kind {
        EntryKind::Seen(evidence) => ("seen", evidence.subject.to_string()),
        EntryKind::Attested(attestation) => ("attested", attestation.subject.to_string()),
        EntryKind::Confirmed { attestation, .. } => ("confirmed", attestation.to_string()),
        EntryKind::Revoked { attestation, .. } => ("revoked", attestation.to_string()),
        EntryKind::Exempted(exemption) => ("exempted", exemption.subject.to_string()),
        EntryKind::ExemptionEnded(id) => ("exemption-ended", id.to_string()),
        EntryKind::Placed(placement) => ("placed", placement.subject().to_string()),
        EntryKind::Gone(subject) => ("gone", subject.to_string()),
        EntryKind::Judged(model) => ("judged", model.id().to_string()),
    }
}

/// The entry that is kept.
pub(super) fn entry(kept: &MaturityEntry) -> Result<Entry> {
    let kind = serde_json::from_str(&kept.body)
        .with_context(|| format!("entry {:?} of event {} cannot be read", kept.name, kept.event))?;
    Ok(Entry {
        event: number(kept.event),
        at: kept.at.to_utc(),
        kind,
    })
}

/// A moment as the store has it, which counts in microseconds: not before anything that was recorded up to it.
pub(super) fn up_to(at: OffsetDateTime) -> Timestamp {
    let Timestamp(micros) = Timestamp::from(at);
    Timestamp(micros + i64::from(!at.nanosecond().is_multiple_of(1_000)))
}

/// A line's number as entries have it.
pub(super) fn number(event: i64) -> EventId {
    EventId(event.unsigned_abs())
}

/// The same as the store has it.
pub(super) fn place(event: EventId) -> i64 {
    i64::try_from(event.0).unwrap_or(i64::MAX)
}

/// A change as it is kept. What time alone did is kept with the line that was read last.
pub(super) fn changed(event: i64, change: &Change) -> Result<MaturityChange> {
    Ok(MaturityChange {
        event: change.event.map_or(event, place),
        at: Timestamp::from(change.at),
        subject: change.subject().to_string(),
        body: serde_json::to_string(change).context("a change cannot be written")?,
    })
}

/// The change that is kept.
pub(super) fn change(kept: &MaturityChange) -> Result<Change> {
    serde_json::from_str(&kept.body).with_context(|| {
        format!(
            "a change of {} with event {} cannot be read",
            kept.subject, kept.event
        )
    })
}
