//! OSV documents as they are read (osv-schema 1.7).
//!
//! Strict where the schema is: `id` and `modified` must be there, an event is exactly one thing, a range is introduced
//! somewhere. Fields that the schema does not know are passed over; what is `database_specific` counts where it can be read.

mod specific;
mod wire;

#[cfg(test)]
mod real_data_tests;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use real_data_tests::export;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::{
    specific::{AffectedSpecific, DocumentSpecific},
    wire::{WireAdvisory, WireAffected, WireEvent, WireRange, WireSeverity},
};
use super::{
    bounded::{clip, is_id, is_plain, is_reference},
    error::{AdvisoryError, check_size},
    limits::{DETAILS_BYTES, ID_BYTES, NAME_BYTES, OSV_DOCUMENT_BYTES, SUMMARY_BYTES, VERSION_BYTES},
    rating::{Rating, Scheme},
    record::{Advisory, Affected, Database, Event, Modularity, Range, RangeKind},
};

const WHAT: &str = "advisory";

impl Advisory {
    /// Reads one OSV document that came in the feed `home` (`Go`, `Debian`, or what the operator calls it).
    ///
    /// # Errors
    /// It is too large, no OSV, or one place of it breaks the schema.
    pub fn read(bytes: &[u8], home: &str) -> Result<Self, AdvisoryError> {
        check_size(WHAT, bytes, OSV_DOCUMENT_BYTES)?;
        let wire: WireAdvisory<'_> = serde_json::from_slice(bytes)
            .map_err(|source| AdvisoryError::Malformed { what: WHAT, source })?;
        let checked = Checker {
            document: clip(&wire.id, ID_BYTES).escape_default().to_string(),
        };
        checked.advisory(wire, home)
    }
}

/// Turns wire structs into the domain's, and names the document in every error.
struct Checker {
    document: String,
}

impl Checker {
    fn broken(&self, place: impl Into<String>, offence: impl Into<String>) -> AdvisoryError {
        AdvisoryError::Broken {
            document: self.document.clone(),
            place: place.into(),
            offence: offence.into(),
        }
    }

    fn advisory(&self, wire: WireAdvisory<'_>, home: &str) -> Result<Advisory, AdvisoryError> {
        self.id(&wire.id)?;
        let database = Database::of(&wire.id, home);
        let specific = DocumentSpecific::of(wire.database_specific);
        let summary = clip(wire.summary.as_deref().unwrap_or_default().trim(), SUMMARY_BYTES);
        let mut ratings = ratings(&wire.severity.0);
        ratings.extend(specific.ratings());
        if database.names_fixed_under_related() {
            ratings.extend(
                summary
                    .split_once(": ")
                    .and_then(|(word, _)| Rating::of_word(word)),
            );
        }
        keep_each_once(&mut ratings);
        let mut affected = Vec::with_capacity(wire.affected.0.len());
        for (number, entry) in wire.affected.0.into_iter().enumerate() {
            affected.push(self.affected(number, entry, &summary)?);
        }
        Ok(Advisory {
            modified: self.time("modified", Some(&wire.modified))?,
            published: self.time("published", wire.published.as_deref())?,
            withdrawn: self.time("withdrawn", wire.withdrawn.as_deref())?,
            aliases: self.ids("aliases", wire.aliases.0)?,
            upstream: self.ids("upstream", wire.upstream.0)?,
            related: self.ids("related", wire.related.0)?,
            details: clip(wire.details.as_deref().unwrap_or_default().trim(), DETAILS_BYTES),
            id: wire.id,
            database,
            summary,
            ratings,
            affected,
        })
    }

    fn id(&self, id: &str) -> Result<(), AdvisoryError> {
        if !is_id(id) {
            let offence = format!("an id has 1 to {ID_BYTES} visible ASCII characters and is no path");
            return Err(self.broken("id", offence));
        }
        Ok(())
    }

    fn reference(&self, place: &str, id: &str) -> Result<(), AdvisoryError> {
        if !is_reference(id) {
            return Err(self.broken(
                place,
                format!("an id has 1 to {ID_BYTES} visible ASCII characters"),
            ));
        }
        Ok(())
    }

    fn ids(&self, place: &str, mut ids: Vec<String>) -> Result<Vec<String>, AdvisoryError> {
        for (number, id) in ids.iter_mut().enumerate() {
            *id = id.trim().to_owned();
            self.reference(&format!("{place}[{number}]"), id)?;
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The year 1 is how some sources write that they do not know, in four digits or in one.
    fn time(&self, place: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, AdvisoryError> {
        let Some(text) = text.filter(|text| !text.starts_with("1-01-01T")) else {
            return Ok(None);
        };
        let time = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| self.broken(place, "it is no time of RFC 3339"))?;
        Ok((time.year() > 1).then_some(time))
    }

    fn affected(
        &self,
        number: usize,
        wire: WireAffected<'_>,
        summary: &str,
    ) -> Result<Affected, AdvisoryError> {
        let place = format!("affected[{number}]");
        let package = wire.package.unwrap_or_default();
        if package.ecosystem.len() > NAME_BYTES || package.name.len() > NAME_BYTES {
            return Err(self.broken(place, format!("a name has at most {NAME_BYTES} bytes")));
        }
        if !is_plain(&package.ecosystem) || !is_plain(&package.name) {
            return Err(self.broken(
                place,
                "a name has no control characters and none that turn the text",
            ));
        }
        if package.ecosystem.is_empty() != package.name.is_empty() {
            return Err(self.broken(place, "a package has both an ecosystem and a name"));
        }
        let specific = AffectedSpecific::of(wire.database_specific, wire.ecosystem_specific);
        let mut ratings = ratings(&wire.severity.0);
        ratings.extend(specific.ratings());
        keep_each_once(&mut ratings);
        let mut ranges = Vec::with_capacity(wire.ranges.0.len());
        for (number, range) in wire.ranges.0.into_iter().enumerate() {
            // Beside a list of versions some sources write a range without events, which contains nothing.
            if range.events.0.is_empty() && !wire.versions.0.is_empty() {
                continue;
            }
            ranges.push(self.range(&format!("{place}.ranges[{number}]"), range)?);
        }
        for version in &wire.versions.0 {
            self.version(&format!("{place}.versions"), version)?;
        }
        Ok(Affected {
            modularity: modularity(package.purl.as_deref(), &ranges, summary),
            ecosystem: package.ecosystem,
            name: package.name,
            ratings,
            ranges,
            versions: wire.versions.0,
            fix_state: specific.fix_state(),
            unaffected_versions: specific.unaffected_versions(),
        })
    }

    fn range(&self, place: &str, wire: WireRange) -> Result<Range, AdvisoryError> {
        let kind = match wire.kind.as_str() {
            "SEMVER" => RangeKind::Semver,
            "ECOSYSTEM" => RangeKind::Ecosystem,
            "GIT" => RangeKind::Git,
            _ => return Err(self.broken(format!("{place}.type"), "it is none of SEMVER, ECOSYSTEM and GIT")),
        };
        let mut events = Vec::with_capacity(wire.events.0.len());
        for (number, event) in wire.events.0.into_iter().enumerate() {
            self.event(&format!("{place}.events[{number}]"), event, &mut events)?;
        }
        if !events.iter().any(|event| matches!(event, Event::Introduced(_))) {
            return Err(self.broken(format!("{place}.events"), "no event says where it is introduced"));
        }
        if kind == RangeKind::Git {
            events = Vec::new();
        }
        Ok(Range { kind, events })
    }

    /// One object is one event by the schema of today; older documents put `introduced` and `fixed` into one.
    fn event(&self, place: &str, wire: WireEvent, events: &mut Vec<Event>) -> Result<(), AdvisoryError> {
        let before = events.len();
        events.extend(wire.introduced.map(Event::Introduced));
        events.extend(wire.fixed.map(Event::Fixed));
        events.extend(wire.last_affected.map(Event::LastAffected));
        events.extend(wire.limit.map(Event::Limit));
        if events.len() == before {
            return Err(self.broken(place, "it is none of introduced, fixed, last_affected and limit"));
        }
        for event in &events[before..] {
            self.version(place, event.version())?;
        }
        Ok(())
    }

    fn version(&self, place: &str, version: &str) -> Result<(), AdvisoryError> {
        if version.is_empty() || version.len() > VERSION_BYTES {
            return Err(self.broken(place, format!("a version has 1 to {VERSION_BYTES} bytes")));
        }
        if !is_plain(version) {
            return Err(self.broken(
                place,
                "a version has no control characters and none that turn the text",
            ));
        }
        Ok(())
    }
}

fn ratings(wire: &[WireSeverity]) -> Vec<Rating> {
    wire.iter()
        .filter_map(|severity| match severity.kind.as_str() {
            "CVSS_V2" => Some(Rating::of_vector(Scheme::CvssV2, &severity.score)),
            "CVSS_V3" => Some(Rating::of_vector(Scheme::CvssV3, &severity.score)),
            "CVSS_V4" => Some(Rating::of_vector(Scheme::CvssV4, &severity.score)),
            // `Ubuntu` today, and whatever a source rates in words tomorrow.
            _ => Rating::of_word(&severity.score),
        })
        .collect()
}

fn keep_each_once(ratings: &mut Vec<Rating>) {
    ratings.sort_unstable();
    ratings.dedup();
}

/// A build of a module says so in its release (`.module_el8.5.0+119+9a9ec082`, `.module+el8`). Which stream it is, the purl says
/// (`rpmmod`), or the summary (`Important: nodejs:16 security update`), or nobody.
fn modularity(purl: Option<&str>, ranges: &[Range], summary: &str) -> Modularity {
    if let Some(stream) = purl.and_then(module_of_purl) {
        return Modularity::Streams(vec![stream]);
    }
    let versions = ranges.iter().flat_map(|range| &range.events).map(Event::version);
    if !versions
        .into_iter()
        .any(|version| version.contains(".module_el") || version.contains(".module+el"))
    {
        return Modularity::None;
    }
    let streams: Vec<String> = summary.split_whitespace().filter_map(module_of_word).collect();
    if streams.is_empty() {
        Modularity::Unnamed
    } else {
        Modularity::Streams(streams)
    }
}

fn module_of_purl(purl: &str) -> Option<String> {
    let (_, qualifiers) = purl.split_once('?')?;
    let label = qualifiers
        .split('&')
        .find_map(|pair| pair.strip_prefix("rpmmod="))?;
    let label = label.replace("%3A", ":").replace("%3a", ":");
    module_of_word(&label)
}

/// `name:stream` at the beginning of a word.
fn module_of_word(word: &str) -> Option<String> {
    let word = word.split('/').next()?;
    let (name, rest) = word.split_once(':')?;
    let stream = rest.split(':').next()?;
    (!name.is_empty() && !stream.is_empty()).then(|| format!("{name}:{stream}"))
}
