//! What has to be said of a package beside its package URL, as named texts.
//!
//! Lists are properties of one name, in order. A property is written only where a reader would else understand something
//! different, so most packages have two: path and layer.

use super::limits;
use crate::{Confidence, Package, PackageKind, PlacedPackage, Source};

/// What the names begin with. In `CycloneDX` they are names of properties, in SPDX the words before `=` of an annotation.
pub(super) const PREFIX: &str = "roadbed:";

/// A named text.
pub(super) type Property = (String, String);

/// What `read`, which a reader would understand, lacks of `placed`.
pub(super) fn properties_of(placed: &PlacedPackage, read: &Package, is_kind_said: bool) -> Vec<Property> {
    let mut said = Said::default();
    let package = &placed.package;
    if !is_kind_said {
        said.push("kind", package.kind.purl_type());
    }
    said.push_if_other("name", Some(&package.name), Some(&read.name));
    said.push_if_other("version", Some(&package.version), Some(&read.version));
    if let Some(source) = package.source.as_ref().filter(|_| package.source != read.source) {
        said.push("source-name", &source.name);
        said.push("source-version", &source.version);
    }
    said.push_if_other("arch", package.arch.as_ref(), read.arch.as_ref());
    said.push_if_other(
        "modularity",
        package.modularity.as_ref(),
        read.modularity.as_ref(),
    );
    if package.licences != read.licences {
        said.push_all("licence", &package.licences);
    }
    said.push_all("inner-path", &package.inner_path);
    if package.is_root {
        said.push("root", "true");
    }
    if package.confidence != Confidence::High {
        said.push("confidence", confidence_text(package.confidence));
    }
    if let Some((first, last)) = &package.version_range {
        said.push("first-version", first);
        said.push("last-version", last);
    }
    said.push_all("mitigation", &package.mitigations);
    if let Some(layer) = placed.layer {
        said.push("layer", &layer.to_string());
    }
    if !placed.path.is_empty() {
        said.push("path", &placed.path);
    }
    if let Some(owner) = &placed.owned_by {
        said.push("owned-by", owner);
    }
    said.0
}

/// Properties that are said so far.
#[derive(Default)]
pub(super) struct Said(pub(super) Vec<Property>);

impl Said {
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.0.push((format!("{PREFIX}{name}"), value.to_owned()));
    }

    pub(super) fn push_all(&mut self, name: &str, values: &[String]) {
        for value in values {
            self.push(name, value);
        }
    }

    fn push_if_other(&mut self, name: &str, value: Option<&String>, read: Option<&String>) {
        if let Some(value) = value.filter(|_| value != read) {
            self.push(name, value);
        }
    }
}

/// Properties as they are read.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a>(pub(super) &'a [Property]);

impl<'a> Properties<'a> {
    /// The first of exactly this name.
    pub(super) fn exactly(self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first of ours.
    pub(super) fn first(self, name: &str) -> Option<&'a str> {
        self.ours(name).next()
    }

    /// All of ours of one name, in order.
    pub(super) fn all(self, name: &str) -> Vec<String> {
        self.ours(name).map(str::to_owned).collect()
    }

    fn ours(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known.strip_prefix(PREFIX) == Some(name))
            .map(|(_, value)| value.as_str())
    }

    /// The kind of package, where it is said apart from the package URL.
    pub(super) fn kind(self) -> Option<PackageKind> {
        PackageKind::of_purl_type(self.first("kind")?)
    }

    /// Whether any is ours.
    pub(super) fn has_ours(self) -> bool {
        self.0.iter().any(|(name, _)| name.starts_with(PREFIX))
    }

    /// Says of a package what its properties say.
    pub(super) fn apply(self, package: Package) -> PlacedPackage {
        let mut package = package;
        let replace = |text: &mut String, name: &str| {
            if let Some(value) = self.first(name) {
                value.clone_into(text);
            }
        };
        replace(&mut package.name, "name");
        replace(&mut package.version, "version");
        if let (Some(name), Some(version)) = (self.first("source-name"), self.first("source-version")) {
            package.source = Some(Source {
                name: name.to_owned(),
                version: version.to_owned(),
            });
        }
        let text = |name: &str| self.first(name).map(str::to_owned);
        package.arch = text("arch").or(package.arch);
        package.modularity = text("modularity").or(package.modularity);
        let licences = self.all("licence");
        if !licences.is_empty() {
            package.licences = licences;
        }
        package.inner_path = self.all("inner-path");
        package.is_root = self.first("root") == Some("true");
        package.confidence = self
            .first("confidence")
            .and_then(confidence_of)
            .unwrap_or(package.confidence);
        package.version_range = text("first-version").zip(text("last-version"));
        package.mitigations = self.all("mitigation");
        PlacedPackage {
            package,
            layer: self.layer(),
            path: text("path").unwrap_or_default(),
            owned_by: text("owned-by"),
            coverage: None,
        }
    }

    fn layer(self) -> Option<usize> {
        let layer: usize = self.first("layer")?.parse().ok()?;
        (layer < limits::LAYERS).then_some(layer)
    }
}

const fn confidence_text(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

fn confidence_of(text: &str) -> Option<Confidence> {
    [Confidence::Low, Confidence::Medium, Confidence::High]
        .into_iter()
        .find(|known| confidence_text(*known) == text)
}
