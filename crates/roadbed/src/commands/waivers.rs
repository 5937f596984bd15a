//! `waiver …`.

use access::PrincipalName;
use clap::{Args, Subcommand};
use oci::{Digest, RepoPattern};
use policy::WaiverKind;
use serde_json::json;
use web::wire::{NewWaiver, WaiverEntry};

use super::decisions::ImageArg;
use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

/// Most waivers that a list shows.
const MOST: usize = 100_000;

/// What to do with waivers.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A waiver takes away what a rule says about a finding, until a date. One person asks, another one who administers the \
repositories approves; until then it has no effect. It has none on images that the approver pushed.

Examples:
  roadbed waiver request log4j-batch --finding CVE-2021-44228 --repository team/batch --until 2026-12-24 \\
      --reason 'reads files of our own only; fixed with the next release'
  roadbed waiver request not-a-key --false-positive --finding github-token --image team/app:1.4 --path srv/test.pem \\
      --repository team/app --until 180d --reason 'a key of the test suite'
  roadbed waiver approve log4j-batch
  roadbed waiver list")]
pub(crate) enum WaiverCommand {
    /// Ask for a waiver; somebody else approves it
    Request(Box<RequestArgs>),
    /// Approve what somebody else asked for; it is in force at once
    Approve {
        /// Name of the waiver
        name: String,
    },
    /// List waivers and requests that you asked for, or of whose repositories you administer some
    List {
        /// Only those that wait for somebody to approve them
        #[arg(long)]
        requested: bool,
        /// Only those of this requester
        #[arg(long, value_name = "NAME")]
        by: Option<PrincipalName>,
    },
    /// Withdraw a waiver or a request
    Remove {
        /// Name of the waiver
        name: String,
    },
}

/// Options of `waiver request`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub(crate) struct RequestArgs {
    /// Name of the waiver, such as log4j-batch
    name: String,
    /// Id of a finding, by any source's word
    #[arg(long, value_name = "ID", value_delimiter = ',', group = "what")]
    finding: Vec<String>,
    /// Id of a rule
    #[arg(long, value_name = "ID", value_delimiter = ',', group = "what")]
    rule: Vec<String>,
    /// Where: a repository, or a pattern that you administer
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', required = true)]
    repository: Vec<RepoPattern>,
    /// Until when: a date that still counts, a moment, or a span such as 30d; at most 366 days
    #[arg(long, value_name = "DATE")]
    until: MomentArg,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// It is not true, rather than borne for a while; ends when the facts change that it rests on
    #[arg(long)]
    false_positive: bool,
    /// This image only
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// This package only
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// This path only
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// An image with the finding that is not true: its facts are taken from there
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "false_positive",
        conflicts_with = "facts"
    )]
    image: Option<ImageArg>,
    /// Fingerprint of the facts, instead of --image
    #[arg(long, value_name = "DIGEST", requires = "false_positive")]
    facts: Option<Digest>,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: WaiverCommand) -> anyhow::Result<()> {
    match command {
        WaiverCommand::Request(args) => request(client, *args).await,
        WaiverCommand::Approve { name } => {
            let path = format!("/waivers/{}/approve", segment(&name));
            let entry: WaiverEntry = client.post(&path, &json!({})).await?;
            output::show(client.format(), &entry, |entry| {
                let until = output::moment(entry.until.0);
                format!("{} is in force until {until}.\n", entry.id)
            })
        }
        WaiverCommand::List { requested, by } => {
            let mut entries: Vec<WaiverEntry> = client.list("/waivers", &[], MOST).await?;
            entries.retain(|entry| {
                (!requested || entry.state == "requested")
                    && by.as_ref().is_none_or(|by| by.as_str() == entry.requester)
            });
            output::show(client.format(), &entries, |entries| table(entries))
        }
        WaiverCommand::Remove { name } => {
            client
                .delete(&format!("/waivers/{}", segment(&name)), &[])
                .await?;
            output::done(client.format(), format!("{name} is withdrawn."))
        }
    }
}

async fn request(client: &Client, args: RequestArgs) -> anyhow::Result<()> {
    let wanted = NewWaiver {
        kind: if args.false_positive {
            WaiverKind::FalsePositive
        } else {
            WaiverKind::Accepted
        },
        findings: args.finding,
        rules: args.rule,
        repositories: args.repository,
        digest: args.digest,
        package: args.package,
        path: args.path,
        facts: args.facts,
        image: args.image.map(Into::into),
        reason: args.reason,
        until: args.until.ahead(),
    };
    let path = format!("/waivers/{}", segment(&args.name));
    let entry: WaiverEntry = client.put(&path, &wanted).await?;
    output::show(client.format(), &entry, |entry| {
        format!(
            "{id} is asked for, until {until}. It has no effect before somebody else who administers {places} runs\n  \
             roadbed waiver approve {id}\n",
            id = entry.id,
            until = output::moment(entry.until.0),
            places = names(&entry.repositories),
        )
    })
}

fn table(entries: &[WaiverEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        [
            entry.id.clone(),
            entry.state.clone(),
            output::moment(entry.until.0),
            names(&entry.repositories),
            what(entry),
            entry.requester.clone(),
            entry.approver.clone().unwrap_or_default(),
            entry.reason.clone(),
        ]
    });
    let head = [
        "NAME",
        "STATE",
        "UNTIL",
        "REPOSITORIES",
        "WHAT",
        "REQUESTER",
        "APPROVER",
        "REASON",
    ];
    output::table(head, rows)
}

/// What it takes away, and where within an image.
fn what(entry: &WaiverEntry) -> String {
    let mut parts = Vec::new();
    parts.extend(entry.findings.iter().cloned());
    parts.extend(entry.rules.iter().map(|rule| format!("rule {rule}")));
    parts.extend(entry.package.iter().map(|package| format!("in {package}")));
    parts.extend(entry.path.iter().map(|path| format!("at {path}")));
    parts.extend(entry.digest.iter().map(|digest| format!("of {digest}")));
    if entry.kind == WaiverKind::FalsePositive {
        parts.push("(false positive)".to_owned());
    }
    parts.join(" ")
}

fn names(patterns: &[RepoPattern]) -> String {
    let names: Vec<&str> = patterns.iter().map(RepoPattern::as_str).collect();
    names.join(",")
}
