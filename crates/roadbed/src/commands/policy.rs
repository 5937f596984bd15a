//! `policy …`: what is asked of images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use policy::{CaseFile, CaseReport, DEFAULT_POLICY, MAX_CASES_BYTES, Policy, PolicyLimits, PolicySource};
use serde_json::json;
use web::wire::{ImportDocument, ImportDocuments, PolicyEntry, PolicyText, PreviewReport, SetPolicy};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::output;

use super::advisories::sources::Sources;

mod held;

/// Versions that a list shows; the server has no more.
const MOST: usize = 100;

/// Largest file of a policy that is read, in bytes: far beyond what any policy may have.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What to do with the policy.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
There is one policy: rules in YAML with conditions in CEL. Until one is set, the default policy is in force. Setting one \
replaces it as a whole, and all images are judged by it at once.

Examples:
  roadbed policy show --default > policy.yaml
  roadbed policy check policy.yaml               all mistakes, each with its line
  roadbed policy test cases.yaml policy.yaml     what should become of these images?
  roadbed policy preview policy.yaml             which images would fare otherwise?
  roadbed policy preview --advisories GHSA-….json  and which, once this is imported?
  roadbed policy set policy.yaml
  roadbed policy held                            what would refuse too much of what is in use")]
pub(crate) enum PolicyCommand {
    /// Print the policy in force
    Show {
        /// The policy that is in force until another one is set; no registry is asked
        #[arg(long)]
        default: bool,
    },
    /// List the policies that were set, the latest first
    History,
    /// Put a policy in force
    Set {
        /// YAML
        file: PathBuf,
    },
    /// Check a policy; no registry is asked
    ///
    /// Exit status: 1 when anything is wrong; every mistake is told with file and line.
    Check {
        /// YAML
        file: PathBuf,
    },
    /// Try a policy on written cases; no registry is asked
    ///
    /// Exit status: 1 when a case does not end as it expects.
    Test {
        /// Cases: what is judged, and what should become of it
        cases: PathBuf,
        /// YAML; without it the default policy
        file: Option<PathBuf>,
    },
    /// Say which images would fare otherwise under a policy, or with more advisories; nothing is changed
    Preview {
        /// YAML
        #[arg(required_unless_present = "advisories", conflicts_with = "advisories")]
        file: Option<PathBuf>,
        /// Advisories instead of a policy, as `advisories import` takes them: at most 16 MiB in all
        #[arg(long, value_name = "PATH", num_args = 1..)]
        advisories: Vec<PathBuf>,
        /// Images to list, the worst first; all are counted
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
    /// List what would refuse too much of what is in use; it is held at warn until a person approves it
    Held {
        /// Images to list of each change; all are counted
        #[arg(long, default_value_t = 20, value_name = "COUNT")]
        limit: usize,
    },
    /// Let a change happen that is held: its images are refused from then on
    Approve {
        /// Its number in `policy held`
        change: u64,
    },
}

/// Carries out a command.
pub(crate) async fn run(args: &ClientArgs, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Show { default: true } => show_default(args)?,
        PolicyCommand::Show { default: false } => {
            let entry: PolicyEntry = Client::connect(args)?.get("/policy", &[]).await?;
            output::show(args.output, &entry, |entry| entry.body.clone())?;
        }
        PolicyCommand::History => history(args).await?,
        PolicyCommand::Set { file } => set(args, &file).await?,
        PolicyCommand::Check { file } => {
            let policy = load(&file)?;
            let checked = json!({ "digest": policy.digest(), "rules": policy.rules().len() });
            output::show(args.output, &checked, |_| {
                let rules = output::count(policy.rules().len() as u64, "rule");
                format!("{}: {rules}, nothing is wrong.\n", file.display())
            })?;
        }
        PolicyCommand::Test { cases, file } => return test(args, &cases, file.as_deref()),
        PolicyCommand::Preview {
            file: Some(file),
            limit,
            ..
        } => preview(args, &file, limit).await?,
        PolicyCommand::Preview {
            advisories, limit, ..
        } => preview_advisories(args, &advisories, limit).await?,
        PolicyCommand::Held { limit } => held::list(&Client::connect(args)?, limit).await?,
        PolicyCommand::Approve { change } => held::approve(&Client::connect(args)?, change).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_default(args: &ClientArgs) -> anyhow::Result<()> {
    let shown = json!({
        "version": 0,
        "digest": Policy::default_policy().digest(),
        "body": DEFAULT_POLICY,
    });
    output::show(args.output, &shown, |_| DEFAULT_POLICY.to_owned())
}

async fn history(args: &ClientArgs) -> anyhow::Result<()> {
    let entries: Vec<PolicyEntry> = Client::connect(args)?.list("/policies", &[], MOST).await?;
    output::show(args.output, &entries, |entries| {
        if entries.is_empty() {
            return "No policy was set: the default policy is in force.\n".to_owned();
        }
        let rows = entries.iter().map(|entry| {
            [
                entry.version.to_string(),
                entry.set_at.map(|at| output::moment(at.0)).unwrap_or_default(),
                entry.set_by.clone().unwrap_or_default(),
                entry.digest.clone(),
            ]
        });
        output::table(["VERSION", "SET AT", "BY", "DIGEST"], rows)
    })
}

async fn set(args: &ClientArgs, file: &Path) -> anyhow::Result<()> {
    // Mistakes are told with the file's name.
    load(file)?;
    let text = PolicyText { body: read(file)? };
    let done: SetPolicy = Client::connect(args)?.put("/policy", &text).await?;
    output::show(args.output, &done, |done| {
        let version = done.policy.version;
        if !done.changed {
            return format!("Version {version} says so already; nothing was changed.\n");
        }
        let was = match done.was {
            0 => "the default policy".to_owned(),
            was => format!("version {was}"),
        };
        format!("Version {version} is in force in place of {was}; all images are judged by it.\n")
    })
}

fn test(args: &ClientArgs, cases: &Path, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let policy = match file {
        Some(file) => load(file)?,
        None => Policy::default_policy(),
    };
    let text = read_up_to(cases, MAX_CASES_BYTES as u64)?;
    let report = CaseFile::parse(&cases.display().to_string(), &text)?.run(&policy);
    output::show(args.output, &report, describe_cases)?;
    Ok(if report.is_passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn describe_cases(report: &CaseReport) -> String {
    let mut lines = Vec::new();
    let mut failed = 0;
    for result in &report.results {
        let has_passed = result.differences.is_empty();
        failed += usize::from(!has_passed);
        let word = if has_passed { "ok    " } else { "FAILED" };
        lines.push(format!("{word}  {}", output::printable(&result.name)));
        for difference in &result.differences {
            lines.push(format!("        {}", output::printable(difference)));
        }
    }
    let cases = output::count(report.results.len() as u64, "case");
    lines.push(format!("{cases}, {failed} failed."));
    output::lines(lines)
}

async fn preview(args: &ClientArgs, file: &Path, limit: usize) -> anyhow::Result<()> {
    load(file)?;
    let text = PolicyText { body: read(file)? };
    let query = [("limit", limit.to_string())];
    let client = Client::connect(args)?;
    let report: PreviewReport = client.post_with("/policy/preview", &query, &text).await?;
    output::show(args.output, &report, describe_preview)
}

/// Largest request of advisories, in bytes: JSON adds to it, and a server takes no more than 16 MiB.
const MAX_ADVISORIES_BYTES: usize = 12 << 20;

async fn preview_advisories(args: &ClientArgs, paths: &[PathBuf], limit: usize) -> anyhow::Result<()> {
    let sources = Sources::find(paths)?;
    let (mut given, mut size) = (ImportDocuments::default(), 0);
    let mut documents = sources.documents();
    while let Some(document) = documents.next() {
        let document = document?;
        size += document.text.len();
        ensure!(
            size <= MAX_ADVISORIES_BYTES,
            "the advisories have more than {MAX_ADVISORIES_BYTES} bytes: ask about fewer at a time"
        );
        given.documents.push(ImportDocument {
            name: document.name,
            text: document.text,
        });
    }
    let query = [("limit", limit.to_string())];
    let client = Client::connect(args)?;
    let report: PreviewReport = client.post_with("/advisories/preview", &query, &given).await?;
    output::show(args.output, &report, describe_preview)
}

fn describe_preview(report: &PreviewReport) -> String {
    let images = output::count(report.images, "image");
    let waiting = match report.waiting {
        0 => String::new(),
        waiting => format!(", {waiting} still being looked into"),
    };
    let untouched = match report.untouched {
        0 => String::new(),
        untouched => format!(", {untouched} hold nothing that is touched"),
    };
    let mut lines = vec![format!("{images} judged before and after{untouched}{waiting}.")];
    lines.extend(
        report
            .refusals
            .iter()
            .map(|why| format!("  refused: {}", output::printable(why))),
    );
    if report.counts.is_empty() {
        lines.push("None would fare otherwise.".to_owned());
        return output::lines(lines);
    }
    lines.extend(report.counts.iter().map(|count| {
        let (before, after) = (count.before.as_str(), count.after.as_str());
        let images = output::count(count.images, "image");
        format!("  {before} -> {after}: {images}, {} in use", count.in_use)
    }));
    let rows = report.changes.iter().map(|change| {
        [
            format!("{} -> {}", change.before.as_str(), change.after.as_str()),
            output::yes_or_no(change.in_use),
            format!("{}@{}", change.repository, change.digest),
            change.text.clone(),
        ]
    });
    let table = output::table(["CHANGE", "IN USE", "IMAGE", "WHY"], rows);
    lines.push(table.trim_end().to_owned());
    let changed: u64 = report.counts.iter().map(|count| count.images).sum();
    let listed = report.changes.len() as u64;
    if listed < changed {
        lines.push(format!(
            "… and {} more; --limit shows up to 1000.",
            changed - listed
        ));
    }
    output::lines(lines)
}

/// Reads and checks a policy; every mistake comes with file and line.
fn load(file: &Path) -> anyhow::Result<Policy> {
    let (name, text) = (file.display().to_string(), read(file)?);
    let source = PolicySource {
        name: &name,
        text: &text,
    };
    Ok(Policy::load(&[source], &PolicyLimits::default())?)
}

fn read(file: &Path) -> anyhow::Result<String> {
    read_up_to(file, MAX_FILE_BYTES)
}

fn read_up_to(file: &Path, most: u64) -> anyhow::Result<String> {
    let cannot_read = || format!("cannot read {}", file.display());
    let bytes = fs::metadata(file).with_context(cannot_read)?.len();
    ensure!(
        bytes <= most,
        "{} has {bytes} bytes: at most {most} are allowed",
        file.display()
    );
    fs::read_to_string(file).with_context(cannot_read)
}
