//! From `pavedroad.yaml` to approved bases.

use std::collections::BTreeMap;

use findings::Severity;
use oci::RepoName;
use policy::yaml::{self, did_you_mean, one_line};
use serde_saphyr::Spanned;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime};

use super::paved_document::{BaseDocument, BaseSpec, Head, RebaseDocument};
use super::{CatalogErrors, CatalogLimits, Document, Errors, Problem, SourceFile, documents};
use crate::base::{
    BaseError, BaseImage, Bases, Lifecycle, MAX_CHANNELS, Promise, RebaseContract, parse_duration,
};
use crate::names::NameError;

/// The only version of the format.
const VERSION: &str = "road/v1";

/// All kinds; only the first one is read by now.
const KINDS: [&str; 5] = ["BaseImage", "Toolchain", "GoldenPath", "AppRoad", "Exemption"];

/// Most architectures of one base.
const MAX_ARCHITECTURES: usize = 32;

/// What a catalogue of bases says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PavedRoad {
    /// The bases, in the order of the files.
    pub bases: Vec<BaseImage>,
    /// Entries of kinds that are not read yet: to be told, so that nobody believes they count.
    pub later: Vec<Later>,
}

/// An entry that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Of which kind.
    pub kind: String,
    /// In which file.
    pub file: String,
    /// At which line.
    pub line: u64,
}

/// Reads files together; that their bases fit together is checked by [`Bases::build`].
pub fn read_paved_road(files: &[SourceFile<'_>], limits: &CatalogLimits) -> Result<PavedRoad, CatalogErrors> {
    read(files, limits, true)
}

/// Reads files whose bases may go together with others: whoever knows all of them checks that.
pub fn read_part_of_paved_road(
    files: &[SourceFile<'_>],
    limits: &CatalogLimits,
) -> Result<PavedRoad, CatalogErrors> {
    read(files, limits, false)
}

fn read(
    files: &[SourceFile<'_>],
    limits: &CatalogLimits,
    is_whole: bool,
) -> Result<PavedRoad, CatalogErrors> {
    let mut errors = Errors::new(limits);
    let mut road = PavedRoad::default();
    let mut places: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for document in documents(files, limits, &mut errors) {
        match take(&document, &mut road) {
            Ok(None) => {}
            Ok(Some(base)) => {
                let line = document.first_line();
                let place = format!("{}:{line}", one_line(document.file, 200));
                let known = places.insert(base.name.to_string(), (place, line));
                if let Some((place, _)) = known {
                    let what = format!("base {}", base.name);
                    errors.add(document.file, line, Problem::Twice { what, place });
                }
                road.bases.push(base);
            }
            Err((line, problem)) => errors.add(document.file, line, problem),
        }
    }
    if is_whole
        && errors.first.is_empty()
        && let Err(error) = Bases::build(road.bases.clone())
    {
        let (file, line) = place_of(&error, &places);
        errors.add(&file, line, error.into());
    }
    errors.into_result(road)
}

/// Where the base stands that an error is about.
fn place_of(error: &BaseError, places: &BTreeMap<String, (String, u64)>) -> (String, u64) {
    let base = match error {
        BaseError::Channels { base, .. }
        | BaseError::NoReplacement { base, .. }
        | BaseError::Twice(base)
        | BaseError::Cycle(base, _) => Some(base),
        BaseError::Shared { second, .. } => Some(second),
        BaseError::TooMany(_) => None,
    };
    let place = base
        .and_then(|base| places.get(base.as_str()))
        .or(places.values().next());
    place.map_or_else(Default::default, |(place, line)| {
        let file = place.rsplit_once(':').map_or(place.as_str(), |(file, _)| file);
        (file.to_owned(), *line)
    })
}

type At = (u64, Problem);

fn take(document: &Document<'_>, road: &mut PavedRoad) -> Result<Option<BaseImage>, At> {
    let head: Head = parse(document)?;
    let first = document.first_line();
    let missing = |key| {
        (
            first,
            Problem::Missing {
                what: "an entry of the paved road",
                key,
            },
        )
    };
    let version = head.version.ok_or_else(|| missing("apiVersion"))?;
    if version.value != VERSION {
        return Err((
            document.line(line_of(&version)),
            Problem::Version(one_line(&version.value, 40)),
        ));
    }
    let kind = head.kind.ok_or_else(|| missing("kind"))?;
    let line = document.line(line_of(&kind));
    match kind.value.as_str() {
        "BaseImage" => base(&parse(document)?, document).map(Some),
        known if KINDS.contains(&known) => {
            road.later.push(Later {
                kind: known.to_owned(),
                file: one_line(document.file, 200),
                line,
            });
            Ok(None)
        }
        other => {
            let hint = did_you_mean(other, KINDS);
            Err((
                line,
                Problem::Kind {
                    kind: one_line(other, 40),
                    hint,
                },
            ))
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(document: &Document<'_>) -> Result<T, At> {
    yaml::parse(document.text).map_err(|fault| (document.line(fault.line), Problem::Yaml(fault.reason)))
}

fn line_of<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line().max(1)
}

fn base(entry: &BaseDocument, document: &Document<'_>) -> Result<BaseImage, At> {
    let first = document.first_line();
    let missing = |key| (first, Problem::Missing { what: "a base", key });
    let metadata = entry.metadata.as_ref().ok_or_else(|| missing("metadata"))?;
    let spec = entry.spec.as_ref().ok_or_else(|| missing("spec"))?;
    let needed = |value: &Option<Spanned<String>>, key| value.clone().ok_or_else(|| missing(key));
    let name = needed(&metadata.name, "metadata.name")?;
    let owner = needed(&metadata.owner, "metadata.owner")?;
    let repository = needed(&spec.repository, "spec.repo")?;
    let until = needed(&spec.supported_until, "spec.supportedUntil")?;
    let at = |value: &Spanned<String>| document.line(line_of(value));
    let contact = metadata.contact.as_ref();
    let replaced_by = spec.replaced_by.as_ref();
    Ok(BaseImage {
        name: name.value.parse().map_err(named("metadata.name", at(&name)))?,
        owner: owner.value.parse().map_err(named("metadata.owner", at(&owner)))?,
        contact: contact
            .map(|contact| {
                contact
                    .value
                    .parse()
                    .map_err(named("metadata.contact", at(contact)))
            })
            .transpose()?,
        repository: repository_of(&repository).map_err(|problem| (at(&repository), problem))?,
        channels: channels(spec, document)?,
        lifecycle: lifecycle(spec, document)?,
        supported_until: end(&until).map_err(|problem| (at(&until), problem))?,
        replaced_by: replaced_by
            .map(|base| base.value.parse().map_err(named("spec.replacedBy", at(base))))
            .transpose()?,
        rebase: spec
            .rebase
            .as_ref()
            .map(|rebase| contract(rebase, document))
            .transpose()?,
        patch_within: promise(spec, document)?,
    })
}

fn named(key: &'static str, line: u64) -> impl Fn(NameError) -> At {
    move |error| (line, Problem::Name { key, error })
}

fn value(key: &'static str, text: &str, wanted: &'static str) -> Problem {
    Problem::Value {
        key,
        text: one_line(text, 80),
        wanted,
    }
}

/// A line of releases: neither tag nor digest belongs to it; the registry's own name in front may stand there.
fn repository_of(text: &Spanned<String>) -> Result<RepoName, Problem> {
    let text = text.value.as_str();
    let wanted = "no repository: write base/java17, without tag or digest";
    let path = text
        .split_once('/')
        .filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost");
    let path = path.map_or(text, |(_, path)| path);
    path.parse().map_err(|_| value("spec.repo", text, wanted))
}

fn channels(spec: &BaseSpec, document: &Document<'_>) -> Result<BTreeMap<String, oci::Digest>, At> {
    let mut channels = BTreeMap::new();
    let written = spec.channels.iter().flatten();
    for (name, digest) in written {
        let at = document.line(line_of(digest));
        let is_name = oci::Tag::try_from(name.as_str()).is_ok();
        if !is_name {
            return Err((
                at,
                value("spec.channels", name, "no name of a channel: write it like a tag"),
            ));
        }
        let wanted = "no digest: write sha256: and 64 hex digits";
        let parsed = digest.value.parse();
        let parsed = parsed.map_err(|_| (at, value("spec.channels", &digest.value, wanted)))?;
        channels.insert(name.clone(), parsed);
        if channels.len() > MAX_CHANNELS {
            let (count, limit) = (spec.channels.as_ref().map_or(0, BTreeMap::len), MAX_CHANNELS);
            return Err((
                at,
                Problem::Long {
                    key: "spec.channels",
                    count,
                    limit,
                },
            ));
        }
    }
    Ok(channels)
}

fn lifecycle(spec: &BaseSpec, document: &Document<'_>) -> Result<Lifecycle, At> {
    let Some(word) = &spec.lifecycle else {
        return Ok(Lifecycle::Supported);
    };
    let found = Lifecycle::WORDS.iter().find(|(known, _)| *known == word.value);
    let wanted = "none of experimental, supported, deprecated and retired";
    let problem = || {
        (
            document.line(line_of(word)),
            value("spec.lifecycle", &word.value, wanted),
        )
    };
    found.map(|(_, lifecycle)| *lifecycle).ok_or_else(problem)
}

/// A date counts to its end.
fn end(text: &Spanned<String>) -> Result<OffsetDateTime, Problem> {
    let text = text.value.as_str();
    let date = Date::parse(text, &Iso8601::DATE).ok().and_then(Date::next_day);
    date.map(|day| day.midnight().assume_utc())
        .or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok())
        .ok_or_else(|| value("spec.supportedUntil", text, "no date: write 2027-09-30"))
}

fn contract(rebase: &RebaseDocument, document: &Document<'_>) -> Result<RebaseContract, At> {
    let arch = rebase.arch.as_ref();
    if let Some(arch) = arch.filter(|arch| arch.value.len() > MAX_ARCHITECTURES) {
        let (count, limit) = (arch.value.len(), MAX_ARCHITECTURES);
        let problem = Problem::Long {
            key: "spec.rebase.arch",
            count,
            limit,
        };
        return Err((document.line(line_of(arch)), problem));
    }
    let line = |text: &String| one_line(text, 80);
    Ok(RebaseContract {
        safe: rebase.safe.unwrap_or(false),
        abi: rebase.abi.as_ref().map(line),
        arch: arch
            .map(|arch| arch.value.iter().map(line).collect())
            .unwrap_or_default(),
    })
}

fn promise(spec: &BaseSpec, document: &Document<'_>) -> Result<Promise, At> {
    let mut pairs: BTreeMap<Severity, Duration> = BTreeMap::new();
    for (word, span) in spec.patch_within.iter().flatten() {
        let at = document.line(line_of(span));
        let severity = match word.as_str() {
            "critical" => Severity::Critical,
            "high" => Severity::High,
            "medium" => Severity::Medium,
            "low" => Severity::Low,
            _ => {
                let wanted = "no severity: write critical, high, medium or low";
                return Err((at, value("spec.patchWithin", word, wanted)));
            }
        };
        let wanted = "no span of time: write 24h or 7d";
        let span = parse_duration(&span.value)
            .ok_or_else(|| (at, value("spec.patchWithin", &span.value, wanted)))?;
        pairs.insert(severity, span);
    }
    Ok(Promise::new(pairs))
}
