//! `apply`: makes users, robots, grants, rules and the policy what files say, and asks for the waivers that they declare.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;
use web::wire::ApplyOutcome;

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::{apply_files, output};

mod sinks;
pub(super) mod steps;
mod waivers;

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The files are YAML documents with a `kind`: `User`, `Robot`, `Grant`, `Rule`, `Signer`, `Sink`, `Application`,
`BaseImage`, `Toolchain`, `GoldenPath`, `AppRoad`, `Exemption`, `Policy`, `InUse` or `Waiver`;
docs/apply.md describes them.
What a document leaves out of a user or robot stays as it is. A waiver is asked for; somebody else approves it.

Examples:
  roadbed apply -f access/ --dry-run --prune     what would change
  roadbed apply -f access/ --prune               change it: all of it, or nothing")]
pub(crate) struct ApplyArgs {
    /// Directory of YAML files, or one file
    #[arg(short, long, value_name = "DIR")]
    files: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Remove what no file declares, except yourself and the last administrator
    #[arg(long)]
    prune: bool,
}

/// Reads the files, and has the registry compare and carry out.
pub(crate) async fn run(args: &ClientArgs, apply: ApplyArgs) -> anyhow::Result<()> {
    // What is wrong with the files is said without a registry.
    let files = apply_files::read(&apply.files)?;
    if apply.prune && files.is_empty() {
        bail!(
            "{} declares nothing, and --prune would remove all that there is: were the files rendered empty?",
            apply.files.display()
        );
    }
    let client = Client::connect(args)?;
    let query = [
        ("dry_run", apply.dry_run.to_string()),
        ("prune", apply.prune.to_string()),
    ];
    let waivers = waivers::plan(&client, &files.waivers, apply.prune).await?;
    let sinks = sinks::plan(&client, &files.sinks, apply.prune).await?;
    let outcome: ApplyOutcome = client.post_with("/apply", &query, &files.declared).await?;
    let sinks = if apply.dry_run {
        sinks.iter().map(sinks::Step::shown).collect()
    } else {
        waivers::carry_out(&client, &waivers).await?;
        sinks::carry_out(&client, sinks).await?
    };
    let done = Done {
        outcome,
        waivers: waivers.into_iter().map(waivers::Step::into_shown).collect(),
        sinks,
    };
    output::show(client.format(), &done, describe)
}

/// What was done, or would be.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    outcome: ApplyOutcome,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waivers: Vec<waivers::Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sinks: Vec<sinks::Shown>,
}

fn describe(done: &Done) -> String {
    let Done {
        outcome,
        waivers,
        sinks,
    } = done;
    let mut text = output::lines(outcome.steps.iter().map(steps::describe));
    text.push_str(&output::lines(waivers.iter().map(waivers::Shown::line)));
    text.push_str(&output::lines(sinks.iter().map(sinks::Shown::line)));
    let count = outcome.steps.len() + waivers.len() + sinks.len();
    let _ = match (count, outcome.applied) {
        (0, _) => writeln!(text, "Everything is as the files say."),
        (1, true) => writeln!(text, "1 change was made."),
        (1, false) => writeln!(text, "1 change would be made."),
        (count, true) => writeln!(text, "{count} changes were made."),
        (count, false) => writeln!(text, "{count} changes would be made."),
    };
    for secret in &outcome.secrets {
        let _ = writeln!(
            text,
            "Secret of {}, shown this once: {}",
            secret.robot, secret.secret
        );
    }
    text.push_str(&output::lines(sinks.iter().filter_map(sinks::Shown::secret)));
    text
}
