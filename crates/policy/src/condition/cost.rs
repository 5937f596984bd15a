//! What the steps of a condition cost at worst, in units of comparing two small values.

use super::value::Type;
use crate::limits::{MAX_FACT_LIST, MAX_FACT_TEXT_BYTES};

/// Reading or comparing something small.
pub(super) const STEP: u64 = 1;
/// Comparing two texts.
pub(super) const TEXT: u64 = MAX_FACT_TEXT_BYTES as u64 / 256;
/// Counting the characters of a text, or searching it for another.
pub(super) const SEARCH: u64 = MAX_FACT_TEXT_BYTES as u64 / 16;
/// Running an automaton over a text.
pub(super) const MATCH: u64 = MAX_FACT_TEXT_BYTES as u64 / 4;
/// Elements of a list.
pub(super) const LIST: u64 = MAX_FACT_LIST as u64;

/// Reading a value.
pub(super) fn read(kind: Type) -> u64 {
    match kind {
        Type::Texts => LIST,
        _ => STEP,
    }
}

/// Comparing two values.
pub(super) fn compare(kind: Type) -> u64 {
    match kind {
        Type::Text => TEXT,
        _ => STEP,
    }
}

/// Looking for a text in a list or map.
pub(super) fn search(holder: Type) -> u64 {
    match holder {
        // As deep as a tree of as many labels as a manifest can hold.
        Type::TextMap => 20 * TEXT,
        _ => LIST * TEXT,
    }
}
