//! Questions about a Java class.
//!
//! Layers keep no list of all classes. What is known of one: where inspection found it (copies of log4j-core without their
//! coordinates, also moved and renamed ones), and which artifacts have it when nobody took it out. Of any other class the group
//! of an artifact tells only that it may be there.

use findings::{Confidence, PackageKind};

use super::{
    Fleet, NONE,
    answer::{Answer, Found, Hit, State},
    posting::Posting,
    scope::Scope,
    version::Version,
};
use crate::question::JavaClass;

/// A class, the artifact that has it and what inspection says where somebody took it out.
struct Known {
    class: &'static str,
    package: &'static str,
    removed: &'static str,
    /// The first release that has it.
    since: &'static str,
}

const KNOWN: [Known; 1] = [Known {
    class: "org.apache.logging.log4j.core.lookup.JndiLookup",
    package: "org.apache.logging.log4j:log4j-core",
    removed: "JndiLookup.class removed",
    since: "2.0-beta9",
}];

/// Parts at the end of a class's name by which a copy that was moved into another package is still known.
const TELLING_PARTS: usize = 4;

/// A class as it is looked for in paths.
#[derive(Debug, Clone)]
pub(super) struct ClassPath {
    /// `log4j/core/lookup/JndiLookup.`: the end of the path, without its suffix, which some rename.
    end: String,
    simple_name: String,
}

impl ClassPath {
    fn of(class: &JavaClass) -> Self {
        let parts: Vec<&str> = class.as_str().split('.').collect();
        let from = parts.len().saturating_sub(TELLING_PARTS);
        Self {
            end: format!("{}.", parts[from..].join("/")),
            simple_name: class.simple_name().to_owned(),
        }
    }

    pub(super) fn is_in(&self, inner_path: &[String]) -> bool {
        inner_path.last().is_some_and(|last| self.is_at(last))
    }

    fn is_at(&self, path: &str) -> bool {
        let Some((before, suffix)) = path.rsplit_once(&self.end) else {
            return false;
        };
        let is_whole = before.is_empty() || before.ends_with(['/', '!']);
        is_whole && !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

impl Fleet {
    /// The images that have a class. Where inspection saw it, or an artifact that is known to have it and of which nobody took it
    /// out, they are affected; mitigated where it was taken out; uncertain where an artifact's group is that of the class.
    pub fn by_class(&self, class: &JavaClass, scope: &Scope) -> Answer {
        let mut found = Found::of(self);
        let known = KNOWN.iter().find(|known| known.class == class.as_str());
        let numbers = match known {
            Some(known) => self.versions_named(PackageKind::Java, known.package),
            None => self.versions_of_group(class),
        };
        for number in numbers {
            let Some(version) = self.versions.get(number) else {
                continue;
            };
            let state = match known {
                Some(known) => self.has_known(known, version),
                None => self.may_have(class, version).then_some(State::Uncertain),
            };
            if let Some(state) = state {
                self.for_each_image(number, false, |image| found.put(image, state));
                self.for_each_hiding_image(number, false, |image| found.put(image, State::Hidden));
                let hit = Hit { state, finding: None };
                found.hits.versions.insert((number, NONE), Some(hit));
            }
        }
        let path = ClassPath::of(class);
        self.units_with_class(&path).for_each(|number| {
            let is_seen = self.units.get(number).is_some_and(|unit| {
                let mut packages = unit.packages.iter();
                packages.any(|stated| path.is_in(&self.strings.list(stated.inner_path)))
            });
            if is_seen {
                self.for_each_image_of_unit(number, false, &mut |image| found.see(image));
                self.for_each_image_hiding_unit(number, false, &mut |image| found.put(image, State::Hidden));
            }
        });
        found.hits.class = Some(path);
        found.into_answer(scope)
    }

    /// Units with a class of this simple name.
    pub(super) fn units_with_class(&self, class: &ClassPath) -> &Posting {
        let units = self.strings.find(&class.simple_name);
        let units = units.and_then(|name| self.classes.get(&name));
        units.unwrap_or(&Posting::None)
    }

    /// Versions of artifacts whose group may be the beginning of the class's package.
    fn versions_of_group(&self, class: &JavaClass) -> Vec<u32> {
        let text = class.as_str();
        let groups = text
            .match_indices('.')
            .skip(1)
            .map(|(end, _)| format!("{}:", &text[..end]));
        let numbers = groups.flat_map(|group| self.versions_named(PackageKind::Java, &group));
        numbers.collect()
    }

    fn has_known(&self, known: &Known, version: &Version) -> Option<State> {
        use std::cmp::Ordering::Less;
        if self.strings.get(version.name) != known.package {
            return None;
        }
        let text = self.strings.get(version.number);
        let order = findings::version::compare(findings::Ecosystem::Maven, text, known.since);
        if order == Ok(Less) {
            return None;
        }
        let is_removed = self
            .strings
            .list(version.mitigations)
            .iter()
            .any(|seen| seen == known.removed);
        Some(match version.confidence {
            _ if is_removed => State::Mitigated,
            Confidence::Low => State::Uncertain,
            Confidence::Medium | Confidence::High => State::Affected,
        })
    }

    /// Whether the artifact's group is the beginning of the class's package.
    fn may_have(&self, class: &JavaClass, version: &Version) -> bool {
        let name = self.strings.get(version.name);
        let Some((group, _)) = name.split_once(':') else {
            return false;
        };
        let rest = class.as_str().strip_prefix(group);
        group.contains('.') && rest.is_some_and(|rest| rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_known_where_it_was_moved_to() {
        let class: JavaClass = "org.apache.logging.log4j.core.lookup.JndiLookup".parse().unwrap();
        let path = ClassPath::of(&class);
        let table = [
            ("org/apache/logging/log4j/core/lookup/JndiLookup.class", true),
            ("com/x/shaded/log4j/core/lookup/JndiLookup.class", true),
            ("agent/log4j/core/lookup/JndiLookup.esclazz", true),
            ("log4j/core/lookup/JndiLookup.class", true),
            ("mylog4j/core/lookup/JndiLookup.class", false),
            ("org/apache/logging/log4j/core/lookup/JndiLookupTest.class", false),
            ("org/apache/logging/log4j/core/lookup/JndiLookup.", false),
            ("", false),
        ];
        for (text, is_it) in table {
            assert_eq!(path.is_in(&[text.to_owned()]), is_it, "{text}");
        }
    }
}
