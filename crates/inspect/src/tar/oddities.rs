//! Where parsers disagree: what was noticed, capped.

use findings::Oddity;

/// Bytes of a name that are shown.
const SHOWN_BYTES: usize = 512;

/// Notices of one layer. More than the cap are counted, not kept.
#[derive(Debug)]
pub(crate) struct Oddities {
    kept: Vec<Oddity>,
    cap: usize,
    more: u64,
}

impl Oddities {
    pub(crate) fn new(cap: u64) -> Self {
        Self {
            kept: Vec::new(),
            cap: usize::try_from(cap).unwrap_or(usize::MAX),
            more: 0,
        }
    }

    pub(crate) fn note(&mut self, name: &[u8], what: impl Into<String>) {
        if self.kept.len() >= self.cap {
            self.more += 1;
            return;
        }
        let shown = &name[..name.len().min(SHOWN_BYTES)];
        self.kept.push(Oddity {
            path: String::from_utf8_lossy(shown).into_owned(),
            what: what.into(),
        });
    }

    pub(crate) fn kept(&self) -> &[Oddity] {
        &self.kept
    }

    /// Takes them, with how many more there were.
    pub(crate) fn take(&mut self) -> (Vec<Oddity>, u64) {
        (std::mem::take(&mut self.kept), std::mem::take(&mut self.more))
    }
}
