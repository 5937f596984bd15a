//! System calls that the standard library does not offer as they are needed. Unsafe lines are here and in
//! [`super::fault`] only.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

/// What [`open_regular`] answers where something else than a file has the name.
pub(crate) const NOT_A_FILE: io::ErrorKind = io::ErrorKind::IsADirectory;

/// Opens a regular file as `options` say. Anything else under its name is an error of the kind [`NOT_A_FILE`]: a link is
/// not followed (it could lead to any file of the machine), a pipe is not waited for (nobody may ever write to it).
pub(crate) fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        // A link, or a pipe or socket that cannot be opened like this.
        Some(libc::ELOOP | libc::ENXIO) => NOT_A_FILE.into(),
        _ => error,
    })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(NOT_A_FILE.into())
    }
}

/// Begins writing back a range of dirty pages without waiting for it. Does nothing where the system has no such call.
#[cfg(target_os = "linux")]
pub(crate) fn start_writeback(file: &File, range: Range<u64>) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let offset = i64::try_from(range.start).map_err(io::Error::other)?;
    let len = i64::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    #[expect(
        unsafe_code,
        reason = "sync_file_range takes a descriptor and numbers only; the descriptor is borrowed"
    )]
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Begins writing back a range of dirty pages without waiting for it. Does nothing where the system has no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn start_writeback(_file: &File, _range: Range<u64>) -> io::Result<()> {
    Ok(())
}

/// Maps the first `len` bytes of a committed blob file for reading. The caller has checked the file's length.
pub(crate) fn map(file: &File, len: usize) -> io::Result<Mmap> {
    #[expect(
        unsafe_code,
        reason = "a mapping is sound while nobody writes to or cuts the file: committed blobs are never opened for \
                  writing, only renamed and unlinked, and of one that still grows only what was written before is \
                  looked at and never written again; the data directory is locked and private to us; somebody \
                  who cuts one all the same is what super::fault is for"
    )]
    unsafe {
        MmapOptions::new().len(len).map(file)
    }
}

/// Whether every page of `range` of the map is in memory, so that touching it does not wait for the disk.
///
/// A moment's truth: the kernel may drop a page the next instant. Systems without `mincore` always answer no.
#[cfg(target_os = "linux")]
pub(crate) fn is_resident(map: &Mmap, range: Range<usize>) -> bool {
    /// Bytes per page that the kernel uses at least; larger pages only make the vector longer than needed.
    const MIN_PAGE: usize = 4096;
    /// Pages asked about per call.
    const CHUNK: usize = 512;

    let page = rustix::param::page_size().max(MIN_PAGE);
    let Some(bytes) = map.get(range.clone()) else {
        return false;
    };
    if bytes.is_empty() {
        return true;
    }
    let first = range.start / page * page;
    let mut seen = [0u8; CHUNK];
    let mut at = first;
    while at < range.end {
        let len = (range.end - at).min(CHUNK * page);
        let address = map.as_ptr().wrapping_add(at).cast_mut().cast();
        #[expect(
            unsafe_code,
            reason = "address and length lie inside the map, the vector has a byte for every page"
        )]
        let result = unsafe { libc::mincore(address, len, seen.as_mut_ptr()) };
        if result != 0 || seen.iter().take(len.div_ceil(page)).any(|flags| flags & 1 == 0) {
            return false;
        }
        at += len;
    }
    true
}

/// Whether every page of `range` of the map is in memory. Always no: this system cannot tell cheaply.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_resident(_map: &Mmap, _range: Range<usize>) -> bool {
    false
}
