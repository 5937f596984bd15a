//! The three places that a value can come from, the later ones winning: the file, the environment, the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::problem::{Origin, Problem};

/// Largest configuration file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Variables are `ROADBED_SECTION__KEY`; those without the double underscore mean something else (`ROADBED_URL`).
pub(super) const PREFIX: &str = "ROADBED_";
pub(super) const SEPARATOR: &str = "__";

/// A value given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// The option, such as `--listen`.
    pub(crate) option: &'static str,
    /// The key that it sets.
    pub(crate) key: &'static str,
    /// Its text.
    pub(crate) value: String,
}

impl Flag {
    /// Those of option, key and value that were given.
    pub(crate) fn given<const N: usize>(
        flags: [(&'static str, &'static str, Option<String>); N],
    ) -> Vec<Self> {
        let given = flags.into_iter().filter_map(|(option, key, value)| {
            Some(Self {
                option,
                key,
                value: value?,
            })
        });
        given.collect()
    }
}

/// Where the three layers come from, before anything is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The variables of the environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// The options of the command line.
    pub(crate) flags: Vec<Flag>,
}

impl Sources {
    /// The file and the environment of this process. Variables that are not text cannot be ours.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self {
            file,
            environment: environment.collect(),
            flags,
        }
    }
}

/// The merged layers, and what set each key.
#[derive(Debug)]
pub(crate) struct Layers {
    merged: config::Map<String, Value>,
    /// By dotted key.
    origins: BTreeMap<String, Origin>,
    /// Of tables in a list of the file and of their keys, such as `proxy.upstreams[2].ca_file`.
    inner: BTreeMap<String, Origin>,
}

impl Layers {
    /// Reads and merges. Fails on a file that cannot be read or is not TOML; unknown keys are for
    /// [`Layers::unknown_keys`] to find.
    pub(crate) fn read(sources: &Sources) -> Result<Self, Problem> {
        let (mut origins, mut inner) = (BTreeMap::new(), BTreeMap::new());
        let mut builder = config::Config::builder();
        if let Some(path) = &sources.file {
            let text = read_file(path)?;
            note_lines(path, &text, (&mut origins, &mut inner))?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        let variables = our_variables(&sources.environment);
        for variable in variables.keys() {
            origins.insert(
                key_of(variable),
                Origin::Environment {
                    variable: variable.clone(),
                },
            );
        }
        builder = builder.add_source(
            Environment::with_prefix("ROADBED")
                .prefix_separator("_")
                .separator(SEPARATOR)
                .source(Some(variables)),
        );
        for Flag { option, key, value } in &sources.flags {
            origins.insert((*key).to_owned(), Origin::Flag { flag: option });
            builder = builder
                .set_override(key, value.as_str())
                .map_err(|error| merge_failed(&error))?;
        }
        let merged = builder
            .build()
            .and_then(|merged| merged.cache.into_table())
            .map_err(|error| merge_failed(&error))?;
        Ok(Self {
            merged,
            origins,
            inner,
        })
    }

    /// What a dotted key is set to.
    pub(crate) fn value(&self, key: &str) -> Option<&ValueKind> {
        let (section, name) = key.split_once('.')?;
        match &self.merged.get(section)?.kind {
            ValueKind::Table(table) => table.get(name).map(|value| &value.kind),
            _ => None,
        }
    }

    /// What set a dotted key.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// What set the key of a table in the list that `key` is; `place` is behind it: `[2].ca_file`. Its table's where it has no line of its
    /// own, and the whole list's where that is not in the file.
    pub(crate) fn origin_within(&self, key: &str, place: &str) -> Origin {
        let of_list = self.origin(key);
        if !matches!(of_list, Origin::File { .. }) {
            return of_list;
        }
        let table = place.split_inclusive(']').next().unwrap_or_default();
        let nearest = [place, table].map(|place| self.inner.get(&format!("{key}{place}")));
        nearest.into_iter().flatten().next().cloned().unwrap_or(of_list)
    }

    /// Every key that is set and is not among `known`, with the known one that is nearest to it.
    pub(crate) fn unknown_keys(&self, known: &[&'static str]) -> Vec<Problem> {
        let is_known = |key: &String| known.contains(&key.as_str());
        let unknown = self.origins.iter().filter(|(key, _)| !is_known(key));
        unknown
            .map(|(key, origin)| complain(key, origin.clone(), known))
            .collect()
    }
}

fn complain(key: &str, origin: Origin, known: &[&'static str]) -> Problem {
    let hint = nearest(key, known.iter().copied()).map(|right| match origin {
        Origin::Environment { .. } => format!(": did you mean {} (`{right}`)?", variable_of(right)),
        _ => format!(": did you mean `{right}`?"),
    });
    Problem::at(origin, format!("unknown key `{key}`{}", hint.unwrap_or_default()))
}

/// The variable that sets a key.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_ascii_uppercase())
}

fn key_of(variable: &str) -> String {
    variable
        .strip_prefix(PREFIX)
        .unwrap_or(variable)
        .replace(SEPARATOR, ".")
        .to_ascii_lowercase()
}

fn our_variables(environment: &BTreeMap<String, String>) -> config::Map<String, String> {
    let ours = |name: &&String| {
        name.strip_prefix(PREFIX)
            .is_some_and(|rest| rest.contains(SEPARATOR))
    };
    environment
        .iter()
        .filter(|(name, _)| ours(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn read_file(path: &Path) -> Result<String, Problem> {
    let at_start = || Origin::File {
        path: path.to_owned(),
        line: 1,
    };
    let bytes = std::fs::metadata(path)
        .map_err(|error| {
            Problem::at(
                Origin::Default,
                format!("cannot read {}: {error}", path.display()),
            )
        })?
        .len();
    if bytes > MAX_FILE_BYTES {
        return Err(Problem::at(
            at_start(),
            format!("{bytes} bytes are no configuration: at most {MAX_FILE_BYTES}"),
        ));
    }
    std::fs::read_to_string(path).map_err(|error| {
        Problem::at(
            Origin::Default,
            format!("cannot read {}: {error}", path.display()),
        )
    })
}

/// Notes in which line each key of the file stands, and each one of tables in lists.
fn note_lines(
    path: &Path,
    text: &str,
    (origins, inner): (&mut BTreeMap<String, Origin>, &mut BTreeMap<String, Origin>),
) -> Result<(), Problem> {
    let at = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: line_of(text, offset),
    };
    let document = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Problem::at(at(offset), format!("not TOML: {}", error.message()))
    })?;
    for (section, value) in document.get_ref() {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    let name = format!("{}.{}", section.get_ref(), key.get_ref());
                    note_tables(&name, value.get_ref(), &at, inner);
                    origins.insert(name, at(key.span().start));
                }
            }
            _ => {
                origins.insert(section.get_ref().to_string(), at(section.span().start));
            }
        }
    }
    Ok(())
}

fn note_tables(
    list: &str,
    value: &DeValue<'_>,
    at: &impl Fn(usize) -> Origin,
    inner: &mut BTreeMap<String, Origin>,
) {
    let DeValue::Array(items) = value else { return };
    for (number, item) in items.iter().enumerate() {
        let DeValue::Table(table) = item.get_ref() else {
            continue;
        };
        let place = format!("{list}[{number}]");
        for (key, _) in table {
            inner.insert(format!("{place}.{}", key.get_ref()), at(key.span().start));
        }
        inner.insert(place, at(item.span().start));
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn merge_failed(error: &config::ConfigError) -> Problem {
    Problem::at(Origin::Default, error.to_string())
}
