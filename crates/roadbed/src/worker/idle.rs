//! Runs only when nobody else wants the processor.

use std::io;

/// The least that is left: whoever wakes up takes the processor at once, whatever this one was granted (`SCHED_IDLE`, see
/// `sched(7)`). A process cannot leave it again without privileges, so it is asked for with each blob.
///
/// # Errors
/// The system refuses.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "no crate that we use has this call; it reads one structure"
)]
pub(super) fn yield_to_all() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure lives longer than the call, which keeps nothing of it.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Other systems have no such class; the nice value remains.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub(super) fn yield_to_all() -> io::Result<()> {
    Ok(())
}
