//! The history of an image on another base. It is never counted on: many images have none, and some a wrong one.

use serde_json::{Value, json};

use super::document::Document;

fn is_empty(step: &Value) -> bool {
    step.get("empty_layer").and_then(Value::as_bool).unwrap_or(false)
}

/// As many steps with a layer as there are layers.
fn is_whole(steps: &[Value], layers: usize) -> bool {
    steps.iter().filter(|step| !is_empty(step)).count() == layers
}

/// Where the application's own steps begin. Steps without a layer that follow the base's last layer are the base's if it has them.
fn split(app: &[Value], old: &Document) -> usize {
    let layers = old.layers.len();
    if let Some(steps) = &old.history
        && steps.len() <= app.len()
        && is_whole(&app[..steps.len()], layers)
    {
        return steps.len();
    }
    let last = app
        .iter()
        .enumerate()
        .filter(|(_, step)| !is_empty(step))
        .nth(layers.saturating_sub(1));
    last.map_or(0, |(at, _)| at + 1)
}

/// The base's steps, then the application's. `None`: the application's image has none that could be kept, and gets none.
pub(super) fn spliced(app: &Document, old: &Document, new: &Document) -> Option<Vec<Value>> {
    let steps = app.history.as_ref()?;
    if !is_whole(steps, app.layers.len()) {
        return None;
    }
    let below = match &new.history {
        Some(steps) if is_whole(steps, new.layers.len()) => steps.clone(),
        _ => new
            .layers
            .iter()
            .map(|_| json!({"comment": "layer of the base"}))
            .collect(),
    };
    Some(
        below
            .into_iter()
            .chain(steps[split(steps, old)..].iter().cloned())
            .collect(),
    )
}
