//! The images that a Helm chart names: in its values, in what it declares, and in manifests that are what they are.
//!
//! Templates are not rendered: what they make depends on values that nobody knows here. A template that names an image by an
//! expression is said to be unknown, and so is everything that could not be read.

use std::collections::BTreeMap;

use findings::{ChartFacts, ChartImage, ChartUnknown};
use serde::Deserialize;
use serde::de::DeserializeOwned;

mod manifests;
mod reference;
#[cfg(test)]
mod tests;
mod values;

/// `chart.file_bytes`: bytes of one file of a chart that are read (a values file of a gigabyte).
pub(crate) const FILE_BYTES: u64 = 1 << 20;

/// `chart.bytes`: bytes of all of them (a hundred thousand small ones).
const BYTES: usize = 16 << 20;

/// `chart.images`: images that are kept; more are counted.
const IMAGES: usize = 1_000;

/// `chart.unknown`: places that are kept of which nothing is known; more are counted.
const UNKNOWN: usize = 200;

/// `chart.text_bytes`: bytes of a name, a reference, a path or a place that is believed.
const TEXT_BYTES: usize = 1_024;

/// Under this annotation charts declare their images (<https://artifacthub.io/docs/topics/annotations/helm/>).
const DECLARED: &str = "artifacthub.io/images";

/// What a file of a chart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Metadata,
    Values,
    Manifest,
    /// A chart within it, packed.
    Packed,
}

/// Files of what may be a chart, as they come. Whether it is one is known at the end: the archive has one directory, with a
/// `Chart.yaml` in it.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
    unread: Vec<(String, &'static str)>,
}

impl Chart {
    /// Whether a file matters; one that is too large is noted, and not wanted.
    pub(crate) fn wants(&mut self, path: &str, size: u64) -> bool {
        match role(path) {
            None => false,
            Some(Role::Packed) => {
                self.pass_over(path, "a chart that is packed within this one is not looked into");
                false
            }
            Some(_) if size > FILE_BYTES => {
                self.pass_over(path, "it is larger than is read (chart.file_bytes)");
                false
            }
            Some(_) => true,
        }
    }

    /// Takes a file that was wanted.
    pub(crate) fn take(&mut self, path: &str, content: Option<&[u8]>) {
        let Some(content) = content else { return };
        if self.bytes + content.len() > BYTES {
            return self.pass_over(
                path,
                "the files before it are as much as is read of a chart (chart.bytes)",
            );
        }
        self.bytes += content.len();
        // Of two entries with one path the last counts.
        self.files.insert(path.to_owned(), content.to_vec());
    }

    fn pass_over(&mut self, path: &str, why: &'static str) {
        if self.unread.len() <= UNKNOWN {
            self.unread.push((path.to_owned(), why));
        }
    }

    /// What it says about images, if it is a chart.
    pub(crate) fn finish(self) -> Option<ChartFacts> {
        let tops = self.files.keys().filter_map(|path| {
            let (top, rest) = path.split_once('/')?;
            (rest == "Chart.yaml").then_some(top)
        });
        let tops: Vec<&str> = tops.collect();
        let [top] = tops.as_slice() else { return None };
        let prefix = format!("{top}/");
        let mut found = Found::default();
        let metadata = yaml::<Metadata>(self.files.get(&format!("{prefix}Chart.yaml"))?).ok()?;
        found.facts.name = clipped(&metadata.name);
        found.facts.version = clipped(&metadata.version);
        found.facts.app_version = metadata.app_version.as_deref().map(clipped);
        for (path, content) in &self.files {
            if let Some(inner) = path.strip_prefix(&prefix) {
                self.read(&prefix, inner, content, &mut found);
            }
        }
        for (path, why) in &self.unread {
            if let Some(inner) = path.strip_prefix(&prefix) {
                found.unknown(inner, why);
            }
        }
        Some(found.finish())
    }

    fn read(&self, prefix: &str, path: &str, content: &[u8], found: &mut Found) {
        let full = format!("{prefix}{path}");
        let Some(role) = role(&full) else { return };
        match role {
            Role::Metadata => declared(path, content, found),
            Role::Values => {
                // That of a chart within the chart, where it is one of that.
                let directory = full.strip_suffix("values.yaml").unwrap_or(prefix);
                let metadata = self.files.get(&format!("{directory}Chart.yaml"));
                let metadata = metadata.and_then(|content| yaml::<Metadata>(content).ok());
                let app_version = metadata.and_then(|metadata| metadata.app_version);
                values::read(path, content, app_version.as_deref(), found);
            }
            Role::Manifest => manifests::read(path, content, found),
            Role::Packed => {}
        }
    }
}

/// Facts so far.
#[derive(Default)]
struct Found {
    facts: ChartFacts,
}

impl Found {
    /// Notes an image; a text that is no reference is unknown.
    fn image(&mut self, path: &str, place: &str, text: &str, is_tag_assumed: bool) {
        if text.contains("{{") {
            return self.unknown(path, &format!("{place} needs rendering"));
        }
        let reference = reference::normal(text).filter(|reference| reference.len() <= TEXT_BYTES);
        let Some(reference) = reference else {
            return self.unknown(path, &format!("{place} names no image that can be pulled"));
        };
        let image = ChartImage {
            reference,
            path: clipped(path),
            place: clipped(place),
            is_tag_assumed,
        };
        if self.facts.images.contains(&image) {
            return;
        }
        if self.facts.images.len() < IMAGES {
            self.facts.images.push(image);
        } else {
            self.facts.more_images += 1;
        }
    }

    fn unknown(&mut self, path: &str, why: &str) {
        let unknown = ChartUnknown {
            path: clipped(path),
            why: clipped(why),
        };
        if self.facts.unknown.contains(&unknown) {
            return;
        }
        if self.facts.unknown.len() < UNKNOWN {
            self.facts.unknown.push(unknown);
        } else {
            self.facts.more_unknown += 1;
        }
    }

    fn finish(mut self) -> ChartFacts {
        self.facts.images.sort();
        self.facts.unknown.sort();
        self.facts
    }
}

/// What `Chart.yaml` says that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    app_version: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Option<String>>>,
}

/// One image that a chart declares.
#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    image: Option<String>,
}

/// The images that `Chart.yaml` declares.
fn declared(path: &str, content: &[u8], found: &mut Found) {
    let annotations = yaml::<Metadata>(content)
        .ok()
        .and_then(|metadata| metadata.annotations);
    let Some(Some(text)) = annotations
        .as_ref()
        .and_then(|annotations| annotations.get(DECLARED))
    else {
        return;
    };
    match yaml::<Vec<Declared>>(text.as_bytes()) {
        Ok(list) => {
            for (number, declared) in list.iter().enumerate() {
                let place = format!("annotations.{DECLARED}[{number}]");
                if let Some(image) = &declared.image {
                    found.image(path, &place, image, false);
                }
            }
        }
        Err(()) => found.unknown(path, &format!("annotations.{DECLARED} cannot be read")),
    }
}

/// What a file is, by its path within an archive of one directory.
fn role(path: &str) -> Option<Role> {
    let (_, mut rest) = path.split_once('/')?;
    while let Some((_, inner)) = rest.strip_prefix("charts/").and_then(|rest| rest.split_once('/')) {
        rest = inner;
    }
    let has_one_of = |ends: &[&str]| ends.iter().any(|end| rest.ends_with(end));
    match rest {
        "Chart.yaml" => Some(Role::Metadata),
        "values.yaml" => Some(Role::Values),
        _ if rest.starts_with("charts/") => has_one_of(&[".tgz"]).then_some(Role::Packed),
        _ if rest.starts_with("templates/") || rest.starts_with("crds/") => {
            has_one_of(&[".yaml", ".yml", ".json"]).then_some(Role::Manifest)
        }
        _ => None,
    }
}

/// Reads YAML of a chart. Aliases are allowed, and bounded.
fn yaml<T: DeserializeOwned>(content: &[u8]) -> Result<T, ()> {
    let text = std::str::from_utf8(content).map_err(|_| ())?;
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 200_000,
            max_events: 600_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|_| ())
}

/// No longer than is believed, without what would steer a terminal.
fn clipped(text: &str) -> String {
    let mut clipped = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if clipped.len() + character.len_utf8() > TEXT_BYTES {
            break;
        }
        clipped.push(character);
    }
    clipped
}
