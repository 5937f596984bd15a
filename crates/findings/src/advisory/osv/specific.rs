//! What sources say outside of the schema. It has no fixed form, so nothing of it is an error.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::advisory::{
    bounded::clip,
    limits::{VERSION_BYTES, VERSIONS},
    rating::Rating,
};

/// Words that urgency and priority fields use to say that there will be no fix.
const NO_FIX_WORDS: [&str; 4] = ["end-of-life", "ignored", "postponed", "no-dsa"];

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct DocumentSpecific {
    severity: Loose,
    cvss: Loose,
    cvss_score: Loose,
}

impl DocumentSpecific {
    pub(super) fn of(raw: Option<&RawValue>) -> Self {
        read(raw)
    }

    pub(super) fn ratings(&self) -> Vec<Rating> {
        let words = [
            self.severity.as_word(),
            self.cvss.as_vector(),
            self.cvss_score.as_score(),
        ];
        words.into_iter().flatten().collect()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    severity: Loose,
    urgency: Loose,
    priority: Loose,
    cvss: Loose,
    cvss_v3: Loose,
    fix_state: Loose,
    #[serde(alias = "no-dsa", alias = "no_dsa")]
    nodsa: Loose,
    unaffected_versions: LooseList,
}

/// `database_specific` and `ecosystem_specific` of one package.
pub(super) struct AffectedSpecific([Fields; 2]);

impl AffectedSpecific {
    pub(super) fn of(database: Option<&RawValue>, ecosystem: Option<&RawValue>) -> Self {
        Self([read(database), read(ecosystem)])
    }

    pub(super) fn ratings(&self) -> Vec<Rating> {
        let of_fields = |fields: &Fields| {
            [
                fields.severity.as_word(),
                fields.urgency.as_word(),
                fields.priority.as_word(),
                fields.cvss.as_vector(),
                fields.cvss_v3.as_score(),
            ]
        };
        self.0.iter().flat_map(of_fields).flatten().collect()
    }

    pub(super) fn fix_state(&self) -> Option<String> {
        let stated = |fields: &Fields| {
            fields
                .fix_state
                .text()
                .or_else(|| fields.nodsa.text().map(|why| format!("no-dsa: {why}")))
        };
        let implied = |fields: &Fields| {
            fields
                .urgency
                .text()
                .filter(|word| NO_FIX_WORDS.contains(&word.as_str()))
        };
        self.0
            .iter()
            .find_map(stated)
            .or_else(|| self.0.iter().find_map(implied))
    }

    /// Versions only: some sources write constraints (`>= 1.2`) into the same field.
    pub(super) fn unaffected_versions(self) -> Vec<String> {
        let is_version = |text: &String| {
            text.len() <= VERSION_BYTES
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && !text.contains(|c: char| c.is_whitespace() || c == ',')
        };
        let lists = self.0.into_iter().flat_map(|fields| fields.unaffected_versions.0);
        lists.filter(is_version).collect()
    }
}

fn read<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// A text or a number; anything else is nothing.
#[derive(Default)]
struct Loose(Option<String>);

impl Loose {
    fn text(&self) -> Option<String> {
        self.0
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| clip(text, VERSION_BYTES))
    }

    fn as_word(&self) -> Option<Rating> {
        Rating::of_word(self.0.as_deref()?)
    }

    fn as_score(&self) -> Option<Rating> {
        Rating::of_score(self.0.as_deref()?)
    }

    fn as_vector(&self) -> Option<Rating> {
        use crate::advisory::rating::Scheme;
        let text = self.0.as_deref()?;
        let scheme = if text.starts_with("CVSS:4") {
            Scheme::CvssV4
        } else {
            Scheme::CvssV3
        };
        Some(Rating::of_vector(scheme, text)).filter(|rating| rating.tenths.is_some())
    }
}

/// The texts of a list; anything else is none.
#[derive(Default)]
struct LooseList(Vec<String>);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_any(LooseVisitor)?.0))
    }
}

impl<'de> Deserialize<'de> for LooseList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_any(LooseVisitor)?.1))
    }
}

struct LooseVisitor;

/// The scalar and the list that a value is, of which at most one is something.
type Read = (Option<String>, Vec<String>);

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Read, E> {
        Ok((Some(text.to_owned()), Vec::new()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Read, E> {
        Ok((Some(number.to_string()), Vec::new()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Read, E> {
        Ok((Some(number.to_string()), Vec::new()))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Read, E> {
        Ok(Read::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Read, E> {
        Ok(Read::default())
    }

    fn visit_unit<E: Error>(self) -> Result<Read, E> {
        Ok(Read::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Read, A::Error> {
        let mut texts = Vec::new();
        while let Some(element) = list.next_element::<Loose>()? {
            if texts.len() < VERSIONS {
                texts.extend(element.0);
            }
        }
        Ok((None, texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Read::default())
    }
}
