//! What the figures were measured with: without it they say nothing.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use time::OffsetDateTime;

use crate::bench::{Bench, PEER_BINARY};

/// The machine, the programs, the moment.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    lines: Vec<(&'static str, String)>,
}

impl Machine {
    /// Asks the system.
    pub(crate) fn describe(bench: &Bench) -> Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let memory = proc_field("/proc/meminfo", "MemTotal")?;
        let memory: u64 = memory.trim_end_matches(" kB").parse()?;
        let lines = vec![
            (
                "processor",
                format!("{}, {cores} cores", proc_field("/proc/cpuinfo", "model name")?),
            ),
            ("memory", format!("{} GiB", memory >> 20)),
            (
                "kernel",
                fs::read_to_string("/proc/sys/kernel/osrelease")?
                    .trim()
                    .to_owned(),
            ),
            ("system", system_name()),
            (
                "roadbed",
                first_line(&bench.roadbed.to_string_lossy(), &["--version"]),
            ),
            ("docker-registry", first_line(PEER_BINARY, &["--version"])),
            (
                "wrk, curl",
                format!(
                    "{}; {}",
                    words(&first_line("wrk", &["-v"]), 2),
                    words(&first_line("curl", &["--version"]), 2)
                ),
            ),
        ];
        Ok(Self { lines })
    }

    /// A table.
    pub(crate) fn to_markdown(&self) -> String {
        let row = |(name, value): &(&str, String)| format!("| {name} | {value} |");
        let rows: Vec<String> = self.lines.iter().map(row).collect();
        format!("| | |\n|---|---|\n{}\n", rows.join("\n"))
    }
}

/// The day and the commit, for the line below each section's heading.
pub(crate) fn when_and_what() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(directory)
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).map_or_else(
        || "unknown commit".to_owned(),
        |commit| {
            let changed =
                git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
            format!("commit {commit}{}", if changed { " with changes" } else { "" })
        },
    );
    format!("{}, {commit}", OffsetDateTime::now_utc().date())
}

fn proc_field(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields
        .find(|(found, _)| found.trim() == name)
        .with_context(|| format!("no {name} in {file}"))?;
    Ok(found.1.trim().to_owned())
}

fn system_name() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("unknown").trim_matches('"').to_owned()
}

/// Some programs print their version as an error.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

fn words(text: &str, count: usize) -> String {
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}
