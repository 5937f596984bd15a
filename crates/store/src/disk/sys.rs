//! The only unsafe lines of this crate: three system calls that no safe wrapper offers.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

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
                  writing, only renamed and unlinked, and the data directory is locked and private to us"
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
