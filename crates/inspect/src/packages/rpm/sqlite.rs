//! `rpmdb.sqlite`: as much of the file format of `SQLite` as reading one table takes (sqlite.org/fileformat2.html).
//!
//! Every page is entered at most once, and the cells of a page may not add up to more than the page, so that the work is
//! proportional to the file however its pages point at each other. Free pages and write-ahead logs are not looked at.

mod record;

use self::record::{Value, varint};
use super::Blobs;
use crate::FileError;
use crate::packages::random_access::{RandomAccess, Seen};

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Bytes before the first page's tree.
const FILE_HEADER: usize = 100;

/// Page types of tables.
const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;

/// Hands over the blobs of the table `Packages`.
pub(super) fn walk(source: &mut RandomAccess<'_, '_>, blobs: &mut Blobs<'_>) -> Result<(), FileError> {
    let mut reader = Reader::new(source)?;
    let mut root = None;
    reader.rows(1, blobs, &mut |payload, _| {
        root = root.or(root_of_packages(payload));
        Ok(())
    })?;
    let root = root.ok_or_else(|| FileError::malformed("the database has no table `Packages`"))?;
    reader.rows(root, blobs, &mut |payload, blobs| {
        match record::values(payload).nth(1) {
            Some(Value::Bytes(blob)) => blobs.take(blob)?,
            _ => blobs.note(FileError::malformed("a row of `Packages` has no blob")),
        }
        Ok(())
    })
}

/// From a row of the schema: type, name, table, root page, statement.
fn root_of_packages(payload: &[u8]) -> Option<u32> {
    let mut values = record::values(payload);
    let is_table =
        values.next() == Some(Value::Bytes(b"table")) && values.next() == Some(Value::Bytes(b"Packages"));
    match values.nth(1) {
        Some(Value::Number(root)) if is_table => u32::try_from(root).ok(),
        _ => None,
    }
}

type EachRow<'r> = dyn FnMut(&[u8], &mut Blobs<'_>) -> Result<(), FileError> + 'r;

struct Reader<'s, 'f, 'c> {
    source: &'s mut RandomAccess<'f, 'c>,
    page_size: usize,
    /// Without what extensions reserve at the end of each page.
    usable: usize,
    seen: Seen,
}

impl<'s, 'f, 'c> Reader<'s, 'f, 'c> {
    fn new(source: &'s mut RandomAccess<'f, 'c>) -> Result<Self, FileError> {
        let header = source.read(0, FILE_HEADER)?;
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            size => return Err(FileError::malformed(format!("{size} is no size of a page"))),
        };
        // The format asks for 480 usable bytes at least, on which the arithmetic of overflows relies.
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(FileError::malformed(
                "the database reserves too much of its pages",
            ));
        }
        let seen = Seen::new(source.size() / page_size as u64);
        Ok(Self {
            source,
            page_size,
            usable,
            seen,
        })
    }

    /// A page, which has not been entered before. The first one is 1.
    fn enter(&mut self, number: u32) -> Result<(), FileError> {
        let index = number
            .checked_sub(1)
            .ok_or_else(|| FileError::malformed("a page points at page 0"))?;
        self.seen.enter(u64::from(index))
    }

    fn page(&mut self, number: u32) -> Result<Vec<u8>, FileError> {
        let offset = u64::from(number - 1) * self.page_size as u64;
        self.source.read(offset, self.page_size)
    }

    /// All rows of the table whose tree has that root.
    fn rows(&mut self, root: u32, blobs: &mut Blobs<'_>, each: &mut EachRow<'_>) -> Result<(), FileError> {
        self.enter(root)?;
        let mut pending = vec![root];
        while let Some(number) = pending.pop() {
            let page = self.page(number)?;
            let start = if number == 1 { FILE_HEADER } else { 0 };
            match page[start] {
                INTERIOR => self.push_children(&page, start, &mut pending, blobs),
                LEAF => self.leaf(&page, start, blobs, each)?,
                other => blobs.note(FileError::malformed(format!(
                    "page {number} is of type {other}, which no table has"
                ))),
            }
        }
        Ok(())
    }

    /// Pages are entered before they are pending, so that no more than all of them ever are.
    fn push_children(&mut self, page: &[u8], start: usize, pending: &mut Vec<u32>, blobs: &mut Blobs<'_>) {
        let right = u32_at(page, start + 8);
        let children = cells(page, start, 12).map(|at| u32_at(page, at));
        for child in children.chain([right]).map(Option::unwrap_or_default) {
            match self.enter(child) {
                Ok(()) => pending.push(child),
                Err(problem) => blobs.note(problem),
            }
        }
    }

    fn leaf(
        &mut self,
        page: &[u8],
        start: usize,
        blobs: &mut Blobs<'_>,
        each: &mut EachRow<'_>,
    ) -> Result<(), FileError> {
        let mut left = page.len();
        for at in cells(page, start, 8) {
            let Some(cell) = self.cell(page, at) else {
                blobs.note(FileError::malformed("a cell lies beyond its page"));
                continue;
            };
            let Some(rest) = left.checked_sub(cell.local.len()) else {
                blobs.note(FileError::malformed("the cells of a page lie over each other"));
                return Ok(());
            };
            left = rest;
            if !blobs.admits(cell.length) {
                continue;
            }
            match self.payload(&cell) {
                Ok(payload) => each(&payload, blobs)?,
                Err(problem) => blobs.note(problem),
            }
        }
        Ok(())
    }

    /// A cell of a leaf: length, row, payload, and where the rest of it goes on.
    fn cell<'p>(&self, page: &'p [u8], at: usize) -> Option<Cell<'p>> {
        let rest = page.get(at..self.usable)?;
        let (length, rest) = varint(rest)?;
        let (_row, rest) = varint(rest)?;
        let here = local_length(length, self.usable)?;
        let (local, rest) = rest.split_at_checked(here)?;
        let overflow = if local.len() as u64 == length {
            0
        } else {
            u32_at(rest, 0)?
        };
        Some(Cell {
            length,
            local,
            overflow,
        })
    }

    fn payload(&mut self, cell: &Cell<'_>) -> Result<Vec<u8>, FileError> {
        let mut payload = cell.local.to_vec();
        let mut next = cell.overflow;
        while (payload.len() as u64) < cell.length {
            self.enter(next)?;
            let page = self.page(next)?;
            let missing = usize::try_from(cell.length - payload.len() as u64).unwrap_or(usize::MAX);
            payload.extend_from_slice(&page[4..self.usable.min(missing.saturating_add(4))]);
            next = u32_at(&page, 0).unwrap_or(0);
        }
        Ok(payload)
    }
}

struct Cell<'p> {
    length: u64,
    local: &'p [u8],
    /// 0: all of it is here.
    overflow: u32,
}

/// How many bytes of a payload are kept in its cell (section 1.6, "B-tree Cell Payload").
fn local_length(length: u64, usable: usize) -> Option<usize> {
    let most = usable - 35;
    if let Some(length) = usize::try_from(length).ok().filter(|&length| length <= most) {
        return Some(length);
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let excess = length.checked_sub(least as u64)? % (usable as u64 - 4);
    let some = least + usize::try_from(excess).ok()?;
    Some(if some <= most { some } else { least })
}

/// Where the cells of a page are.
fn cells(page: &[u8], start: usize, header: usize) -> impl Iterator<Item = usize> {
    let count = usize::from(u16::from_be_bytes([page[start + 3], page[start + 4]]));
    page[start + header..]
        .chunks_exact(2)
        .take(count)
        .map(|at| usize::from(u16::from_be_bytes([at[0], at[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|four| u32::from_be_bytes(*four))
}
