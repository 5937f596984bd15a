//! Runs wrk and reads what it prints.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{http::Endpoint, process::cpu_seconds};

/// What one run gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrkResult {
    /// Answers per second, all of them 2xx.
    pub(crate) per_second: f64,
    /// CPU time of the server per answer, in microseconds.
    pub(crate) cpu_microseconds: f64,
}

/// Two threads, 64 connections, one path.
pub(crate) fn run(
    endpoint: &Endpoint,
    server_pid: u32,
    path: &str,
    headers: &[(&str, &str)],
    length: Duration,
) -> Result<WrkResult> {
    let mut command = Command::new("wrk");
    command.args(["-t2", "-c64", &format!("-d{}s", length.as_secs())]);
    for (name, value) in headers {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    let before = cpu_seconds(server_pid)?;
    let output = command
        .arg(endpoint.url(path))
        .output()
        .context("cannot run wrk")?;
    let cpu = cpu_seconds(server_pid)? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "wrk: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "not everything was answered:\n{text}"
    );
    let answers = text
        .lines()
        .find_map(|line| line.split_once(" requests in "))
        .context("unknown output of wrk")?;
    let answers: f64 = answers.0.trim().parse()?;
    let per_second = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .context("unknown output of wrk")?;
    Ok(WrkResult {
        per_second: per_second.trim().parse()?,
        cpu_microseconds: cpu * 1e6 / answers,
    })
}
