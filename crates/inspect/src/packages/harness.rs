//! What the tests of the catalogers share.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Budget, Cataloger, Content, Facts, File, FileError, Limits};

/// Facts of a file in memory, and how reading it ended.
pub(crate) fn read_with(
    limits: Limits,
    cataloger: &dyn Cataloger,
    path: &str,
    bytes: &[u8],
) -> (Facts, Result<(), FileError>) {
    let head = &bytes[..bytes.len().min(512)];
    assert!(cataloger.wants(path, head), "{path} is not wanted");
    let mut file = File {
        path,
        size: bytes.len() as u64,
        mode: 0o644,
        content: Content::of(bytes),
    };
    run(limits, cataloger, &mut file)
}

/// The same under the default limits.
pub(crate) fn read(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) -> (Facts, Result<(), FileError>) {
    read_with(Limits::default(), cataloger, path, bytes)
}

/// The same of a file that must be readable to its end.
pub(crate) fn facts(cataloger: &dyn Cataloger, path: &str, bytes: &[u8]) -> Facts {
    let (facts, end) = read(cataloger, path, bytes);
    end.unwrap();
    assert!(facts.skipped.is_empty(), "{:?}", facts.skipped);
    facts
}

/// The same of a file that was too large for memory.
pub(crate) fn read_spooled(
    cataloger: &dyn Cataloger,
    path: &str,
    spool: &mut Spool,
) -> (Facts, Result<(), FileError>) {
    let mut file = File {
        path,
        size: spool.0.get_ref().len() as u64,
        mode: 0o644,
        content: Content::Spooled(spool),
    };
    run(Limits::default(), cataloger, &mut file)
}

fn run(limits: Limits, cataloger: &dyn Cataloger, file: &mut File<'_>) -> (Facts, Result<(), FileError>) {
    let mut budget = Budget::new(limits);
    let mut facts = Facts::default();
    let end = cataloger.read(file, &mut budget, &mut facts);
    (facts, end)
}

/// Bytes that are not handed out as one slice, a few at a time.
pub(crate) struct Spool(pub(crate) io::Cursor<Vec<u8>>);

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = buffer.len().min(1_000);
        self.0.read(&mut buffer[..some])
    }
}

impl Seek for Spool {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

/// `name version` of each package, sorted.
pub(crate) fn names(facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = facts
        .packages
        .iter()
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    names.sort_unstable();
    names
}

/// The limit that was exceeded.
pub(crate) fn exceeded(end: Result<(), FileError>) -> &'static str {
    match end {
        Err(FileError::Exceeded(exceeded)) => exceeded.limit,
        other => panic!("no limit was exceeded: {other:?}"),
    }
}

/// Bytes with a few of them changed, cut or repeated, by a seed: what damaged files look like.
pub(crate) fn mutate(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below.max(1) as u64)).unwrap_or(0)
    };
    let mut out = bytes.to_vec();
    for _ in 0..=next(8) {
        let at = next(out.len());
        match next(4) {
            0 if !out.is_empty() => out[at] = next(256).try_into().unwrap_or(0),
            1 if !out.is_empty() => out[at] = 0xff,
            2 => out.truncate(at),
            _ => {
                let end = (at + next(64)).min(out.len());
                let piece = out[at..end].to_vec();
                let into = next(out.len());
                for (to, from) in out[into..].iter_mut().zip(piece) {
                    *to = from;
                }
            }
        }
    }
    out
}
