//! Each text once.

use std::{collections::HashSet, sync::Arc};

#[derive(Debug, Default)]
pub(super) struct Interner {
    texts: HashSet<Arc<str>>,
    bytes: usize,
}

impl Interner {
    /// One that knows none of the texts that take so many bytes already.
    pub(super) fn beside(bytes: usize) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        // The two counters of an `Arc` and the padding of the allocation.
        self.bytes += text.len() + 24;
        self.texts.insert(text.clone());
        text
    }

    /// Bytes of all texts.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
