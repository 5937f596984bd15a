//! The JSON of manifests, read so that no limit can be exceeded on the way.
//!
//! Everything goes through visitors of our own, because a derived one builds the whole vector before anyone
//! can count it, takes the first of two keys that differ in case, and skips unknown values to any depth. A
//! visitor that refuses puts the typed reason into [`Context`]; the parser's own error then only carries the
//! position.

mod object;
mod value;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde::de::{DeserializeSeed, Error};

use super::{ManifestError, ManifestLimits};
use crate::text::excerpt;
use crate::{Descriptor, MediaType};

/// A field that may be left out or be `null`.
#[derive(Debug)]
pub(super) enum Field<T> {
    Absent,
    Null,
    Given(T),
}

impl<T> Field<T> {
    pub(super) fn given(self) -> Option<T> {
        match self {
            Field::Given(value) => Some(value),
            Field::Absent | Field::Null => None,
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    /// From a field that is there.
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::Null, Field::Given)
    }
}

/// A manifest as it is written, of either kind.
#[derive(Debug)]
pub(super) struct WireManifest {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<MediaType>,
    /// Never empty.
    pub(super) artifact_type: Option<String>,
    pub(super) config: Field<Descriptor>,
    pub(super) layers: Field<Vec<Descriptor>>,
    pub(super) manifests: Field<Vec<Descriptor>>,
    pub(super) subject: Option<Descriptor>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Limits, what is used up of them, and the first refusal.
struct Context<'l> {
    limits: &'l ManifestLimits,
    annotations: Cell<usize>,
    custom_fields: Cell<usize>,
    refusal: RefCell<Option<ManifestError>>,
}

impl Context<'_> {
    /// Remembers why, and gives the parser an error to stop with.
    fn refuse<E: Error>(&self, why: ManifestError) -> E {
        self.refusal.borrow_mut().get_or_insert(why);
        E::custom("refused")
    }

    /// Counts one more of something that is limited over the whole manifest.
    fn count<E: Error>(&self, used: &Cell<usize>, limit: usize, what: &'static str) -> Result<(), E> {
        if used.get() >= limit {
            return Err(self.refuse(ManifestError::TooMany { what, limit }));
        }
        used.set(used.get() + 1);
        Ok(())
    }
}

/// Reads one JSON object and nothing after it but blanks.
pub(super) fn read(bytes: &[u8], limits: &ManifestLimits) -> Result<WireManifest, ManifestError> {
    if bytes.len() > limits.bytes {
        return Err(ManifestError::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        });
    }
    let context = Context {
        limits,
        annotations: Cell::new(0),
        custom_fields: Cell::new(0),
        refusal: RefCell::new(None),
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let result = object::ManifestSeed(&context)
        .deserialize(&mut json)
        .and_then(|wire| json.end().map(|()| wire));
    result.map_err(|error| context.refusal.take().unwrap_or_else(|| json_error(&error)))
}

fn json_error(error: &serde_json::Error) -> ManifestError {
    let text = error.to_string();
    let problem = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(problem, _)| problem);
    ManifestError::Json {
        line: error.line(),
        column: error.column(),
        problem: excerpt(problem),
    }
}
