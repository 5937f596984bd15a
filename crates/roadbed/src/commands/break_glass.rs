//! `break-glass`: pulls pass whatever was decided, on the word of whoever has the machine.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use clap::Args;
use oci::RepoPattern;
use serde_json::json;
use store::Timestamp;

use super::serve::ConfigFile;
use crate::cli::Format;
use crate::config::{Config, Sources, Span};
use crate::gate::glass::{self, Break};
use crate::{local, output};

/// Options of `break-glass`.
#[derive(Debug, Args)]
#[command(
    after_help = "\
For the hour in which a decision stops what must not stop. It works on the data directory of this machine, whether the \
server runs or not and also while its database does not. A running server heeds it within a second. Only pulls pass; pushes \
and everything else stay as they are. Each use is written to the audit log as soon as the database takes it.

Examples:
  roadbed break-glass --pulls 'shop/**' --for 2h --reason 'shop is down, INC-4711'
  roadbed break-glass --list
  roadbed break-glass --mend 'shop/**'",
    group(clap::ArgGroup::new("act").required(true))
)]
pub(crate) struct BreakGlassArgs {
    /// Repositories whose pulls pass
    #[arg(long, value_name = "PATTERN", group = "act", requires_all = ["span", "reason"])]
    pulls: Option<RepoPattern>,
    /// For how long, such as 2h; at most 24 hours
    #[arg(long = "for", id = "span", value_name = "TIME", requires = "pulls")]
    span: Option<Span>,
    /// Why; for the audit log
    #[arg(long, value_name = "TEXT", requires = "pulls")]
    reason: Option<String>,
    /// End it before its time: for one pattern, or for all
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, group = "act")]
    #[expect(
        clippy::option_option,
        reason = "clap tells so an option without its value from none"
    )]
    mend: Option<Option<RepoPattern>>,
    /// Show what is open
    #[arg(long, group = "act")]
    list: bool,
    /// Data directory [default: that of the configuration, or the user's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

/// Carries out the command.
pub(crate) fn run(format: Format, args: BreakGlassArgs) -> anyhow::Result<()> {
    let data = data_dir(args.data, args.file)?;
    local::expect_registry(&data)?;
    let now = Timestamp::from(SystemTime::now());
    if let Some(pulls) = args.pulls {
        let span = args.span.context("say for how long: --for 2h")?;
        return open(format, &data, &pulls, span, args.reason.unwrap_or_default(), now);
    }
    match args.mend {
        Some(pattern) => mend(format, &data, pattern.as_ref(), now),
        None => list(format, &data, now),
    }
}

fn data_dir(data: Option<PathBuf>, file: ConfigFile) -> anyhow::Result<PathBuf> {
    if let Some(data) = data {
        return Ok(data);
    }
    let config = Config::load(&Sources::of_process(file.config, Vec::new()))?;
    config
        .data_dir()
        .context("no data directory: name the one that the server was started with, --data DIR")
}

fn open(
    format: Format,
    data: &Path,
    pulls: &RepoPattern,
    span: Span,
    reason: String,
    now: Timestamp,
) -> anyhow::Result<()> {
    ensure!(!span.0.is_zero(), "say for how long: --for 2h");
    let until = now.plus(span.0);
    let wanted = Break {
        pulls: pulls.clone(),
        until: until.micros(),
        reason,
        by: whoever(),
        at: now.micros(),
    };
    glass::break_it(data, wanted)?;
    let shown = json!({ "pulls": pulls, "until": until.to_rfc3339() });
    output::show(format, &shown, |_| {
        format!(
            "Pulls of {pulls} pass whatever was decided, until {}.\nEnd it before: roadbed break-glass --mend '{pulls}'\n",
            output::moment(until)
        )
    })
}

fn mend(format: Format, data: &Path, pattern: Option<&RepoPattern>, now: Timestamp) -> anyhow::Result<()> {
    let mended = glass::mend(data, pattern, now)?;
    let shown = json!({ "mended": mended });
    output::show(format, &shown, |_| match (mended, pattern) {
        (0, Some(pattern)) => {
            format!("Nothing was open for {pattern}; patterns are written as --list shows them.\n")
        }
        (0, None) => "Nothing was open.\n".to_owned(),
        (_, Some(pattern)) => format!("Pulls of {pattern} are decided about again.\n"),
        (_, None) => "All pulls are decided about again.\n".to_owned(),
    })
}

fn list(format: Format, data: &Path, now: Timestamp) -> anyhow::Result<()> {
    let mut open = glass::breaks(data)?;
    open.retain(|open| open.until > now.micros());
    output::show(format, &open, |open| {
        if open.is_empty() {
            return "Nothing is open.\n".to_owned();
        }
        let rows = open.iter().map(|open| {
            [
                open.pulls.to_string(),
                output::moment(Timestamp(open.until)),
                open.by.clone(),
                open.reason.clone(),
            ]
        });
        output::table(["PULLS", "UNTIL", "BY", "REASON"], rows)
    })
}

/// The user as the system knows them, and whom they were before `sudo`.
fn whoever() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    match name {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}
