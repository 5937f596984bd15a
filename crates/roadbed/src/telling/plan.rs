//! What follows for whom from events and messages. Pure.

use std::collections::HashMap;

use oci::Digest;
use road::message::{About, AuditEvent, Message, Told, Why};
use road::names::BaseName;
use serde_json::Value;
use store::{LogLine, MessageOf, NewDelivery, StoredSink, Telling, Timestamp, ToldState};
use time::OffsetDateTime;

/// The kind of a delivery that tells what an owner must do.
pub(super) const MESSAGE: &str = "incident.message";

/// The kind of a delivery that tells what a release of a base asks of an owner.
pub(super) const WORK_MESSAGE: &str = "road.message";

/// The kind of event after which owners are asked for work, or have none left.
const WORK: &str = "road.work";

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

/// The base and the release that an event asks work for.
pub(super) fn work_of(line: &LogLine) -> Option<(BaseName, Digest)> {
    if line.kind != WORK {
        return None;
    }
    let release = line.body["release"].as_str()?.parse().ok()?;
    Some((line.subject.parse().ok()?, release))
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
    let fingerprint = message.fingerprint().to_string();
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
        kind: match message.about {
            About::Incident => MESSAGE.to_owned(),
            About::Work => WORK_MESSAGE.to_owned(),
        },
        subject: match message.about {
            About::Incident => format!("{} {shown}", note.incident),
            About::Work => format!("{} {shown}", message.title),
        },
        body: serde_json::to_value(message).unwrap_or_default(),
        not_before: moment_of(at).max(now),
        message: Some(note),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sink(name: &str, since: i64, events: &str) -> StoredSink {
        let spec =
            json!({ "name": name, "kind": "webhook", "target": "https://x.example", "events": [events] });
        StoredSink {
            spec: serde_json::from_value(spec).unwrap(),
            has_secret: true,
            old_secret_until: None,
            since,
            dropped: 0,
            set_at: Timestamp(0),
            set_by: "test".into(),
        }
    }

    fn line(seq: i64, kind: &str, subject: &str, body: Value) -> LogLine {
        LogLine {
            seq,
            at: Timestamp(seq),
            kind: kind.into(),
            subject: subject.into(),
            actor: "ann".into(),
            cause: "api".into(),
            body,
        }
    }

    fn told(sinks: &[StoredSink], lines: &[LogLine]) -> Vec<(String, String)> {
        let deliveries = of_lines(sinks, lines, Timestamp(9));
        deliveries
            .into_iter()
            .map(|one| (one.sink, one.subject))
            .collect()
    }

    #[test]
    fn a_webhook_is_told_what_it_names_from_its_first_moment() {
        let sinks = [sink("a", 0, "tag.*"), sink("b", 2, "*")];
        let lines = [
            line(1, "tag.set", "one", json!({})),
            line(2, "tag.set", "two", json!({})),
            line(3, "login", "three", json!({})),
        ];
        let pair = |sink: &str, subject: &str| (sink.to_owned(), subject.to_owned());
        assert_eq!(
            told(&sinks, &lines),
            [pair("a", "one"), pair("a", "two"), pair("b", "three")]
        );
        assert_eq!(
            incident_of(&line(4, "incident.change", "log4shell", json!({}))),
            Some("log4shell")
        );
        assert_eq!(incident_of(&line(4, "incidents", "log4shell", json!({}))), None);
    }

    /// Two sinks that are both away would otherwise tell each other for ever.
    #[test]
    fn nobody_is_told_for_ever_that_nobody_can_be_told() {
        let sinks = [sink("a", 0, "*"), sink("b", 0, "*")];
        let dead = line(1, DEAD, "a", json!({ "kind": "tag.set" }));
        assert_eq!(told(&sinks, &[dead]), [("b".to_owned(), "a".to_owned())]);
        let of_dead = line(2, DEAD, "b", json!({ "kind": DEAD }));
        assert!(told(&sinks, &[of_dead]).is_empty());
    }
}
