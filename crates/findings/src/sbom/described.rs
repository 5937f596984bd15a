//! From what a document says of one component to the package that it is.

use std::collections::BTreeMap;

use super::{
    Sbom, foreign,
    limits::NAMED_TYPES,
    property::{Properties, Property},
};
use crate::{OsRelease, Package, Purl, harmless};

/// Types of package URLs that are the image itself, or its parts.
const NO_PACKAGES: [&str; 2] = ["oci", "docker"];

/// What a document says of a component.
#[derive(Debug, Default, Clone)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) version: String,
    pub(super) purl: Option<String>,
    pub(super) licences: Vec<String>,
    pub(super) properties: Vec<Property>,
    /// SPDX only.
    pub(super) source_info: Option<String>,
}

/// What can be made of it.
pub(super) enum Understood {
    Package(Box<Package>, Option<OsRelease>),
    /// A package URL of a type that is not known here.
    OtherType(String),
    /// A package URL that is none, with the reason.
    Broken(String),
    /// No package: nothing is said that would make it one.
    Nothing,
}

impl Described {
    /// Before its properties are applied.
    pub(super) fn understand(&self) -> Understood {
        let kind = Properties(&self.properties).kind();
        let by_name = |why: Understood| match kind {
            Some(kind) => {
                let mut package = Package::new(kind, self.name.clone(), self.version.clone());
                package.licences.clone_from(&self.licences);
                Understood::Package(Box::new(package), None)
            }
            None => why,
        };
        let Some(purl) = &self.purl else {
            return by_name(Understood::Nothing);
        };
        let parsed = match Purl::parse(purl) {
            Ok(parsed) => parsed,
            Err(error) => return by_name(Understood::Broken(error.to_string())),
        };
        let named = self
            .stated_names()
            .into_iter()
            .filter_map(|name| parsed.to_package_named(&name))
            .max_by_key(|(package, _)| self.stated_names().contains(&package.name));
        let Some((mut package, os)) = named else {
            return by_name(Understood::OtherType(parsed.type_name));
        };
        if package.version.is_empty() {
            package.version.clone_from(&self.version);
        }
        package.licences.clone_from(&self.licences);
        Understood::Package(Box::new(package), os)
    }

    /// The name as ecosystems spell it, and it alone.
    fn stated_names(&self) -> Vec<String> {
        let alone = self.name.clone();
        match self.group.as_deref() {
            None | Some("") => vec![alone],
            Some(group) => vec![format!("{group}:{alone}"), format!("{group}/{alone}"), alone],
        }
    }
}

/// Makes an SBOM of components, one after the other.
#[derive(Default)]
pub(super) struct Gathering {
    sbom: Sbom,
    /// What the packages say, if the document does not.
    os_of_packages: Option<OsRelease>,
    other_types: BTreeMap<String, usize>,
    broken: usize,
    broken_because: Option<String>,
}

impl Gathering {
    pub(super) fn add(&mut self, described: &Described) {
        match described.understand() {
            Understood::Nothing => {}
            Understood::OtherType(name) if NO_PACKAGES.contains(&name.as_str()) => {}
            Understood::OtherType(name) => *self.other_types.entry(name).or_default() += 1,
            Understood::Broken(why) => self.add_broken(why),
            Understood::Package(package, os) => {
                let properties = Properties(&described.properties);
                let mut placed = properties.apply(*package);
                if !properties.has_ours() {
                    foreign::apply(&mut placed, properties, described.source_info.as_deref());
                }
                self.sbom.packages.push(placed);
                self.note_os(os);
            }
        }
    }

    /// A component that cannot be read at all.
    pub(super) fn add_broken(&mut self, why: String) {
        self.broken += 1;
        self.broken_because.get_or_insert(why);
    }

    /// The first that says its version, else the first at all.
    fn note_os(&mut self, os: Option<OsRelease>) {
        let Some(os) = os.map(foreign::tidied) else {
            return;
        };
        let is_better = |known: &OsRelease| {
            known.version.is_empty()
                && known.codename.is_empty()
                && !(os.version.is_empty() && os.codename.is_empty())
        };
        if self.os_of_packages.as_ref().is_none_or(is_better) {
            self.os_of_packages = Some(os);
        }
    }

    pub(super) fn set_os(&mut self, os: OsRelease) {
        self.sbom.os.get_or_insert(os);
    }

    pub(super) fn set_subject(&mut self, name: &str, properties: Properties<'_>) {
        if self.sbom.subject.is_none() {
            self.sbom.subject = Some(name.to_owned());
            self.sbom.layers = super::cyclonedx::layers_of(properties);
        }
    }

    pub(super) fn finish(mut self) -> Sbom {
        if self.sbom.os.is_none() {
            self.sbom.os = self.os_of_packages;
        }
        if self.broken > 0 {
            let why = self.broken_because.unwrap_or_default();
            let count = self.broken;
            self.sbom
                .unknowns
                .push(format!("{count} components could not be read, the first: {why}"));
        }
        if !self.other_types.is_empty() {
            let count: usize = self.other_types.values().sum();
            let names: Vec<_> = self.other_types.keys().take(NAMED_TYPES).collect();
            let names = names
                .iter()
                .map(|name| harmless(name))
                .collect::<Vec<_>>()
                .join(", ");
            self.sbom.unknowns.push(format!(
                "{count} packages of types that are not known here: {names}"
            ));
        }
        self.sbom
    }
}
