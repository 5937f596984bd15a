//! Reading here and there in a file whose own words about its size are not believed.

use std::io::{Read, Seek, SeekFrom};

use crate::{Content, FileError};

/// A file and how many bytes it really has.
pub(super) struct RandomAccess<'f, 'c> {
    content: &'f mut Content<'c>,
    size: u64,
}

impl<'f, 'c> RandomAccess<'f, 'c> {
    /// Measures the file.
    pub(super) fn new(content: &'f mut Content<'c>) -> Result<Self, FileError> {
        let size = content.seek(SeekFrom::End(0))?;
        Ok(Self { content, size })
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Exactly `length` bytes from `offset`. Memory is taken only for what is there.
    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, FileError> {
        let is_there = offset
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.size);
        if !is_there {
            return Err(FileError::malformed(format!(
                "{length} bytes at {offset} are beyond the end"
            )));
        }
        let mut bytes = vec![0; length];
        self.content.seek(SeekFrom::Start(offset))?;
        self.content.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// What there is of `length` bytes from `offset`.
    pub(super) fn read_some(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, FileError> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(length, |left| left.min(length));
        self.read(offset.min(self.size), length)
    }
}

/// Which pages of a file were read: damaged or hostile chains lead back to where they were.
pub(super) struct Seen {
    pages: Vec<u64>,
    count: u64,
}

impl Seen {
    /// For so many pages, which are really there.
    pub(super) fn new(count: u64) -> Self {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
        Self {
            pages: vec![0; words],
            count,
        }
    }

    /// Notes a page.
    ///
    /// # Errors
    /// There is no such page, or it was noted before.
    pub(super) fn enter(&mut self, page: u64) -> Result<(), FileError> {
        let word = usize::try_from(page / 64)
            .ok()
            .and_then(|index| self.pages.get_mut(index));
        let bit = 1_u64 << (page % 64);
        match word {
            Some(word) if page < self.count && *word & bit == 0 => {
                *word |= bit;
                Ok(())
            }
            Some(_) if page < self.count => Err(FileError::malformed(format!("page {page} is used twice"))),
            _ => Err(FileError::malformed(format!("there is no page {page}"))),
        }
    }
}
