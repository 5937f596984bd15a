//! What a newer catalogue of exploited vulnerabilities changes: which vulnerabilities are listed, or as likely, as they were not.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{epss::Epss, group::severity_by_probability, index::AdvisoryIndex, kev::Kev};

/// Vulnerabilities of which catalogues say something else than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueChange {
    /// Those that are known to be exploited and were not, or the other way round.
    pub kev: BTreeSet<String>,
    /// Those that are likely to be exploited and were not, or the other way round: it stands for a severity where nobody gives one.
    pub epss_severity: BTreeSet<String>,
    /// Those whose probability is any other than before.
    pub epss: BTreeSet<String>,
}

impl CatalogueChange {
    /// From one KEV catalogue to the next.
    pub fn of_kev(before: &Kev, after: &Kev) -> Self {
        let changed = after.changed_since(before).into_iter();
        Self {
            kev: changed.map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// From one EPSS list to the next.
    pub fn of_epss(before: &Epss, after: &Epss) -> Self {
        let mut change = Self::default();
        for (id, [then, now]) in after.changed_since(before) {
            if severity_by_probability(then) != severity_by_probability(now) {
                change.epss_severity.insert(id.clone());
            }
            change.epss.insert(id);
        }
        change
    }

    /// All that changes by one and then by the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.kev.extend(other.kev);
        self.epss_severity.extend(other.epss_severity);
        self.epss.extend(other.epss);
        self
    }

    /// The vulnerabilities for which it may matter to images. A probability does where rules read it, and else only where it stands for a
    /// severity because nobody rates the vulnerability: scores of nearly everything change by a little every day.
    pub fn mattering<'a>(&'a self, present: &AdvisoryIndex, is_probability_read: bool) -> BTreeSet<&'a str> {
        let is_unrated = |id: &&String| {
            let known = present.vulnerability(id);
            known.is_some_and(|known| !present.is_rated(known))
        };
        let read = self.epss.iter().filter(|_| is_probability_read);
        let likely = self.epss_severity.iter().filter(is_unrated);
        let all = self.kev.iter().chain(read).chain(likely);
        all.map(String::as_str).collect()
    }
}
