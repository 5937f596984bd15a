//! What an import of advisories touches: which packages have to be matched anew, and which vulnerabilities may read otherwise.
//!
//! Only states before and after of the advisories that changed are needed, not the index of before: an image that holds none of the
//! packages is judged by the new advisories as it was by the old ones. What depends on more than one package is taken care of:
//!
//! - A vulnerability's severity and date may come from an advisory about another package. So where a source changes what it says of
//!   the vulnerability as a whole, every package that any source names with it is touched.
//! - Aliases join and part vulnerabilities. So the packages of all that was or is called the same are touched.
//! - What nothing speaks of is unknown. So where an ecosystem or release comes to be spoken of, or is no more, all of its packages
//!   are touched.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    error::AdvisoryError,
    index::AdvisoryIndex,
    record::{Advisory, Affected},
};
use crate::Ecosystem;

/// A release of an ecosystem; `None`: all of them.
type Spoken = (Ecosystem, Option<Arc<str>>);

/// One advisory before and after.
#[derive(Debug, Clone)]
pub struct Changed {
    /// `None`: it is new.
    pub before: Option<Advisory>,
    /// As it is now; one that was taken back says so.
    pub after: Advisory,
}

/// Advisories that changed.
#[derive(Debug, Default)]
pub struct Delta {
    before: AdvisoryIndex,
    after: AdvisoryIndex,
    /// Ids of those that say something else of a vulnerability as a whole, with all that these call it.
    ids: BTreeSet<Box<str>>,
    /// Ids of all of them, and what they call the vulnerability.
    all: BTreeSet<Box<str>>,
}

/// What has to be looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Packages by their canonical names.
    pub packages: BTreeSet<(Ecosystem, Arc<str>)>,
    /// Ecosystems of which all packages are touched.
    pub ecosystems: BTreeSet<Ecosystem>,
    /// Vulnerabilities that may read otherwise, by the id that they are known by now; by that of before where they are gone.
    pub vulnerabilities: BTreeSet<Arc<str>>,
    /// What the advisories that changed are called, and what they call the vulnerability, before or now.
    pub names: BTreeSet<Box<str>>,
}

impl Touched {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.ecosystems.is_empty()
    }
}

impl Delta {
    /// From the states of all advisories that changed.
    ///
    /// # Errors
    /// They are more than an index may have.
    pub fn of(changed: Vec<Changed>) -> Result<Self, AdvisoryError> {
        let mut delta = Self::default();
        let (mut before, mut after) = (Vec::new(), Vec::with_capacity(changed.len()));
        for one in changed {
            delta.all.extend(names(&one.after));
            delta.all.extend(one.before.iter().flat_map(names));
            if !says_the_same_of_the_whole(one.before.as_ref(), &one.after) {
                delta.ids.extend(names(&one.after));
                delta.ids.extend(one.before.iter().flat_map(names));
            }
            before.extend(one.before);
            after.push(one.after);
        }
        delta.before = AdvisoryIndex::build(before)?;
        delta.after = AdvisoryIndex::build(after)?;
        Ok(delta)
    }

    /// What is touched, by what all advisories say now. `others`: ids of vulnerabilities of which something beside advisories has
    /// changed, such as whether they are known to be exploited.
    pub fn touched<'a>(
        &'a self,
        present: &AdvisoryIndex,
        others: impl IntoIterator<Item = &'a str>,
    ) -> Touched {
        let mut touched = Touched {
            names: self.all.clone(),
            ..Touched::default()
        };
        for side in [&self.before, &self.after] {
            touched.packages.extend(side.packages());
        }
        let whole = self.ids.iter().map(AsRef::as_ref).chain(others);
        for vulnerability in whole.filter_map(|id| present.vulnerability(id)) {
            if touched.vulnerabilities.insert(vulnerability.id.clone()) {
                touched.packages.extend(present.packages_of(vulnerability));
            }
        }
        for id in &self.all {
            let now = present.vulnerability(id).map(|known| known.id.clone());
            let then = || self.before.vulnerability(id).map(|known| known.id.clone());
            touched.vulnerabilities.extend(now.or_else(then));
        }
        touched.ecosystems = self.newly_spoken_of(present);
        touched
    }

    /// Ecosystems of which a release is spoken of now and was not before, or the other way round.
    fn newly_spoken_of(&self, present: &AdvisoryIndex) -> BTreeSet<Ecosystem> {
        let mut changes: BTreeMap<Spoken, (usize, usize)> = BTreeMap::new();
        for (of, count) in self.before.spoken_of() {
            changes.entry(of).or_default().0 += count;
        }
        for (of, count) in self.after.spoken_of() {
            changes.entry(of).or_default().1 += count;
        }
        let mut turned = BTreeSet::new();
        for ((ecosystem, release), (gone, come)) in changes {
            let now = present.count_spoken_of(ecosystem, release.as_ref());
            let before = (now + gone).saturating_sub(come);
            if (now == 0) != (before == 0) {
                turned.insert(ecosystem);
            }
        }
        turned
    }
}

impl Changed {
    /// Every name that either state joins to a vulnerability.
    pub fn names(&self) -> Vec<Box<str>> {
        let mut all = names(&self.after);
        all.extend(self.before.iter().flat_map(names));
        all
    }
}

/// Every name that joins an advisory to a vulnerability.
fn names(advisory: &Advisory) -> Vec<Box<str>> {
    let own = std::iter::once(&advisory.id);
    let mut names: Vec<Box<str>> = own
        .chain(&advisory.aliases)
        .chain(&advisory.upstream)
        .map(|id| id.as_str().into())
        .collect();
    if advisory.database.names_fixed_under_related() {
        names.extend(advisory.related.iter().map(|id| id.as_str().into()));
    }
    names
}

/// Whether only what is said of the advisory's own packages differs, if anything.
fn says_the_same_of_the_whole(before: Option<&Advisory>, after: &Advisory) -> bool {
    let Some(before) = before else { return false };
    before.withdrawn.is_some() == after.withdrawn.is_some()
        && before.published == after.published
        && before.ratings == after.ratings
        && (&before.aliases, &before.upstream, &before.related)
            == (&after.aliases, &after.upstream, &after.related)
        && ratings(before) == ratings(after)
}

/// What it rates single packages: counts for others where nobody rates these.
fn ratings(advisory: &Advisory) -> Vec<(&str, &[super::rating::Rating])> {
    let rated = |affected: &&Affected| !affected.ratings.is_empty();
    let rated = advisory.affected.iter().filter(rated);
    rated
        .map(|affected| (affected.name.as_str(), affected.ratings.as_slice()))
        .collect()
}
