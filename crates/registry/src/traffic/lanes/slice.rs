//! How soon a thread that has just been woken gets the processor.
//!
//! Linux lets whoever runs finish what it was granted before somebody who wakes up gets the processor, and looks again only
//! with the next tick, up to 4 ms later. A thread that asks for shorter slices than the one that runs is exempt: it takes the
//! processor at once (Linux 6.12 and later; older ones ignore the wish). It gets no more of the processor for that.

use std::io;

/// What an express lane needs at a time is a fraction of this. The least that Linux takes.
#[cfg(target_os = "linux")]
const SLICE_NANOSECONDS: u64 = 100_000;

/// The first version of the kernel's `struct sched_attr` (`sched_setattr(2)`).
#[cfg(target_os = "linux")]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for short slices for the calling thread, whose nice value stays.
///
/// # Errors
/// The system refuses, or has no such wish.
#[cfg(target_os = "linux")]
pub fn shorten() -> io::Result<()> {
    let attributes = SchedAttr {
        size: u32::try_from(size_of::<SchedAttr>()).unwrap_or_default(),
        policy: libc::SCHED_OTHER.unsigned_abs(),
        flags: 0,
        nice: rustix::process::getpriority_process(None)?,
        priority: 0,
        runtime: SLICE_NANOSECONDS,
        deadline: 0,
        period: 0,
    };
    #[expect(
        unsafe_code,
        reason = "no crate that we use has this call; it reads one structure of the size that it names"
    )]
    let failed = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } != 0;
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Other systems have no such wish.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn shorten() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
