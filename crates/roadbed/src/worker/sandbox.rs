//! What a child is locked in, before it has seen a byte of the blob.
//!
//! - Limits of the system: address space, open files, size of what it writes, no core dumps.
//! - Landlock: no path of the file system, no TCP port (Linux 5.13 and 6.7).
//! - seccomp: only the calls that reading, computing and memory need. Whatever else is asked for fails.
//!
//! What the system does not have is named, so that whoever runs the server knows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Open files of a child: the socket, the blob, the rules, what it spools, and the three that every process has.
const OPEN_FILES: u64 = 16;

/// Bytes that a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walls {
    /// Address space.
    pub(super) memory: u64,
    /// Of one file that it spools (memory of its own as well).
    pub(super) spool: u64,
}

/// Locks the calling process in, for ever. Answers what the system does not have.
pub(super) fn enter(walls: Walls) -> Result<Vec<String>> {
    set(Resource::Core, 0)?;
    set(Resource::Nofile, OPEN_FILES)?;
    set(Resource::Fsize, walls.spool)?;
    set(Resource::As, walls.memory)?;
    rustix::thread::set_no_new_privs(true).context("cannot give up new privileges")?;
    let mut missing = Vec::new();
    if let Err(error) = no_files() {
        missing.push(format!("landlock: {error:#}"));
    }
    if let Err(error) = few_calls() {
        missing.push(format!("seccomp: {error:#}"));
    }
    Ok(missing)
}

fn set(resource: Resource, value: u64) -> Result<()> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, limit).with_context(|| format!("cannot limit {resource:?} to {value}"))
}

/// No path may be opened, no port connected to.
#[cfg(target_os = "linux")]
fn no_files() -> Result<()> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
        RulesetStatus,
    };
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
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
    // It may put itself behind everybody, and nobody else.
    let equals =
        |argument, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let idle = u64::from(libc::SCHED_IDLE.unsigned_abs());
    let behind = SeccompRule::new(vec![equals(0, 0)?, equals(1, idle)?])?;
    calls.insert(libc::SYS_sched_setscheduler, vec![behind]);
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
