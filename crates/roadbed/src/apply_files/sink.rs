//! Sinks as files declare them. Secrets are named, never written down: a file or a variable of whoever applies.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use road::sink::{SinkKind, SinkSpec};
use serde::Deserialize;
use serde_json::{Map, Value};
use web::wire::{NewSink, SinkEntry};

use crate::commands::sinks::read_secret;

/// Stands for the target of a chat, which is a part of its secret.
const ANY_TARGET: &str = "https://of-its-secret";

/// A sink that should be.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredSink {
    /// What it is.
    pub(crate) spec: SinkSpec,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
}

/// The fields of a document; `type` is the kind of the sink.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct SinkDocument(Map<String, Value>);

impl TryFrom<SinkDocument> for DeclaredSink {
    type Error = String;

    fn try_from(SinkDocument(mut fields): SinkDocument) -> Result<Self, String> {
        fields.remove("kind");
        let mut text = |name: &str| match fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(format!("{name} is a text")),
        };
        let (secret_file, secret_env) = (text("secret_file")?, text("secret_env")?);
        let kind = text("type")?.ok_or("a sink needs a type: webhook, slack, jira, servicenow or smtp")?;
        if secret_file.is_some() && secret_env.is_some() {
            return Err("secret_file and secret_env: one of them".to_owned());
        }
        if fields.contains_key("secret") {
            return Err(
                "a secret is not written down: name its file in secret_file, or a variable in secret_env"
                    .to_owned(),
            );
        }
        fields.insert("kind".to_owned(), kind.into());
        let spec: SinkSpec =
            serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
        let mut checked = spec.clone();
        if spec.kind == SinkKind::Slack && spec.target.is_empty() {
            ANY_TARGET.clone_into(&mut checked.target);
        }
        checked.check().map_err(|error| error.to_string())?;
        web::check_events(&spec)?;
        Ok(Self {
            spec,
            secret_file: secret_file.map(PathBuf::from),
            secret_env,
        })
    }
}

impl DeclaredSink {
    /// Whether a sink that there is says this; secrets cannot be compared.
    pub(crate) fn is(&self, present: &SinkSpec) -> bool {
        let mut spec = self.spec.clone();
        if spec.kind == SinkKind::Slack && spec.target.is_empty() {
            present.target.clone_into(&mut spec.target);
        }
        spec == *present
    }

    /// What the registry is sent, with the secret if one is named.
    pub(crate) fn wanted(&self) -> Result<NewSink> {
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(path), _) => Some(read_secret(path)?),
            (None, Some(name)) => Some(std::env::var(name).with_context(|| format!("{name} is not set"))?),
            (None, None) => None,
        };
        Ok(NewSink {
            sink: SinkEntry(self.spec.clone()),
            secret,
            rotate: false,
            keep_old_seconds: 24 * 60 * 60,
        })
    }
}
