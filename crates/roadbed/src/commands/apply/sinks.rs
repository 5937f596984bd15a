//! Sinks among the files: set one by one, once everything else is done, because their secrets are not declared.

use std::collections::BTreeMap;

use anyhow::Context as _;
use road::sink::SinkSpec;
use serde::Serialize;
use web::wire::{SetSink, ShownSink};

use crate::apply_files::DeclaredSink;
use crate::client::{Client, segment};
use crate::output;

/// Most sinks that are compared.
const MOST: usize = 1_000;

/// What is done about one sink.
pub(super) enum Step {
    /// It is set; `true`: there is none of its name.
    Set(Box<DeclaredSink>, bool),
    /// No file declares it any more.
    Remove(String),
}

/// A step as it is printed.
#[derive(Serialize)]
pub(super) struct Shown {
    action: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<SinkSpec>,
    /// The secret that was made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What there is to do. Sinks are for administrators: whoever declares none is not asked to be one.
pub(super) async fn plan(
    client: &Client,
    declared: &[DeclaredSink],
    prune: bool,
) -> anyhow::Result<Vec<Step>> {
    if declared.is_empty() && !prune {
        return Ok(Vec::new());
    }
    let entries: Vec<ShownSink> = client.list("/sinks", &[], MOST).await?;
    let mut known: BTreeMap<String, SinkSpec> = entries
        .into_iter()
        .map(|entry| (entry.sink.0.name.to_string(), entry.sink.0))
        .collect();
    let mut steps = Vec::new();
    for sink in declared {
        match known.remove(sink.spec.name.as_str()) {
            Some(present) if sink.is(&present) => {}
            present => steps.push(Step::Set(Box::new(sink.clone()), present.is_none())),
        }
    }
    if prune {
        steps.extend(known.into_keys().map(Step::Remove));
    }
    Ok(steps)
}

/// Sets and removes them; what was done stays done when a later one fails.
pub(super) async fn carry_out(client: &Client, steps: Vec<Step>) -> anyhow::Result<Vec<Shown>> {
    let mut done = Vec::new();
    for step in steps {
        let mut shown = step.shown();
        match step {
            Step::Set(sink, _) => {
                let set = client.put::<SetSink>("/sinks", &sink.wanted()?).await;
                let set = set.with_context(|| format!("sink {} was not set", sink.spec.name))?;
                shown.secret = set.secret;
            }
            Step::Remove(name) => {
                let removed = client.delete(&format!("/sinks/{}", segment(&name)), &[]).await;
                removed.with_context(|| format!("sink {name} was not removed"))?;
            }
        }
        done.push(shown);
    }
    Ok(done)
}

impl Step {
    pub(super) fn shown(&self) -> Shown {
        let (action, name, sink) = match self {
            Self::Set(sink, true) => ("create", sink.spec.name.to_string(), Some(sink.spec.clone())),
            Self::Set(sink, false) => ("change", sink.spec.name.to_string(), Some(sink.spec.clone())),
            Self::Remove(name) => ("remove", name.clone(), None),
        };
        Shown {
            action,
            name,
            sink,
            secret: None,
        }
    }
}

impl Shown {
    /// One line of the plan.
    pub(super) fn line(&self) -> String {
        let name = &self.name;
        let Some(sink) = &self.sink else {
            return format!("- sink {name}");
        };
        let sign = if self.action == "create" { '+' } else { '~' };
        output::printable(&format!(
            "{sign} sink {name}: {} {}",
            sink.kind.as_str(),
            sink.target
        ))
    }

    /// The secret that was made, to be shown once.
    pub(super) fn secret(&self) -> Option<String> {
        let secret = self.secret.as_ref()?;
        Some(format!("Secret of sink {}, shown this once: {secret}", self.name))
    }
}
