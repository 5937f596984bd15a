//! Versions of packages: all that advisories ask about, once for each combination.

use std::collections::BTreeSet;

use findings::{Confidence, Ecosystem, Package, PackageKind, Source};

use super::{Fleet, NONE, posting::Posting, slots::Keyed};

/// One version of a package as evidence states it. Numbers are those of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) kind: PackageKind,
    pub(super) confidence: Confidence,
    pub(super) name: u32,
    pub(super) number: u32,
    pub(super) source_name: u32,
    pub(super) source_number: u32,
    pub(super) modularity: u32,
    /// First and last version that the evidence allows.
    pub(super) first: u32,
    pub(super) last: u32,
    /// A list.
    pub(super) mitigations: u32,
}

impl Keyed for Version {
    type Key = Self;

    fn key(&self) -> Self {
        *self
    }
}

/// Names that differ in case and separators only are kept together; who asks compares them by the rule of their ecosystem.
pub(super) fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if folded.ends_with('-') => {}
            '-' | '_' | '.' => folded.push('-'),
            letter => folded.extend(letter.to_lowercase()),
        }
    }
    folded
}

/// Whether two spellings are the same package. Java's may leave out the group.
pub(super) fn is_same_name(kind: PackageKind, asked: &str, name: &str) -> bool {
    let Some(ecosystem) = kind.language_ecosystem() else {
        return asked == name;
    };
    match ecosystem {
        Ecosystem::Maven if !asked.contains(':') => asked == artifact(name),
        Ecosystem::Npm => asked.eq_ignore_ascii_case(name),
        Ecosystem::CratesIo => asked.replace('_', "-") == name.replace('_', "-"),
        _ => ecosystem.comparable_name(asked) == ecosystem.comparable_name(name),
    }
}

/// The name without its group.
pub(super) fn artifact(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, artifact)| artifact)
}

impl Fleet {
    pub(super) fn intern_version(&mut self, package: &Package) -> u32 {
        let strings = &mut self.strings;
        let source = package.source.as_ref();
        let range = package.version_range.as_ref();
        let version = Version {
            kind: package.kind,
            confidence: package.confidence,
            name: strings.intern(&package.name),
            number: strings.intern(&package.version),
            source_name: strings.intern_some(source.map(|source| source.name.as_str())),
            source_number: strings.intern_some(source.map(|source| source.version.as_str())),
            modularity: strings.intern_some(package.modularity.as_deref()),
            first: strings.intern_some(range.map(|(first, _)| first.as_str())),
            last: strings.intern_some(range.map(|(_, last)| last.as_str())),
            mitigations: strings.intern_list(&package.mitigations),
        };
        self.put_version(version)
    }

    pub(super) fn put_version(&mut self, version: Version) -> u32 {
        if let Some(number) = self.versions.find(&version) {
            return number;
        }
        let number = self.versions.insert(version);
        for name in self.names_of(&version) {
            let name = self.strings.intern(&name);
            self.by_name
                .entry((version.kind, name))
                .or_default()
                .insert(number);
        }
        number
    }

    /// Forgets a version that no unit states.
    pub(super) fn drop_version(&mut self, number: u32) {
        let Some(version) = self.versions.remove(number) else {
            return;
        };
        for name in self.names_of(&version) {
            let Some(name) = self.strings.find(&name) else {
                continue;
            };
            let Some(posting) = self.by_name.get_mut(&(version.kind, name)) else {
                continue;
            };
            posting.remove(number);
            if posting.is_empty() {
                self.by_name.remove(&(version.kind, name));
            }
        }
    }

    /// Under what it is looked for.
    fn names_of(&self, version: &Version) -> BTreeSet<String> {
        let name = self.strings.get(version.name);
        let mut names = BTreeSet::from([fold(name)]);
        if version.kind == PackageKind::Java {
            names.insert(fold(artifact(name)));
            names.extend(name.split_once(':').map(|(group, _)| format!("{}:", fold(group))));
        }
        if version.source_name != NONE {
            names.insert(fold(self.strings.get(version.source_name)));
        }
        names
    }

    /// Versions that may be those of a name.
    pub(super) fn versions_named(&self, kind: PackageKind, name: &str) -> Vec<u32> {
        let Some(name) = self.strings.find(&fold(name)) else {
            return Vec::new();
        };
        let mut numbers = Vec::new();
        self.by_name
            .get(&(kind, name))
            .unwrap_or(&Posting::None)
            .for_each(|number| numbers.push(number));
        numbers
    }

    /// Names of packages, as they are spelt, some more than once; of all images, whoever may see them.
    pub fn package_names(&self) -> impl Iterator<Item = &str> {
        self.by_name.values().filter_map(|numbers| {
            let mut first = None;
            numbers.for_each(|number| first = first.or(Some(number)));
            let version = self.versions.get(first?)?;
            Some(self.strings.get(version.name))
        })
    }

    /// The package, without where it lies.
    pub(super) fn package(&self, version: &Version) -> Package {
        let text = |number| self.strings.get(number).to_owned();
        let mut package = Package::new(version.kind, text(version.name), text(version.number));
        package.source = (version.source_name != NONE).then(|| Source {
            name: text(version.source_name),
            version: text(version.source_number),
        });
        package.modularity = self.strings.some(version.modularity);
        package.confidence = version.confidence;
        package.version_range = (version.first != NONE).then(|| (text(version.first), text(version.last)));
        package.mitigations = self.strings.list(version.mitigations);
        package
    }
}
