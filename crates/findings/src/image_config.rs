//! The configuration of an image, as far as it is judged.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of a configuration.
pub const CONFIG_BYTES: usize = 8 << 20;
/// Items of each of its lists.
const ITEMS: usize = 10_000;
/// Characters of a text that is kept.
const TEXT: usize = 4_096;

/// What the configuration says (image-spec, config.md). Values of environment variables are not kept: secrets among them are
/// findings of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `architecture`.
    #[serde(default)]
    pub architecture: String,
    /// `os`.
    #[serde(default)]
    pub os: String,
    /// `created`, as stated.
    #[serde(default)]
    pub created: Option<String>,
    /// `config.User`; empty means root.
    #[serde(default)]
    pub user: String,
    /// Names of `config.Env`.
    #[serde(default)]
    pub env_names: Vec<String>,
    /// `config.ExposedPorts`: `22/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// `config.Labels`, sorted.
    #[serde(default)]
    pub labels: Vec<(String, String)>,
    /// `config.Entrypoint` and `config.Cmd`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Whether there is a `config.Healthcheck`.
    #[serde(default)]
    pub has_health_check: bool,
    /// `rootfs.diff_ids`, lowest layer first, as stated.
    #[serde(default)]
    pub diff_ids: Vec<String>,
    /// `history`: what made each layer, and whether it made one.
    #[serde(default)]
    pub history: Vec<Step>,
}

/// A step of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `created_by`, clipped.
    #[serde(default)]
    pub created_by: String,
    /// Whether it made no layer.
    #[serde(default)]
    pub is_empty: bool,
}

/// Why the configuration says nothing.
#[derive(Debug, Error)]
pub enum ImageConfigError {
    /// Too large.
    #[error("an image's configuration of {0} bytes is more than the {CONFIG_BYTES} that are read")]
    TooLarge(usize),
    /// Too many items of something.
    #[error("the configuration has {count} {what}, more than the {ITEMS} that are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Not an object.
    #[error("the configuration is no JSON object")]
    NoObject,
    /// Not JSON, or not of this shape.
    #[error("the configuration is not that of an image: {0}")]
    Malformed(#[from] serde_json::Error),
}

mod wire {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Deserialize)]
    pub(super) struct Root {
        #[serde(default)]
        pub(super) architecture: Option<String>,
        #[serde(default)]
        pub(super) os: Option<String>,
        #[serde(default)]
        pub(super) created: Option<String>,
        #[serde(default)]
        pub(super) config: Option<Config>,
        #[serde(default)]
        pub(super) rootfs: Option<RootFs>,
        #[serde(default)]
        pub(super) history: Option<Vec<Step>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub(super) struct Config {
        #[serde(default)]
        pub(super) user: Option<String>,
        #[serde(default)]
        pub(super) env: Option<Vec<String>>,
        #[serde(default)]
        pub(super) exposed_ports: Option<BTreeMap<String, Value>>,
        #[serde(default)]
        pub(super) labels: Option<BTreeMap<String, Option<String>>>,
        #[serde(default)]
        pub(super) entrypoint: Option<Vec<String>>,
        #[serde(default)]
        pub(super) cmd: Option<Vec<String>>,
        #[serde(default)]
        pub(super) healthcheck: Option<Value>,
    }

    #[derive(Deserialize)]
    pub(super) struct RootFs {
        #[serde(default)]
        pub(super) diff_ids: Option<Vec<String>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Step {
        #[serde(default)]
        pub(super) created_by: Option<String>,
        #[serde(default)]
        pub(super) empty_layer: Option<bool>,
    }
}

/// A configuration with the texts in which secrets are looked for: they are not kept.
#[derive(Debug, Default)]
pub struct ReadConfig {
    /// What is kept.
    pub config: ImageConfig,
    /// Where (`env DATABASE_URL`, `label com.example`, `history 3`) and what.
    pub texts: Vec<(String, String)>,
}

impl ReadConfig {
    /// Reads the JSON of a configuration.
    ///
    /// # Errors
    /// See [`ImageConfigError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageConfigError> {
        if bytes.len() > CONFIG_BYTES {
            return Err(ImageConfigError::TooLarge(bytes.len()));
        }
        // A list would pass for an object whose members are all missing.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ImageConfigError::NoObject);
        }
        let root: wire::Root = serde_json::from_slice(bytes)?;
        let stated = Stated::of(root)?;
        Ok(Self {
            texts: stated.texts(),
            config: stated.config(),
        })
    }
}

/// What the JSON states, with every list capped and nothing clipped yet.
struct Stated {
    architecture: String,
    os: String,
    created: Option<String>,
    user: String,
    env: Vec<String>,
    ports: Vec<String>,
    labels: Vec<(String, String)>,
    command: Vec<String>,
    has_health_check: bool,
    diff_ids: Vec<String>,
    history: Vec<wire::Step>,
}

impl Stated {
    fn of(root: wire::Root) -> Result<Self, ImageConfigError> {
        let config = root.config.unwrap_or_default();
        let labels = config.labels.unwrap_or_default();
        check("labels", labels.len())?;
        let ports = config.exposed_ports.unwrap_or_default();
        check("ports", ports.len())?;
        let mut command = capped("arguments", config.entrypoint.unwrap_or_default())?;
        command.extend(capped("arguments", config.cmd.unwrap_or_default())?);
        let diff_ids = root.rootfs.and_then(|rootfs| rootfs.diff_ids);
        Ok(Self {
            architecture: root.architecture.unwrap_or_default(),
            os: root.os.unwrap_or_default(),
            created: root.created,
            user: config.user.unwrap_or_default(),
            env: capped("environment variables", config.env.unwrap_or_default())?,
            ports: ports.into_keys().collect(),
            labels: labels
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect(),
            command,
            has_health_check: config.healthcheck.is_some_and(|check| !check.is_null()),
            diff_ids: capped("layers", diff_ids.unwrap_or_default())?,
            history: capped("steps of history", root.history.unwrap_or_default())?,
        })
    }

    /// Where secrets are looked for.
    fn texts(&self) -> Vec<(String, String)> {
        let env = self
            .env
            .iter()
            .map(|entry| (format!("env {}", clip(name_of(entry))), entry.clone()));
        let labels = self
            .labels
            .iter()
            .map(|(name, value)| (format!("label {}", clip(name)), format!("{name}={value}")));
        let history = self.history.iter().enumerate().map(|(number, step)| {
            let made_by = step.created_by.clone().unwrap_or_default();
            (format!("history {number}"), made_by)
        });
        let command = std::iter::once(("command".to_owned(), self.command.join(" ")));
        env.chain(labels).chain(history).chain(command).collect()
    }

    /// What is kept.
    fn config(&self) -> ImageConfig {
        ImageConfig {
            architecture: clip(&self.architecture),
            os: clip(&self.os),
            created: self.created.as_deref().map(clip),
            user: clip(&self.user),
            env_names: self.env.iter().map(|entry| clip(name_of(entry))).collect(),
            ports: clipped(&self.ports),
            labels: self
                .labels
                .iter()
                .map(|(name, value)| (clip(name), clip(value)))
                .collect(),
            command: clipped(&self.command),
            has_health_check: self.has_health_check,
            diff_ids: clipped(&self.diff_ids),
            history: self
                .history
                .iter()
                .map(|step| Step {
                    created_by: clip(step.created_by.as_deref().unwrap_or_default()),
                    is_empty: step.empty_layer.unwrap_or(false),
                })
                .collect(),
        }
    }
}

/// The name of `NAME=value`.
fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

fn clipped(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| clip(text)).collect()
}

impl ImageConfig {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The step that made a layer, counted from 0 at the bottom, [without build arguments](without_arguments).
    pub fn step_of(&self, layer: usize) -> Option<String> {
        let mut made = self.history.iter().filter(|step| !step.is_empty);
        without_arguments(&made.nth(layer)?.created_by).map(Cow::into_owned)
    }
}

/// In front of what a shell carries out.
const SHELL: &str = "/bin/sh -c ";

/// In front of what old builders only noted.
const NOTED: &str = "/bin/sh -c #(nop)";

/// A step of a history without the values of build arguments, which often are secrets: builders put them in front of the command
/// (`|1 TOKEN=abc /bin/sh -c make`). `None`: they cannot be told from the command.
pub fn without_arguments(created_by: &str) -> Option<Cow<'_, str>> {
    let text = created_by.trim();
    let (run, rest) = match text.strip_prefix("RUN ") {
        Some(rest) => ("RUN ", rest.trim_start()),
        None => ("", text),
    };
    if rest.starts_with('|') {
        // A value may hold a command too: what follows the last one is none of them.
        let (_, command) = rest.rsplit_once(SHELL)?;
        return Some(format!("{run}{SHELL}{command}").into());
    }
    let noted = text.strip_prefix(NOTED).unwrap_or(text).trim_start();
    let Some(declared) = noted.strip_prefix("ARG ") else {
        return Some(text.into());
    };
    // A value may be quoted and hold blanks: only the first name is sure to be one.
    Some(format!("ARG {}", name_of(declared.trim_start())).into())
}

fn check(what: &'static str, count: usize) -> Result<(), ImageConfigError> {
    if count > ITEMS {
        return Err(ImageConfigError::TooMany { what, count });
    }
    Ok(())
}

fn capped<T>(what: &'static str, items: Vec<T>) -> Result<Vec<T>, ImageConfigError> {
    check(what, items.len()).map(|()| items)
}

fn clip(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

#[cfg(test)]
mod tests;
