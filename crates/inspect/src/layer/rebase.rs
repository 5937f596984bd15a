//! What of a layer matters when another base is put below it.

use std::collections::BTreeMap;

use findings::{Deflated, KEPT_FILE_BYTES, KEPT_FILES, KeptFile, Linkage, RebaseFacts};

use crate::linkage::{self, Read};
use crate::tar::Entry;

/// `report.linkages`: programs and libraries of a layer whose needs are kept (a hundred thousand small ones). More are counted, and
/// images on the layer are not rebased.
const MAX_LINKAGES: usize = 50_000;

/// `report.linkage_bytes`: bytes of their names together (a program that needs thousands of long names, a thousand times).
const MAX_LINKAGE_BYTES: usize = 32 << 20;

/// Facts so far. Of two entries with one path the last counts.
#[derive(Debug, Default)]
pub(super) struct Rebase {
    linkages: BTreeMap<String, Linkage>,
    bytes: usize,
    more: u64,
    kept: BTreeMap<String, KeptFile>,
}

/// Whether a file matters.
pub(super) fn wants(path: &str, head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") || KEPT_FILES.contains(&path)
}

impl Rebase {
    /// Takes a file that was wanted; `content` is `None` where it is too large for memory.
    pub(super) fn take(&mut self, path: &str, entry: &Entry, content: Option<&[u8]>) {
        self.linkages.remove(path);
        if KEPT_FILES.contains(&path) {
            self.kept.remove(path);
            let content = content.filter(|content| content.len() <= KEPT_FILE_BYTES);
            if let Some(content) = content {
                let kept = KeptFile {
                    path: path.to_owned(),
                    mode: entry.mode,
                    owner: entry.owner,
                    content: Deflated::of(content),
                };
                self.kept.insert(path.to_owned(), kept);
            }
            return;
        }
        match content.map_or(Read::Unread, |content| linkage::read(path, content)) {
            Read::Apart => {}
            Read::Unread => self.more += 1,
            Read::Found(linkage) => {
                self.bytes += bytes_of(&linkage);
                if self.linkages.len() < MAX_LINKAGES && self.bytes <= MAX_LINKAGE_BYTES {
                    self.linkages.insert(path.to_owned(), *linkage);
                } else {
                    self.more += 1;
                }
            }
        }
    }

    pub(super) fn finish(self) -> RebaseFacts {
        RebaseFacts {
            linkages: self.linkages.into_values().collect(),
            more_linkages: self.more,
            kept: self.kept.into_values().collect(),
        }
    }
}

fn bytes_of(linkage: &Linkage) -> usize {
    let texts = linkage.needed.iter().chain(&linkage.offers);
    let wants = linkage
        .wants
        .iter()
        .map(|(library, version)| library.len() + version.len());
    linkage.path.len() + texts.map(String::len).sum::<usize>() + wants.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::EntryKind;

    fn entry(size: u64) -> Entry {
        Entry {
            kind: EntryKind::File,
            type_flag: b'0',
            name: Vec::new(),
            link: Vec::new(),
            size,
            mode: 0o640,
            owner: (0, 42),
        }
    }

    #[test]
    fn the_last_file_of_a_path_counts() {
        let mut rebase = Rebase::default();
        for text in ["first", "second"] {
            rebase.take("etc/shadow", &entry(6), Some(text.as_bytes()));
        }
        let facts = rebase.finish();
        assert_eq!(facts.kept.len(), 1);
        assert_eq!((facts.kept[0].mode, facts.kept[0].owner), (0o640, (0, 42)));
        assert_eq!(facts.kept[0].content.bytes(100).unwrap(), b"second");
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_what_is_unread_is_counted() {
        let mut rebase = Rebase::default();
        rebase.take("etc/passwd", &entry(1), Some(b"x"));
        rebase.take("etc/passwd", &entry(1), Some(&vec![0; KEPT_FILE_BYTES + 1]));
        rebase.take("usr/bin/large", &entry(1), None);
        rebase.take("usr/bin/cut", &entry(1), Some(b"\x7fELF\x02"));
        let facts = rebase.finish();
        assert_eq!((facts.kept.len(), facts.more_linkages), (0, 2));
    }

    #[test]
    fn programs_beyond_the_limit_are_counted() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut rebase = Rebase {
            bytes: MAX_LINKAGE_BYTES,
            ..Rebase::default()
        };
        rebase.take("usr/bin/one", &entry(1), Some(&program));
        let facts = rebase.finish();
        assert_eq!((facts.linkages.len(), facts.more_linkages), (0, 1));
        let mut rebase = Rebase::default();
        for number in 0..=MAX_LINKAGES {
            let path = format!("usr/bin/{number}");
            rebase.linkages.insert(
                path.clone(),
                Linkage {
                    path,
                    machine: (62, 64),
                    soname: None,
                    needed: Vec::new(),
                    interpreter: None,
                    wants: Vec::new(),
                    offers: Vec::new(),
                },
            );
        }
        rebase.take("usr/bin/one", &entry(1), Some(&program));
        assert_eq!(rebase.finish().more_linkages, 1);
    }
}
