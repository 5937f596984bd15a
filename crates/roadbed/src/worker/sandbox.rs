//! What a child is locked in, before it has seen a byte of the blob.
//!
//! - Limits of the system: address space, processor time, open files, size of what it writes, no core dumps. Files in memory that a child
//!   has not mapped count for none of them but by their size and number: where memory runs out, children end first.
//! - Landlock: no path of the file system, no TCP port, no abstract Unix socket and no process outside (Linux 5.13, 6.7 and 6.12).
//! - seccomp: only the calls that reading, computing and memory need. Whatever else is asked for fails.
//!
//! What the system does not have is named, so that whoever runs the server knows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::clamd::handout::OUTSTANDING;

/// Open files of a child: the three that every process has, the socket and its second handle, the blob, the socket for files that are
/// handed out, the file that is spooled, its copy that is handed out, and one to spare.
const OPEN_FILES: u64 = 10;

/// Open files of one child that are on their way between it and the server: those that it handed out, the blob, and the socket.
const ON_THEIR_WAY: u64 = OUTSTANDING as u64 + 2;

/// Said by a child whose processor time is over, as its last word.
pub(super) const CPU_OVER: &str = "roadbed: the processor time of a blob is over";

/// Between the signal and the end of a child that does not end by it, in seconds.
const CPU_GRACE: u64 = 1;

/// Bytes that a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walls {
    /// Address space.
    pub(super) memory: u64,
    /// Of one file that it spools (memory of its own as well).
    pub(super) spool: u64,
    /// Seconds of processor time.
    pub(super) cpu: u64,
    /// Children of the server, this one included.
    pub(super) children: u64,
}

impl Walls {
    /// The system counts what is on its way by user, of all processes together, and compares it with what one may have open.
    fn open_files(self) -> u64 {
        OPEN_FILES + self.children.saturating_mul(ON_THEIR_WAY)
    }
}

/// Locks the calling process in, for ever. Answers what the system does not have.
pub(super) fn enter(walls: Walls) -> Result<Vec<String>> {
    set(Resource::Core, 0)?;
    set(Resource::Nofile, walls.open_files())?;
    set(Resource::Fsize, walls.spool)?;
    set(Resource::As, walls.memory)?;
    say_when_cpu_is_over();
    let cpu = walls.cpu.max(1);
    set_both(Resource::Cpu, cpu, cpu.saturating_add(CPU_GRACE))?;
    rustix::thread::set_no_new_privs(true).context("cannot give up new privileges")?;
    let mut missing = Vec::new();
    if let Err(error) = ends_first() {
        missing.push(format!("oom_score_adj: {error:#}"));
    }
    if let Err(error) = no_files() {
        missing.push(format!("landlock: {error:#}"));
    }
    if let Err(error) = few_calls() {
        missing.push(format!("seccomp: {error:#}"));
    }
    Ok(missing)
}

fn set(resource: Resource, value: u64) -> Result<()> {
    set_both(resource, value, value)
}

fn set_both(resource: Resource, current: u64, maximum: u64) -> Result<()> {
    let limit = Rlimit {
        current: Some(current),
        maximum: Some(maximum),
    };
    setrlimit(resource, limit).with_context(|| format!("cannot limit {resource:?} to {current}"))
}

/// A process that the system ends says nothing. This one is told a moment before and says why.
#[expect(unsafe_code, reason = "nothing safe sets what a signal does")]
fn say_when_cpu_is_over() {
    let action = cpu_is_over as extern "C" fn(libc::c_int);
    // SAFETY: what the action calls may be called from a signal handler (signal-safety(7)). It fails for signals that do not exist
    // only.
    unsafe { libc::signal(libc::SIGXCPU, action as libc::sighandler_t) };
}

#[expect(unsafe_code, reason = "only these may be called from a signal handler")]
extern "C" fn cpu_is_over(_: libc::c_int) {
    // SAFETY: both take no lock and no memory; the text lives as long as the process.
    unsafe {
        libc::write(libc::STDERR_FILENO, CPU_OVER.as_ptr().cast(), CPU_OVER.len());
        libc::_exit(1);
    }
}

/// Where memory runs out the system ends this process before any other, and with it goes what it has in memory; never the server.
#[cfg(target_os = "linux")]
fn ends_first() -> Result<()> {
    std::fs::write("/proc/self/oom_score_adj", "1000").context("it cannot be set")
}

#[cfg(not(target_os = "linux"))]
fn ends_first() -> Result<()> {
    anyhow::bail!("only Linux has it")
}

/// No path may be opened, no port connected to.
#[cfg(target_os = "linux")]
fn no_files() -> Result<()> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
        RulesetStatus, Scope,
    };
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    anyhow::ensure!(
        status.ruleset != RulesetStatus::NotEnforced,
        "this kernel does not have it"
    );
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn no_files() -> Result<()> {
    anyhow::bail!("only Linux has it")
}

/// What reading, computing and memory need. Everything else fails with "not permitted": a library that asks for more than it
/// needs goes on, and one that was taken over gets nothing.
#[cfg(target_os = "linux")]
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(target_os = "linux")]
fn few_calls() -> Result<()> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|&call| (call, Vec::new())).collect();
    // `abort` sends the process itself a signal. Any other one with the same user could be ended so.
    let itself = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        std::process::id().into(),
    )?;
    calls.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![itself])?]);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(
        calls,
        refused,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn few_calls() -> Result<()> {
    anyhow::bail!("only Linux has it")
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
