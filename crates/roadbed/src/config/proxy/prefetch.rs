//! `[[proxy.prefetch]]`: what is fetched from upstreams before somebody pulls it.

use std::time::Duration;

use config::ValueKind;
use oci::{Platform, Reference, RepoName};
use serde::{Deserialize, Serialize};

use super::super::setting::Setting;
use super::super::units::Span;
use super::upstream::{parsed, tables};

/// Tables of one configuration.
const MOST_TABLES: usize = 200;

/// Images of one table.
const MOST_IMAGES: usize = 1_000;

/// Platforms of one table.
const MOST_PLATFORMS: usize = 16;

/// Most tags of one repository that are fetched for one table.
const MOST_NEWEST: usize = 1_000;

/// How often it is looked for what is new, unless something else is said.
const EVERY: Span = Span::seconds(6 * 60 * 60);

/// The same at most and at least.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// The platform that is fetched unless others are named.
const PLATFORM: &str = "linux/amd64";

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PrefetchList(pub(crate) Vec<PrefetchEntry>);

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PrefetchEntry {
    pub(crate) what: PrefetchWhat,
    pub(crate) platforms: Vec<Platform>,
    pub(crate) every: Duration,
    /// Whether the images of charts are fetched with them.
    pub(crate) chart_images: bool,
    /// As it was written.
    table: PrefetchTable,
}

/// What is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PrefetchWhat {
    /// These.
    Images(Vec<(RepoName, Reference)>),
    /// Tags of a repository that match a pattern, the newest of them.
    Tags {
        repository: RepoName,
        pattern: String,
        newest: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PrefetchTable {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart_images: Option<bool>,
}

impl Setting for PrefetchList {
    const UNIT: &'static str = "tables";

    fn read(value: &ValueKind) -> Result<Self, String> {
        let tables: Vec<PrefetchTable> = tables(value, "prefetch", "images = [\"hub/library/alpine:3.22\"]")?;
        if tables.len() > MOST_TABLES {
            return Err(format!("{} tables: at most {MOST_TABLES}", tables.len()));
        }
        let entries = tables.into_iter().enumerate().map(|(number, table)| {
            let read = entry(table);
            read.map_err(|reason| format!("[{number}]: {reason}"))
        });
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    fn to_toml(&self) -> String {
        let tables: Vec<&PrefetchTable> = self.0.iter().map(|entry| &entry.table).collect();
        toml::Value::try_from(tables).map_or_else(|_| "[]".to_owned(), |value| value.to_string())
    }
}

impl PrefetchEntry {
    /// The repositories that it names.
    pub(crate) fn repositories(&self) -> Vec<&RepoName> {
        match &self.what {
            PrefetchWhat::Images(images) => images.iter().map(|(repository, _)| repository).collect(),
            PrefetchWhat::Tags { repository, .. } => vec![repository],
        }
    }
}

fn entry(table: PrefetchTable) -> Result<PrefetchEntry, String> {
    let every = match &table.every {
        None => EVERY.0,
        Some(text) => parsed::<Span>("every", text)?.0,
    };
    if !(SHORTEST..=LONGEST).contains(&every) {
        return Err("every: write a time between 1m and 30d".to_owned());
    }
    let platforms = if table.platforms.is_empty() {
        vec![platform(PLATFORM)?]
    } else {
        table
            .platforms
            .iter()
            .map(|text| platform(text))
            .collect::<Result<_, _>>()?
    };
    if platforms.len() > MOST_PLATFORMS {
        return Err(format!(
            "platforms: {}: at most {MOST_PLATFORMS}",
            platforms.len()
        ));
    }
    Ok(PrefetchEntry {
        what: what(&table)?,
        // `all` alone is all of them.
        platforms: if table.platforms == ["all"] {
            Vec::new()
        } else {
            platforms
        },
        every,
        chart_images: table.chart_images.unwrap_or(false),
        table,
    })
}

fn what(table: &PrefetchTable) -> Result<PrefetchWhat, String> {
    match (&table.repository, table.images.is_empty()) {
        (None, false) => {
            if table.tags.is_some() || table.newest.is_some() {
                return Err(
                    "tags and newest go with a repository, and images have tags of their own".to_owned(),
                );
            }
            if table.images.len() > MOST_IMAGES {
                return Err(format!("images: {}: at most {MOST_IMAGES}", table.images.len()));
            }
            let images = table.images.iter().map(|text| image(text));
            Ok(PrefetchWhat::Images(images.collect::<Result<_, _>>()?))
        }
        (Some(repository), true) => {
            let newest = table.newest.unwrap_or(1);
            if !(1..=MOST_NEWEST).contains(&newest) {
                return Err(format!("newest: {newest}: write 1 to {MOST_NEWEST}"));
            }
            Ok(PrefetchWhat::Tags {
                repository: parsed("repository", repository)?,
                pattern: table.tags.clone().unwrap_or_else(|| "*".to_owned()),
                newest,
            })
        }
        _ => Err("name either images, or a repository with tags".to_owned()),
    }
}

fn image(text: &str) -> Result<(RepoName, Reference), String> {
    let wrong = || format!("images: {text:?}: write hub/library/alpine:3.22 or …@sha256:…");
    let (name, reference) = text
        .split_once('@')
        .or_else(|| text.rsplit_once(':'))
        .ok_or_else(wrong)?;
    let name = name.parse().map_err(|_| wrong())?;
    let reference = reference.parse().map_err(|_| wrong())?;
    Ok((name, reference))
}

fn platform(text: &str) -> Result<Platform, String> {
    if text == "all" {
        return Ok(Platform::default());
    }
    let mut parts = text.split('/');
    let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
    match (os, architecture, parts.next()) {
        (Some(os), Some(architecture), None) if !os.is_empty() && !architecture.is_empty() => Ok(Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            ..Platform::default()
        }),
        _ => Err(format!(
            "platforms: {text:?}: write linux/amd64, linux/arm64/v8 or all"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Config, Sources};
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("roadbed.toml");
        let upstream = "[[proxy.upstreams]]\nname = \"hub\"\nurl = \"https://registry-1.docker.io\"\nallow = [\"library/**\"]\n";
        std::fs::write(&file, format!("{upstream}{text}")).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        Config::load(&sources).map_err(|error| error.to_string())
    }

    #[test]
    fn images_and_patterns_are_read() {
        let config = load(
            "[[proxy.prefetch]]\nimages = [\"hub/library/alpine:3.22\"]\nplatforms = [\"linux/arm64/v8\"]\nevery = \"2h\"\n\
             [[proxy.prefetch]]\nrepository = \"hub/library/debian\"\ntags = \"13.*\"\nnewest = 2\nplatforms = [\"all\"]\n",
        )
        .unwrap();
        let [images, tags] = config.proxy.prefetch.0.as_slice() else {
            panic!("two")
        };
        assert_eq!(images.every, Duration::from_hours(2));
        assert_eq!(images.platforms[0].to_string(), "linux/arm64/v8");
        let alpine = ("hub/library/alpine".parse().unwrap(), "3.22".parse().unwrap());
        assert_eq!(images.what, PrefetchWhat::Images(vec![alpine]));
        assert!(matches!(&tags.what, PrefetchWhat::Tags { newest: 2, pattern, .. } if pattern == "13.*"));
        assert_eq!((tags.platforms.len(), tags.every), (0, EVERY.0));
    }

    #[test]
    fn what_cannot_be_fetched_is_told() {
        for (table, told) in [
            ("images = [\"hub/library/alpine\"]", "…@sha256:"),
            ("images = []", "either images, or a repository"),
            (
                "images = [\"hub/library/a:1\"]\nrepository = \"hub/library/a\"",
                "either images, or a repository",
            ),
            (
                "images = [\"hub/library/a:1\"]\nnewest = 2",
                "go with a repository",
            ),
            ("repository = \"hub/library/a\"\nnewest = 0", "1 to 1000"),
            (
                "images = [\"hub/library/a:1\"]\nevery = \"1s\"",
                "between 1m and 30d",
            ),
            (
                "images = [\"hub/library/a:1\"]\nplatforms = [\"linux\"]",
                "linux/arm64/v8 or all",
            ),
            ("images = [\"local/app:1\"]", "below no upstream"),
            ("images = [\"hub/evil/app:1\"]", "not allowed"),
            ("imagse = []", "imagse"),
        ] {
            let error = load(&format!("[[proxy.prefetch]]\n{table}\n")).unwrap_err();
            assert!(error.contains(told), "{table}: {error}");
        }
    }
}
