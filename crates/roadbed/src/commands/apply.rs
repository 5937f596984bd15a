//! `apply`: makes users, robots, grants and rules what files say.

use std::fmt::Write as _;
use std::path::PathBuf;

use store::Step;
use web::wire::ApplyOutcome;

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::{apply_files, output};

/// Options of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The files are YAML documents with `kind: User`, `Robot`, `Grant` or `Rule`; docs/apply.md describes them.

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
    let declared = apply_files::read(&apply.files)?;
    let client = Client::connect(args)?;
    let query = [
        ("dry_run", apply.dry_run.to_string()),
        ("prune", apply.prune.to_string()),
    ];
    let outcome: ApplyOutcome = client.post_with("/apply", &query, &declared).await?;
    output::show(client.format(), &outcome, describe)
}

fn describe(outcome: &ApplyOutcome) -> String {
    let mut text = output::lines(outcome.steps.iter().map(describe_step));
    let _ = match (outcome.steps.len(), outcome.applied) {
        (0, _) => writeln!(text, "Everything is as the files say."),
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
    text
}

fn describe_step(step: &Step) -> String {
    match step {
        Step::CreateUser(user) => format!("+ user {}", user.name),
        Step::UpdateUser(user) => format!("~ user {}", user.name),
        Step::CreateRobot(robot) => format!("+ robot {}", robot.name),
        Step::UpdateRobot(robot) => format!("~ robot {}", robot.name),
        Step::DeletePrincipal { name } => format!("- user or robot {name}"),
        Step::SetGrant(grant) => format!("+ grant {} {} {}", grant.subject, grant.pattern, grant.roles),
        Step::RemoveGrant(grant) => format!("- grant {} {} {}", grant.subject, grant.pattern, grant.roles),
        Step::SetRule(rule) => format!("+ rule {}", rule.pattern),
        Step::RemoveRule(rule) => format!("- rule {}", rule.pattern),
    }
}
