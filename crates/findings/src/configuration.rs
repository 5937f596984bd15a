//! How an image is made: rules about its configuration, its annotations and its operating system.
//!
//! Rules about single files (setuid, writable by all) are those of the layer pass; here is what only the image as a whole
//! shows.

use time::Date;

use crate::{
    ByteFinding, FoundUnit, ImageConfig, Overlay, Severity, end_of_life, layer_report::ByteFindingKind,
};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable name, for policies and waivers.
    pub id: &'static str,
    /// What it says.
    pub title: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What to do.
    pub fix: &'static str,
}

/// The pack that findings name.
pub const PACK: &str = "roadbed";

/// All rules of this module.
pub const RULES: &[Rule] = &[
    ROOT_USER,
    SSH_PORT,
    PACKAGE_CACHE,
    NO_SOURCE,
    NO_REVISION,
    NO_BASE,
    OS_ENDED,
    OS_UNKNOWN,
    DIFF_IDS,
    LATEST_SHELL_PIPE,
];

const ROOT_USER: Rule = Rule {
    id: "config.root-user",
    title: "The image runs as root",
    severity: Severity::Medium,
    fix: "create a user in the image and name it with USER",
};
const SSH_PORT: Rule = Rule {
    id: "config.ssh",
    title: "The image exposes ssh",
    severity: Severity::Medium,
    fix: "remove the ssh server and EXPOSE 22; use the orchestrator's exec instead",
};
const PACKAGE_CACHE: Rule = Rule {
    id: "config.package-cache",
    title: "A package manager's cache is left in the image",
    severity: Severity::Low,
    fix: "remove the cache in the RUN that fills it",
};
const NO_SOURCE: Rule = Rule {
    id: "config.no-source",
    title: "The image does not say where its source is",
    severity: Severity::Low,
    fix: "set the annotation or label org.opencontainers.image.source",
};
const NO_REVISION: Rule = Rule {
    id: "config.no-revision",
    title: "The image does not say what revision it was built from",
    severity: Severity::Low,
    fix: "set the annotation or label org.opencontainers.image.revision",
};
const NO_BASE: Rule = Rule {
    id: "config.no-base",
    title: "The image does not say what base it was built on",
    severity: Severity::Negligible,
    fix: "set the annotations org.opencontainers.image.base.name and base.digest",
};
const OS_ENDED: Rule = Rule {
    id: "config.os-end-of-life",
    title: "The operating system is past its end of life",
    severity: Severity::High,
    fix: "build on a release that is supported",
};
const OS_UNKNOWN: Rule = Rule {
    id: "config.os-unknown",
    title: "Packages of a distribution, but no word which release",
    severity: Severity::Unknown,
    fix: "keep etc/os-release in the image",
};
const DIFF_IDS: Rule = Rule {
    id: "config.diff-ids",
    title: "The configuration states other layers than the image has",
    severity: Severity::Unknown,
    fix: "build and push the image again",
};
const LATEST_SHELL_PIPE: Rule = Rule {
    id: "config.pipe-to-shell",
    title: "A build step runs what it downloads",
    severity: Severity::Low,
    fix: "download a file of a stated digest and check it before it runs",
};

/// What a whole image is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its configuration, if it has one that could be read.
    pub config: Option<&'a ImageConfig>,
    /// Annotations of its manifest.
    pub annotations: &'a [(String, String)],
    /// What a container would see.
    pub overlay: &'a Overlay<'a>,
    /// Digests of the uncompressed layers as computed, lowest first; `None` where a layer could not be read.
    pub diff_ids: &'a [Option<String>],
    /// Paths of package managers' caches that are not empty.
    pub caches: &'a [String],
    /// Today.
    pub today: Date,
}

/// What the rules find.
pub fn judge(subject: &Subject<'_>) -> Vec<ByteFinding> {
    let mut found = Vec::new();
    of_config(subject, &mut found);
    of_annotations(subject, &mut found);
    of_system(subject, &mut found);
    found.extend(
        subject
            .caches
            .iter()
            .map(|path| finding(&PACKAGE_CACHE, path, None)),
    );
    found
}

fn of_config(subject: &Subject<'_>, found: &mut Vec<ByteFinding>) {
    let Some(config) = subject.config else {
        return;
    };
    if is_root(&config.user) {
        found.push(finding(&ROOT_USER, "config", Some(&config.user)));
    }
    if config.ports.iter().any(|port| port == "22/tcp" || port == "22") {
        found.push(finding(&SSH_PORT, "config", Some("22/tcp")));
    }
    for (number, step) in config.history.iter().enumerate() {
        if pipes_to_shell(&step.created_by) {
            found.push(finding(&LATEST_SHELL_PIPE, &format!("history {number}"), None));
        }
    }
    let stated = config.diff_ids.iter().map(String::as_str);
    let differs = stated.clone().count() != subject.diff_ids.len()
        || stated
            .zip(subject.diff_ids)
            .any(|(stated, computed)| computed.as_deref().is_some_and(|computed| computed != stated));
    if differs && !config.diff_ids.is_empty() {
        found.push(finding(&DIFF_IDS, "config", None));
    }
}

/// `config.User` is a name or number, with or without a group.
fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    matches!(name, "" | "root") || name.parse() == Ok(0_u64)
}

fn pipes_to_shell(step: &str) -> bool {
    let fetches = ["curl ", "wget "].iter().any(|tool| step.contains(tool));
    let piped = step.split('|').skip(1).map(str::trim_start).any(|next| {
        let word = next
            .split_whitespace()
            .find(|word| *word != "sudo")
            .unwrap_or_default();
        matches!(word, "sh" | "bash" | "dash" | "ash" | "/bin/sh" | "/bin/bash")
    });
    fetches && piped
}

fn of_annotations(subject: &Subject<'_>, found: &mut Vec<ByteFinding>) {
    let says = |name: &str| {
        let annotated = subject
            .annotations
            .iter()
            .any(|(known, value)| known == name && !value.trim().is_empty());
        annotated
            || subject
                .config
                .and_then(|config| config.label(name))
                .is_some_and(|value| !value.trim().is_empty())
    };
    if !says("org.opencontainers.image.source") {
        found.push(finding(&NO_SOURCE, "manifest", None));
    }
    if !says("org.opencontainers.image.revision") {
        found.push(finding(&NO_REVISION, "manifest", None));
    }
    if !says("org.opencontainers.image.base.digest") && !says("org.opencontainers.image.base.name") {
        found.push(finding(&NO_BASE, "manifest", None));
    }
}

fn of_system(subject: &Subject<'_>, found: &mut Vec<ByteFinding>) {
    let Some(os) = subject.overlay.os else {
        let is_of_a_distribution =
            |unit: &FoundUnit| unit.unit.packages.iter().any(|package| package.kind.is_os());
        if subject
            .overlay
            .units
            .iter()
            .any(|unit| is_of_a_distribution(unit.found))
        {
            found.push(finding(&OS_UNKNOWN, "etc/os-release", None));
        }
        return;
    };
    if let Some(end) = end_of_life(os)
        && end < subject.today
    {
        let name = if os.name.is_empty() { &os.id } else { &os.name };
        let said = format!("{name} ended on {end}");
        found.push(finding(&OS_ENDED, "etc/os-release", Some(&said)));
    }
}

fn finding(rule: &Rule, path: &str, excerpt: Option<&str>) -> ByteFinding {
    ByteFinding {
        kind: ByteFindingKind::Configuration,
        rule: rule.id.to_owned(),
        title: rule.title.to_owned(),
        severity: rule.severity,
        path: path.to_owned(),
        inner_path: Vec::new(),
        line: None,
        excerpt: excerpt.filter(|text| !text.is_empty()).map(str::to_owned),
        fingerprint: None,
        fix: Some(rule.fix.to_owned()),
        is_example: false,
        pack: PACK.to_owned(),
    }
}

#[cfg(test)]
mod tests;
