//! `audit` and `pulls`.

use oci::{Digest, RepoName};
use web::wire::{EventEntry, PullLine};

use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  roadbed audit --since 7d --kind grant.set
  roadbed audit --actor ann --output json")]
pub(crate) struct AuditArgs {
    /// From when on: a date, a moment (RFC 3339) or a span back from now
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: MomentArg,
    /// Only of this kind, such as `grant.set` or `manifest.push`
    #[arg(long)]
    kind: Option<String>,
    /// Only about exactly this
    #[arg(long)]
    subject: Option<String>,
    /// Only by this user or robot
    #[arg(long)]
    actor: Option<String>,
    /// Most lines: the newest, printed from the oldest to the newest
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
}

/// Options of `pulls`.
#[derive(Debug, clap::Args)]
pub(crate) struct PullsArgs {
    /// Only from this repository
    #[arg(long)]
    repository: Option<RepoName>,
    /// Only of this manifest
    #[arg(long)]
    digest: Option<Digest>,
    /// From when on: a date, a moment (RFC 3339) or a span back from now
    #[arg(long, value_name = "WHEN")]
    since: Option<MomentArg>,
    /// Most lines, the newest first
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Prints the audit log.
pub(crate) async fn events(client: &Client, args: AuditArgs) -> anyhow::Result<()> {
    let mut query = vec![("since", args.since.ago().0.to_rfc3339())];
    query.extend(args.kind.map(|kind| ("kind", kind)));
    query.extend(args.subject.map(|subject| ("subject", subject)));
    query.extend(args.actor.map(|actor| ("actor", actor)));
    let events: Vec<EventEntry> = client.last("/events", &query, args.limit).await?;
    output::show(client.format(), &events, |events| {
        let rows = events.iter().map(|event| {
            let kind = serde_json::to_value(event.kind).ok();
            [
                event.at.0.to_rfc3339(),
                event.actor.clone(),
                kind.and_then(|kind| kind.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                event.subject.clone(),
                event.cause.clone(),
            ]
        });
        output::table(["AT", "ACTOR", "KIND", "SUBJECT", "CAUSE"], rows)
    })
}

/// Prints the pull log.
pub(crate) async fn pulls(client: &Client, args: PullsArgs) -> anyhow::Result<()> {
    let mut query = Vec::new();
    query.extend(
        args.repository
            .map(|repository| ("repository", repository.to_string())),
    );
    query.extend(args.digest.map(|digest| ("digest", digest.to_string())));
    query.extend(args.since.map(|since| ("since", since.ago().0.to_rfc3339())));
    let pulls: Vec<PullLine> = client.list("/pulls", &query, args.limit).await?;
    output::show(client.format(), &pulls, |pulls| {
        let rows = pulls.iter().map(|pull| {
            let class = serde_json::to_value(pull.class).ok();
            [
                pull.at.0.to_rfc3339(),
                pull.principal
                    .clone()
                    .unwrap_or_else(|| access::ANONYMOUS.to_owned()),
                class
                    .and_then(|class| class.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                format!("{}@{}", pull.repository, pull.digest),
            ]
        });
        output::table(["AT", "BY", "CLASS", "WHAT"], rows)
    })
}
