//! An index after some advisories changed, without reading all others again.
//!
//! What the others say is taken over as it is held. Only vulnerabilities that a changed advisory calls by any name may join or part, so
//! all advisories about those are put in anew; the caller gives them, as they are now.

use std::{collections::BTreeSet, sync::Arc};

use super::{AdvisoryIndex, build::IndexBuilder};
use crate::advisory::{error::AdvisoryError, record::Advisory};

impl AdvisoryIndex {
    /// Ids of all advisories about the vulnerabilities that these names mean.
    pub fn beside<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<Arc<str>> {
        let numbers: BTreeSet<u32> = names
            .into_iter()
            .filter_map(|name| self.by_id.get(name).copied())
            .collect();
        let vulnerabilities = numbers
            .into_iter()
            .filter_map(|number| self.vulnerability_number(number));
        vulnerabilities
            .flat_map(|vulnerability| self.advisories_of(vulnerability))
            .map(|advisory| advisory.id.clone())
            .collect()
    }

    /// The index once advisories changed that call vulnerabilities by these names, before or now. `present`: those advisories and all
    /// [beside](Self::beside) the names, as they are now, also if they were taken back.
    ///
    /// The statistics of what is not matched are those of the last whole building.
    ///
    /// # Errors
    /// The index would be too large.
    pub fn updated<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        present: Vec<Advisory>,
    ) -> Result<Self, AdvisoryError> {
        // One that is beside and was not given cannot be read any more.
        let mut replaced = self.beside(names);
        replaced.extend(present.iter().map(|advisory| Arc::from(advisory.id.as_str())));
        let mut builder = IndexBuilder::keeping(self, &replaced)?;
        for advisory in present {
            builder.add(advisory)?;
        }
        let mut index = builder.finish()?;
        index.stats.withdrawn = self.stats.withdrawn;
        index.stats.ordinary_updates = self.stats.ordinary_updates;
        index
            .stats
            .unknown_ecosystems
            .clone_from(&self.stats.unknown_ecosystems);
        Ok(index)
    }
}
