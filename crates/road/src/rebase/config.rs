//! What an image's configuration becomes on another base: merged three ways, field by field.
//!
//! Where only the base or only the application changed something, that stands. Where both did, the application's word stands and
//! the conflict is shown.

mod env;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields whose members are merged one by one.
const SETS: [&str; 3] = ["ExposedPorts", "Labels", "Volumes"];

/// Labels that name the base itself: set anew.
pub(super) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// See [`BASE_NAME`].
pub(super) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// A field that base and application both changed; the application's value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigConflict {
    /// Which: `User`, `Env PATH`, `Labels version`.
    pub field: String,
    /// What the old base had.
    pub old_base: Option<String>,
    /// What the new base has.
    pub new_base: Option<String>,
    /// What the application has, and keeps.
    pub kept: Option<String>,
}

/// The member `config` of three configurations.
pub(super) struct Three<'a> {
    pub(super) old: &'a Map<String, Value>,
    pub(super) new: &'a Map<String, Value>,
    pub(super) app: &'a Map<String, Value>,
}

/// A value, or that there is none.
type Maybe<'a> = Option<&'a Value>;

/// Nothing, `null` and what is empty mean the same in a configuration.
fn stated(value: Maybe<'_>) -> Maybe<'_> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    })
}

/// An empty list, set or `null` as the application writes it.
fn as_empty(value: Maybe<'_>) -> Option<Value> {
    value.filter(|value| stated(Some(value)).is_none()).cloned()
}

fn shown(value: Maybe<'_>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(policy::yaml::one_line(&text, 200))
}

/// What comes of one value.
enum Outcome {
    Old,
    App,
    Conflict,
}

fn outcome(old: Maybe<'_>, new: Maybe<'_>, app: Maybe<'_>) -> Outcome {
    let [old, new, app] = [old, new, app].map(stated);
    if app == old {
        Outcome::Old
    } else if new == old || new == app {
        Outcome::App
    } else {
        Outcome::Conflict
    }
}

impl Three<'_> {
    /// The merged member `config`, with what both had changed.
    pub(super) fn merge(&self) -> (Map<String, Value>, Vec<ConfigConflict>) {
        let mut merged = Map::new();
        let mut conflicts = Vec::new();
        let keys: BTreeSet<&String> = [self.old, self.new, self.app]
            .into_iter()
            .flat_map(Map::keys)
            .collect();
        for key in keys {
            let value = match key.as_str() {
                "Env" => env::merge(self.three(key), &mut conflicts),
                "Cmd" | "Entrypoint" | "ArgsEscaped" => self.command(key, &mut conflicts),
                // The base's were carried out when the application was built; only its own wait for the next build.
                "OnBuild" => self.app.get(key).cloned(),
                name if SETS.contains(&name) => self.set(name, &mut conflicts),
                name => one(name, self.three(key), &mut conflicts),
            };
            if let Some(value) = value {
                merged.insert(key.clone(), value);
            }
        }
        (merged, conflicts)
    }

    fn three(&self, key: &str) -> [Maybe<'_>; 3] {
        [self.old.get(key), self.new.get(key), self.app.get(key)]
    }

    /// An application with an entry point of its own has its own command too, also when that is none: builders drop the base's
    /// command then.
    fn command(&self, key: &str, conflicts: &mut Vec<ConfigConflict>) -> Option<Value> {
        let [old, _, app] = self.three("Entrypoint").map(stated);
        if app == old {
            one(key, self.three(key), conflicts)
        } else {
            self.app.get(key).cloned()
        }
    }

    fn set(&self, field: &str, conflicts: &mut Vec<ConfigConflict>) -> Option<Value> {
        let [old, new, app] = self.three(field).map(|value| value.and_then(Value::as_object));
        let empty = Map::new();
        let [old, new, app] = [old, new, app].map(|members| members.unwrap_or(&empty));
        let keys: BTreeSet<&String> = [old, new, app].into_iter().flat_map(Map::keys).collect();
        let mut merged = Map::new();
        for key in keys {
            if field == "Labels" && [BASE_NAME, BASE_DIGEST].contains(&key.as_str()) {
                continue;
            }
            let name = format!("{field} {key}");
            if let Some(value) = one(&name, [old.get(key), new.get(key), app.get(key)], conflicts) {
                merged.insert(key.clone(), value);
            }
        }
        let merged = (!merged.is_empty()).then_some(Value::Object(merged));
        merged.or_else(|| as_empty(self.app.get(field)))
    }
}

/// A value as a whole.
fn one(field: &str, [old, new, app]: [Maybe<'_>; 3], conflicts: &mut Vec<ConfigConflict>) -> Option<Value> {
    match outcome(old, new, app) {
        // What is the same to a reader is left as the application writes it.
        Outcome::Old if stated(new) == stated(app) => app.cloned(),
        Outcome::Old => new.cloned(),
        Outcome::App => app.cloned(),
        Outcome::Conflict => {
            conflicts.push(ConfigConflict {
                field: field.to_owned(),
                old_base: shown(stated(old)),
                new_base: shown(stated(new)),
                kept: shown(stated(app)),
            });
            app.cloned()
        }
    }
}

#[cfg(test)]
mod tests;
