//! One way to write a document, so that a signature holds: JSON as in RFC 8785, of which whole numbers and ASCII texts need little.
//!
//! Members in the order of their names, no white space.

use serde::Serialize;
use serde_json::{Map, Value};

pub(super) fn bytes(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&sorted(serde_json::to_value(value)?))
}

/// Whether a map keeps the order in which it was filled depends on a feature that any crate may switch on: with it, this sorts;
/// without it, all maps are sorted.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            let members = members.into_iter().map(|(name, value)| (name, sorted(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}
