//! `Packages`: a hash table of Berkeley DB, as rpm wrote it until 4.16.
//!
//! Which bucket a key falls in does not matter here: all pages are gone through in their order, and each overflow page is
//! entered at most once.

use super::Blobs;
use crate::FileError;
use crate::packages::random_access::{RandomAccess, Seen};

const HASH_MAGIC: u32 = 0x0006_1561;

/// Bytes of the page of metadata that matter here.
const METADATA: usize = 72;

/// Bytes before the content of each other page.
const PAGE_HEADER: usize = 26;

/// Types of pages.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;

/// Types of items.
const IN_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Hands over the blobs.
pub(super) fn walk(source: &mut RandomAccess<'_, '_>, blobs: &mut Blobs<'_>) -> Result<(), FileError> {
    let mut reader = Reader::new(source)?;
    for number in 1..reader.pages {
        let page = reader.page(number)?;
        if matches!(page[25], HASH | HASH_UNSORTED) {
            reader.hash_page(&page, blobs)?;
        }
    }
    Ok(())
}

struct Reader<'s, 'f, 'c> {
    source: &'s mut RandomAccess<'f, 'c>,
    order: Order,
    page_size: usize,
    pages: u64,
    seen: Seen,
}

impl<'s, 'f, 'c> Reader<'s, 'f, 'c> {
    fn new(source: &'s mut RandomAccess<'f, 'c>) -> Result<Self, FileError> {
        let header = source.read(0, METADATA)?;
        let order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(&header, 12) == HASH_MAGIC)
            .ok_or_else(|| FileError::malformed("it is no database of rpm"))?;
        if header[24] != 0 {
            return Err(FileError::malformed("the database is encrypted"));
        }
        let page_size = order.u32(&header, 20);
        if !(512..=65_536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(FileError::malformed(format!("{page_size} is no size of a page")));
        }
        let pages = source.size() / u64::from(page_size);
        Ok(Self {
            source,
            order,
            page_size: usize::try_from(page_size).unwrap_or(512),
            pages,
            seen: Seen::new(pages),
        })
    }

    fn page(&mut self, number: u64) -> Result<Vec<u8>, FileError> {
        self.source
            .read(number.saturating_mul(self.page_size as u64), self.page_size)
    }

    /// Items are pairs of key and value. Their places go down from the end of the page.
    fn hash_page(&mut self, page: &[u8], blobs: &mut Blobs<'_>) -> Result<(), FileError> {
        let order = self.order;
        let count = usize::from(order.u16(page, 20));
        let places = page[PAGE_HEADER..].chunks_exact(2).take(count);
        let mut end = page.len();
        let mut key: Option<&[u8]> = None;
        for place in places.map(|place| usize::from(order.u16(place, 0))) {
            let Some(item) = page.get(place..end).filter(|item| !item.is_empty()) else {
                blobs.note(FileError::malformed("the items of a page lie over each other"));
                return Ok(());
            };
            end = place;
            match key.take() {
                None => key = Some(item),
                // Under the number 0 rpm keeps the number that the next package will get.
                Some([IN_PAGE, 0, 0, 0, 0]) => {}
                Some(_) => self.item(item, blobs)?,
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &[u8], blobs: &mut Blobs<'_>) -> Result<(), FileError> {
        match item[0] {
            IN_PAGE => blobs.take(&item[1..])?,
            OFF_PAGE if item.len() >= 12 => {
                let (first, length) = (self.order.u32(item, 4), self.order.u32(item, 8));
                if blobs.admits(u64::from(length)) {
                    match self.overflow(first, length) {
                        Ok(blob) => blobs.take(&blob)?,
                        Err(problem) => blobs.note(problem),
                    }
                }
            }
            other => blobs.note(FileError::malformed(format!("an item is of type {other}"))),
        }
        Ok(())
    }

    /// What is kept on a chain of pages of its own.
    fn overflow(&mut self, first: u32, length: u32) -> Result<Vec<u8>, FileError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut blob = Vec::new();
        let mut next = first;
        while blob.len() < length {
            self.seen.enter(u64::from(next))?;
            let page = self.page(u64::from(next))?;
            let used = usize::from(self.order.u16(&page, 22));
            let content = page[PAGE_HEADER..].get(..used);
            match content {
                Some(content) if page[25] == OVERFLOW => blob.extend_from_slice(content),
                _ => {
                    return Err(FileError::malformed(format!(
                        "page {next} is not what it should be"
                    )));
                }
            }
            next = self.order.u32(&page, 16);
        }
        blob.truncate(length);
        Ok(blob)
    }
}

/// Of the machine that wrote the database.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        match self {
            Self::Little => super::u32_le(bytes, at),
            Self::Big => super::u32_be(bytes, at),
        }
    }

    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let two = bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .unwrap_or_default();
        match self {
            Self::Little => u16::from_le_bytes(two),
            Self::Big => u16::from_be_bytes(two),
        }
    }
}
