//! Sparse files: GNU's old form and the three forms in extended headers, as Go reads them.

use std::io::BufRead;

use super::{
    TarError,
    block::{BLOCK, Block},
    number,
    pax::{Records, decimal},
};

/// Bytes of a map, Go's limit.
const MAP_BYTES: usize = 1 << 20;

const MALFORMED: TarError = TarError::Malformed("the map of a sparse file");
const TOO_LONG: TarError = TarError::Malformed("the map of a sparse file is too long");

/// A piece of the file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    offset: u64,
    end: u64,
}

/// Where in a sparse file the reader is.
#[derive(Debug)]
pub(super) struct Map {
    pieces: Vec<Piece>,
    next: usize,
    position: u64,
    size: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// So many bytes of data.
    Data(u64),
    /// So many zeros.
    Hole(u64),
    /// The end of the file.
    End,
}

impl Map {
    /// Checks that pieces are in order, apart, and inside the file.
    pub(super) fn new(pieces: &[(i64, i64)], size: i64) -> Result<Self, TarError> {
        let size = u64::try_from(size).map_err(|_| MALFORMED)?;
        let mut before = 0;
        let mut checked = Vec::new();
        for (offset, length) in pieces {
            let offset = u64::try_from(*offset).map_err(|_| MALFORMED)?;
            let length = u64::try_from(*length).map_err(|_| MALFORMED)?;
            // Both are at most `i64::MAX`.
            let end = offset + length;
            if end > size || before > offset {
                return Err(MALFORMED);
            }
            before = end;
            if length != 0 {
                checked.push(Piece { offset, end });
            }
        }
        Ok(Self {
            pieces: checked,
            next: 0,
            position: 0,
            size,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are data.
    pub(super) fn data(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.offset).sum()
    }

    pub(super) fn run(&self) -> Run {
        match self.pieces.get(self.next) {
            Some(piece) if self.position >= piece.offset => Run::Data(piece.end - self.position),
            Some(piece) => Run::Hole(piece.offset - self.position),
            None if self.position < self.size => Run::Hole(self.size - self.position),
            None => Run::End,
        }
    }

    /// Goes on by some bytes of the run.
    pub(super) fn advance(&mut self, bytes: u64) {
        self.position += bytes;
        if self
            .pieces
            .get(self.next)
            .is_some_and(|piece| self.position >= piece.end)
        {
            self.next += 1;
        }
    }
}

/// What an extended header says about a sparse file.
pub(super) struct Announced<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) size: Option<i64>,
    /// Version 1.0: the map stands before the data.
    pub(super) is_inside: bool,
}

/// What the records say, if they speak of a sparse file of a known version.
pub(super) fn announced(records: &Records) -> Result<Option<Announced<'_>>, TarError> {
    let version = (records.get("GNU.sparse.major"), records.get("GNU.sparse.minor"));
    let is_inside = match version {
        (Some(b"0"), Some(b"0" | b"1")) => false,
        (Some(b"1"), Some(b"0")) => true,
        (None, None) if records.get("GNU.sparse.map").is_some() => false,
        _ => return Ok(None),
    };
    let size = match records.number("GNU.sparse.size")? {
        Some(size) => Some(size),
        None => records.number("GNU.sparse.realsize")?,
    };
    Ok(Some(Announced {
        name: records.get("GNU.sparse.name"),
        size,
        is_inside,
    }))
}

/// The map of versions 0.0 and 0.1: numbers with commas between them.
pub(super) fn map_of_records(records: &Records) -> Result<Vec<(i64, i64)>, TarError> {
    let count = records.number("GNU.sparse.numblocks")?.ok_or(MALFORMED)?;
    let Some(map) = records.get("GNU.sparse.map") else {
        return if count == 0 {
            Ok(Vec::new())
        } else {
            Err(MALFORMED)
        };
    };
    let numbers: Vec<i64> = map
        .split(|byte| *byte == b',')
        .map(decimal)
        .collect::<Result<_, _>>()?;
    if !numbers.len().is_multiple_of(2) || i64::try_from(numbers.len() / 2) != Ok(count) {
        return Err(MALFORMED);
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// The map of version 1.0: lines of decimal numbers before the data, padded to a block. `next_block` reads one of the file's.
pub(super) fn map_of_content(
    mut next_block: impl FnMut() -> Result<Block, TarError>,
) -> Result<Vec<(i64, i64)>, TarError> {
    let mut lines = Lines::default();
    let count = lines.number(&mut next_block)?;
    let count = usize::try_from(count).map_err(|_| MALFORMED)?;
    let mut pieces = Vec::new();
    // The whole map is at most `MAP_BYTES`, so this ends early, whatever the count is.
    for _ in 0..count {
        let offset = lines.number(&mut next_block)?;
        pieces.push((offset, lines.number(&mut next_block)?));
    }
    Ok(pieces)
}

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    taken: usize,
}

impl Lines {
    fn number(&mut self, next_block: &mut impl FnMut() -> Result<Block, TarError>) -> Result<i64, TarError> {
        let mut searched = self.taken;
        loop {
            let newline = self.bytes[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(place) = newline {
                let line = &self.bytes[self.taken..searched + place];
                self.taken = searched + place + 1;
                return decimal(line);
            }
            searched = self.bytes.len();
            if searched + BLOCK > MAP_BYTES {
                return Err(TOO_LONG);
            }
            self.bytes.extend_from_slice(&next_block()?);
        }
    }
}

/// The map of GNU's old form: four pieces in the header, 21 in each block that follows it. Also the size of the file.
pub(super) fn map_of_blocks(
    header: &Block,
    input: &mut impl BufRead,
) -> Result<(Vec<(i64, i64)>, i64), TarError> {
    let numeric = |field: &[u8]| {
        number::numeric(field)
            .map(|number| number.value)
            .map_err(|_| MALFORMED)
    };
    let size = numeric(&header[483..495])?;
    let mut pieces = Vec::new();
    let mut read = |fields: &[u8]| {
        for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
            pieces.push((numeric(&field[..12])?, numeric(&field[12..])?));
        }
        Ok::<(), TarError>(())
    };
    read(&header[386..482])?;
    let mut is_extended = header[482] != 0;
    let mut total = 97;
    while is_extended {
        let block = super::reader::read_block(input)?.ok_or(TarError::Truncated)?;
        total += BLOCK;
        if total >= MAP_BYTES {
            return Err(TOO_LONG);
        }
        read(&block[..504])?;
        is_extended = block[504] != 0;
    }
    Ok((pieces, size))
}
