//! The walk over an archive.

use std::io::BufRead;

use super::{
    Entry, EntryKind, TarError,
    block::{BLOCK, Block, Header, is_header},
    error::exceeded,
    meta::{Merged, Meta},
    oddities::Oddities,
    pax::Records,
    sparse::{self, Map, Run},
};
use crate::Limits;

/// Reads the entries of an archive one after another, each with its content.
///
/// After [`next_entry`](Self::next_entry) said that there are no more, [`finish`](Self::finish) reads what follows the end. After
/// an error nothing more is read.
pub struct Reader<R> {
    input: R,
    limits: Limits,
    /// Bytes of the current entry that are still in the archive, and of its padding.
    physical: u64,
    padding: u64,
    map: Option<Map>,
    entries: u64,
    holes: u64,
    odd: Oddities,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the beginning of an archive.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            limits: limits.clone(),
            physical: 0,
            padding: 0,
            map: None,
            entries: 0,
            holes: 0,
            odd: Oddities::new(limits.findings),
            state: State::Reading,
        }
    }

    /// Headers that were read, extended ones too.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What was odd so far.
    pub fn oddities(&self) -> &[findings::Oddity] {
        self.odd.kept()
    }

    pub(crate) fn oddities_mut(&mut self) -> &mut Oddities {
        &mut self.odd
    }

    /// What the archive is read from.
    pub fn input(&self) -> &R {
        &self.input
    }

    /// Ends the walk.
    pub fn into_input(self) -> R {
        self.input
    }

    /// The next entry, of which the content can be read then. What was left of the one before is skipped.
    ///
    /// # Errors
    /// See [`TarError`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Failed => return Err(TarError::Malformed("it could not be read before")),
        }
        let result = self.walk();
        match result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        result
    }

    fn walk(&mut self) -> Result<Option<Entry>, TarError> {
        let mut meta = Meta::default();
        let mut is_after_global = false;
        loop {
            let Some((block, header)) = self.next_header()? else {
                if is_after_global || !meta.is_empty() {
                    self.odd
                        .note(b"", "an extended header at the end belongs to no entry");
                }
                return Ok(None);
            };
            match header.type_flag {
                b'x' => {
                    meta.note(&header.odd);
                    let records = Records::parse(&self.read_special(&header)?)?;
                    meta.put_pax(records);
                }
                b'g' => {
                    let records = Records::parse(&self.read_special(&header)?)?;
                    self.note_global(&header, &records, &meta);
                    // Go forgets what stood before it.
                    meta = Meta::default();
                    is_after_global = true;
                }
                b'L' | b'K' => {
                    meta.note(&header.odd);
                    let content = self.read_special(&header)?;
                    meta.put_long(header.type_flag, content);
                }
                _ => return self.start(&block, header, meta).map(Some),
            }
        }
    }

    fn note_global(&mut self, header: &Header, records: &Records, meta: &Meta) {
        for what in &header.odd {
            self.odd.note(&header.name, *what);
        }
        if records.changes_entries() {
            self.odd.note(
                &header.name,
                "a global extended header names a path or size, which runtimes ignore",
            );
        }
        if !meta.is_empty() {
            self.odd.note(
                &header.name,
                "a global extended header stands between another one and its entry",
            );
        }
    }

    fn next_header(&mut self) -> Result<Option<(Block, Header)>, TarError> {
        self.map = None;
        discard(&mut self.input, self.physical)?;
        self.physical = 0;
        let padding = std::mem::take(&mut self.padding);
        match discard(&mut self.input, padding) {
            // Go takes an archive that ends inside padding as a whole one.
            Err(TarError::Truncated) => {
                self.odd
                    .note(b"", "the archive ends inside the padding of an entry");
                return Ok(None);
            }
            other => other?,
        }
        let Some(block) = read_block(&mut self.input)? else {
            return Ok(None);
        };
        if is_zero(&block) {
            return match read_block(&mut self.input)? {
                Some(second) if !is_zero(&second) => {
                    Err(TarError::Malformed("a header follows a block of zeros"))
                }
                _ => Ok(None),
            };
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            let detail = format!("the layer has more than {} entries", self.limits.entries);
            return Err(exceeded("layer.entries", detail));
        }
        let header = Header::parse(&block)?;
        let has_content = EntryKind::of(header.type_flag) == EntryKind::File;
        if has_content && header.size < 0 {
            return Err(TarError::Malformed("a size is negative"));
        }
        Ok(Some((block, header)))
    }

    /// Reads the content of an extended header.
    fn read_special(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let size = header.size.unsigned_abs();
        if size > self.limits.name_bytes {
            let detail = format!(
                "an extended header has {size} bytes, more than {}",
                self.limits.name_bytes
            );
            return Err(exceeded("layer.name_bytes", detail));
        }
        self.set_physical(size);
        let mut content = Vec::new();
        while self.physical > 0 {
            let available = self.input.fill_buf()?;
            let count = clip(available.len(), self.physical);
            if count == 0 {
                return Err(TarError::Truncated);
            }
            content.extend_from_slice(&available[..count]);
            self.take_physical(count);
        }
        Ok(content)
    }

    fn set_physical(&mut self, size: u64) {
        self.physical = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn take_physical(&mut self, count: usize) {
        self.input.consume(count);
        self.physical -= count as u64;
    }

    /// Makes an entry of its header and what stood before it.
    fn start(&mut self, block: &Block, header: Header, meta: Meta) -> Result<Entry, TarError> {
        let format = header.format;
        let mut merged = meta.apply(header)?;
        self.check_length(&merged.entry)?;
        let has_content = merged.entry.kind == EntryKind::File;
        self.set_physical(if has_content { merged.entry.size } else { 0 });
        if merged.entry.type_flag == b'S' {
            if format != super::block::Format::Gnu {
                return Err(TarError::Malformed("a sparse file outside of GNU's format"));
            }
            if merged.records.has_sparse() {
                merged.odd.push("a sparse file has two maps");
            }
            let (pieces, size) = sparse::map_of_blocks(block, &mut self.input)?;
            self.set_map(&pieces, size, &mut merged.entry)?;
        } else {
            self.apply_sparse_records(&mut merged)?;
        }
        for what in merged.odd {
            self.odd.note(&merged.entry.name, what);
        }
        Ok(merged.entry)
    }

    fn check_length(&self, entry: &Entry) -> Result<(), TarError> {
        let length = entry.name.len().max(entry.link.len());
        if length <= self.limits.path_bytes {
            return Ok(());
        }
        let detail = format!("a path has {length} bytes, more than {}", self.limits.path_bytes);
        Err(exceeded("layer.path_bytes", detail))
    }

    fn apply_sparse_records(&mut self, merged: &mut Merged) -> Result<(), TarError> {
        let Some(announced) = sparse::announced(&merged.records)? else {
            if merged.records.has_sparse() {
                merged.odd.push("a sparse file of an unknown version");
            }
            return Ok(());
        };
        if merged.entry.kind != EntryKind::File {
            return Err(TarError::Malformed("a sparse file without content"));
        }
        if let Some(name) = announced.name {
            merged.entry.name = name.to_vec();
            self.check_length(&merged.entry)?;
        } else if announced.is_inside {
            merged.odd.push("a sparse file does not have its own name");
        }
        if merged.records.has_two_maps(announced.is_inside) {
            merged.odd.push("a sparse file has two maps");
        }
        let size = match announced.size {
            Some(size) => size,
            None => i64::try_from(merged.entry.size).unwrap_or(i64::MAX),
        };
        let pieces = if announced.is_inside {
            sparse::map_of_content(|| self.content_block())?
        } else {
            sparse::map_of_records(&merged.records)?
        };
        self.set_map(&pieces, size, &mut merged.entry)
    }

    /// A block of the current entry.
    fn content_block(&mut self) -> Result<Block, TarError> {
        if self.physical < BLOCK as u64 {
            return Err(TarError::Malformed("the map of a sparse file has no end"));
        }
        let block = read_block(&mut self.input)?.ok_or(TarError::Truncated)?;
        self.physical -= BLOCK as u64;
        Ok(block)
    }

    /// Holes are bytes too: a header can claim exabytes of them, which whoever unpacks or hashes would have to write.
    fn set_map(&mut self, pieces: &[(i64, i64)], size: i64, entry: &mut Entry) -> Result<(), TarError> {
        let map = Map::new(pieces, size)?;
        self.holes = self.holes.saturating_add(map.size() - map.data());
        if self.holes > self.limits.layer_bytes {
            let detail = format!(
                "sparse files have more than {} bytes of holes",
                self.limits.layer_bytes
            );
            return Err(exceeded("layer.bytes", detail));
        }
        entry.size = map.size();
        self.map = Some(map);
        Ok(())
    }

    /// Reads content of the current entry, holes as zeros; 0 is its end.
    ///
    /// # Errors
    /// See [`TarError`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let result = self.read_run(buffer);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    fn read_run(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let Some(map) = &mut self.map else {
            return self.read_physical(buffer);
        };
        let count = match map.run() {
            Run::End if self.physical == 0 => return Ok(0),
            Run::End => return Err(TarError::Malformed("a sparse file has more data than its map")),
            Run::Hole(length) => {
                let count = clip(buffer.len(), length);
                buffer[..count].fill(0);
                count
            }
            Run::Data(_) if self.physical == 0 => {
                return Err(TarError::Malformed("a sparse file has less data than its map"));
            }
            Run::Data(length) => {
                let count = clip(buffer.len(), length);
                self.read_physical(&mut buffer[..count])?
            }
        };
        if let Some(map) = &mut self.map {
            map.advance(count as u64);
        }
        Ok(count)
    }

    fn read_physical(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let wanted = clip(buffer.len(), self.physical);
        if wanted == 0 {
            return Ok(0);
        }
        let available = self.input.fill_buf()?;
        if available.is_empty() {
            return Err(TarError::Truncated);
        }
        let count = wanted.min(available.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.take_physical(count);
        Ok(count)
    }

    /// Reads what follows the end of the archive, which runtimes read and throw away.
    ///
    /// # Errors
    /// The bytes below cannot be read.
    pub fn finish(&mut self) -> Result<(), TarError> {
        let (mut has_data, mut has_header) = (false, false);
        loop {
            let (block, length) = fill_block(&mut self.input)?;
            if !is_zero(&block) {
                has_data = true;
                has_header |= is_header(&block);
            }
            if length < BLOCK {
                break;
            }
        }
        if has_header {
            self.odd.note(b"", "entries follow the end of the archive");
        } else if has_data {
            self.odd.note(b"", "data follow the end of the archive");
        }
        Ok(())
    }
}

fn clip(length: usize, most: u64) -> usize {
    usize::try_from(most).map_or(length, |most| length.min(most))
}

fn is_zero(block: &Block) -> bool {
    *block == [0; BLOCK]
}

/// A block, or `None` at the end.
pub(super) fn read_block(input: &mut impl BufRead) -> Result<Option<Block>, TarError> {
    match fill_block(input)? {
        (_, 0) => Ok(None),
        (block, BLOCK) => Ok(Some(block)),
        _ => Err(TarError::Truncated),
    }
}

/// A block, of which less is filled only at the end; the rest is zero.
fn fill_block(input: &mut impl BufRead) -> Result<(Block, usize), TarError> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        let available = input.fill_buf()?;
        let count = available.len().min(BLOCK - filled);
        if count == 0 {
            break;
        }
        block[filled..filled + count].copy_from_slice(&available[..count]);
        input.consume(count);
        filled += count;
    }
    Ok((block, filled))
}

fn discard(input: &mut impl BufRead, mut bytes: u64) -> Result<(), TarError> {
    while bytes > 0 {
        let count = clip(input.fill_buf()?.len(), bytes);
        if count == 0 {
            return Err(TarError::Truncated);
        }
        input.consume(count);
        bytes -= count as u64;
    }
    Ok(())
}
