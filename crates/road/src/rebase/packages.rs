//! Databases of package managers merged three ways, package by package: what the base had comes from the new base, what the
//! application installed stays, and what that needs must still be there.

mod apk;
mod dpkg;
mod relation;

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::obstacle::Obstacle;
use relation::{Alternative, Relation};

pub(super) use apk::{merge_apk, merge_apk_scripts};
pub(super) use dpkg::{merge_apt_states, merge_dpkg};

/// Most packages of one database.
pub const MAX_PACKAGES: usize = 100_000;

/// Most bytes of one database.
pub const MAX_DATABASE_BYTES: usize = 64 << 20;

/// Most dependencies of one package.
pub const MAX_RELATIONS: usize = 10_000;

/// Most packages that answer to one name: each dependency asks all of them.
pub const MAX_PROVIDERS: usize = 1_000;

/// A package of the base on its way from one release to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Its name; with its architecture where that is a foreign one.
    pub package: String,
    /// Its version before; `None`: it is new.
    pub from: Option<String>,
    /// Its version now; `None`: it is gone.
    pub to: Option<String>,
}

/// A merged database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MergedPackages {
    /// Its bytes.
    pub(super) text: String,
    /// What changed below the application.
    pub(super) changes: Vec<PackageChange>,
    /// Packages of the application, which stay.
    pub(super) own: Vec<String>,
}

/// What a package is found again by.
type Key = String;

/// One package as a database has it.
#[derive(Debug, Clone)]
struct Installed<'a> {
    key: Key,
    name: &'a str,
    version: &'a str,
    /// As it stands there, without the empty line behind it.
    text: &'a str,
    /// Its files are there, not only what it was configured with.
    is_there: bool,
    /// What the administrator wants done with it (dpkg: `install`, `hold`).
    selection: &'a str,
    needs: Vec<Relation<'a>>,
    forbids: Vec<Relation<'a>>,
    /// Other names that it answers to, with the version as which it does.
    provides: Vec<(&'a str, Option<&'a str>)>,
}

/// Whose rules: how versions are ordered and how a package is written.
struct Rules {
    /// What the database is called where it is told of.
    database: &'static str,
    compare: fn(&str, &str) -> Ordering,
    is_sorted: bool,
}

/// All of a database.
struct Database<'a> {
    in_order: Vec<Installed<'a>>,
    by_key: HashMap<Key, usize>,
}

impl<'a> Database<'a> {
    fn of(path: &str, packages: Vec<Installed<'a>>) -> Result<Self, Obstacle> {
        check_providers(path, &packages)?;
        if packages.len() > MAX_PACKAGES {
            return Err(unreadable(
                path,
                format!("it has more than {MAX_PACKAGES} packages"),
            ));
        }
        let mut by_key = HashMap::new();
        for (at, package) in packages.iter().enumerate() {
            if by_key.insert(package.key.clone(), at).is_some() {
                return Err(unreadable(
                    path,
                    format!("package `{}` is there twice", package.key),
                ));
            }
        }
        let in_order = packages;
        Ok(Self { in_order, by_key })
    }

    fn get(&self, key: &str) -> Option<&Installed<'a>> {
        self.by_key.get(key).map(|at| &self.in_order[*at])
    }

    fn installed(&self, key: &str) -> Option<&Installed<'a>> {
        self.get(key).filter(|package| package.is_there)
    }
}

fn check_providers(path: &str, packages: &[Installed<'_>]) -> Result<(), Obstacle> {
    let mut providers: HashMap<&str, usize> = HashMap::new();
    for (name, _) in packages.iter().flat_map(|package| &package.provides) {
        let count = providers.entry(name).or_default();
        *count += 1;
        if *count > MAX_PROVIDERS {
            let name = policy::yaml::one_line(name, 80);
            return Err(unreadable(
                path,
                format!("more than {MAX_PROVIDERS} packages provide `{name}`"),
            ));
        }
    }
    Ok(())
}

fn unreadable(path: &str, why: impl Into<String>) -> Obstacle {
    Obstacle::Unreadable {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// Most comparisons of one merge: a dependency asks everybody who answers to its name. Real systems need some thousands.
pub const MAX_COMPARISONS: u64 = 5_000_000;

/// What is installed, by every name that it answers to.
struct World<'a> {
    by_name: HashMap<&'a str, Vec<Answer<'a>>>,
    /// Comparisons that may still be made.
    left: &'a Cell<u64>,
    compare: fn(&str, &str) -> Ordering,
}

struct Answer<'a> {
    by: &'a str,
    version: Option<&'a str>,
}

impl<'b> World<'b> {
    fn of<'a: 'b>(
        packages: impl Iterator<Item = &'b Installed<'a>>,
        rules: &Rules,
        left: &'b Cell<u64>,
    ) -> Self {
        let mut by_name: HashMap<&str, Vec<Answer<'_>>> = HashMap::new();
        for package in packages.filter(|package| package.is_there) {
            let own = (package.name, Some(package.version));
            for (name, version) in std::iter::once(own).chain(package.provides.iter().copied()) {
                let by = package.key.as_str();
                by_name.entry(name).or_default().push(Answer { by, version });
            }
        }
        let compare = rules.compare;
        Self {
            by_name,
            left,
            compare,
        }
    }

    /// Who of others than `but` fulfils an alternative.
    fn answers(&self, alternative: &Alternative<'_>, but: &str) -> Option<&'b str> {
        let answers = self.by_name.get(alternative.name)?;
        let left = self.left.get().saturating_sub(answers.len() as u64);
        self.left.set(left);
        if left == 0 {
            return None;
        }
        let found = answers
            .iter()
            .filter(|answer| answer.by != but)
            .find(|answer| alternative.allows(answer.version, self.compare));
        found.map(|answer| answer.by)
    }

    fn fulfils(&self, relation: &Relation<'_>) -> bool {
        let mut alternatives = relation.alternatives.iter();
        alternatives.any(|alternative| self.answers(alternative, "").is_some())
    }

    fn broken_by(&self, relation: &Relation<'_>, by: &str) -> Option<&'b str> {
        let mut alternatives = relation.alternatives.iter();
        alternatives.find_map(|alternative| self.answers(alternative, by))
    }
}

/// The packages of the application: of neither base.
fn own<'a, 'b>(old: &Database<'_>, new: &Database<'_>, app: &'b Database<'a>) -> Vec<&'b Installed<'a>> {
    let is_own = |package: &&Installed<'_>| {
        let bases = [old, new];
        if package.is_there {
            bases.iter().all(|base| base.installed(&package.key).is_none())
        } else {
            bases.iter().all(|base| base.get(&package.key).is_none())
        }
    };
    app.in_order.iter().filter(is_own).collect()
}

fn check_base(old: &Database<'_>, new: &Database<'_>, app: &Database<'_>) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for package in old.in_order.iter().filter(|package| package.is_there) {
        let kept = app.installed(&package.key);
        let comes = new.installed(&package.key).map(|comes| comes.version);
        let is_kept = kept.is_some_and(|kept| kept.version == package.version || Some(kept.version) == comes);
        if !is_kept && (kept.is_some() || comes.is_some()) {
            obstacles.push(Obstacle::PackageReplaced {
                package: package.key.clone(),
                base: package.version.to_owned(),
                application: kept.map(|kept| kept.version.to_owned()),
            });
        }
    }
    for package in new.in_order.iter().filter(|package| package.is_there) {
        let own = app
            .installed(&package.key)
            .filter(|_| old.installed(&package.key).is_none());
        if let Some(own) = own.filter(|own| own.version != package.version) {
            obstacles.push(Obstacle::PackageTwice {
                package: package.key.clone(),
                base: package.version.to_owned(),
                application: own.version.to_owned(),
            });
        }
    }
    obstacles
}

/// What was fulfilled before and no longer is. What was broken before is not the rebase's doing.
fn check_relations<'a>(
    own: &[&Installed<'a>],
    [before, after]: [&World<'_>; 2],
    [old, new]: [&Database<'a>; 2],
) -> Vec<Obstacle> {
    let mut obstacles = BTreeSet::new();
    for package in own.iter().filter(|package| package.is_there) {
        for relation in &package.needs {
            if before.fulfils(relation) && !after.fulfils(relation) {
                obstacles.insert(Obstacle::Unmet {
                    package: package.key.clone(),
                    needs: relation.text.to_owned(),
                });
            }
        }
    }
    let own_keys: BTreeSet<&str> = own.iter().map(|package| package.key.as_str()).collect();
    let all = own.iter().copied().chain(&new.in_order);
    for package in all.filter(|package| package.is_there) {
        for relation in &package.forbids {
            let key = package.key.as_str();
            let other = after.broken_by(relation, key);
            let Some(other) = other.filter(|other| own_keys.contains(key) || own_keys.contains(other)) else {
                continue;
            };
            let said_before = own_keys.contains(key)
                || old
                    .get(key)
                    .is_some_and(|was| was.forbids.iter().any(|said| said.text == relation.text));
            if !said_before || before.broken_by(relation, key).is_none() {
                obstacles.insert(Obstacle::Breaks {
                    package: key.to_owned(),
                    other: other.to_owned(),
                    relation: relation.text.to_owned(),
                });
            }
        }
    }
    obstacles.into_iter().collect()
}

fn changes(old: &Database<'_>, new: &Database<'_>) -> Vec<PackageChange> {
    let version = |package: &Installed<'_>| package.version.to_owned();
    let mut by_key: BTreeMap<&str, [Option<String>; 2]> = BTreeMap::new();
    for (at, database) in [old, new].into_iter().enumerate() {
        for package in database.in_order.iter().filter(|package| package.is_there) {
            by_key.entry(&package.key).or_default()[at] = Some(version(package));
        }
    }
    by_key
        .into_iter()
        .filter(|(_, [from, to])| from != to)
        .map(|(package, [from, to])| PackageChange {
            package: package.to_owned(),
            from,
            to,
        })
        .collect()
}

fn merge<'a>(
    rules: &Rules,
    old: &Database<'a>,
    new: &Database<'a>,
    app: &Database<'a>,
) -> Result<MergedPackages, Vec<Obstacle>> {
    let mut obstacles = check_base(old, new, app);
    let own = own(old, new, app);
    if obstacles.is_empty() {
        let left = Cell::new(MAX_COMPARISONS);
        let before = World::of(app.in_order.iter(), rules, &left);
        let own_keys: BTreeSet<&str> = own.iter().map(|package| package.key.as_str()).collect();
        let stays = |package: &&Installed<'_>| !own_keys.contains(package.key.as_str());
        let after = World::of(
            new.in_order.iter().filter(stays).chain(own.iter().copied()),
            rules,
            &left,
        );
        obstacles = check_relations(&own, [&before, &after], [old, new]);
        if left.get() == 0 {
            let why = format!("its dependencies take more than {MAX_COMPARISONS} comparisons");
            obstacles = vec![unreadable(rules.database, why)];
        }
    }
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let own_keys: BTreeSet<&str> = own.iter().map(|package| package.key.as_str()).collect();
    let base = new
        .in_order
        .iter()
        .filter(|package| !own_keys.contains(package.key.as_str()));
    let mut written: Vec<(&str, String)> = base
        .map(|package| (package.key.as_str(), with_selection(package, old, app)))
        .collect();
    written.extend(
        own.iter()
            .map(|package| (package.key.as_str(), package.text.to_owned())),
    );
    if rules.is_sorted {
        written.sort_by(|left, right| left.0.cmp(right.0));
    }
    let mut text = String::new();
    for (_, stanza) in written {
        text.push_str(&stanza);
        text.push_str("\n\n");
    }
    Ok(MergedPackages {
        text,
        changes: changes(old, new),
        own: own.iter().map(|package| package.key.clone()).collect(),
    })
}

/// `apt-mark hold` of a package of the base stays.
fn with_selection(package: &Installed<'_>, old: &Database<'_>, app: &Database<'_>) -> String {
    let selection = |database: &Database<'_>| {
        database
            .get(&package.key)
            .map(|package| package.selection.to_owned())
    };
    match (selection(old), selection(app)) {
        (Some(was), Some(is)) if was != is && !is.is_empty() => {
            let [from, to] = [package.selection, &is].map(|word| format!("\nStatus: {word} "));
            package.text.replacen(&from, &to, 1)
        }
        _ => package.text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
