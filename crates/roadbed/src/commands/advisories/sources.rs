//! Documents in files, directories and archives, one after the other, so that no more than one is in memory.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

/// Bytes of one document, unpacked.
const DOCUMENT_BYTES: u64 = 64 << 20;

/// Files that a directory may hold, with all below it.
const FILES: usize = 2_000_000;

/// How deep directories may be nested.
const DEPTH: usize = 16;

/// Bytes of one batch of a request; the layout of OSV's export has files that are no documents.
const SKIPPED: [&str; 4] = ["modified_id.csv", "ecosystems.txt", "LICENSE", "README.md"];

/// Files to read.
pub(crate) struct Sources {
    files: VecDeque<PathBuf>,
    bytes: u64,
}

/// One document.
pub(crate) struct Document {
    /// Path of its file, and in an archive the name within it behind that.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Documents as they are read.
pub(crate) struct Documents {
    files: VecDeque<PathBuf>,
    archive: Option<Archive>,
    read: u64,
}

struct Archive {
    name: String,
    zip: ZipArchive<BufReader<File>>,
    next: usize,
    /// Bytes of the file per entry, for whoever looks at the progress.
    share: u64,
}

impl Sources {
    /// Everything below `paths`.
    pub(crate) fn find(paths: &[PathBuf]) -> Result<Self> {
        let mut found = Self {
            files: VecDeque::new(),
            bytes: 0,
        };
        for path in paths {
            found.add(path, 0)?;
        }
        if found.files.is_empty() {
            bail!("there is no file in {}", paths[0].display());
        }
        Ok(found)
    }

    fn add(&mut self, path: &Path, depth: usize) -> Result<()> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if !metadata.is_dir() {
            self.bytes += metadata.len();
            self.files.push_back(path.to_owned());
            return Ok(());
        }
        if depth >= DEPTH {
            bail!("{} is nested more than {DEPTH} deep", path.display());
        }
        let mut entries = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .with_context(|| format!("cannot list {}", path.display()))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || SKIPPED.contains(&&*name) {
                continue;
            }
            if self.files.len() >= FILES {
                bail!("more than {FILES} files in {}", path.display());
            }
            self.add(&entry.path(), depth + 1)?;
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The documents in them.
    pub(crate) fn documents(self) -> Documents {
        Documents {
            files: self.files,
            archive: None,
            read: 0,
        }
    }
}

impl Documents {
    /// Bytes of files that were read so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read
    }

    /// The next document.
    pub(crate) fn next(&mut self) -> Option<Result<Document>> {
        loop {
            if let Some(archive) = &mut self.archive {
                match archive.next() {
                    Some(document) => {
                        self.read += archive.share;
                        return Some(document);
                    }
                    None => self.archive = None,
                }
            }
            let path = self.files.pop_front()?;
            match self.open(&path) {
                Ok(Some(document)) => return Some(Ok(document)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads a file, or opens it where it is an archive.
    fn open(&mut self, path: &Path) -> Result<Option<Document>> {
        let unreadable = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(unreadable)?;
        let size = file.metadata().with_context(unreadable)?.len();
        let mut head = Vec::new();
        file.by_ref()
            .take(4)
            .read_to_end(&mut head)
            .with_context(unreadable)?;
        let file = File::open(path).with_context(unreadable)?;
        let name = path.display().to_string();
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            let zip = ZipArchive::new(BufReader::new(file)).with_context(unreadable)?;
            self.archive = Some(Archive {
                share: size / (zip.len() as u64).max(1),
                name,
                zip,
                next: 0,
            });
            return Ok(None);
        }
        self.read += size;
        let text = if head.starts_with(&[0x1f, 0x8b]) {
            read_text(MultiGzDecoder::new(BufReader::new(file)), &name)?
        } else {
            read_text(file, &name)?
        };
        Ok(Some(Document { name, text }))
    }
}

impl Archive {
    fn next(&mut self) -> Option<Result<Document>> {
        while self.next < self.zip.len() {
            let number = self.next;
            self.next += 1;
            let mut entry = match self.zip.by_index(number) {
                Ok(entry) => entry,
                Err(error) => {
                    return Some(Err(error).with_context(|| format!("{}: entry {number}", self.name)));
                }
            };
            if entry.is_dir() {
                continue;
            }
            let inner = entry
                .name()
                .map_or_else(|_| format!("entry {number}"), std::borrow::Cow::into_owned);
            let name = format!("{}/{inner}", self.name);
            return Some(read_text(&mut entry, &name).map(|text| Document { name, text }));
        }
        None
    }
}

fn read_text(from: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(DOCUMENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > DOCUMENT_BYTES {
        bail!("{name} has more than {DOCUMENT_BYTES} bytes");
    }
    String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
}
