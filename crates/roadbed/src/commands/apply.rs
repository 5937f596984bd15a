//! `apply`: makes users, robots, grants and rules what files say.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use store::{Declared, DeclaredRobot, DeclaredUser, Rule, Step};
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
    if apply.prune && declared == Declared::default() {
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
    let outcome: ApplyOutcome = client.post_with("/apply", &query, &declared).await?;
    output::show(client.format(), &outcome, describe)
}

fn describe(outcome: &ApplyOutcome) -> String {
    let mut text = output::lines(outcome.steps.iter().map(describe_step));
    let _ = match (outcome.steps.len(), outcome.applied) {
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
    text
}

fn describe_step(step: &Step) -> String {
    match step {
        Step::CreateUser(user) => format!("+ user {}{}", user.name, describe_user(user)),
        Step::UpdateUser(user) => format!("~ user {}{}", user.name, describe_user(user)),
        Step::CreateRobot(robot) => format!("+ robot {}{}", robot.name, describe_robot(robot)),
        Step::UpdateRobot(robot) => format!("~ robot {}{}", robot.name, describe_robot(robot)),
        Step::DeletePrincipal { name } => format!("- user or robot {name}"),
        Step::SetGrant(grant) => format!("+ grant {} {} {}", grant.subject, grant.pattern, grant.roles),
        Step::RemoveGrant(grant) => format!("- grant {} {} {}", grant.subject, grant.pattern, grant.roles),
        Step::SetRule(rule) => format!("+ rule {}{}", rule.pattern, describe_rule(rule)),
        Step::RemoveRule(rule) => format!("- rule {}", rule.pattern),
    }
}

/// What the user is afterwards: whoever reviews a plan must see that it makes an administrator.
fn describe_user(user: &DeclaredUser) -> String {
    listed(&[
        user.administrator.then(|| "administrator".to_owned()),
        user.password_hash.is_some().then(|| "password set".to_owned()),
        Some(describe_access(user.disabled, user.not_after.as_deref())),
    ])
}

fn describe_robot(robot: &DeclaredRobot) -> String {
    listed(&[Some(describe_access(robot.disabled, robot.not_after.as_deref()))])
}

fn describe_access(disabled: bool, not_after: Option<&str>) -> String {
    let state = if disabled { "disabled" } else { "enabled" };
    not_after.map_or_else(
        || format!("{state}, never ends"),
        |end| format!("{state}, ends {end}"),
    )
}

fn describe_rule(rule: &Rule) -> String {
    let rules = &rule.rules;
    listed(&[
        rules
            .immutable_tags
            .as_ref()
            .map(|tags| format!("immutable {}", tags.0.join(","))),
        rules
            .quota_bytes
            .map(|bytes| format!("at most {}", output::bytes(bytes))),
        rules.quota_tags.map(|tags| format!("at most {tags} tags")),
        Some(
            if rules.deletion {
                "deletion allowed"
            } else {
                "no deletion"
            }
            .to_owned(),
        ),
    ])
}

/// `: a, b`.
fn listed(parts: &[Option<String>]) -> String {
    let parts: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
    format!(": {}", parts.join(", "))
}
