//! The handler of `SIGBUS`. What runs in it may be called at any moment, inside any lock or allocation: it uses atomics
//! and system calls only, and never panics.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{io, mem, ptr};

use rustix::mm::{MapFlags, ProtFlags};

use super::{TABLE, page_size};

/// What was installed before, for faults that are none of ours.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
/// Asked for once, outside of the handler.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// Makes this the handler of the process. To be called once.
pub(super) fn install() -> io::Result<()> {
    PAGE.store(page_size(), SeqCst);
    let previous = exchange(None)?;
    PREVIOUS.get_or_init(|| previous);
    let mut action = no_action();
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
    action.sa_sigaction = handler as libc::sighandler_t;
    // On the stack that the thread has for signals, so that the handler also runs where the other one has ended.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    exchange(Some(&action)).map(drop)
}

extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    #[expect(
        unsafe_code,
        reason = "a number of this thread, which the interrupted code may be about to read; the pointer is always valid"
    )]
    let errno = unsafe { &mut *libc::__errno_location() };
    let saved = *errno;
    if !fault_address(info).is_some_and(put_zeros) {
        pass_on(signal, info, context);
    }
    *errno = saved;
}

/// The address that was touched, if the signal says that a page could not be read.
fn fault_address(info: *mut libc::siginfo_t) -> Option<usize> {
    #[expect(
        unsafe_code,
        reason = "the kernel passes a valid structure, and one with these codes has an address"
    )]
    unsafe {
        matches!((*info).si_code, libc::BUS_ADRERR | libc::BUS_MCEERR_AR).then(|| (*info).si_addr().addr())
    }
}

/// Puts zeros from the page of `address` to the end of its map and marks that as torn. False if no guarded map is there.
fn put_zeros(address: usize) -> bool {
    let Some(end) = TABLE.iter().find_map(|slot| slot.tear(address)) else {
        return false;
    };
    let page = address & !PAGE.load(SeqCst).wrapping_sub(1);
    #[expect(
        unsafe_code,
        reason = "replaces pages of a map of ours that whoever touched them keeps mapped, and that are only read"
    )]
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(
            ptr::with_exposed_provenance_mut(page),
            end.wrapping_sub(page),
            ProtFlags::READ,
            MapFlags::PRIVATE | MapFlags::FIXED,
        )
    };
    mapped.is_ok()
}

/// Does what would have been done without this handler.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get();
    match previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction) {
        // A fault cannot be ignored, a signal that somebody sent can.
        libc::SIG_IGN if is_sent(info) => {}
        libc::SIG_DFL | libc::SIG_IGN => end_the_process(signal),
        handler => call(handler, previous, (signal, info, context)),
    }
}

fn is_sent(info: *mut libc::siginfo_t) -> bool {
    #[expect(unsafe_code, reason = "the kernel passes a valid structure")]
    unsafe {
        (*info).si_code <= 0
    }
}

fn call(
    handler: libc::sighandler_t,
    previous: Option<&libc::sigaction>,
    (signal, info, context): (c_int, *mut libc::siginfo_t, *mut c_void),
) {
    type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    type Plain = extern "C" fn(c_int);
    let with_info = previous.is_some_and(|previous| previous.sa_flags & libc::SA_SIGINFO != 0);
    #[expect(
        unsafe_code,
        reason = "the kernel would have called this very function with these arguments"
    )]
    unsafe {
        if with_info {
            mem::transmute::<libc::sighandler_t, WithInfo>(handler)(signal, info, context);
        } else {
            mem::transmute::<libc::sighandler_t, Plain>(handler)(signal);
        }
    }
}

/// The signal is blocked while it is handled: it is delivered, with its default, once the handler returns.
fn end_the_process(signal: c_int) {
    #[expect(
        unsafe_code,
        reason = "both may be called in a signal handler and take numbers only"
    )]
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

fn no_action() -> libc::sigaction {
    #[expect(
        unsafe_code,
        reason = "a structure of numbers, a set and an optional function: zeros are no flags, an empty set and none"
    )]
    unsafe {
        mem::zeroed()
    }
}

/// Installs `action`, if there is one, and answers what is or was installed.
fn exchange(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut previous = no_action();
    #[expect(unsafe_code, reason = "one pointer is valid or null, the other valid")]
    let result = unsafe {
        libc::sigaction(
            libc::SIGBUS,
            action.map_or(ptr::null(), ptr::from_ref),
            &raw mut previous,
        )
    };
    if result == 0 {
        Ok(previous)
    } else {
        Err(io::Error::last_os_error())
    }
}
