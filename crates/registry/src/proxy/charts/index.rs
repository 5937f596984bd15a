//! The index of a repository of charts: a YAML document that strangers wrote, in bounded time and memory.
//!
//! Each version becomes the JSON of its metadata at once, so that what is held of a large index is about as large as the index. What
//! cannot be a repository or a tag here is passed over and counted: a chart whose name is none, a version that is longer than a
//! tag, one without a URL over HTTP or of a registry.

use std::fmt;

use oci::{Algorithm, Digest, RepoName, Tag};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::{Charts, tag_of};

/// What an index may have. Each stops an index that would fill the memory or the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Bytes of the document. Default 32 MiB: large public ones have 20.
    pub bytes: usize,
    /// Versions of all charts. Default 100,000.
    pub versions: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            versions: 100_000,
        }
    }
}

/// Nodes of an index for each version that it may have: metadata has some dozens.
const NODES_PER_VERSION: usize = 200;

/// Nodes of any index, whatever `versions` says: a document with many keywords and few versions.
const NODES: usize = 100_000;

/// How deep an index may be nested: metadata is about eight deep.
const DEPTH: usize = 32;

/// Aliases of an index; generators write none.
const ALIASES: usize = 1_000;

/// Events that all aliases together may stand for (a list of lists of lists that are aliases: the bomb).
const REPLAYED: usize = 10_000;

/// Bytes of one chart's or version's name.
const NAME_BYTES: usize = 250;

/// Bytes of a URL.
const URL_BYTES: usize = 4_096;

/// Why an index cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IndexError {
    /// It is no text.
    #[error("it is no UTF-8 text")]
    NotText,
    /// It is larger than is read.
    #[error("it has more than {limit} bytes (proxy.index_bytes)")]
    TooLarge {
        /// How many are read.
        limit: usize,
    },
    /// It is no index, or a limit was met.
    #[error("line {line}: {reason}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What is wrong, clipped.
        reason: String,
    },
}

/// Characters of a reason that are told.
const REASON_CHARS: usize = 300;

/// A version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChartVersion {
    pub(crate) name: Box<str>,
    pub(crate) version: Box<str>,
    /// The version as a tag.
    pub(crate) tag: Tag,
    /// Where its archive is: whole, or relative to the index.
    pub(crate) url: Box<str>,
    /// SHA-256 of the archive, where that is stated.
    pub(crate) digest: Option<Digest>,
    /// When it was made, in the words of the index.
    pub(crate) created: Option<Box<str>>,
    /// What `Chart.yaml` says, as JSON.
    pub(crate) metadata: Box<str>,
}

/// What a repository has.
#[derive(Debug, Clone, Default)]
pub struct ChartIndex {
    pub(crate) charts: Charts,
    /// Names in their order.
    pub(crate) names: Vec<RepoName>,
    /// Versions that can be nothing here.
    pub(crate) passed_over: usize,
}

impl ChartIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn read(bytes: &[u8], limits: &IndexLimits) -> Result<Self, IndexError> {
        if bytes.len() > limits.bytes {
            return Err(IndexError::TooLarge { limit: limits.bytes });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| IndexError::NotText)?;
        let nodes = limits.versions.saturating_mul(NODES_PER_VERSION).max(NODES);
        let options = serde_saphyr::options! {
            with_snippet: false,
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
            budget: serde_saphyr::budget! {
                max_depth: DEPTH,
                max_nodes: nodes,
                max_events: nodes.saturating_mul(3),
                max_aliases: ALIASES,
                max_anchors: ALIASES,
            },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED },
        };
        let seed = Document {
            most: limits.versions,
        };
        let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
            seed.deserialize(yaml)
        });
        read.map_err(|error| malformed(&error))
    }

    /// The versions of a chart, in the order of the index.
    pub(crate) fn versions(&self, chart: &RepoName) -> &[ChartVersion] {
        self.charts.get(chart).map_or(&[], Vec::as_slice)
    }

    /// The place of a version among those of its chart.
    pub(crate) fn find(&self, chart: &RepoName, tag: &Tag) -> Option<usize> {
        self.versions(chart)
            .iter()
            .position(|version| version.tag == *tag)
    }

    /// Versions of all charts.
    pub(crate) fn len(&self) -> usize {
        self.charts.values().map(Vec::len).sum()
    }
}

fn malformed(error: &serde_saphyr::Error) -> IndexError {
    let text = error.without_snippet().to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    IndexError::Malformed {
        line: error.location().map_or(1, |location| location.line()),
        reason: reason
            .chars()
            .take(REASON_CHARS)
            .flat_map(char::escape_debug)
            .collect(),
    }
}

/// The whole document.
struct Document {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Document {
    type Value = ChartIndex;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ChartIndex, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = ChartIndex;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index of charts, with apiVersion and entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChartIndex, A::Error> {
        let (mut index, mut has_version) = (ChartIndex::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "entries" => {
                    index = map.next_value_seed(Entries(self.most))?;
                }
                "apiVersion" => {
                    let version: Option<String> = map.next_value()?;
                    has_version = version.is_some_and(|version| !version.is_empty());
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !has_version {
            // Helm refuses such an index too.
            return Err(A::Error::custom(
                "it has no apiVersion: is it an index of charts?",
            ));
        }
        Ok(index)
    }
}

/// The charts, at most so many versions of all of them.
struct Entries(usize);

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = ChartIndex;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ChartIndex, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = ChartIndex;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("charts by name")
    }

    fn visit_none<E>(self) -> Result<ChartIndex, E> {
        Ok(ChartIndex::default())
    }

    fn visit_unit<E>(self) -> Result<ChartIndex, E> {
        Ok(ChartIndex::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ChartIndex, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ChartIndex, A::Error> {
        let (mut index, mut read) = (ChartIndex::default(), 0);
        while let Some(name) = map.next_key::<String>()? {
            let entries = map.next_value_seed(Versions {
                read: &mut read,
                most: self.0,
            })?;
            let count = entries.len();
            // A chart is one component of a name here.
            let chart: Option<RepoName> = name
                .parse()
                .ok()
                .filter(|_| !name.contains('/') && name.len() <= NAME_BYTES);
            let Some(chart) = chart else {
                index.passed_over += count;
                continue;
            };
            let versions = index.charts.entry(chart.clone()).or_default();
            for version in entries.into_iter().filter_map(|entry| entry.into_version(&name)) {
                // Two versions that are one tag: the first is the one that Helm takes.
                if !versions.iter().any(|before| before.tag == version.tag) {
                    versions.push(version);
                }
            }
            index.passed_over += count.saturating_sub(versions.len());
        }
        index.charts.retain(|_, versions| !versions.is_empty());
        index.names = index.charts.keys().cloned().collect();
        index.names.sort();
        Ok(index)
    }
}

/// The versions of one chart.
struct Versions<'r> {
    read: &'r mut usize,
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Versions<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Versions<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("versions of a chart")
    }

    fn visit_none<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Vec<Entry>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element::<Option<Entry>>()? {
            *self.read += 1;
            if *self.read > self.most {
                let most = self.most;
                return Err(A::Error::custom(format!(
                    "it has more than {most} versions (proxy.index_versions)"
                )));
            }
            entries.extend(entry);
        }
        Ok(entries)
    }
}

/// A version as an index has it: what its `Chart.yaml` says, and where its archive is. What is not known to Helm is left out.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keywords: Option<Vec<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maintainers: Option<Vec<Option<Maintainer>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deprecated: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<std::collections::BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kube_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dependencies: Option<Vec<Option<Dependency>>>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<String>,
    #[serde(default, skip_serializing)]
    urls: Option<Vec<Option<String>>>,
    #[serde(default, skip_serializing)]
    created: Option<String>,
    #[serde(default, skip_serializing)]
    digest: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Maintainer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Dependency {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import_values: Option<Vec<serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
}

impl Entry {
    /// `None`: it can be nothing here.
    fn into_version(mut self, chart: &str) -> Option<ChartVersion> {
        let version = self.version.clone()?;
        let tag = tag_of(&version)?;
        let urls = self.urls.take()?;
        let url = url_of(&urls, &tag)?;
        let digest = match self.digest.take().filter(|text| !text.is_empty()) {
            None => None,
            // One that cannot be compared promises what nobody can check.
            Some(text) => Some(digest_of(&text)?),
        };
        let created = self.created.take().map(String::into_boxed_str);
        self.name = Some(chart.to_owned());
        Some(ChartVersion {
            name: chart.into(),
            version: version.into(),
            tag,
            url,
            digest,
            created,
            metadata: serde_json::to_string(&self).ok()?.into(),
        })
    }
}

/// Where an archive is: a file if it is one, else in a registry, by a tag or a digest (without either Helm takes the version's).
fn url_of(urls: &[Option<String>], tag: &Tag) -> Option<Box<str>> {
    let schemes = || {
        let urls = urls.iter().flatten().filter(|url| url.len() <= URL_BYTES);
        urls.map(|url| (url, url.split_once("://").map(|(scheme, _)| scheme)))
    };
    if let Some((url, _)) = schemes().find(|(_, scheme)| matches!(scheme, None | Some("http" | "https"))) {
        return Some(url.as_str().into());
    }
    let (url, _) = schemes().find(|(_, scheme)| *scheme == Some("oci"))?;
    let last = url.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        return Some(url.as_str().into());
    }
    Some(format!("{url}:{tag}").into())
}

/// A digest in hexadecimal digits, with or without its algorithm.
fn digest_of(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let digest: Digest = format!("sha256:{}", hex.to_ascii_lowercase()).parse().ok()?;
    (digest.algorithm() == Algorithm::Sha256).then_some(digest)
}
