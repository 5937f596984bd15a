//! KEV: the vulnerabilities that CISA knows to be exploited.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::{
    bounded::{Bounded, clip, is_id},
    error::{AdvisoryError, check_size},
    limits::{ID_BYTES, KEV_DOCUMENT_BYTES, KEV_ENTRIES, SUMMARY_BYTES},
};

const WHAT: &str = "KEV catalogue";

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KevEntry {
    /// Since when it is listed.
    pub added: Date,
    /// Until when agencies must have acted.
    pub due: Option<Date>,
    /// What CISA calls it.
    pub name: String,
    /// What CISA demands.
    pub action: String,
    /// Whether ransomware is known to use it.
    pub is_used_by_ransomware: bool,
}

/// The catalogue, by CVE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kev {
    /// `2025.08.25`.
    pub version: String,
    /// When it was released; `None` where it does not say so in a form that is known.
    pub released: Option<OffsetDateTime>,
    entries: HashMap<Box<str>, KevEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCatalogue {
    catalog_version: String,
    #[serde(default)]
    date_released: String,
    vulnerabilities: Bounded<WireEntry, KEV_ENTRIES>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    #[serde(rename = "cveID")]
    cve_id: String,
    #[serde(default)]
    vulnerability_name: String,
    date_added: String,
    due_date: Option<String>,
    #[serde(default)]
    required_action: String,
    #[serde(default)]
    known_ransomware_campaign_use: String,
}

impl Kev {
    /// Reads the catalogue.
    ///
    /// # Errors
    /// It is too large, no catalogue, or an entry has no id or day.
    pub fn read(bytes: &[u8]) -> Result<Self, AdvisoryError> {
        check_size(WHAT, bytes, KEV_DOCUMENT_BYTES)?;
        let wire: WireCatalogue = serde_json::from_slice(bytes)
            .map_err(|source| AdvisoryError::Malformed { what: WHAT, source })?;
        let version = clip(&wire.catalog_version, 64);
        let mut entries = HashMap::with_capacity(wire.vulnerabilities.0.len());
        for (number, entry) in wire.vulnerabilities.0.into_iter().enumerate() {
            let broken = |offence: &str| AdvisoryError::Broken {
                document: format!("{WHAT} {}", version.escape_default()),
                place: format!("vulnerabilities[{number}]"),
                offence: offence.to_owned(),
            };
            if !is_id(&entry.cve_id) {
                return Err(broken(&format!(
                    "an id has 1 to {ID_BYTES} visible ASCII characters and is no path"
                )));
            }
            let added = day(&entry.date_added).ok_or_else(|| broken("dateAdded is no day"))?;
            let read = KevEntry {
                added,
                due: entry.due_date.as_deref().and_then(day),
                name: clip(&entry.vulnerability_name, SUMMARY_BYTES),
                action: clip(&entry.required_action, SUMMARY_BYTES),
                is_used_by_ransomware: entry.known_ransomware_campaign_use.eq_ignore_ascii_case("known"),
            };
            entries.insert(entry.cve_id.into(), read);
        }
        let released = OffsetDateTime::parse(&wire.date_released, &Rfc3339).ok();
        Ok(Self {
            version,
            released,
            entries,
        })
    }

    /// What of it was listed by the end of a day, by the days that its entries tell. What was taken off the list since is not known.
    #[must_use]
    pub fn as_of(&self, day: Date) -> Self {
        let listed = self.entries.iter().filter(|(_, entry)| entry.added <= day);
        Self {
            version: self.version.clone(),
            released: self.released,
            entries: listed.map(|(id, entry)| (id.clone(), entry.clone())).collect(),
        }
    }

    /// How many of its vulnerabilities are missing in another catalogue.
    pub fn missing_in(&self, other: &Self) -> usize {
        let missing = self
            .entries
            .keys()
            .filter(|cve| !other.entries.contains_key(*cve));
        missing.count()
    }

    /// Of how many vulnerabilities it says something else than another catalogue that lists them too.
    pub fn differing_from(&self, other: &Self) -> usize {
        let both = self
            .entries
            .iter()
            .filter_map(|(cve, entry)| Some((entry, other.entries.get(cve)?)));
        both.filter(|(entry, known)| entry != known).count()
    }

    /// The vulnerabilities that only one of two catalogues lists, in their order.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a str> {
        let only = |of: &'a Self, other: &'a Self| {
            let names = of.entries.keys().map(AsRef::as_ref);
            names.filter(|cve: &&str| !other.entries.contains_key(*cve))
        };
        only(self, before).chain(only(before, self)).collect()
    }

    /// The entry of `cve`.
    pub fn get(&self, cve: &str) -> Option<&KevEntry> {
        self.entries.get(cve)
    }

    /// How many vulnerabilities it lists.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it lists none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}
