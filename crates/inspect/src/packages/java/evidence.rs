//! What an archive says about itself: `pom.properties`, the manifest, its file name.

use crate::packages::gather::{base_name, is_word, lines};

/// Names of archives that hold classes. Others are recognised by their first bytes.
const SUFFIXES: [&str; 13] = [
    "jar", "war", "ear", "par", "sar", "aar", "hpi", "jpi", "rar", "nar", "kar", "lpkg", "zip",
];
/// What a build adds to the version of archives that hold no code that runs.
const CLASSIFIERS: [&str; 4] = ["-sources", "-javadoc", "-tests", "-test-sources"];

/// Names in which a number comes before the version.
const NUMBERED: [&str; 1] = ["log4j-1.2-api"];

/// A name in a repository. The group may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coordinates {
    /// `org.apache.logging.log4j`.
    pub group: Option<String>,
    /// `log4j-core`.
    pub artifact: String,
    /// `2.14.1`.
    pub version: String,
}

impl Coordinates {
    /// As advisories name it: `group:artifact`.
    pub(super) fn name(&self) -> String {
        match &self.group {
            Some(group) => format!("{group}:{}", self.artifact),
            None => self.artifact.clone(),
        }
    }
}

/// The suffix of an archive's name, if it is one.
pub(super) fn archive_suffix(path: &str) -> Option<&str> {
    let (_, suffix) = base_name(path).rsplit_once('.')?;
    SUFFIXES
        .iter()
        .any(|known| suffix.eq_ignore_ascii_case(known))
        .then_some(suffix)
}

/// Reads `pom.properties` (java.util.Properties, without line continuations, which Maven never writes there).
pub(super) fn pom_properties(text: &str) -> Option<Coordinates> {
    let value = |key: &str| {
        lines(text)
            .filter(|line| !line.starts_with(['#', '!']))
            .filter_map(|line| line.split_once(['=', ':']))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().replace('\\', ""))
            .filter(|value| is_word(value))
    };
    Some(Coordinates {
        group: Some(value("groupId")?),
        artifact: value("artifactId")?,
        version: value("version")?,
    })
}

/// Artifact and version of `name-version.jar`.
pub(super) fn by_file_name(path: &str) -> Option<Coordinates> {
    let suffix = archive_suffix(path)?;
    let stem = &base_name(path)[..base_name(path).len() - suffix.len() - 1];
    let named = NUMBERED
        .iter()
        .find(|name| stem.starts_with(**name))
        .map_or(0, |name| name.len());
    let dash = named
        + stem.as_bytes()[named..]
            .windows(2)
            .position(|pair| pair[0] == b'-' && pair[1].is_ascii_digit())?;
    let (artifact, version) = (&stem[..dash], &stem[dash + 1..]);
    if !is_word(artifact) || !is_word(version) || holds_no_code(stem) {
        return None;
    }
    Some(Coordinates {
        group: None,
        artifact: artifact.to_owned(),
        version: version.to_owned(),
    })
}

/// Whether the name says sources, documentation or tests.
pub(super) fn holds_no_code(stem: &str) -> bool {
    CLASSIFIERS.iter().any(|classifier| stem.ends_with(classifier))
}

/// The main section of a manifest (JAR File Specification).
#[derive(Debug, Default)]
pub(super) struct Manifest {
    fields: Vec<(String, String)>,
}

impl Manifest {
    /// Reads it. Lines that begin with a space continue the one before.
    pub(super) fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in lines(text).take_while(|line| !line.is_empty()) {
            if let Some(more) = line.strip_prefix(' ') {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(more);
                }
            } else if let Some((key, value)) = line.split_once(':') {
                fields.push((key.to_ascii_lowercase(), value.trim_start().to_owned()));
            }
        }
        Self { fields }
    }

    fn field(&self, key: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.trim())
    }

    /// The version that it states, the most specific field first.
    pub(super) fn version(&self) -> Option<&str> {
        [
            "implementation-version",
            "bundle-version",
            "specification-version",
        ]
        .into_iter()
        .filter_map(|key| self.field(key))
        .find(|version| is_word(version) && version.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// `Bundle-SymbolicName` without its directives.
    fn symbolic_name(&self) -> Option<&str> {
        let name = self.field("bundle-symbolicname")?.split(';').next()?.trim();
        is_word(name).then_some(name)
    }

    /// The artifact: a title that can be one, else the end of the symbolic name.
    pub(super) fn artifact(&self) -> Option<&str> {
        let is_id = |text: &&str| is_word(text) && !text.contains(['.', '/', ':']);
        let title = self.field("implementation-title").filter(is_id);
        title.or_else(|| self.symbolic_name()?.rsplit('.').next())
    }

    /// The group, where the vendor's id or the symbolic name is one.
    pub(super) fn group(&self, artifact: &str) -> Option<&str> {
        let is_group = |text: &&str| {
            text.contains('.')
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
        };
        let vendor = self.field("implementation-vendor-id").filter(is_group);
        vendor.or_else(|| {
            let name = self.symbolic_name()?;
            name.strip_suffix(artifact)?.strip_suffix('.').filter(is_group)
        })
    }

    /// Licences as stated.
    pub(super) fn licences(&self) -> Vec<String> {
        let stated = self.field("bundle-license").unwrap_or_default();
        stated
            .split(',')
            .map(|part| part.split(';').next().unwrap_or_default().trim().to_owned())
            .collect()
    }
}
