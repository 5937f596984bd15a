//! The content of one file: looked at once, kept only if somebody wants it.

use std::io::{BufRead, SeekFrom};

use oci::{Algorithm, Hasher};

use super::{Spool, SpoolMaker, pieces::Comparison};
use crate::{
    Content,
    tar::{Reader, TarError},
};

/// First bytes that everybody sees.
pub(super) const HEAD_BYTES: usize = 512;

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// Bytes of a digest that the listing keeps.
const DIGEST_BYTES: usize = 16;

/// Buffers that all files share.
pub(super) struct Buffers {
    head: [u8; HEAD_BYTES],
    head_length: usize,
    chunk: Vec<u8>,
    whole: Vec<u8>,
    hasher: Option<Hasher>,
    hashes: bool,
    /// What the file is compared with, piece by piece, where it is hashed at all.
    comparison: Option<Comparison>,
}

/// Where the content of a file is kept.
pub(super) enum Kept {
    Memory,
    Spooled(Box<dyn Spool>),
    /// The spool failed.
    Lost(String),
}

impl Buffers {
    pub(super) fn new(hashes: bool) -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_length: 0,
            chunk: vec![0; CHUNK_BYTES],
            whole: Vec::new(),
            hasher: None,
            hashes,
            comparison: None,
        }
    }

    /// What the next file is compared with.
    pub(super) fn compare(&mut self, comparison: Option<Comparison>) {
        self.comparison = comparison.filter(|_| self.hashes);
    }

    /// What was compared with the file that has passed by.
    pub(super) fn compared(&mut self) -> Option<Comparison> {
        self.comparison.take()
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head[..self.head_length]
    }

    /// Reads the first bytes of the current entry.
    pub(super) fn read_head<R: BufRead>(&mut self, reader: &mut Reader<R>) -> Result<(), TarError> {
        self.hasher = self.hashes.then(|| Hasher::new(Algorithm::Sha256));
        self.head_length = 0;
        while self.head_length < HEAD_BYTES {
            let count = reader.read(&mut self.head[self.head_length..])?;
            if count == 0 {
                break;
            }
            self.head_length += count;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.head[..self.head_length]);
        }
        if let Some(comparison) = &mut self.comparison {
            comparison.update(&self.head[..self.head_length]);
        }
        Ok(())
    }

    /// Reads the rest, for nobody but the listing.
    pub(super) fn skip<R: BufRead>(&mut self, reader: &mut Reader<R>) -> Result<(), TarError> {
        if self.hasher.is_none() {
            return Ok(());
        }
        while self.next_chunk(reader)? != 0 {}
        Ok(())
    }

    /// Reads all of it, up to `memory` bytes into memory.
    pub(super) fn keep<R: BufRead>(
        &mut self,
        reader: &mut Reader<R>,
        size: u64,
        memory: u64,
        spool: &mut dyn SpoolMaker,
    ) -> Result<Kept, TarError> {
        if size > memory {
            return self.spool(reader, spool);
        }
        self.whole.clear();
        self.whole.extend_from_slice(&self.head[..self.head_length]);
        loop {
            // The buffer grows by what is there, not by what was announced.
            let count = self.next_chunk(reader)?;
            if count == 0 {
                return Ok(Kept::Memory);
            }
            self.whole.extend_from_slice(&self.chunk[..count]);
        }
    }

    fn spool<R: BufRead>(
        &mut self,
        reader: &mut Reader<R>,
        maker: &mut dyn SpoolMaker,
    ) -> Result<Kept, TarError> {
        let mut spool = maker.make();
        if let Ok(writer) = &mut spool
            && let Err(error) = writer.write_all(&self.head[..self.head_length])
        {
            spool = Err(error);
        }
        loop {
            let count = self.next_chunk(reader)?;
            if count == 0 {
                break;
            }
            if let Ok(writer) = &mut spool
                && let Err(error) = writer.write_all(&self.chunk[..count])
            {
                spool = Err(error);
            }
        }
        Ok(match spool {
            Ok(spool) => Kept::Spooled(spool),
            Err(error) => Kept::Lost(format!("the file could not be spooled: {error}")),
        })
    }

    fn next_chunk<R: BufRead>(&mut self, reader: &mut Reader<R>) -> Result<usize, TarError> {
        let count = reader.read(&mut self.chunk)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.chunk[..count]);
        }
        if let Some(comparison) = &mut self.comparison {
            comparison.update(&self.chunk[..count]);
        }
        Ok(count)
    }

    /// The content from its beginning. An error of the spool's is its text.
    pub(super) fn open<'a>(&'a self, kept: &'a mut Kept) -> Result<Content<'a>, String> {
        match kept {
            Kept::Memory => Ok(Content::of(&self.whole)),
            Kept::Spooled(spool) => match spool.seek(SeekFrom::Start(0)) {
                Ok(_) => Ok(Content::Spooled(spool)),
                Err(error) => Err(format!("the spooled file could not be read: {error}")),
            },
            Kept::Lost(why) => Err(why.clone()),
        }
    }

    /// The content, where it is in memory.
    pub(super) fn memory(&self, kept: &Kept) -> Option<&[u8]> {
        matches!(kept, Kept::Memory).then_some(&self.whole)
    }

    /// What the listing says of the content; empty if it is not to be hashed.
    pub(super) fn digest(&mut self) -> String {
        self.hasher.take().map_or_else(String::new, |hasher| {
            let mut hex = hasher.finish().hex();
            hex.truncate(2 * DIGEST_BYTES);
            hex
        })
    }
}
