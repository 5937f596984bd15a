//! What is to be done about each `hosts.toml`: decided by what is there, and carried out by nobody yet.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Install;
use super::hosts::{self, MirrorHost};
use crate::config::mirror::NamespaceName;

/// Bytes of a `hosts.toml` that is looked at; a larger one is none.
const MOST_BYTES: u64 = 1 << 20;

/// What was there before is kept under this name beside.
const BACKUP: &str = "hosts.toml.before-roadbed";

/// All steps.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// What is to be done about one registry.
pub(super) struct Step {
    pub(super) namespace: NamespaceName,
    pub(super) path: PathBuf,
    pub(super) backup: PathBuf,
    /// What is there.
    before: Option<String>,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// It is as it should be.
    Keep,
    /// It is written, where there is none or one of ours.
    Write(String),
    /// It is written over somebody else's, which is kept.
    Replace(String),
    /// Somebody else's is left alone.
    Refuse(String),
    /// Ours is taken away.
    Remove,
    /// Ours is taken away, and what was there before comes back.
    Restore(String),
}

impl Action {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Keep => "unchanged",
            Self::Write(_) => "written",
            Self::Replace(_) => "written, with what was there kept beside",
            Self::Refuse(_) => "left alone, somebody else has written it",
            Self::Remove => "removed",
            Self::Restore(_) => "put back as it was before",
        }
    }

    fn after(&self) -> Option<&str> {
        match self {
            Self::Write(text) | Self::Replace(text) | Self::Refuse(text) | Self::Restore(text) => Some(text),
            Self::Keep | Self::Remove => None,
        }
    }
}

impl Plan {
    pub(super) fn make(install: &Install) -> Result<Self> {
        if let Some(own) = install.namespaces.iter().find(|namespace| {
            install
                .mirror
                .split_once("://")
                .is_some_and(|(_, host)| host == namespace.as_str())
        }) {
            bail!(
                "{own} is the mirror itself, which has no images of its own: name a registry that it mirrors"
            );
        }
        let steps = install
            .namespaces
            .iter()
            .map(|namespace| step(install, namespace));
        Ok(Self {
            steps: steps.collect::<Result<_>>()?,
        })
    }

    /// Nothing at all is done where something may not be.
    pub(super) fn refuse_what_is_not_ours(&self) -> Result<()> {
        let mut refused = String::new();
        for step in &self.steps {
            if let Action::Refuse(_) = step.action {
                let _ = write!(refused, "\n{}:\n{}", step.path.display(), step.diff());
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        bail!(
            "nothing was changed, because somebody else has written this; --force replaces it and keeps it beside as {BACKUP}{refused}"
        );
    }
}

impl Step {
    /// What changes, line by line.
    pub(super) fn diff(&self) -> String {
        match (&self.before, &self.action) {
            (_, Action::Keep) => String::new(),
            (before, action) => diff(
                before.as_deref().unwrap_or_default(),
                action.after().unwrap_or_default(),
            ),
        }
    }
}

fn step(install: &Install, namespace: &NamespaceName) -> Result<Step> {
    let directory = install.directory.join(namespace.as_str());
    let (path, backup) = (directory.join("hosts.toml"), directory.join(BACKUP));
    let before = read(&path)?;
    let kept = read(&backup)?;
    let is_ours = before.as_deref().is_some_and(hosts::is_ours);
    let action = if install.uninstall {
        match (&before, kept) {
            (Some(_), Some(kept)) if is_ours => Action::Restore(kept),
            (Some(_), None) if is_ours => Action::Remove,
            // What is not ours is not ours to remove.
            _ => Action::Keep,
        }
    } else {
        let mirror = MirrorHost {
            url: &install.mirror,
            ca: install.mirror_ca.as_deref(),
        };
        let text = hosts::text(namespace, mirror, &install.fallback);
        match &before {
            Some(before) if *before == text => Action::Keep,
            Some(_) if !is_ours && !install.force => Action::Refuse(text),
            Some(_) if !is_ours && kept.is_some() => bail!(
                "{} is there already: move it away, or what it keeps would be lost",
                backup.display()
            ),
            Some(_) if !is_ours => Action::Replace(text),
            _ => Action::Write(text),
        }
    };
    Ok(Step {
        namespace: namespace.clone(),
        path,
        backup,
        before,
        action,
    })
}

/// The text of a file; `None`: there is none.
fn read(path: &Path) -> Result<Option<String>> {
    let failed = || format!("cannot read {}", path.display());
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(failed),
    };
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        bail!("{} is no file that containerd would read", path.display());
    }
    let bytes = fs::read(path).with_context(failed)?;
    // What is no text is somebody else's all the same.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The lines that differ, between those that begin and end both alike.
fn diff(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let alike = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let head = alike(&mut before.iter().zip(&after));
    let tail = alike(&mut before[head..].iter().rev().zip(after[head..].iter().rev()));
    let mut text = String::new();
    for (sign, lines) in [("-", &before), ("+", &after)] {
        for line in &lines[head..lines.len() - tail] {
            let _ = writeln!(text, "  {sign} {}", line.escape_debug());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(diff("a\nb\nc\n", "a\nx\ny\nc\n"), "  - b\n  + x\n  + y\n");
        assert_eq!(diff("", "a\n"), "  + a\n");
        assert_eq!(diff("a\n", ""), "  - a\n");
        assert_eq!(diff("a\na\n", "a\n"), "  - a\n");
        assert_eq!(diff("same\n", "same\n"), "");
        assert_eq!(
            diff("", "\u{1b}[31m\n"),
            "  + \\u{1b}[31m\n",
            "no terminal is told anything"
        );
    }
}
