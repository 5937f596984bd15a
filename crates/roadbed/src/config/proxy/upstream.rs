//! `[[proxy.upstreams]]`: one registry, or repository of charts, that is pulled through.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use access::Cidr;
use config::ValueKind;
use oci::{PatternMap, RepoName, RepoPattern};
use outbound::Url;
use outbound::distribution::DOCKER_IO;
use registry::proxy::{Gone, MAX_UPSTREAMS, Undecided, UpstreamKind, UpstreamRule};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::setting::{Setting, shown};
use super::super::units::{Size, Span};

/// Patterns, rules and hosts of one upstream.
const MOST_ENTRIES: usize = 1_000;

/// How long a tag is taken as it was unless something else is said.
const FRESH: Span = Span::seconds(60);

/// The same of a repository of charts, whose index is megabytes.
const FRESH_CHARTS: Span = Span::seconds(5 * 60);

/// The upstreams of the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct UpstreamList(pub(crate) Vec<UpstreamEntry>);

/// An upstream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UpstreamEntry {
    pub(crate) name: String,
    pub(crate) kind: UpstreamKind,
    /// Of a registry scheme, host and port; of a repository of charts where its index is, with a slash at the end.
    pub(crate) url: Url,
    pub(crate) prefix: RepoName,
    /// Values of `ns=` that mean it.
    pub(crate) ns: Vec<String>,
    pub(crate) library: bool,
    pub(crate) login: Option<(String, SecretFrom)>,
    pub(crate) realm_hosts: Vec<String>,
    pub(crate) blob_hosts: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: Option<Url>,
    pub(crate) allowed_private: Vec<Cidr>,
    pub(crate) requests_per_hour: Option<NonZeroU32>,
    pub(crate) bytes_per_hour: Option<NonZeroU64>,
    pub(crate) allow: Vec<RepoPattern>,
    pub(crate) deny: Vec<RepoPattern>,
    pub(crate) rule: UpstreamRule,
    pub(crate) rules: Vec<(RepoPattern, UpstreamRule)>,
    /// As it was written.
    table: UpstreamTable,
}

impl UpstreamEntry {
    /// Whether a repository here is below its prefix.
    pub(crate) fn has(&self, repository: &RepoName) -> bool {
        self.name_of(repository).is_some()
    }

    /// Whether its rules let a repository be pulled.
    pub(crate) fn allows(&self, repository: &RepoName) -> bool {
        let Some(name) = self.name_of(repository) else {
            return false;
        };
        let matches = |patterns: &[RepoPattern]| patterns.iter().any(|pattern| pattern.matches(&name));
        !matches(&self.deny) && (self.allow.is_empty() || matches(&self.allow))
    }

    /// What a repository is called there.
    fn name_of(&self, repository: &RepoName) -> Option<RepoName> {
        let rest = repository
            .as_str()
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix('/')?;
        if self.library && !rest.contains('/') {
            return format!("library/{rest}").parse().ok();
        }
        rest.parse().ok()
    }
}

/// Where a password is. It is read at the start and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// How it is written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UpstreamTable {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_env: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    realm_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blob_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_private: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_hour: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_hour: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecided: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<RuleTable>,
}

/// A rule for names of an upstream; what it leaves out is as for the whole upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleTable {
    pattern: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecided: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
}

impl Setting for UpstreamList {
    const UNIT: &'static str = "tables";

    fn read(value: &ValueKind) -> Result<Self, String> {
        let tables: Vec<UpstreamTable> = tables(value, "upstreams", "name = \"…\", url = \"…\"")?;
        if tables.len() > MAX_UPSTREAMS {
            return Err(format!("{} upstreams: at most {MAX_UPSTREAMS}", tables.len()));
        }
        let entries = tables.into_iter().enumerate();
        let entries: Vec<UpstreamEntry> = entries
            .map(|(number, table)| entry(number, table))
            .collect::<Result<_, _>>()?;
        check_together(&entries)?;
        Ok(Self(entries))
    }

    fn to_toml(&self) -> String {
        let tables: Vec<&UpstreamTable> = self.0.iter().map(|entry| &entry.table).collect();
        toml::Value::try_from(tables).map_or_else(|_| "[]".to_owned(), |value| value.to_string())
    }
}

/// The tables of the file, or the same in one line of the environment. What is wrong with one begins with its place among them.
pub(super) fn tables<T: DeserializeOwned>(
    value: &ValueKind,
    key: &str,
    example: &str,
) -> Result<Vec<T>, String> {
    #[derive(Deserialize)]
    struct InOneLine {
        tables: Vec<toml::Value>,
    }
    match value {
        ValueKind::Array(items) => {
            let tables = items.iter().enumerate().map(|(number, item)| {
                let table = item.clone().try_deserialize();
                table.map_err(|error| misplaced(number, &error))
            });
            tables.collect()
        }
        ValueKind::String(text) if text.trim().is_empty() => Ok(Vec::new()),
        ValueKind::String(text) => {
            let line: Result<InOneLine, _> = toml::from_str(&format!("tables = {text}"));
            let line = line.map_err(|error| format!("expected [{{ {example} }}]: {}", error.message()))?;
            let tables = line.tables.into_iter().enumerate().map(|(number, table)| {
                let table = table.try_into();
                table.map_err(|error: toml::de::Error| format!("[{number}]: {}", in_one_line(&error)))
            });
            tables.collect()
        }
        other => Err(format!(
            "expected tables [[proxy.{key}]] in the file, found {}",
            shown(other)
        )),
    }
}

/// A table that cannot be read, with the key that is wrong where that is known.
fn misplaced(number: usize, error: &config::ConfigError) -> String {
    use config::ConfigError::{At, Type};
    let key = match error {
        Type { key: Some(key), .. } | At { key: Some(key), .. } => format!(".{key}"),
        _ => String::new(),
    };
    format!("[{number}]{key}: {error}")
}

fn in_one_line(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

/// What only several upstreams together can get wrong.
fn check_together(entries: &[UpstreamEntry]) -> Result<(), String> {
    let (mut names, mut prefixes, mut spaces) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (number, entry) in entries.iter().enumerate() {
        if !names.insert(&entry.name) {
            return Err(format!(
                "[{number}].name: two upstreams are called {:?}: rename one",
                entry.name
            ));
        }
        if !prefixes.insert(entry.prefix.as_str()) {
            return Err(format!(
                "[{number}].prefix: two upstreams have the prefix {}: change one",
                entry.prefix
            ));
        }
        if let Some(twice) = entry.ns.iter().find(|ns| !spaces.insert(ns.as_str())) {
            return Err(format!(
                "[{number}].ns: {twice:?} means two upstreams: keep one of them"
            ));
        }
    }
    Ok(())
}

/// `number`: its place among the tables, from 0.
fn entry(number: usize, table: UpstreamTable) -> Result<UpstreamEntry, String> {
    let name = table.name.clone();
    let read = read(table);
    // Each reason begins with its key.
    read.map_err(|reason| format!("[{number}].{reason} (upstream {name:?})"))
}

fn read(table: UpstreamTable) -> Result<UpstreamEntry, String> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if table.name.is_empty() || table.name.len() > 64 || !table.name.bytes().all(is_name) {
        return Err("name: write up to 64 of a-z, 0-9, -, _ and .".to_owned());
    }
    let kind = kind(&table)?;
    let (url, fresh) = match kind {
        UpstreamKind::Registry => (origin("url", &table.url)?, FRESH),
        UpstreamKind::Helm => (repository(&table.url)?, FRESH_CHARTS),
    };
    let rule = rule(
        UpstreamRule {
            fresh: fresh.0,
            undecided: Undecided::default(),
            gone: Gone::default(),
        },
        [&table.fresh, &table.undecided, &table.gone],
    )?;
    let rules = rules(&table.rules, rule)?;
    let prefix = table.prefix.as_ref().unwrap_or(&table.name);
    bounded(&[
        ("ns", &table.ns),
        ("realm_hosts", &table.realm_hosts),
        ("blob_hosts", &table.blob_hosts),
        ("allowed_private", &table.allowed_private),
        ("allow", &table.allow),
        ("deny", &table.deny),
    ])?;
    Ok(UpstreamEntry {
        prefix: parsed("prefix", prefix)?,
        library: table.library.unwrap_or_else(|| is_docker_hub(&url)),
        login: login(&table)?,
        proxy: table
            .proxy
            .as_ref()
            .map(|text| origin("proxy", text))
            .transpose()?,
        allowed_private: all("allowed_private", &table.allowed_private)?,
        requests_per_hour: requests(&table)?,
        bytes_per_hour: bytes(&table)?,
        allow: all("allow", &table.allow)?,
        deny: all("deny", &table.deny)?,
        name: table.name.clone(),
        kind,
        ns: table.ns.clone(),
        realm_hosts: table.realm_hosts.clone(),
        blob_hosts: table.blob_hosts.clone(),
        ca_file: table.ca_file.clone(),
        url,
        rule,
        rules,
        table,
    })
}

fn requests(table: &UpstreamTable) -> Result<Option<NonZeroU32>, String> {
    let limit = table.requests_per_hour.map(NonZeroU32::new);
    limit
        .map(|most| most.ok_or_else(|| no_budget("requests_per_hour")))
        .transpose()
}

fn bytes(table: &UpstreamTable) -> Result<Option<NonZeroU64>, String> {
    let Some(text) = &table.bytes_per_hour else {
        return Ok(None);
    };
    let most: Size = parsed("bytes_per_hour", text)?;
    let most = NonZeroU64::new(most.0).ok_or_else(|| no_budget("bytes_per_hour"))?;
    Ok(Some(most))
}

fn no_budget(key: &str) -> String {
    format!("{key}: with 0 nothing could be asked; leave it out for no limit")
}

fn bounded(lists: &[(&str, &Vec<String>)]) -> Result<(), String> {
    match lists.iter().find(|(_, list)| list.len() > MOST_ENTRIES) {
        Some((key, list)) => Err(format!("{key}: a list of {}: at most {MOST_ENTRIES}", list.len())),
        None => Ok(()),
    }
}

/// Whether its official images have names of one component.
fn is_docker_hub(url: &Url) -> bool {
    url.host_str().is_some_and(|host| DOCKER_IO.contains(&host))
}

/// What it is, and that it has no key of what it is not.
fn kind(table: &UpstreamTable) -> Result<UpstreamKind, String> {
    match table.kind.as_deref() {
        None | Some("registry") => return Ok(UpstreamKind::Registry),
        Some("helm") => {}
        Some(other) => return Err(format!("kind: {other:?}: write registry or helm")),
    }
    let of_registries = [
        ("ns", !table.ns.is_empty()),
        ("library", table.library.is_some()),
        ("realm_hosts", !table.realm_hosts.is_empty()),
    ];
    match of_registries.into_iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => Err(format!(
            "{key}: a repository of charts (kind = \"helm\") has none: leave it out"
        )),
        None => Ok(UpstreamKind::Helm),
    }
}

/// The URL of a repository of charts.
fn repository(text: &str) -> Result<Url, String> {
    let wrong = || format!("url: {text:?} is not a URL such as https://charts.example/stable");
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    check_login(&url, "url")?;
    let is_one = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_one {
        return Err(wrong());
    }
    if url.path().ends_with("/index.yaml") {
        return Err("url: leave index.yaml out of it".to_owned());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn check_login(url: &Url, key: &str) -> Result<(), String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(format!(
        "{key}: leave user and password out of it: username and password_file are for them"
    ))
}

/// A URL that is scheme, host and port.
fn origin(key: &str, text: &str) -> Result<Url, String> {
    let wrong = || format!("{key}: {text:?} is not a URL such as https://registry.example");
    let url = Url::parse(text).map_err(|_| wrong())?;
    check_login(&url, key)?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    is_origin.then_some(url).ok_or_else(wrong)
}

fn login(table: &UpstreamTable) -> Result<Option<(String, SecretFrom)>, String> {
    let secret = match (&table.password_file, &table.password_env) {
        (Some(_), Some(_)) => {
            return Err("password_env: there is a password_file as well: keep one of them".to_owned());
        }
        (Some(file), None) => Some(SecretFrom::File(file.clone())),
        (None, Some(name)) => Some(SecretFrom::Variable(name.clone())),
        (None, None) => None,
    };
    match (&table.username, secret) {
        (None, None) => Ok(None),
        (Some(user), Some(secret)) => Ok(Some((user.clone(), secret))),
        (Some(_), None) => {
            Err("username: it needs a password: name a password_file or a password_env".to_owned())
        }
        (None, Some(_)) => Err("username: a password needs one: name who logs in".to_owned()),
    }
}

fn rules(tables: &[RuleTable], of_all: UpstreamRule) -> Result<Vec<(RepoPattern, UpstreamRule)>, String> {
    if tables.len() > MOST_ENTRIES {
        return Err(format!("rules: {} of them: at most {MOST_ENTRIES}", tables.len()));
    }
    let mut rules = Vec::with_capacity(tables.len());
    for (number, table) in tables.iter().enumerate() {
        let within = |reason| format!("rules[{number}].{reason}");
        let pattern: RepoPattern = parsed("pattern", &table.pattern).map_err(within)?;
        let read = rule(of_all, [&table.fresh, &table.undecided, &table.gone]);
        rules.push((pattern, read.map_err(within)?));
    }
    PatternMap::build(rules.clone()).map_err(|tie| format!("rules: {tie}"))?;
    Ok(rules)
}

fn rule(
    mut rule: UpstreamRule,
    [fresh, undecided, gone]: [&Option<String>; 3],
) -> Result<UpstreamRule, String> {
    if let Some(text) = fresh {
        rule.fresh = parsed::<Span>("fresh", text)?.0;
    }
    match undecided.as_deref() {
        None => {}
        Some("hold") => rule.undecided = Undecided::Hold,
        Some("stream") => rule.undecided = Undecided::Stream,
        Some(other) => return Err(format!("undecided: {other:?}: write hold or stream")),
    }
    match gone.as_deref() {
        None => {}
        Some("keep") => rule.gone = Gone::Keep,
        Some("drop") => rule.gone = Gone::Drop,
        Some(other) => return Err(format!("gone: {other:?}: write keep or drop")),
    }
    Ok(rule)
}

pub(super) fn parsed<T: FromStr>(key: &str, text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{key}: {error}"))
}

fn all<T: FromStr>(key: &str, texts: &[String]) -> Result<Vec<T>, String>
where
    T::Err: std::fmt::Display,
{
    texts.iter().map(|text| parsed(key, text)).collect()
}

#[cfg(test)]
mod tests;
