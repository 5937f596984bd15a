//! `roadbed mirror install`: tells containerd to ask the mirror first.
//!
//! containerd reads `<directory>/<registry>/hosts.toml` before each pull, so nothing is restarted. What is to be done is planned
//! first (`plan.rs`), shown, and then carried out (`carry.rs`): each file is replaced in one step or not at all, and one that somebody
//! else has written is not touched without `--force`, which keeps it beside.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::config::mirror::NamespaceName;

mod carry;
mod containerd;
mod hosts;
mod plan;

pub(crate) use hosts::Fallback;
use plan::{Plan, Step};

/// What is to be installed, and where.
#[derive(Debug)]
pub(crate) struct Install {
    /// Where containerd looks (`config_path`).
    pub(crate) directory: PathBuf,
    /// Its own configuration, which must say so.
    pub(crate) containerd_config: PathBuf,
    /// `http(s)://host:port` of the mirror, as the node reaches it.
    pub(crate) mirror: String,
    /// Certificates to trust of it.
    pub(crate) mirror_ca: Option<PathBuf>,
    /// Where nodes go when the mirror does not answer.
    pub(crate) fallback: Fallback,
    pub(crate) namespaces: Vec<NamespaceName>,
    /// Replaces what somebody else has written.
    pub(crate) force: bool,
    pub(crate) uninstall: bool,
    pub(crate) dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    /// Whether it was only planned.
    dry_run: bool,
    steps: Vec<Told>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Told {
    namespace: String,
    path: PathBuf,
    what: &'static str,
    /// What changes, line by line.
    #[serde(skip_serializing_if = "String::is_empty")]
    diff: String,
}

/// Plans, and carries out unless it is only to be shown.
pub(crate) fn run(install: &Install) -> Result<Done> {
    if install.namespaces.is_empty() {
        bail!("no registry is named: use --namespace docker.io, or name them in mirror.namespaces");
    }
    let plan = Plan::make(install)?;
    let done = Done {
        dry_run: install.dry_run,
        steps: plan.steps.iter().map(told).collect(),
        warnings: if install.uninstall {
            Vec::new()
        } else {
            containerd::warnings(&install.containerd_config, &install.directory)
        },
    };
    if install.dry_run {
        return Ok(done);
    }
    plan.refuse_what_is_not_ours()?;
    for step in &plan.steps {
        carry::out(step)?;
    }
    Ok(done)
}

fn told(step: &Step) -> Told {
    Told {
        namespace: step.namespace.to_string(),
        path: step.path.clone(),
        what: step.action.name(),
        diff: step.diff(),
    }
}

impl Done {
    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let would = if self.dry_run { "would be " } else { "" };
            let _ = write!(
                text,
                "{}: {would}{}\n{}",
                step.path.display(),
                step.what,
                step.diff
            );
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text
    }
}
