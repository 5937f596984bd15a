//! `CloudEvents` 1.0 in JSON, structured mode.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{About, Message};
use crate::escape;
use crate::incident::moment;

/// The type of the events; a change that is not additive makes another one.
pub const EVENT_TYPE: &str = "dev.roadbed.incident.action.v1";

/// The same for work that a release of a base asks for.
pub const WORK_EVENT_TYPE: &str = "dev.roadbed.road.work.v1";

/// Most applications of one event; the rest is counted in `data.parts_left_out`.
pub const MAX_PARTS_SENT: usize = 500;

/// The message as an event of `source`, a URI reference that names this registry. The id follows from what is said and when: a
/// retry is the same event, and what is so again after it was otherwise is another one.
pub fn cloud_event(message: &Message, source: &str) -> Value {
    let owner = message
        .owner
        .as_ref()
        .map_or_else(|| "unowned".to_owned(), ToString::to_string);
    let left_out = message.parts.len().saturating_sub(MAX_PARTS_SENT);
    let mut data = if left_out == 0 {
        json!(message)
    } else {
        let mut shorter = message.clone();
        shorter.parts.truncate(MAX_PARTS_SENT);
        json!(shorter)
    };
    if left_out > 0 {
        data["parts_left_out"] = json!(left_out);
    }
    json!({
        "specversion": "1.0",
        "id": format!("{}-{}", &message.fingerprint().hex()[..32], message.as_of.unix_timestamp_nanos() / 1_000),
        "source": uri_reference(source),
        "type": match message.about {
            About::Incident => EVENT_TYPE,
            About::Work => WORK_EVENT_TYPE,
        },
        "subject": escape::line(&format!("{}/{owner}", message.incident)),
        "time": moment(message.as_of),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// What cannot stand in a URI (RFC 3986, 2) is percent-encoded; never empty.
pub(super) fn uri_reference(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes().take(escape::MAX_TEXT_BYTES) {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
    }
    if written.is_empty() {
        "/".to_owned()
    } else {
        written
    }
}
