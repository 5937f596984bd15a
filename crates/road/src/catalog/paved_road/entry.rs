//! Entries that are no bases.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_saphyr::Spanned;

use super::super::paved_document::{
    AppRoadDocument, EntryMetadata, ExemptionDocument, GoldenPathDocument, ToolchainDocument, Word,
};
use super::super::{Document, Problem};
use super::{At, Faults, end, line_of, named, value};
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

pub(super) fn toolchain(entry: ToolchainDocument, document: &Document<'_>) -> Result<RoadEntry, Vec<At>> {
    let reader = Reader {
        document,
        what: "a toolchain",
    };
    let mut faults = Faults::default();
    let metadata = faults.keep(reader.needed(entry.metadata, "metadata"));
    let spec = faults.keep(reader.needed(entry.spec, "spec"));
    let (Some(metadata), Some(spec)) = (metadata, spec) else {
        return faults.done(None);
    };
    let level = faults.keep(reader.needed(spec.slsa_level, "spec.slsaLevel"));
    let level = level.and_then(|level| faults.keep(reader.number("spec.slsaLevel", &level)));
    let builders = faults.keep(reader.needed(spec.builders, "spec.builders"));
    let name = faults.keep(reader.needed_name("metadata.name", metadata.name.as_ref()));
    let owner = faults.keep(reader.needed_name("metadata.owner", metadata.owner.as_ref()));
    let contact = faults.keep(reader.named("metadata.contact", metadata.contact.as_ref()));
    let until = faults.keep(reader.end("spec.supportedUntil", spec.supported_until.as_ref()));
    let toolchain = || {
        Some(Toolchain {
            name: name?,
            owner: owner?,
            contact: contact?,
            builders: builders?.value,
            slsa_level: level?,
            supported_until: until?,
        })
    };
    faults.done(toolchain().map(RoadEntry::Toolchain))
}

pub(super) fn golden_path(entry: GoldenPathDocument, document: &Document<'_>) -> Result<RoadEntry, Vec<At>> {
    let reader = Reader {
        document,
        what: "a golden path",
    };
    let mut faults = Faults::default();
    let metadata = faults.keep(reader.needed(entry.metadata, "metadata"));
    let spec = faults.keep(reader.needed(entry.spec, "spec"));
    let (Some(metadata), Some(spec)) = (metadata, spec) else {
        return faults.done(None);
    };
    let name = faults.keep(reader.needed(metadata.name.as_ref(), "metadata.name"));
    let version = faults.keep(reader.needed(spec.version.as_ref(), "spec.version"));
    let id = name.zip(version).and_then(|(name, version)| {
        let id = format!("{}@{}", name.value.0, version.value.0);
        faults.keep(id.parse().map_err(named("metadata.name", reader.at(name))))
    });
    let bases = faults.keep(reader.needed(spec.bases.as_ref(), "spec.bases"));
    let bases = bases.and_then(|bases| faults.keep(reader.names("spec.bases", Some(bases), MAX_LISTED)));
    let owner = faults.keep(reader.needed_name("metadata.owner", metadata.owner.as_ref()));
    let contact = faults.keep(reader.named("metadata.contact", metadata.contact.as_ref()));
    let toolchains = faults.keep(reader.names("spec.toolchains", spec.toolchains.as_ref(), MAX_LISTED));
    let until = faults.keep(reader.end("spec.supportedUntil", spec.supported_until.as_ref()));
    let path = || {
        Some(GoldenPath {
            id: id?,
            owner: owner?,
            contact: contact?,
            template: spec.template.map(|text| text.value),
            bases: bases?,
            toolchains: toolchains?,
            policies: lines(spec.policies),
            gives: lines(spec.gives),
            supported_until: until?,
        })
    };
    faults.done(path().map(RoadEntry::GoldenPath))
}

pub(super) fn app_road(entry: AppRoadDocument, document: &Document<'_>) -> Result<RoadEntry, Vec<At>> {
    let reader = Reader {
        document,
        what: "the road of an application",
    };
    let mut faults = Faults::default();
    let metadata: Option<EntryMetadata> = faults.keep(reader.needed(entry.metadata, "metadata"));
    let Some(metadata) = metadata else {
        return faults.done(None);
    };
    let spec = entry.spec.unwrap_or_default();
    if let Some(contact) = &metadata.contact {
        let wanted = "not said here: it is the application's";
        let fault = value("metadata.contact", &contact.value, wanted);
        faults.keep(Err::<(), _>((reader.at(contact), fault)));
    }
    let ring = spec.ring.as_ref().map(|word| {
        let wanted = "no ring: write canary, early, normal or late";
        reader.word("spec.ring", word, &Ring::WORDS, wanted)
    });
    let ring = faults.keep(ring.transpose());
    let auto = spec.auto_rebase.as_ref().map(|word| {
        let wanted = "none of true, ask and never";
        reader.word("spec.autoRebase", word, &AutoRebase::WORDS, wanted)
    });
    let auto = faults.keep(auto.transpose());
    let tier = spec.tier.as_ref().map(|tier| reader.number("spec.tier", tier));
    let tier = faults.keep(tier.transpose());
    let until = spec.until.as_ref();
    let until = until.map(|until| reader.end("spec.until", Some(until)));
    let until = faults.keep(until.transpose());
    let application = faults.keep(reader.needed_name("metadata.name", metadata.name.as_ref()));
    let owner = faults.keep(reader.named("metadata.owner", metadata.owner.as_ref()));
    let path = faults.keep(reader.named("spec.path", spec.path.as_ref()));
    let freezes = faults.keep(freezes(&reader, spec.freeze.as_ref()));
    let target_levels = faults.keep(targets(&reader, spec.target_levels.as_ref()));
    let said = || {
        Some(AppRoad {
            application: application?,
            owner: owner?,
            path: path?,
            ring: ring?.unwrap_or_default(),
            tier: tier?,
            auto_rebase: auto?.unwrap_or_default(),
            freezes: freezes?,
            target_levels: target_levels?,
            until: until?,
        })
    };
    faults.done(said().map(RoadEntry::AppRoad))
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

pub(super) fn exemption(entry: ExemptionDocument, document: &Document<'_>) -> Result<RoadEntry, Vec<At>> {
    let reader = Reader {
        document,
        what: "an exemption",
    };
    let mut faults = Faults::default();
    let Some(spec) = faults.keep(reader.needed(entry.spec, "spec")) else {
        return faults.done(None);
    };
    let from = faults.keep(reader.needed(spec.from.as_ref(), "spec.createdAt"));
    let from = from.and_then(|from| {
        let wanted = "no date: write 2026-11-01";
        let fault = || (reader.at(from), value("spec.createdAt", &from.value, wanted));
        faults.keep(first_moment(&from.value).ok_or_else(fault))
    });
    let reason = faults.keep(reader.needed(spec.reason, "spec.reason"));
    let approved = faults.keep(reader.needed(spec.approved_by.as_ref(), "spec.approvedBy"));
    let approved_by =
        approved.and_then(|list| faults.keep(reader.names("spec.approvedBy", Some(list), MAX_APPROVERS)));
    let renewals = spec.max_renewals.as_ref();
    let renewals = renewals.map(|number| reader.number("spec.maxRenewals", number));
    let renewals = faults.keep(renewals.transpose());
    let application = faults.keep(reader.needed_name("spec.app", spec.application.as_ref()));
    let rule = faults.keep(reader.needed_name("spec.rule", spec.rule.as_ref()));
    let owner = faults.keep(reader.needed_name("spec.owner", spec.owner.as_ref()));
    let until = faults.keep(reader.end("spec.expiresAt", spec.until.as_ref()));
    let exemption = || {
        Some(Exemption {
            application: application?,
            rule: rule?,
            reason: reason?.value,
            owner: owner?,
            approved_by: approved_by?,
            from: from?,
            until: until?,
            max_renewals: renewals?.unwrap_or_default(),
            compensating: spec.compensating.map(|text| text.value),
        })
    };
    faults.done(exemption().map(RoadEntry::Exemption))
}
