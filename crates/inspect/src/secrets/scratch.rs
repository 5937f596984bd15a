//! What is remembered while one file is read.

use std::ops::Range;

use findings::ByteFinding;

/// What a rule has seen of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Where its expression is to be run next, in the present buffer.
    pub(super) window: Option<Range<usize>>,
    /// A keyword was seen, and a match need not be near it.
    pub(super) everywhere: bool,
    /// It names a path, and this is one.
    pub(super) path_matches: bool,
    /// Up to where it was matched, from the beginning of the file.
    pub(super) done: u64,
    touched: bool,
}

/// A finding before lines are counted and doubles dropped.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) rule: usize,
    /// From the beginning of the file.
    pub(super) span: Range<u64>,
    pub(super) finding: ByteFinding,
}

/// Room for one file, used again for the next.
#[derive(Debug)]
pub(super) struct Scratch {
    seen: Vec<Seen>,
    touched: Vec<usize>,
    pub(super) lower: Vec<u8>,
    pub(super) buffer: Vec<u8>,
    pub(super) found: Vec<Raw>,
    pub(super) candidates: usize,
    /// Some rule names this path.
    pub(super) path_matches: bool,
}

impl Scratch {
    pub(super) fn new(rules: usize) -> Self {
        Self {
            seen: vec![Seen::default(); rules],
            touched: Vec::new(),
            lower: Vec::new(),
            buffer: Vec::new(),
            found: Vec::new(),
            candidates: 0,
            path_matches: false,
        }
    }

    /// Forgets the last file, at the cost of the rules that it touched.
    pub(super) fn begin(&mut self) {
        for rule in self.touched.drain(..) {
            self.seen[rule] = Seen::default();
        }
        self.found.clear();
        self.buffer.clear();
        self.candidates = 0;
        self.path_matches = false;
    }

    pub(super) fn seen(&mut self, rule: usize) -> &mut Seen {
        let seen = &mut self.seen[rule];
        if !seen.touched {
            seen.touched = true;
            self.touched.push(rule);
        }
        seen
    }

    /// The rules that saw something.
    pub(super) fn touched(&self) -> Vec<usize> {
        self.touched.clone()
    }
}
