//! One entry of an archive.

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content. Types that nobody knows are files too (POSIX, ustar, "typeflag").
    File,
    /// Another name of a file.
    HardLink,
    /// A symbolic link.
    SymbolicLink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

impl EntryKind {
    pub(super) fn of(type_flag: u8) -> Self {
        match type_flag {
            b'1' => Self::HardLink,
            b'2' => Self::SymbolicLink,
            b'3' => Self::CharacterDevice,
            b'4' => Self::BlockDevice,
            b'5' => Self::Directory,
            b'6' => Self::Fifo,
            _ => Self::File,
        }
    }
}

/// One entry, after extended headers are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its type in the header, with NUL made `0` or `5`.
    pub type_flag: u8,
    /// As it is written. See [`normalise`](super::normalise).
    pub name: Vec<u8>,
    /// Target of a link, as it is written.
    pub link: Vec<u8>,
    /// Bytes of its content, with holes. Of an entry without content: what its header claims.
    pub size: u64,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// User and group by number; 0 for what no system has.
    pub owner: (u32, u32),
}
