//! Entries that are no bases.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_saphyr::Spanned;

use super::super::paved_document::{
    AppRoadDocument, EntryMetadata, ExemptionDocument, GoldenPathDocument, ToolchainDocument, Word,
};
use super::super::{Document, Problem};
use super::{At, end, line_of, named, value};
use crate::app_road::{AppRoad, AutoRebase, FreezeWindow, MAX_FREEZES, MAX_TARGETS, Ring, first_moment};
use crate::exemption::{Exemption, MAX_APPROVERS};
use crate::golden_path::{GoldenPath, MAX_LISTED, Toolchain};
use crate::names::NameError;
use crate::paving::RoadEntry;

/// What a document holds, with the words for what is missing.
struct Reader<'d> {
    document: &'d Document<'d>,
    what: &'static str,
}

impl Reader<'_> {
    fn at<T>(&self, value: &Spanned<T>) -> u64 {
        self.document.line(line_of(value))
    }

    fn missing(&self, key: &'static str) -> At {
        let what = self.what;
        (self.document.first_line(), Problem::Missing { what, key })
    }

    fn needed<T>(&self, value: Option<T>, key: &'static str) -> Result<T, At> {
        value.ok_or_else(|| self.missing(key))
    }

    /// A word with a grammar.
    fn name<T: FromStr<Err = NameError>>(
        &self,
        key: &'static str,
        text: &Spanned<impl AsRef<str>>,
    ) -> Result<T, At> {
        text.value.as_ref().parse().map_err(named(key, self.at(text)))
    }

    fn needed_name<T: FromStr<Err = NameError>, S: AsRef<str>>(
        &self,
        key: &'static str,
        text: Option<&Spanned<S>>,
    ) -> Result<T, At> {
        self.name(key, self.needed(text, key)?)
    }

    fn named<T: FromStr<Err = NameError>, S: AsRef<str>>(
        &self,
        key: &'static str,
        text: Option<&Spanned<S>>,
    ) -> Result<Option<T>, At> {
        text.map(|text| self.name(key, text)).transpose()
    }

    fn names<T: FromStr<Err = NameError>>(
        &self,
        key: &'static str,
        list: Option<&Spanned<Vec<String>>>,
        limit: usize,
    ) -> Result<Vec<T>, At> {
        let Some(list) = list else { return Ok(Vec::new()) };
        self.short(key, list, limit)?;
        let parse = |text: &String| text.parse().map_err(named(key, self.at(list)));
        list.value.iter().map(parse).collect()
    }

    fn short<T>(&self, key: &'static str, list: &Spanned<Vec<T>>, limit: usize) -> Result<(), At> {
        let count = list.value.len();
        if count <= limit {
            return Ok(());
        }
        Err((self.at(list), Problem::Long { key, count, limit }))
    }

    fn end(&self, key: &'static str, text: Option<&Spanned<String>>) -> Result<time::OffsetDateTime, At> {
        let text = self.needed(text, key)?;
        end(key, &text.value).map_err(|problem| (self.at(text), problem))
    }

    fn number(&self, key: &'static str, text: &Spanned<Word>) -> Result<u8, At> {
        let wanted = "no small number";
        let number = text.value.0.parse();
        number.map_err(|_| (self.at(text), value(key, &text.value.0, wanted)))
    }

    fn word<T: Copy>(
        &self,
        key: &'static str,
        text: &Spanned<impl AsRef<str>>,
        words: &[(&str, T)],
        wanted: &'static str,
    ) -> Result<T, At> {
        let said = text.value.as_ref();
        let found = words.iter().find(|(known, _)| *known == said);
        let found = found.map(|(_, word)| *word);
        found.ok_or_else(|| (self.at(text), value(key, said, wanted)))
    }
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn lines(list: Option<Spanned<Vec<String>>>) -> Vec<String> {
    list.map(|list| list.value).unwrap_or_default()
}

pub(super) fn toolchain(entry: ToolchainDocument, document: &Document<'_>) -> Result<RoadEntry, At> {
    let reader = Reader {
        document,
        what: "a toolchain",
    };
    let metadata = reader.needed(entry.metadata, "metadata")?;
    let spec = reader.needed(entry.spec, "spec")?;
    let level = reader.needed(spec.slsa_level, "spec.slsaLevel")?;
    let builders = reader.needed(spec.builders, "spec.builders")?;
    Ok(RoadEntry::Toolchain(Toolchain {
        name: reader.needed_name("metadata.name", metadata.name.as_ref())?,
        owner: reader.needed_name("metadata.owner", metadata.owner.as_ref())?,
        contact: reader.named("metadata.contact", metadata.contact.as_ref())?,
        builders: builders.value,
        slsa_level: reader.number("spec.slsaLevel", &level)?,
        supported_until: reader.end("spec.supportedUntil", spec.supported_until.as_ref())?,
    }))
}

pub(super) fn golden_path(entry: GoldenPathDocument, document: &Document<'_>) -> Result<RoadEntry, At> {
    let reader = Reader {
        document,
        what: "a golden path",
    };
    let metadata = reader.needed(entry.metadata, "metadata")?;
    let spec = reader.needed(entry.spec, "spec")?;
    let name = reader.needed(metadata.name.as_ref(), "metadata.name")?;
    let version = reader.needed(spec.version.as_ref(), "spec.version")?;
    let id = format!("{}@{}", name.value.0, version.value.0);
    let bases = reader.needed(spec.bases.as_ref(), "spec.bases")?;
    Ok(RoadEntry::GoldenPath(GoldenPath {
        id: id.parse().map_err(named("metadata.name", reader.at(name)))?,
        owner: reader.needed_name("metadata.owner", metadata.owner.as_ref())?,
        contact: reader.named("metadata.contact", metadata.contact.as_ref())?,
        template: spec.template.map(|text| text.value),
        bases: reader.names("spec.bases", Some(bases), MAX_LISTED)?,
        toolchains: reader.names("spec.toolchains", spec.toolchains.as_ref(), MAX_LISTED)?,
        policies: lines(spec.policies),
        gives: lines(spec.gives),
        supported_until: reader.end("spec.supportedUntil", spec.supported_until.as_ref())?,
    }))
}

pub(super) fn app_road(entry: AppRoadDocument, document: &Document<'_>) -> Result<RoadEntry, At> {
    let reader = Reader {
        document,
        what: "the road of an application",
    };
    let metadata: EntryMetadata = reader.needed(entry.metadata, "metadata")?;
    let spec = entry.spec.unwrap_or_default();
    let ring = spec.ring.as_ref().map(|word| {
        let wanted = "no ring: write canary, early, normal or late";
        reader.word("spec.ring", word, &Ring::WORDS, wanted)
    });
    let auto = spec.auto_rebase.as_ref().map(|word| {
        let wanted = "none of true, ask and never";
        reader.word("spec.autoRebase", word, &AutoRebase::WORDS, wanted)
    });
    let tier = spec.tier.as_ref().map(|tier| reader.number("spec.tier", tier));
    let until = spec
        .until
        .as_ref()
        .map(|_| reader.end("spec.until", spec.until.as_ref()));
    if let Some(contact) = &metadata.contact {
        let wanted = "not said here: it is the application's";
        return Err((
            reader.at(contact),
            value("metadata.contact", &contact.value, wanted),
        ));
    }
    Ok(RoadEntry::AppRoad(AppRoad {
        application: reader.needed_name("metadata.name", metadata.name.as_ref())?,
        owner: reader.named("metadata.owner", metadata.owner.as_ref())?,
        path: reader.named("spec.path", spec.path.as_ref())?,
        ring: ring.transpose()?.unwrap_or_default(),
        tier: tier.transpose()?,
        auto_rebase: auto.transpose()?.unwrap_or_default(),
        freezes: freezes(&reader, spec.freeze.as_ref())?,
        target_levels: targets(&reader, spec.target_levels.as_ref())?,
        until: until.transpose()?,
    }))
}

fn freezes(reader: &Reader<'_>, list: Option<&Spanned<Vec<String>>>) -> Result<Vec<FreezeWindow>, At> {
    let Some(list) = list else { return Ok(Vec::new()) };
    reader.short("spec.freeze", list, MAX_FREEZES)?;
    let parse = |text: &String| {
        text.parse().map_err(|error: crate::app_road::FreezeError| {
            let text = policy::yaml::one_line(text, 80);
            (reader.at(list), Problem::Freeze { text, error })
        })
    };
    list.value.iter().map(parse).collect()
}

fn targets(
    reader: &Reader<'_>,
    list: Option<&BTreeMap<String, Spanned<Word>>>,
) -> Result<BTreeMap<crate::names::Topic, u8>, At> {
    let mut targets = BTreeMap::new();
    for (topic, level) in list.into_iter().flatten() {
        let at = reader.at(level);
        let topic = topic.parse().map_err(named("spec.targetLevels", at))?;
        targets.insert(topic, reader.number("spec.targetLevels", level)?);
        if targets.len() > MAX_TARGETS {
            let (count, limit) = (list.map_or(0, BTreeMap::len), MAX_TARGETS);
            return Err((
                at,
                Problem::Long {
                    key: "spec.targetLevels",
                    count,
                    limit,
                },
            ));
        }
    }
    Ok(targets)
}

pub(super) fn exemption(entry: ExemptionDocument, document: &Document<'_>) -> Result<RoadEntry, At> {
    let reader = Reader {
        document,
        what: "an exemption",
    };
    let spec = reader.needed(entry.spec, "spec")?;
    let from = reader.needed(spec.from.as_ref(), "spec.createdAt")?;
    let reason = reader.needed(spec.reason, "spec.reason")?;
    let approved = reader.needed(spec.approved_by.as_ref(), "spec.approvedBy")?;
    let renewals = spec.max_renewals.as_ref();
    let renewals = renewals.map(|number| reader.number("spec.maxRenewals", number));
    let begun = first_moment(&from.value).ok_or_else(|| {
        let wanted = "no date: write 2026-11-01";
        (reader.at(from), value("spec.createdAt", &from.value, wanted))
    });
    Ok(RoadEntry::Exemption(Exemption {
        application: reader.needed_name("spec.app", spec.application.as_ref())?,
        rule: reader.needed_name("spec.rule", spec.rule.as_ref())?,
        reason: reason.value,
        owner: reader.needed_name("spec.owner", spec.owner.as_ref())?,
        approved_by: reader.names("spec.approvedBy", Some(approved), MAX_APPROVERS)?,
        from: begun?,
        until: reader.end("spec.expiresAt", spec.until.as_ref())?,
        max_renewals: renewals.transpose()?.unwrap_or_default(),
        compensating: spec.compensating.map(|text| text.value),
    }))
}
