//! What follows for whom from events and messages. Pure.

use std::collections::HashMap;

use road::message::{AuditEvent, Message, Told, Why};
use serde_json::Value;
use store::{LogLine, MessageOf, NewDelivery, StoredSink, Telling, Timestamp, ToldState};
use time::OffsetDateTime;

/// The kind of a delivery that tells what an owner must do.
pub(super) const MESSAGE: &str = "incident.message";

/// In front of kinds of events whose subject is an incident.
const OF_INCIDENTS: &str = "incident.";

/// A delivery that was given up, about which others are told.
const DEAD: &str = "delivery.dead";

/// What was last said about an incident, by sink and owner.
pub(super) type ToldBefore = HashMap<(String, String), ToldState>;

/// The incident that an event is about.
pub(super) fn incident_of(line: &LogLine) -> Option<&str> {
    line.kind
        .starts_with(OF_INCIDENTS)
        .then_some(line.subject.as_str())
}

/// What webhooks are told of a part of the log.
pub(super) fn of_lines(sinks: &[StoredSink], lines: &[LogLine], now: Timestamp) -> Vec<NewDelivery> {
    let mut deliveries = Vec::new();
    for line in lines {
        let told = sinks.iter().filter(|sink| {
            line.seq > sink.since && sink.spec.wants_event(&line.kind) && !is_echo(line, sink)
        });
        for sink in told {
            deliveries.push(NewDelivery {
                sink: sink.spec.name.to_string(),
                kind: line.kind.clone(),
                subject: line.subject.clone(),
                body: body(line),
                not_before: now,
                message: None,
            });
        }
    }
    deliveries
}

/// Whoever cannot be reached is not told so, and nobody is told that somebody could not be told of that: it would never end.
fn is_echo(line: &LogLine, sink: &StoredSink) -> bool {
    line.kind == DEAD && (line.subject == sink.spec.name.as_str() || line.body["kind"] == DEAD)
}

fn body(line: &LogLine) -> Value {
    let event = AuditEvent {
        seq: line.seq,
        at: date_of(line.at),
        kind: line.kind.clone(),
        subject: line.subject.clone(),
        actor: line.actor.clone(),
        cause: line.cause.clone(),
        body: line.body.clone(),
    };
    serde_json::to_value(event).unwrap_or_default()
}

/// The moment on a calendar; one beyond any is the first of all.
pub(super) fn date_of(moment: Timestamp) -> OffsetDateTime {
    crate::moment::date_of(moment).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn moment_of(date: OffsetDateTime) -> Timestamp {
    Timestamp(i64::try_from(date.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

/// What sinks are told of messages about one incident, and what is only noted.
pub(super) fn of_messages(
    sinks: &[StoredSink],
    messages: &[Message],
    before: &ToldBefore,
    now: Timestamp,
    telling: &mut Telling,
) {
    for sink in sinks {
        for message in messages.iter().filter(|message| sink.spec.wants(message)) {
            of_message(sink, message, before, now, telling);
        }
    }
}

fn of_message(
    sink: &StoredSink,
    message: &Message,
    before: &ToldBefore,
    now: Timestamp,
    telling: &mut Telling,
) {
    let spec = &sink.spec;
    let owner = message
        .owner
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let before = before.get(&(spec.name.to_string(), owner.clone()));
    let fingerprint = message.fingerprint().hex().to_owned();
    if before.is_some_and(|before| before.fingerprint == fingerprint) {
        return;
    }
    let state = Told::of(message);
    let is_told = if spec.kind.is_for_people() {
        let before = before.and_then(|before| serde_json::from_str::<Told>(&before.body).ok());
        state.is_news(before.as_ref())
    } else {
        before.is_some() || message.why != Why::Done
    };
    if !is_told && before.is_none() {
        return;
    }
    let note = MessageOf {
        incident: message.incident.to_string(),
        owner,
        told: ToldState {
            fingerprint,
            body: serde_json::to_string(&state).unwrap_or_default(),
        },
    };
    if !is_told {
        telling.unsaid.push((spec.name.to_string(), note));
        return;
    }
    let at = spec.schedule.when(message.severity, message.why, date_of(now));
    let shown = if note.owner.is_empty() {
        "nobody's"
    } else {
        &note.owner
    };
    telling.deliveries.push(NewDelivery {
        sink: spec.name.to_string(),
        kind: MESSAGE.to_owned(),
        subject: format!("{} {shown}", note.incident),
        body: serde_json::to_value(message).unwrap_or_default(),
        not_before: moment_of(at).max(now),
        message: Some(note),
    });
}
