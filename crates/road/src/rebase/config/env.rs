//! Environment variables: by name, and those that are lists of directories by their members.

use serde_json::Value;

use super::{ConfigConflict, Maybe, Outcome, as_empty, outcome, shown};

/// Variables that are lists of directories, with `:` between.
const PATHS: [&str; 4] = ["LD_LIBRARY_PATH", "MANPATH", "PATH", "PKG_CONFIG_PATH"];

/// `NAME=value` in their order; the last one of a name counts.
fn variables(value: Maybe<'_>) -> Vec<(String, String)> {
    let entries = value.and_then(Value::as_array);
    let mut variables: Vec<(String, String)> = Vec::new();
    for entry in entries.into_iter().flatten().filter_map(Value::as_str) {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => variables.push((name.to_owned(), value.to_owned())),
        }
    }
    variables
}

fn get(variables: &[(String, String)], name: &str) -> Option<Value> {
    let found = variables.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| Value::String(value.clone()))
}

/// In the order of the application, then what the new base adds.
pub(super) fn merge([old, new, app]: [Maybe<'_>; 3], conflicts: &mut Vec<ConfigConflict>) -> Option<Value> {
    let empty = as_empty(app);
    let [old, new, app] = [old, new, app].map(variables);
    let mut names: Vec<&String> = app.iter().map(|(name, _)| name).collect();
    for (name, _) in &new {
        if get(&app, name).is_none() {
            names.push(name);
        }
    }
    let mut merged = Vec::new();
    for name in names {
        let [was, is, own] = [&old, &new, &app].map(|variables| get(variables, name));
        if let Some(value) = variable(name, [was.as_ref(), is.as_ref(), own.as_ref()], conflicts) {
            merged.push(Value::String(format!("{name}={value}")));
        }
    }
    (!merged.is_empty()).then_some(Value::Array(merged)).or(empty)
}

/// An empty value is a value here, unlike elsewhere.
fn variable(
    name: &str,
    [old, new, app]: [Maybe<'_>; 3],
    conflicts: &mut Vec<ConfigConflict>,
) -> Option<String> {
    let text = |value: Maybe<'_>| value.and_then(Value::as_str).map(str::to_owned);
    if app == old {
        return text(new);
    }
    match outcome(old, new, app) {
        Outcome::Old | Outcome::App => text(app),
        Outcome::Conflict => {
            let (was, is, own) = (text(old), text(new), text(app));
            if PATHS.contains(&name)
                && let (Some(was), Some(is), Some(own)) = (was, is, own)
                && let Some(path) = around(&was, &is, &own)
            {
                return Some(path);
            }
            conflicts.push(ConfigConflict {
                field: format!("Env {name}"),
                old_base: shown(old),
                new_base: shown(new),
                kept: shown(app),
            });
            text(app)
        }
    }
}

/// `/opt/app/bin:$PATH` with another `$PATH`. `None`: the old one is not in it as a whole.
fn around(was: &str, is: &str, own: &str) -> Option<String> {
    let whole = |at: usize| {
        let (before, after) = (&own[..at], &own[at + was.len()..]);
        let is_whole =
            (before.is_empty() || before.ends_with(':')) && (after.is_empty() || after.starts_with(':'));
        is_whole.then(|| format!("{before}{is}{after}"))
    };
    if was.is_empty() {
        return None;
    }
    own.match_indices(was).find_map(|(at, _)| whole(at))
}
