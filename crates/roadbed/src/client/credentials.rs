//! What the client signs in with: the environment, or a token that `roadbed login` saved.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use store::Timestamp;
use web::wire::{IssuedSession, Moment};

use crate::output;

/// Largest file of saved tokens, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What a request carries.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// From `ROADBED_USER` and `ROADBED_PASSWORD`.
    Password {
        /// Name.
        user: String,
        /// Password or robot secret.
        password: String,
    },
    /// From `roadbed login`.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// The file of saved tokens.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// The registry last signed in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    /// By address.
    #[serde(default)]
    registries: BTreeMap<String, SavedToken>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Serialize, Deserialize)]
struct SavedToken {
    user: String,
    token: String,
    expires_at: Moment,
}

impl Credentials {
    /// The environment goes first, so that a script is not surprised by what a person saved.
    pub(crate) fn find(saved: &Saved, base: &Url) -> anyhow::Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (variable("ROADBED_USER"), variable("ROADBED_PASSWORD")) {
            (Some(user), Some(password)) => return Ok(Self::Password { user, password }),
            (Some(_), None) => bail!("ROADBED_USER is set without ROADBED_PASSWORD"),
            (None, Some(_)) => bail!("ROADBED_PASSWORD is set without ROADBED_USER"),
            (None, None) => {}
        }
        let Some(known) = saved.registries.get(base.as_str()) else {
            bail!(
                "nobody is signed in to {base}: run `roadbed login {base}`, or set ROADBED_USER and ROADBED_PASSWORD"
            );
        };
        if known.expires_at.0 <= Timestamp::from(SystemTime::now()) {
            bail!(
                "the sign-in of {} ended at {}: run `roadbed login {base}`",
                known.user,
                output::moment(known.expires_at.0)
            );
        }
        Ok(Self::Token(known.token.clone()))
    }
}

impl Saved {
    /// Reads the file; no file is no sign-in.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let path = path_of_file()?;
        let shown = path.display();
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    path,
                    ..Self::default()
                });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                bail!("{shown} is too large: delete it and sign in again")
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let saved: Self = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is damaged: delete it and sign in again"))?;
        Ok(Self { path, ..saved })
    }

    /// The registry last signed in to.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The token for a registry, if there is one that has not ended.
    pub(crate) fn token(&self, base: &Url) -> Option<String> {
        let known = self.registries.get(base.as_str())?;
        (known.expires_at.0 > Timestamp::from(SystemTime::now())).then(|| known.token.clone())
    }

    /// Keeps a token; the registry becomes the one that later commands ask.
    pub(crate) fn keep(&mut self, base: &Url, session: &IssuedSession) -> anyhow::Result<()> {
        let token = SavedToken {
            user: session.user.to_string(),
            token: session.token.clone(),
            expires_at: session.expires_at,
        };
        self.registries.insert(base.to_string(), token);
        self.current = Some(base.to_string());
        self.write()
    }

    /// Forgets a registry; whether there was anything to forget.
    pub(crate) fn forget(&mut self, base: &str) -> anyhow::Result<bool> {
        let known = self.registries.remove(base).is_some();
        if self.current.as_deref() == Some(base) {
            self.current = None;
        }
        if known {
            self.write()?;
        }
        Ok(known)
    }

    /// Writes the file beside and renames it, readable by nobody else from its first byte on.
    fn write(&self) -> anyhow::Result<()> {
        let shown = self.path.display();
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let partial = self
            .path
            .with_extension(format!("{}.partial", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let opened = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial);
        let written = opened.and_then(|mut file| {
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written.with_context(|| format!("cannot write {shown}"))
    }
}

/// `$XDG_CONFIG_HOME/roadbed/credentials.json`, else `~/.config/roadbed/credentials.json`.
fn path_of_file() -> anyhow::Result<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let home = home
        .context("neither XDG_CONFIG_HOME nor HOME is set: use --url, ROADBED_USER and ROADBED_PASSWORD")?;
    Ok(home.join("roadbed").join("credentials.json"))
}
