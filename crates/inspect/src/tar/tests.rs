//! Tests of the reader: traps one by one, limits one by one, and against other parsers.

pub(crate) mod builder;
mod differential;
mod generator;
mod limits;
mod traps;

use super::{Reader, TarError};
use crate::Limits;

/// One entry as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    type_flag: char,
    size: u64,
    name: Vec<u8>,
    link: Vec<u8>,
    content: Option<Vec<u8>>,
}

/// All that a reader saw, and why it stopped if it stopped early.
struct Walk {
    seen: Vec<Seen>,
    error: Option<TarError>,
    oddities: Vec<String>,
}

/// Content up to this size is read and compared.
const COMPARED_BYTES: u64 = 1 << 20;

fn walk(archive: &[u8], limits: &Limits) -> Walk {
    let mut reader = Reader::new(archive, limits);
    let mut seen = Vec::new();
    let error = walk_into(&mut reader, &mut seen).err();
    let oddities = reader
        .oddities()
        .iter()
        .map(|oddity| oddity.what.clone())
        .collect();
    Walk {
        seen,
        error,
        oddities,
    }
}

fn walk_into(reader: &mut Reader<&[u8]>, seen: &mut Vec<Seen>) -> Result<(), TarError> {
    while let Some(entry) = reader.next_entry()? {
        seen.push(Seen {
            type_flag: entry.type_flag.into(),
            size: entry.size,
            name: entry.name,
            link: entry.link,
            content: None,
        });
        if entry.size <= COMPARED_BYTES {
            let mut content = Vec::new();
            let mut buffer = [0; 700];
            loop {
                let count = reader.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                content.extend_from_slice(&buffer[..count]);
            }
            let last = seen.last_mut().expect("an entry was just put there");
            last.content = Some(content);
        }
    }
    reader.finish()
}

fn names(walk: &Walk) -> Vec<String> {
    walk.seen
        .iter()
        .map(|seen| String::from_utf8_lossy(&seen.name).into_owned())
        .collect()
}
