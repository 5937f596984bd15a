//! A bundle: advisories of all sources in one file, to be carried to where nothing can be fetched.
//!
//! It is zstd over lines of JSON: a head that says when it was made, a line for each document with its digest, and an end that says
//! how many there are and hashes everything before. Who made it is said by a detached signature over the file. It holds no paths
//! that anything is written to: names only say whose document it is.
//!
//! - `write.rs` makes one. `verified.rs` finds out whose one is, `take.rs` imports it. `upload.rs` gathers one that comes over the API.

use std::io::{self, BufRead as _, BufReader, Read};

use oci::{Algorithm, Digest, Hasher};
use serde::{Deserialize, Serialize};
use store::Timestamp;
use thiserror::Error;
use zstd::stream::read::Decoder;

mod take;
#[cfg(test)]
mod tests;
mod upload;
mod verified;
mod write;

pub(crate) use take::BundleRequest;
pub(super) use take::{Taking, origin_of};
pub(super) use upload::Uploads;
pub(crate) use write::write;

/// What its head says that it is.
const FORMAT: &str = "roadbed-advisories/1";

/// Bytes of one line: a catalogue of 64 MiB as JSON text.
const LINE_BYTES: u64 = 160 << 20;

/// Bytes of the name of a document.
const NAME_BYTES: usize = 512;

/// Window of zstd, as a power of two: what a reader has to hold in memory.
const WINDOW_LOG: u32 = 27;

/// How much is read of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BundleLimits {
    /// Bytes of the file (`feeds.bundle_bytes`).
    pub(crate) bytes: u64,
    /// Bytes that it unpacks to (`feeds.bundle_unpacked`).
    pub(crate) unpacked: u64,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first.
    Head {
        /// [`FORMAT`].
        format: String,
        /// When it was made, RFC 3339.
        created: String,
    },
    /// A document.
    Document {
        /// Where it lay; the folder says whose it is.
        name: String,
        /// Digest of its bytes.
        sha256: String,
        /// What it says.
        text: String,
    },
    /// The last.
    End {
        /// How many documents there are.
        documents: u64,
        /// Digest of all lines before, with their ends.
        sha256: String,
    },
}

/// Why a bundle is not taken.
#[derive(Debug, Error)]
pub(crate) enum BundleError {
    /// It cannot be unpacked.
    #[error("it is no bundle of advisories, or damaged")]
    Damaged(#[source] io::Error),
    /// Its lines are others.
    #[error("line {line} is no line of a bundle of advisories ({FORMAT})")]
    Line {
        /// Which.
        line: u64,
        /// Why.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// Of another version.
    #[error("it is of the format {0:?}, and {FORMAT} is what is read here")]
    Format(String),
    /// A line is too long, or all of them are.
    #[error("{what} has more than {limit} bytes ({key})")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Which key raises it.
        key: &'static str,
    },
    /// A name that is none.
    #[error("line {0} has a document whose name is a path upwards, absolute, or no plain text")]
    Name(u64),
    /// A document is not what was put in.
    #[error("the document {0} is not the one that was put in: its digest is another one")]
    Document(String),
    /// The end is missing.
    #[error("it is cut off: it has no end that says how much it holds")]
    CutOff,
    /// The end says something else.
    #[error("its end does not fit: it was put together of parts")]
    End,
}

/// A document of a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A bundle as it is read.
pub(crate) struct BundleReader<R: Read> {
    from: BufReader<io::Take<Decoder<'static, BufReader<R>>>>,
    hasher: Hasher,
    limits: BundleLimits,
    unpacked: u64,
    lines: u64,
    documents: u64,
    /// When it was made.
    pub(crate) created: Timestamp,
}

impl<R: Read> BundleReader<R> {
    /// Reads the head.
    pub(crate) fn open(file: R, limits: BundleLimits) -> Result<Self, BundleError> {
        let mut decoder = Decoder::new(file).map_err(BundleError::Damaged)?;
        decoder.window_log_max(WINDOW_LOG).map_err(BundleError::Damaged)?;
        let mut reader = Self {
            // One more, by which too much is told from all.
            from: BufReader::new(decoder.take(limits.unpacked.saturating_add(1))),
            hasher: Hasher::new(Algorithm::Sha256),
            limits,
            unpacked: 0,
            lines: 0,
            documents: 0,
            created: Timestamp::default(),
        };
        let line = reader.line()?.ok_or(BundleError::CutOff)?;
        let Line::Head { format, created } = reader.parse(&line)? else {
            return Err(reader.odd());
        };
        if format != FORMAT {
            return Err(BundleError::Format(format.chars().take(40).collect()));
        }
        reader.created = Timestamp::from_rfc3339(&created).ok_or_else(|| reader.odd())?;
        reader.hasher.update(&line);
        Ok(reader)
    }

    /// The next document; `None` at the end, which was checked then.
    pub(crate) fn next(&mut self) -> Result<Option<Document>, BundleError> {
        let line = self.line()?.ok_or(BundleError::CutOff)?;
        match self.parse(&line)? {
            Line::Head { .. } => Err(self.odd()),
            Line::Document { name, sha256, text } => {
                self.hasher.update(&line);
                self.documents += 1;
                if !is_name(&name) {
                    return Err(BundleError::Name(self.lines));
                }
                if Digest::of(Algorithm::Sha256, text.as_bytes()).hex() != sha256 {
                    return Err(BundleError::Document(name));
                }
                Ok(Some(Document { name, text }))
            }
            Line::End { documents, sha256 } => {
                let hasher = std::mem::replace(&mut self.hasher, Hasher::new(Algorithm::Sha256));
                let is_whole = documents == self.documents && hasher.finish().hex() == sha256;
                if !is_whole || self.line()?.is_some() {
                    return Err(BundleError::End);
                }
                Ok(None)
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Line, BundleError> {
        serde_json::from_slice(line).map_err(|error| BundleError::Line {
            line: self.lines,
            source: Some(error),
        })
    }

    fn odd(&self) -> BundleError {
        BundleError::Line {
            line: self.lines,
            source: None,
        }
    }

    /// A line with its end; `None`: there is none.
    fn line(&mut self) -> Result<Option<Vec<u8>>, BundleError> {
        let mut line = Vec::new();
        let mut bounded = self.from.by_ref().take(LINE_BYTES + 1);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(BundleError::Damaged)?;
        self.unpacked += line.len() as u64;
        self.lines += 1;
        if self.unpacked > self.limits.unpacked {
            return Err(BundleError::TooLarge {
                what: "what it unpacks to",
                limit: self.limits.unpacked,
                key: "feeds.bundle_unpacked",
            });
        }
        if line.len() as u64 > LINE_BYTES {
            return Err(BundleError::TooLarge {
                what: "a line",
                limit: LINE_BYTES,
                key: "the only value",
            });
        }
        if line.is_empty() {
            return Ok(None);
        }
        if line.ends_with(b"\n") {
            Ok(Some(line))
        } else {
            Err(BundleError::CutOff)
        }
    }
}

/// Whether it names a document. Nothing is written there; it goes into messages, and its folder says whose the document is.
fn is_name(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    !name.is_empty()
        && name.len() <= NAME_BYTES
        && !name.starts_with('/')
        && !name.contains('\\')
        && name.chars().all(is_plain)
        && name.split('/').all(|part| part != "..")
}
