//! Waivers among the files: asked for like any other, and never approved by whoever applies.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use serde::Serialize;
use store::Timestamp;
use web::wire::{NewWaiver, WaiverEntry, Whoami};

use crate::apply_files::DeclaredWaiver;
use crate::client::{Client, segment};
use crate::output;

/// Most waivers that are compared.
const MOST: usize = 100_000;

/// What is done about one waiver.
pub(super) enum Step {
    /// It is asked for.
    Request(Box<DeclaredWaiver>),
    /// It is asked for anew, with other words.
    Change(Box<DeclaredWaiver>),
    /// No file declares it any more.
    Remove(String),
}

/// A step as it is printed.
#[derive(Serialize)]
pub(super) struct Shown {
    action: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiver: Option<NewWaiver>,
}

/// What there is to do. What is approved is not changed, and what another person asked for is theirs.
pub(super) async fn plan(
    client: &Client,
    declared: &[DeclaredWaiver],
    prune: bool,
) -> anyhow::Result<Vec<Step>> {
    if declared.is_empty() && !prune {
        return Ok(Vec::new());
    }
    let me: Whoami = client.get("/session", &[]).await?;
    let entries: Vec<WaiverEntry> = client.list("/waivers", &[], MOST).await?;
    let mut known: BTreeMap<String, WaiverEntry> = entries
        .into_iter()
        .map(|entry| (entry.id.clone(), entry))
        .collect();
    let now = Timestamp::from(SystemTime::now());
    let mut steps = Vec::new();
    for waiver in declared {
        match known.remove(&waiver.name) {
            None if waiver.is_over(now) => {}
            None => steps.push(Step::Request(Box::new(waiver.clone()))),
            Some(entry) if waiver.is(&entry) => {}
            Some(entry) => steps.push(change(waiver, &entry, me.name.as_str())?),
        }
    }
    if prune {
        let mine = known
            .into_values()
            .filter(|entry| entry.requester == me.name.as_str());
        steps.extend(mine.map(|entry| Step::Remove(entry.id)));
    }
    Ok(steps)
}

fn change(waiver: &DeclaredWaiver, entry: &WaiverEntry, me: &str) -> anyhow::Result<Step> {
    let name = &waiver.name;
    if let Some(approver) = &entry.approver {
        bail!(
            "waiver {name} was approved by {approver} and says something else than the files: withdraw it \
             (`roadbed waiver remove {name}`), or declare it under another name"
        );
    }
    if entry.requester != me {
        bail!(
            "waiver {name} was asked for by {} and says something else than the files: declare it under another name",
            entry.requester
        );
    }
    Ok(Step::Change(Box::new(waiver.clone())))
}

/// Asks for them and withdraws them, one by one; what was done stays done when a later one fails.
pub(super) async fn carry_out(client: &Client, steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        match step {
            Step::Request(waiver) | Step::Change(waiver) => {
                let path = format!("/waivers/{}", segment(&waiver.name));
                let asked = client.put::<WaiverEntry>(&path, &waiver.wanted).await;
                asked.with_context(|| format!("waiver {} was not asked for", waiver.name))?;
            }
            Step::Remove(name) => {
                let removed = client.delete(&format!("/waivers/{}", segment(name)), &[]).await;
                removed.with_context(|| format!("waiver {name} was not withdrawn"))?;
            }
        }
    }
    Ok(())
}

impl Step {
    pub(super) fn into_shown(self) -> Shown {
        let (action, name, waiver) = match self {
            Self::Request(waiver) => ("request", waiver.name, Some(waiver.wanted)),
            Self::Change(waiver) => ("change", waiver.name, Some(waiver.wanted)),
            Self::Remove(name) => ("remove", name, None),
        };
        Shown { action, name, waiver }
    }
}

impl Shown {
    /// One line of the plan.
    pub(super) fn line(&self) -> String {
        let name = &self.name;
        let Some(waiver) = &self.waiver else {
            return format!("- waiver {name}");
        };
        let sign = if self.action == "request" { '+' } else { '~' };
        let what: Vec<&str> = waiver
            .findings
            .iter()
            .chain(&waiver.rules)
            .map(String::as_str)
            .collect();
        let places: Vec<&str> = waiver.repositories.iter().map(oci::RepoPattern::as_str).collect();
        let text = format!(
            "{sign} waiver {name}: {} in {} until {}, for somebody else to approve",
            what.join(","),
            places.join(","),
            output::moment(waiver.until.0)
        );
        output::printable(&text)
    }
}
