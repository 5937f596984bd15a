//! From `pavedroad.yaml` to approved bases and the other entries of the road.

use std::collections::BTreeMap;

use findings::Severity;
use oci::RepoName;
use policy::yaml::{self, did_you_mean, one_line};
use serde_saphyr::Spanned;
use time::{Duration, OffsetDateTime};

use super::paved_document::{BaseDocument, BaseSpec, Head, RebaseDocument};
use super::{CatalogErrors, CatalogLimits, Document, Errors, Problem, SourceFile, documents};
use crate::app_road::end_of;
use crate::base::{
    BaseError, BaseImage, Bases, Lifecycle, MAX_CHANNELS, Promise, RebaseContract, parse_duration,
};
use crate::names::NameError;
use crate::paving::{Paving, RoadEntry, RoadKind};

mod entry;

/// The only version of the format.
const VERSION: &str = "road/v1";

/// Longest name of a signer, in bytes.
const MAX_SIGNER_BYTES: usize = 64;

/// Most architectures of one base.
const MAX_ARCHITECTURES: usize = 32;

/// What a catalogue of the road says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PavedRoad {
    /// The bases, in the order of the files.
    pub bases: Vec<BaseImage>,
    /// Entries of all other kinds, in the order of the files.
    pub entries: Vec<RoadEntry>,
}

/// Reads files together; that their entries fit together is checked by [`Bases::build`] and [`Paving::build`].
pub fn read_paved_road(files: &[SourceFile<'_>], limits: &CatalogLimits) -> Result<PavedRoad, CatalogErrors> {
    read(files, limits, true)
}

/// Reads files whose entries may go together with others: whoever knows all of them checks that.
pub fn read_part_of_paved_road(
    files: &[SourceFile<'_>],
    limits: &CatalogLimits,
) -> Result<PavedRoad, CatalogErrors> {
    read(files, limits, false)
}

/// File and line of each entry.
type Places = BTreeMap<(RoadKind, String), (String, u64)>;

fn read(
    files: &[SourceFile<'_>],
    limits: &CatalogLimits,
    is_whole: bool,
) -> Result<PavedRoad, CatalogErrors> {
    let mut errors = Errors::new(limits);
    let mut road = PavedRoad::default();
    let mut places = Places::new();
    for document in documents(files, limits, &mut errors) {
        let taken = match take(&document) {
            Ok(taken) => taken,
            Err(faults) => {
                for (line, problem) in faults {
                    errors.add(document.file, line, problem);
                }
                continue;
            }
        };
        let line = document.first_line();
        let key = match &taken {
            Read::Base(base) => (RoadKind::BaseImage, base.name.to_string()),
            Read::Entry(entry) => (entry.kind(), entry.name()),
        };
        if let Some((file, first)) = places.get(&key) {
            let what = format!("{} {}", key.0.word(), key.1);
            let place = format!("{file}:{first}");
            errors.add(document.file, line, Problem::Twice { what, place });
        } else {
            places.insert(key, (one_line(document.file, 200), line));
        }
        match taken {
            Read::Base(base) => road.bases.push(*base),
            Read::Entry(entry) => road.entries.push(*entry),
        }
    }
    if is_whole && errors.first.is_empty() {
        check_together(&road, &places, &mut errors);
    }
    errors.into_result(road)
}

fn check_together(road: &PavedRoad, places: &Places, errors: &mut Errors) {
    let bases = match Bases::build(road.bases.clone()) {
        Ok(bases) => bases,
        Err(error) => {
            let (file, line) = place_of(&error, places);
            errors.add(&file, line, error.into());
            return;
        }
    };
    if let Err(error) = Paving::build(&bases, road.entries.clone()) {
        let key = error.entry().map(|(kind, name)| (kind, name.to_owned()));
        let place = key.and_then(|key| places.get(&key)).cloned();
        let (file, line) = place.unwrap_or_default();
        errors.add(&file, line, error.into());
    }
}

/// Where the base stands that an error is about.
fn place_of(error: &BaseError, places: &Places) -> (String, u64) {
    let base = match error {
        BaseError::Channels { base, .. }
        | BaseError::NoReplacement { base, .. }
        | BaseError::Twice(base)
        | BaseError::Cycle(base, _) => Some(base),
        BaseError::Shared { second, .. } => Some(second),
        BaseError::TooMany(_) => None,
    };
    let place = base
        .and_then(|base| places.get(&(RoadKind::BaseImage, base.to_string())))
        .or(places.values().next());
    place.cloned().unwrap_or_default()
}

type At = (u64, Problem);

/// All that is wrong with one document: whoever corrects it need not ask again for each line.
#[derive(Default)]
struct Faults(Vec<At>);

impl Faults {
    /// What could be read.
    fn keep<T>(&mut self, read: Result<T, At>) -> Option<T> {
        read.map_err(|fault| self.0.push(fault)).ok()
    }

    /// `value`, if nothing was wrong.
    fn done<T>(mut self, value: Option<T>) -> Result<T, Vec<At>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                self.0.sort_by_key(|(line, _)| *line);
                Err(self.0)
            }
        }
    }
}

/// What one document declares.
enum Read {
    Base(Box<BaseImage>),
    Entry(Box<RoadEntry>),
}

fn take(document: &Document<'_>) -> Result<Read, Vec<At>> {
    let kind = kind(document).map_err(|fault| vec![fault])?;
    let entry = match kind {
        RoadKind::BaseImage => {
            let base = base(&written(document)?, document)?;
            return Ok(Read::Base(Box::new(base)));
        }
        RoadKind::Toolchain => entry::toolchain(written(document)?, document)?,
        RoadKind::GoldenPath => entry::golden_path(written(document)?, document)?,
        RoadKind::AppRoad => entry::app_road(written(document)?, document)?,
        RoadKind::Exemption => entry::exemption(written(document)?, document)?,
    };
    match entry.check() {
        Ok(()) => Ok(Read::Entry(Box::new(entry))),
        Err(error) => Err(vec![(document.line_of_fault(&error), error.into())]),
    }
}

/// Which kind a document is of.
fn kind(document: &Document<'_>) -> Result<RoadKind, At> {
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
    RoadKind::from_name(&kind.value).ok_or_else(|| {
        let hint = did_you_mean(&kind.value, RoadKind::ALL.map(RoadKind::as_str));
        let line = document.line(line_of(&kind));
        let kind = one_line(&kind.value, 40);
        (line, Problem::Kind { kind, hint })
    })
}

fn written<T: serde::de::DeserializeOwned>(document: &Document<'_>) -> Result<T, Vec<At>> {
    let read = yaml::parse_all(document.text);
    read.map_err(|faults| {
        let faults = faults.into_iter();
        faults.map(|fault| of_yaml(document, fault)).collect()
    })
}

fn parse<T: serde::de::DeserializeOwned>(document: &Document<'_>) -> Result<T, At> {
    yaml::parse(document.text).map_err(|fault| of_yaml(document, fault))
}

fn of_yaml(document: &Document<'_>, fault: yaml::Fault) -> At {
    (document.line(fault.line), Problem::Yaml(fault.reason))
}

fn line_of<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line().max(1)
}

fn base(entry: &BaseDocument, document: &Document<'_>) -> Result<BaseImage, Vec<At>> {
    let first = document.first_line();
    let missing = |key| (first, Problem::Missing { what: "a base", key });
    let at = |value: &Spanned<String>| document.line(line_of(value));
    let mut faults = Faults::default();
    let metadata = faults.keep(entry.metadata.as_ref().ok_or_else(|| missing("metadata")));
    let spec = faults.keep(entry.spec.as_ref().ok_or_else(|| missing("spec")));
    let (Some(metadata), Some(spec)) = (metadata, spec) else {
        return faults.done(None);
    };
    let mut needed = |value: &Option<Spanned<String>>, key| {
        let value = value.clone().ok_or_else(|| missing(key));
        faults.keep(value)
    };
    let name = needed(&metadata.name, "metadata.name");
    let owner = needed(&metadata.owner, "metadata.owner");
    let repository = needed(&spec.repository, "spec.repo");
    let until = needed(&spec.supported_until, "spec.supportedUntil");
    let name =
        name.and_then(|text| faults.keep(text.value.parse().map_err(named("metadata.name", at(&text)))));
    let owner =
        owner.and_then(|text| faults.keep(text.value.parse().map_err(named("metadata.owner", at(&text)))));
    let contact = metadata.contact.as_ref();
    let contact = contact.map(|text| text.value.parse().map_err(named("metadata.contact", at(text))));
    let contact = faults.keep(contact.transpose());
    let repository =
        repository.and_then(|text| faults.keep(repository_of(&text).map_err(|problem| (at(&text), problem))));
    let until = until.and_then(|text| {
        faults.keep(end("spec.supportedUntil", &text.value).map_err(|problem| (at(&text), problem)))
    });
    let replaced_by = spec.replaced_by.as_ref();
    let replaced_by = replaced_by.map(|base| base.value.parse().map_err(named("spec.replacedBy", at(base))));
    let replaced_by = faults.keep(replaced_by.transpose());
    let channels = faults.keep(channels(spec, document));
    let lifecycle = faults.keep(lifecycle(spec, document));
    let rebase = spec.rebase.as_ref().map(|rebase| contract(rebase, document));
    let rebase = faults.keep(rebase.transpose());
    let patch_within = faults.keep(promise(spec, document));
    let retire_notice = faults.keep(notice(spec, document));
    let signer = spec.signer.as_deref();
    let base = || {
        Some(BaseImage {
            name: name?,
            owner: owner?,
            contact: contact?,
            repository: repository?,
            channels: channels?,
            lifecycle: lifecycle?,
            supported_until: until?,
            replaced_by: replaced_by?,
            rebase: rebase?,
            patch_within: patch_within?,
            retire_notice: retire_notice?,
            signer: signer.map(|signer| one_line(signer, MAX_SIGNER_BYTES)),
        })
    };
    faults.done(base())
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
fn end(key: &'static str, text: &str) -> Result<OffsetDateTime, Problem> {
    end_of(text).ok_or_else(|| value(key, text, "no date before 2101: write 2027-09-30"))
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

fn notice(spec: &BaseSpec, document: &Document<'_>) -> Result<Option<u64>, At> {
    let Some(text) = &spec.retire_notice else {
        return Ok(None);
    };
    let wanted = "no span of time: write 30d or 2w";
    let problem = || {
        let at = document.line(line_of(text));
        (at, value("spec.retireNotice", &text.value, wanted))
    };
    let span = parse_duration(&text.value).ok_or_else(problem)?;
    Ok(u64::try_from(span.whole_seconds()).ok())
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
