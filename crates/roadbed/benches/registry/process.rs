//! What a process has used, from /proc.

use std::fs;

use anyhow::{Context as _, Result};

/// Fields of /proc/PID/stat behind the name, which may contain spaces: utime and stime are the 12th and 13th.
const UTIME: usize = 11;

/// CPU time of all threads, in seconds; the kernel counts in hundredths.
#[expect(clippy::cast_precision_loss, reason = "ticks of a short benchmark")]
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server has ended")?;
    let (_, fields) = stat.rsplit_once(')').context("unknown form of /proc/PID/stat")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(UTIME)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Anonymous resident memory, in MiB.
#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
pub(crate) fn anonymous_mib(pid: u32) -> Result<f64> {
    Ok(field(pid, "status", "RssAnon:")? as f64 / 1024.0)
}

/// Most resident memory so far, in MiB.
#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    Ok(field(pid, "status", "VmHWM:")? as f64 / 1024.0)
}

/// Bytes that the process had read from disks, page faults and readahead included.
pub(crate) fn disk_read_bytes(pid: u32) -> Result<u64> {
    field(pid, "io", "read_bytes:")
}

fn field(pid: u32, file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).context("the server has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line
        .and_then(|line| line.split_whitespace().next())
        .with_context(|| format!("no {name} in {file}"))?;
    Ok(value.parse()?)
}
