//! How one file is read.
//!
//! The cost of a file is bounded whatever it holds. A byte is looked at once by the prefilter and at most once by each rule
//! whose keyword is near; a search that finds nothing is linear. A search that finds something may have looked further than
//! what it found, so it sees no more than [`PIECE`] and the longest match, and what is found is counted: see [`SecretLimits`].

use std::{
    io::{self, Read},
    ops::Range,
};

use findings::{ByteFinding, ByteFindingKind};
use regex_automata::Input;

use super::{
    allow::Candidate,
    known,
    pattern::secret_span,
    redact,
    rule::{LONGEST_MATCH, Rule},
    rules::RuleSet,
    scratch::{Raw, Scratch},
};
use crate::{Exceeded, FileError};

/// Bytes of a file that are searched at once by one rule.
const PIECE: usize = 64 << 10;
/// Bytes of a file that is not in memory which are held at once.
const BUFFER: usize = if cfg!(test) { 96 << 10 } else { 1 << 20 };
/// Bytes that are kept before what is new, for expressions that look back.
const CONTEXT: usize = 64;
/// Bytes of a line that lists of what is allowed may look at (a minified line has megabytes).
const LINE: usize = 4 << 10;

/// What one file may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretLimits {
    /// `secrets.candidates`: what expressions find in a file before checks (a megabyte of almost-keys). Default 10,000.
    pub candidates: usize,
    /// `secrets.findings`: findings of a file (a million keys). Default 200.
    pub findings: usize,
}

impl Default for SecretLimits {
    fn default() -> Self {
        Self {
            candidates: 10_000,
            findings: 200,
        }
    }
}

/// A part of a file, or all of it.
struct Part<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file.
    base: u64,
    /// Matches that begin here belong to this part: earlier ones to the last, later ones to the next.
    own: Range<usize>,
    /// Lines before it.
    lines: u64,
    is_last: bool,
}

/// One file and the rules.
pub(super) struct Scan<'a> {
    rules: &'a RuleSet,
    limits: &'a SecretLimits,
    path: &'a str,
}

impl<'a> Scan<'a> {
    pub(super) fn new(rules: &'a RuleSet, limits: &'a SecretLimits, path: &'a str) -> Self {
        Self { rules, limits, path }
    }

    /// Reads a file that is in memory.
    pub(super) fn memory(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<(), FileError> {
        self.begin(scratch);
        let part = Part {
            bytes,
            base: 0,
            own: 0..bytes.len(),
            lines: 0,
            is_last: true,
        };
        self.part(&part, scratch)
    }

    /// Reads any other, in parts that overlap by the longest match.
    pub(super) fn reader(&self, mut source: impl Read, scratch: &mut Scratch) -> Result<(), FileError> {
        self.begin(scratch);
        let mut buffer = std::mem::take(&mut scratch.buffer);
        let (mut base, mut lines, mut context) = (0_u64, 0_u64, 0_usize);
        let done = loop {
            let is_last = match fill(&mut source, &mut buffer) {
                Ok(is_last) => is_last,
                Err(error) => break Err(error.into()),
            };
            let end = if is_last {
                buffer.len()
            } else {
                buffer.len() - LONGEST_MATCH
            };
            let part = Part {
                bytes: &buffer,
                base,
                own: context..end,
                lines,
                is_last,
            };
            if let Err(error) = self.part(&part, scratch) {
                break Err(error);
            }
            if is_last {
                break Ok(());
            }
            context = CONTEXT;
            let gone = end - context;
            base += gone as u64;
            lines += count_lines(&buffer[..gone]);
            buffer.drain(..gone);
        };
        buffer.clear();
        scratch.buffer = buffer;
        done
    }

    fn begin(&self, scratch: &mut Scratch) {
        for rule in self.rules.for_path(self.path) {
            scratch.path_matches = true;
            let seen = scratch.seen(rule);
            seen.path_matches = true;
            match &self.rules.rule(rule).regex {
                Some(_) => seen.everywhere = self.rules.rule(rule).keywords.is_empty(),
                None => self.note_path(rule, scratch),
            }
        }
        for &rule in &self.rules.always {
            scratch.seen(rule).everywhere = true;
        }
    }

    /// A rule of which the path alone is the finding.
    fn note_path(&self, rule: usize, scratch: &mut Scratch) {
        let path = self.path.as_bytes();
        let candidate = Candidate {
            path: self.path,
            secret: path,
            whole: path,
            line: path,
        };
        if !self.rules.pack_allows(rule, candidate) && self.rules.rule(rule).accepts(candidate) {
            let finding = self.finding(rule);
            scratch.found.push(Raw {
                rule,
                span: 0..0,
                finding,
            });
        }
    }

    fn part(&self, part: &Part<'_>, scratch: &mut Scratch) -> Result<(), FileError> {
        let known = scratch.found.len();
        let done = self.search(part, scratch);
        number_lines(part, &mut scratch.found[known..]);
        done
    }

    fn search(&self, part: &Part<'_>, scratch: &mut Scratch) -> Result<(), FileError> {
        let mut lower = std::mem::take(&mut scratch.lower);
        let mut done = Ok(());
        self.rules.anywhere.each(part.bytes, &mut lower, |rule, at| {
            self.mark(rule, at, part, scratch, &mut done);
        });
        if scratch.path_matches {
            self.rules.by_path.each(part.bytes, &mut lower, |rule, at| {
                if scratch.seen(rule).path_matches {
                    self.mark(rule, at, part, scratch, &mut done);
                }
            });
        }
        scratch.lower = lower;
        done?;
        for rule in scratch.touched() {
            let seen = scratch.seen(rule);
            let window = if seen.everywhere {
                Some(0..part.bytes.len())
            } else {
                seen.window.take()
            };
            if let Some(window) = window {
                self.run(rule, window, part, scratch)?;
            }
        }
        Ok(())
    }

    /// A keyword of the rule was seen: its window grows, or is run and another one begins.
    fn mark(
        &self,
        index: usize,
        at: usize,
        part: &Part<'_>,
        scratch: &mut Scratch,
        done: &mut Result<(), FileError>,
    ) {
        if done.is_err() {
            return;
        }
        let rule = self.rules.rule(index);
        let seen = scratch.seen(index);
        let Some(lead) = rule.lead else {
            seen.everywhere = true;
            return;
        };
        let next = at.saturating_sub(lead)..part.bytes.len().min(at.saturating_add(rule.reach));
        match &mut seen.window {
            Some(window) if next.start <= window.end => window.end = window.end.max(next.end),
            window => {
                if let Some(full) = window.replace(next) {
                    *done = self.run(index, full, part, scratch);
                }
            }
        }
    }

    /// Runs an expression, piece by piece.
    fn run(
        &self,
        index: usize,
        window: Range<usize>,
        part: &Part<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        // Where more follows, the end of the part must not be taken for the end of the text.
        let end = window.end.min(part.bytes.len() - usize::from(!part.is_last));
        let window = window.start.max(part.own.start)..end;
        for start in window.clone().step_by(PIECE) {
            let own = start..part.own.end.min(start + PIECE);
            let end = (own.end + LONGEST_MATCH).min(window.end);
            self.run_piece(index, own, end, part, scratch)?;
        }
        Ok(())
    }

    fn run_piece(
        &self,
        index: usize,
        own: Range<usize>,
        end: usize,
        part: &Part<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        let rule = self.rules.rule(index);
        let Some(pattern) = &rule.regex else {
            return Ok(());
        };
        let regex = pattern.regex().ok_or_else(|| too_large(rule))?;
        let done = usize::try_from(scratch.seen(index).done.saturating_sub(part.base)).unwrap_or(usize::MAX);
        let start = own.start.max(done);
        if start >= end {
            return Ok(());
        }
        for captures in regex.captures_iter(Input::new(part.bytes).range(start..end)) {
            let Some(whole) = captures.get_match().map(|found| found.range()) else {
                break;
            };
            if whole.start >= own.end {
                break;
            }
            self.count(scratch)?;
            scratch.seen(index).done = part.base + whole.end as u64;
            if let Some(secret) = secret_span(&captures, rule.group).filter(|secret| !secret.is_empty()) {
                self.judge(index, &whole, &secret, part, scratch)?;
            }
        }
        Ok(())
    }

    fn count(&self, scratch: &mut Scratch) -> Result<(), Exceeded> {
        scratch.candidates += 1;
        if scratch.candidates <= self.limits.candidates {
            return Ok(());
        }
        Err(Exceeded {
            limit: "secrets.candidates",
            detail: format!("more than {} places look like secrets", self.limits.candidates),
        })
    }

    /// Takes what was found if the checks of its rule and pack agree.
    fn judge(
        &self,
        index: usize,
        whole: &Range<usize>,
        secret: &Range<usize>,
        part: &Part<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Exceeded> {
        let rule = self.rules.rule(index);
        let bytes = &part.bytes[secret.clone()];
        let candidate = Candidate {
            path: self.path,
            secret: bytes,
            whole: &part.bytes[whole.clone()],
            line: line_around(part.bytes, whole),
        };
        if !rule.accepts(candidate) || self.rules.pack_allows(index, candidate) {
            return Ok(());
        }
        if scratch.found.len() >= self.limits.findings {
            return Err(Exceeded {
                limit: "secrets.findings",
                detail: format!("more than {} secrets", self.limits.findings),
            });
        }
        let identity = rule
            .check
            .map_or_else(|| bytes.to_vec(), |check| check.identity(bytes));
        let fingerprint = redact::fingerprint(&identity);
        let mut finding = self.finding(index);
        finding.is_example = known::is_example(&fingerprint);
        finding.fingerprint = Some(fingerprint);
        finding.excerpt = (!rule.hide).then(|| redact::excerpt(bytes));
        scratch.found.push(Raw {
            rule: index,
            span: part.base + secret.start as u64..part.base + secret.end as u64,
            finding,
        });
        Ok(())
    }

    fn finding(&self, index: usize) -> ByteFinding {
        let rule = self.rules.rule(index);
        ByteFinding {
            kind: ByteFindingKind::Secret,
            rule: rule.id.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            path: self.path.to_owned(),
            inner_path: Vec::new(),
            line: None,
            excerpt: None,
            fingerprint: None,
            fix: rule.fix.clone(),
            is_example: false,
            pack: self.rules.pack_name(index).to_owned(),
        }
    }

    /// Hands over what was found, in the order of the file. Of findings that share bytes the one of the earliest rule stays.
    #[expect(clippy::unused_self, reason = "reads as the last step of a scan")]
    pub(super) fn report(&self, scratch: &mut Scratch, sink: &mut Vec<ByteFinding>) {
        let mut found = std::mem::take(&mut scratch.found);
        found.sort_by_key(|raw| raw.rule);
        let mut kept: Vec<Raw> = Vec::new();
        // At most `secrets.findings` of them.
        for raw in found {
            let shares = |other: &Raw| raw.span.start < other.span.end && other.span.start < raw.span.end;
            if !kept.iter().any(shares) {
                kept.push(raw);
            }
        }
        kept.sort_by_key(|raw| raw.span.start);
        sink.extend(kept.into_iter().map(|raw| raw.finding));
    }
}

/// Reads until the buffer is full; says whether the source has ended.
fn fill(source: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let wanted = BUFFER - buffer.len();
    let read = source.take(wanted as u64).read_to_end(buffer)?;
    Ok(read < wanted)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Counts lines once, from finding to finding.
fn number_lines(part: &Part<'_>, found: &mut [Raw]) {
    found.sort_by_key(|raw| raw.span.start);
    let (mut at, mut line) = (0, part.lines + 1);
    for raw in found.iter_mut().filter(|raw| raw.finding.fingerprint.is_some()) {
        let start = usize::try_from(raw.span.start - part.base).unwrap_or(at).max(at);
        line += count_lines(&part.bytes[at..start]);
        at = start;
        raw.finding.line = Some(line);
    }
}

/// The lines that a match touches, as far as [`LINE`] to both sides.
fn line_around<'a>(bytes: &'a [u8], whole: &Range<usize>) -> &'a [u8] {
    let before = &bytes[whole.start.saturating_sub(LINE)..whole.start];
    let after = &bytes[whole.end..bytes.len().min(whole.end + LINE)];
    let head = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    let tail = after.iter().take_while(|byte| **byte != b'\n').count();
    &bytes[whole.start - head..whole.end + tail]
}

fn too_large(rule: &Rule) -> Exceeded {
    Exceeded {
        limit: "secrets.rule_size",
        detail: format!("the expression of rule {} is too large", rule.id),
    }
}
