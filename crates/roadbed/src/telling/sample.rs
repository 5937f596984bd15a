//! What a sink is told by way of a test.

use findings::Severity;
use road::incident::Remedy;
use road::message::{About, Action, Message, Part, Why};
use road::names::NameError;
use time::OffsetDateTime;
use web::wire::SinkTest;

use super::outcome::{NotTaken, Taken};

/// The kind of event that a webhook is told.
pub(super) const KIND: &str = "sink.test";

/// A message that says that it is a test.
pub(super) fn message(now: OffsetDateTime) -> Result<Message, NameError> {
    let action = Action {
        remedy: Remedy::Investigate {
            reason: "nothing is to be done: this is a test".to_owned(),
        },
        lines: vec!["example/app:test".to_owned()],
        more: 0,
    };
    Ok(Message {
        incident: "roadbed-test".parse()?,
        about: About::Incident,
        title: "Roadbed can reach you".to_owned(),
        owner: None,
        contacts: Vec::new(),
        as_of: now,
        why: Why::Affected,
        severity: Severity::Negligible,
        generation: 1,
        targets: Vec::new(),
        due: None,
        parts: vec![Part {
            subject: "example".to_owned(),
            open: 1,
            settled: 0,
            superseded: 0,
            due: None,
            severity: Severity::Negligible,
            actions: vec![action],
            more_actions: 0,
        }],
        link: None,
        at_least: false,
    })
}

/// What came of it.
pub(super) fn report(said: Result<Taken, NotTaken>) -> SinkTest {
    match said {
        Ok(taken) => SinkTest {
            taken: true,
            status: taken.status,
            detail: taken.note,
        },
        Err(refused) => SinkTest {
            taken: false,
            status: refused.status,
            detail: Some(refused.error),
        },
    }
}
