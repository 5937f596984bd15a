//! log4j-core by its classes, where its coordinates were stripped or its packages moved.
//!
//! Two kinds of marks tell the version: the CRC-32 of some classes, which relocation changes, and which classes exist, which
//! it does not. `log4j_core.txt` has both for every release.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use findings::{Confidence, Package, PackageKind};

/// The name that advisories use.
pub(super) const NAME: &str = "org.apache.logging.log4j:log4j-core";
/// The mitigation that Apache's advisory names for those who cannot update.
pub(super) const REMOVED: &str = "JndiLookup.class removed";

const ROOT: &str = "log4j/core/";
const LOOKUP: &str = "lookup/JndiLookup";
/// Modules such as log4j-jpa have classes in core's packages; only core itself has these.
const MARKERS: [&str; 2] = ["LoggerContext", "lookup/Interpolator"];
/// Where the classes lie when nobody moved them.
const HOME: &str = "org/apache/logging/";
/// Suffixes of what is about a class but is none.
const TEXTS: [&str; 7] = ["java", "html", "md", "txt", "json", "xml", "kt"];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("log4j_core.txt")));

struct Table {
    checksummed: Vec<&'static str>,
    telling: Vec<&'static str>,
    releases: Vec<Release>,
}

struct Release {
    version: &'static str,
    checksums: Vec<Option<u32>>,
    present: Vec<bool>,
}

impl Release {
    /// The lookup is the first of the classes with checksums.
    fn has_lookup(&self) -> bool {
        self.checksums.first().is_some_and(Option::is_some)
    }
}

impl Table {
    fn parse(text: &'static str) -> Self {
        let mut table = Self {
            checksummed: Vec::new(),
            telling: Vec::new(),
            releases: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["crc", class] => table.checksummed.push(class),
                ["has", class] => table.telling.push(class),
                [version, checksums @ .., present] => table.releases.push(Release {
                    version,
                    checksums: checksums
                        .iter()
                        .map(|crc| u32::from_str_radix(crc, 16).ok())
                        .collect(),
                    present: present.bytes().map(|bit| bit == b'1').collect(),
                }),
                _ => {}
            }
        }
        table
    }
}

/// The marks of one copy of log4j-core.
#[derive(Debug, Default)]
struct Copy {
    /// The path of the lookup.
    lookup: Option<String>,
    /// Whether its classes have the usual suffix.
    renamed: bool,
    markers: [bool; MARKERS.len()],
    checksums: BTreeMap<usize, u32>,
    present: BTreeSet<usize>,
}

/// The marks of all copies in one archive, by what their paths begin with.
#[derive(Debug, Default)]
pub(super) struct Marks {
    copies: BTreeMap<String, Copy>,
}

/// One copy, judged.
pub(super) struct Judged {
    /// Whether it lies where nobody moved it.
    pub is_home: bool,
    /// Whether it has the lookup.
    pub has_lookup: bool,
    /// Versions whose marks it has, in order; empty when the checksums are of no known release.
    pub exact: Vec<&'static str>,
    /// As a package: a guess with its range.
    pub package: Package,
}

impl Marks {
    /// Notes the path of an entry.
    pub(super) fn note(&mut self, path: &str, checksum: u32) {
        let Some((prefix, class, suffix)) = split(path) else {
            return;
        };
        // The prefixes are no more than what the directory of the archive holds.
        let copy = self.copies.entry(prefix.to_owned()).or_default();
        copy.note(path, class, suffix, checksum);
    }

    /// Each copy of log4j-core that there is.
    pub(super) fn judge(&self) -> Vec<Judged> {
        self.copies
            .iter()
            .filter_map(|(prefix, copy)| copy.judge(prefix))
            .collect()
    }
}

/// Prefix, class below [`ROOT`] and suffix of a path; `None` for what is no class of log4j-core.
fn split(path: &str) -> Option<(&str, &str, &str)> {
    let root = path.find(ROOT)?;
    if path.starts_with("META-INF/versions/") || !(root == 0 || path[..root].ends_with('/')) {
        return None;
    }
    let (class, suffix) = path[root + ROOT.len()..].split_once('.')?;
    (!TEXTS.contains(&suffix)).then_some((&path[..root], class, suffix))
}

/// Whether a loose file is the lookup.
pub(super) fn is_loose_lookup(path: &str) -> bool {
    path.ends_with("log4j/core/lookup/JndiLookup.class") && split(path).is_some()
}

/// Whether a version is older than the lookup, which came with 2.0-beta9.
pub(super) fn predates_lookup(version: &str) -> bool {
    let beta = version
        .strip_prefix("2.0-beta")
        .and_then(|number| number.parse::<u32>().ok());
    version.starts_with("2.0-alpha") || beta.is_some_and(|number| number < 9)
}

/// Whether the table has a release of this version.
pub(super) fn knows_version(version: &str) -> bool {
    TABLE.releases.iter().any(|release| release.version == version)
}

impl Copy {
    fn note(&mut self, path: &str, class: &str, suffix: &str, checksum: u32) {
        let table = &*TABLE;
        if class == LOOKUP {
            self.lookup = Some(path.to_owned());
        }
        for (seen, marker) in self.markers.iter_mut().zip(MARKERS) {
            *seen |= class == marker;
        }
        self.renamed |= suffix != "class" && (class == LOOKUP || MARKERS.contains(&class));
        if let Some(place) = table.checksummed.iter().position(|known| *known == class) {
            self.checksums.insert(place, checksum);
        }
        if let Some(place) = table.telling.iter().position(|known| *known == class) {
            self.present.insert(place);
        }
    }

    fn judge(&self, prefix: &str) -> Option<Judged> {
        let is_whole = self.markers.iter().all(|seen| *seen);
        if self.lookup.is_none() && !is_whole {
            return None;
        }
        let exact = self.by_checksums();
        let candidates = if exact.is_empty() {
            self.by_presence(is_whole)
        } else {
            exact.clone()
        };
        let first = candidates.first()?;
        let last = candidates.last()?;
        let mut package = Package::new(PackageKind::Java, NAME, *first);
        package.version_range = (first != last).then(|| ((*first).to_owned(), (*last).to_owned()));
        package.confidence = if self.renamed || !is_whole {
            Confidence::Low
        } else {
            Confidence::Medium
        };
        package.inner_path = vec![self.lookup.clone().unwrap_or_else(|| format!("{prefix}{ROOT}"))];
        if self.lookup.is_none() && !predates_lookup(first) {
            package.mitigations.push(REMOVED.to_owned());
        }
        Some(Judged {
            is_home: prefix == HOME,
            has_lookup: self.lookup.is_some(),
            exact,
            package,
        })
    }

    /// Releases that have all of the checksums that any release has. One class of another build is enough for none.
    fn by_checksums(&self) -> Vec<&'static str> {
        if self.checksums.is_empty() {
            return Vec::new();
        }
        let matches = |release: &Release| {
            let mut all = self.checksums.iter();
            all.all(|(place, crc)| release.checksums[*place] == Some(*crc))
        };
        let same = versions(|release| matches(release) && self.has_same(release));
        if same.is_empty() { versions(matches) } else { same }
    }

    /// Releases with the same of the telling classes; else those with at least the ones that were left; else all. Of those
    /// that are older than the lookup only what is the same.
    fn by_presence(&self, is_whole: bool) -> Vec<&'static str> {
        let same =
            versions(|release| self.has_same(release) && (self.lookup.is_none() || release.has_lookup()));
        if is_whole && !same.is_empty() {
            return same;
        }
        let has_at_least = |release: &Release| self.present.iter().all(|place| release.present[*place]);
        let at_least = versions(|release| release.has_lookup() && has_at_least(release));
        if at_least.is_empty() {
            versions(Release::has_lookup)
        } else {
            at_least
        }
    }

    fn has_same(&self, release: &Release) -> bool {
        let mut classes = release.present.iter().enumerate();
        classes.all(|(place, has)| *has == self.present.contains(&place))
    }
}

fn versions(matches: impl Fn(&Release) -> bool) -> Vec<&'static str> {
    TABLE
        .releases
        .iter()
        .filter(|release| matches(release))
        .map(|release| release.version)
        .collect()
}
