//! Sign-ins that docker, podman and skopeo keep: for registries that are not Roadbed's.
//!
//! Their files are read as they read them (docker's `config.json`, containers-auth.json(5)). A password may be kept by a helper,
//! `docker-credential-NAME`, which is asked the way docker asks it: `get`, with the registry on standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Largest file of sign-ins, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Largest answer of a helper, in bytes.
const MAX_HELPER_BYTES: u64 = 64 * 1024;

/// How long a helper may take: it may ask a person.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// The user name that stands for a token in place of a password.
const TOKEN_USER: &str = "<token>";

/// What a registry is told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    /// A password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
    /// A token to get tokens with.
    Identity(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(redacted)")
    }
}

/// One of the files.
#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default, rename = "identitytoken")]
    identity: Option<String>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(redacted)")
    }
}

/// What a helper answers.
#[derive(Deserialize)]
struct Helped {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// The sign-in for a repository of a registry, if there is one. The first file that has one counts.
pub(crate) async fn login(host: &str, repository: &str) -> Result<Option<Login>> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    for place in places(set, rustix::process::getuid().as_raw()) {
        let Some(file) = place.read()? else { continue };
        let path = place.path();
        let found = of_file(&file, host, repository).await;
        if let Some(login) = found.with_context(|| format!("cannot sign in with {}", path.display()))? {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

/// Where sign-ins may be.
#[derive(Debug)]
enum Place {
    /// As the environment says.
    Said(PathBuf),
    /// As it would say in a session. Perhaps it is none of the user's business.
    Guessed(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Said(path) | Self::Guessed(path) => path,
        }
    }

    fn read(&self) -> Result<Option<File>> {
        let path = self.path();
        match std::fs::File::open(path) {
            // In the place of `HOME` there may be a file, such as `/dev/null`.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied && matches!(self, Self::Guessed(_)) => {
                Ok(None)
            }
            file => {
                let file = file.with_context(|| format!("cannot read {}", path.display()))?;
                read(file, path).map(Some)
            }
        }
    }
}

/// Where sign-ins may be, the first place first. Where nobody says which directory is for this session, as in units and cron jobs,
/// podman makes its own: that of the login manager, else one by the number of the user.
fn places(set: impl Fn(&str) -> Option<PathBuf>, uid: u32) -> Vec<Place> {
    let variable = |name| set(name).filter(|value| !value.as_os_str().is_empty());
    let home = variable("HOME");
    let sessions = match variable("XDG_RUNTIME_DIR") {
        Some(session) => vec![Place::Said(session.join("containers/auth.json"))],
        None => vec![
            Place::Guessed(format!("/run/user/{uid}/containers/auth.json").into()),
            Place::Guessed(format!("/run/containers/{uid}/auth.json").into()),
        ],
    };
    let below = |directory: Option<PathBuf>, rest: &str| directory.map(|directory| directory.join(rest));
    let config = variable("XDG_CONFIG_HOME").or_else(|| below(home.clone(), ".config"));
    let docker = variable("DOCKER_CONFIG").or_else(|| below(home, ".docker"));
    let said = |path: Option<PathBuf>| path.map(Place::Said).into_iter();
    said(variable("REGISTRY_AUTH_FILE"))
        .chain(sessions)
        .chain(said(below(config, "containers/auth.json")))
        .chain(said(below(docker, "config.json")))
        .collect()
}

fn read(file: std::fs::File, path: &Path) -> Result<File> {
    let shown = path.display();
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() as u64 <= MAX_FILE_BYTES,
        "{shown} has more than {MAX_FILE_BYTES} bytes: it is no file of sign-ins"
    );
    serde_json::from_slice(&bytes).with_context(|| format!("{shown} cannot be read"))
}

async fn of_file(file: &File, host: &str, repository: &str) -> Result<Option<Login>> {
    let names = names_of(host);
    let helper = names
        .iter()
        .find_map(|name| Some((*name, file.helpers.get(*name)?)));
    if let Some((name, helper)) = helper {
        return ask(helper, name).await;
    }
    if let Some(entry) = entry(file, &names, repository)
        && let Some(login) = of_entry(entry)?
    {
        return Ok(Some(login));
    }
    let Some(store) = &file.store else {
        return Ok(None);
    };
    // Docker keeps its own registry under a name of old.
    let name = if names.len() > 1 {
        "https://index.docker.io/v1/"
    } else {
        host
    };
    ask(store, name).await
}

/// By which the files call a registry.
fn names_of(host: &str) -> Vec<&str> {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            vec!["docker.io", "index.docker.io", "registry-1.docker.io"]
        }
        host => vec![host],
    }
}

/// The entry of the repository, of what is above it, or of the whole registry: the nearest.
fn entry<'a>(file: &'a File, names: &[&str], repository: &str) -> Option<&'a Entry> {
    let mut below = Some(repository);
    loop {
        let wanted = |key: &str| {
            names.iter().any(|name| match below {
                Some(below) => key.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')) == Some(below),
                None => key == *name,
            })
        };
        let found = file.auths.iter().find(|(key, _)| wanted(plain(key)));
        if let Some((_, entry)) = found {
            return Some(entry);
        }
        below = below?.rsplit_once('/').map(|(above, _)| above);
    }
}

/// A key without its scheme and the path of the protocol, which old versions of docker write.
fn plain(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
        .trim_end_matches('/');
    key.strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key)
}

fn of_entry(entry: &Entry) -> Result<Option<Login>> {
    if let Some(token) = entry.identity.as_ref().filter(|token| !token.is_empty()) {
        return Ok(Some(Login::Identity(token.clone())));
    }
    if let (Some(user), Some(password)) = (&entry.username, &entry.password) {
        return Ok(Some(Login::Password {
            user: user.clone(),
            password: password.clone(),
        }));
    }
    let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) else {
        return Ok(None);
    };
    let unreadable = "an `auth` is not the base 64 of user:password: sign in again";
    let decoded = STANDARD.decode(auth.trim()).context(unreadable)?;
    let text = String::from_utf8(decoded).context(unreadable)?;
    let (user, password) = text.split_once(':').context(unreadable)?;
    Ok(Some(Login::Password {
        user: user.to_owned(),
        // Docker ends some with zeros.
        password: password.trim_end_matches('\0').to_owned(),
    }))
}

async fn ask(helper: &str, registry: &str) -> Result<Option<Login>> {
    let is_name = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    ensure!(
        !helper.is_empty() && helper.len() <= 64 && is_name(helper),
        "{helper:?} is no name of a helper for credentials"
    );
    let program = format!("docker-credential-{helper}");
    let ended = tokio::time::timeout(HELPER_TIMEOUT, run(&program, registry)).await;
    let (succeeded, said) = ended.with_context(|| {
        format!(
            "{program} did not answer within {} seconds",
            HELPER_TIMEOUT.as_secs()
        )
    })??;
    if !succeeded {
        // It says so on standard output (docker-credential-helpers, `errCredentialsNotFound`).
        if String::from_utf8_lossy(&said).contains("credentials not found") {
            return Ok(None);
        }
        bail!("{program} failed: ask it with `echo {registry} | {program} get`");
    }
    let answer: Helped = serde_json::from_slice(&said)
        .with_context(|| format!("{program} answers something else than it should"))?;
    Ok(Some(if answer.user == TOKEN_USER {
        Login::Identity(answer.secret)
    } else {
        Login::Password {
            user: answer.user,
            password: answer.secret,
        }
    }))
}

async fn run(program: &str, registry: &str) -> Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read has ended already.
        let _ = input.write_all(registry.as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_HELPER_BYTES + 1).read_to_end(&mut said).await?;
    }
    ensure!(
        said.len() as u64 <= MAX_HELPER_BYTES,
        "{program} answers more than {MAX_HELPER_BYTES} bytes"
    );
    Ok((child.wait().await?.success(), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Login {
        Login::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn shown(set: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| PathBuf::from(value))
        };
        let places = places(variable, 1000);
        let shown = places.iter().map(|place| place.path().display().to_string());
        shown.collect()
    }

    #[test]
    fn sign_ins_are_looked_for_where_they_are_kept() {
        assert_eq!(
            shown(&[("HOME", "/h/ann"), ("XDG_RUNTIME_DIR", "/run/user/7")]),
            [
                "/run/user/7/containers/auth.json",
                "/h/ann/.config/containers/auth.json",
                "/h/ann/.docker/config.json",
            ]
        );
        // A session that nobody has named is that of the user.
        assert_eq!(
            shown(&[("HOME", "/h/ann"), ("XDG_RUNTIME_DIR", "")]),
            [
                "/run/user/1000/containers/auth.json",
                "/run/containers/1000/auth.json",
                "/h/ann/.config/containers/auth.json",
                "/h/ann/.docker/config.json",
            ]
        );
        assert_eq!(
            shown(&[
                ("REGISTRY_AUTH_FILE", "/a"),
                ("DOCKER_CONFIG", "/b"),
                ("XDG_CONFIG_HOME", "/c"),
                ("XDG_RUNTIME_DIR", "/d"),
                ("HOME", "/h/ann"),
            ]),
            [
                "/a",
                "/d/containers/auth.json",
                "/c/containers/auth.json",
                "/b/config.json"
            ]
        );
        assert_eq!(shown(&[]).len(), 2);
    }

    #[test]
    fn what_may_not_be_looked_at_is_nothing_only_where_it_was_guessed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none");
        assert!(Place::Said(path.clone()).read().unwrap().is_none());
        assert!(Place::Said(path.join("below")).read().unwrap().is_none());
        std::fs::write(&path, "{}").unwrap();
        assert!(Place::Said(path.join("below")).read().unwrap().is_none());
        assert!(Place::Guessed(path.clone()).read().unwrap().is_some());
        let most = usize::try_from(MAX_FILE_BYTES).unwrap();
        std::fs::write(&path, " ".repeat(most + 1)).unwrap();
        let error = Place::Said(path).read().err().unwrap().to_string();
        assert!(error.contains("it is no file of sign-ins"), "{error}");
    }

    async fn found(text: &str, host: &str, repository: &str) -> Option<Login> {
        let file: File = serde_json::from_str(text).unwrap();
        of_file(&file, host, repository).await.unwrap()
    }

    #[tokio::test]
    async fn the_nearest_entry_counts() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uOnNlY3JldA=="},
            "quay.example": {"auth": "YW5uOndob2xl"},
            "quay.example/team": {"auth": "YW5uOnRlYW0="},
            "token.example": {"identitytoken": "abc", "auth": "AAAA"},
            "empty.example": {}
        }, "unknown": 1}"#;
        assert_eq!(
            found(text, "docker.io", "library/alpine").await,
            Some(password("ann", "secret"))
        );
        assert_eq!(
            found(text, "quay.example", "other/app").await,
            Some(password("ann", "whole"))
        );
        assert_eq!(
            found(text, "quay.example", "team/app").await,
            Some(password("ann", "team"))
        );
        let token = Login::Identity("abc".to_owned());
        assert_eq!(found(text, "token.example", "a").await, Some(token));
        for host in ["empty.example", "example", "quay.example.evil"] {
            assert_eq!(found(text, host, "team/app").await, None, "{host}");
        }
    }

    #[tokio::test]
    async fn what_is_no_name_is_not_run() {
        let file: File = serde_json::from_str(r#"{"credHelpers": {"a.example": "../evil"}}"#).unwrap();
        let error = of_file(&file, "a.example", "x").await.unwrap_err().to_string();
        assert!(error.contains("no name of a helper"), "{error}");
        let file: File = serde_json::from_str(r#"{"auths": {"a.example": {"auth": "%"}}}"#).unwrap();
        assert!(of_file(&file, "a.example", "x").await.is_err());
    }
}
