//! Vulnerabilities of an incident that are none any more: every advisory that spoke of them was withdrawn.

use std::collections::BTreeMap;

use anyhow::Result;
use road::{incident::Incident, names::VulnerabilityId};

use super::IncidentService;
use crate::judge::Facts;

impl IncidentService {
    /// Those that no advisory knows, with the reason. One whose advisories are not there, cannot be read, or stand in the store
    /// without saying anything that is understood is not among them: of that nobody knows.
    pub(super) async fn withdrawn(
        &self,
        incident: &Incident,
        facts: &Facts,
    ) -> Result<BTreeMap<VulnerabilityId, String>> {
        let mut withdrawn = BTreeMap::new();
        for known in incident.vulnerabilities() {
            if facts.index.vulnerability(known.id.as_str()).is_some() {
                continue;
            }
            let own = known.id.to_string();
            let ids = match known.advisories.as_slice() {
                [] => std::slice::from_ref(&own),
                ids => ids,
            };
            if let Some(words) = self.words_of(ids).await? {
                withdrawn.insert(known.id.clone(), format!("{own} is none any more: {words}"));
            }
        }
        Ok(withdrawn)
    }

    /// When each of these advisories was withdrawn. `None`: not all of them were.
    pub(super) async fn words_of(&self, ids: &[String]) -> Result<Option<String>> {
        let mut words = Vec::new();
        for id in ids {
            // One that is merely not there was taken back by nobody.
            let row = self.store.advisory(id).await?;
            let advisory = row.and_then(|row| row.advisory().ok());
            let Some(at) = advisory.and_then(|advisory| advisory.withdrawn) else {
                return Ok(None);
            };
            words.push(format!("{id} was withdrawn on {}", at.date()));
        }
        Ok((!words.is_empty()).then(|| words.join(", ")))
    }
}
