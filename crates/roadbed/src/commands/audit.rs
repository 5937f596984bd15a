//! `audit` and `pulls`.

use std::str::FromStr;
use std::time::SystemTime;

use oci::{Digest, RepoName};
use store::Timestamp;
use web::wire::{EventEntry, Moment, PullLine};

use crate::client::Client;
use crate::config::Span;
use crate::output;

/// A moment on the command line: RFC 3339, or a span from now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MomentArg {
    At(Timestamp),
    Span(Span),
}

impl FromStr for MomentArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = Timestamp::from_rfc3339(text).map(Self::At);
        moment
            .or_else(|| text.parse().map(Self::Span).ok())
            .ok_or_else(|| {
                "write a moment in RFC 3339 such as 2026-11-22T08:33:00Z, or a span such as 24h or 90d"
                    .to_owned()
            })
    }
}

impl MomentArg {
    /// A span counts from now on.
    pub(crate) fn ahead(self) -> Moment {
        match self {
            Self::At(moment) => Moment(moment),
            Self::Span(span) => Moment(Timestamp::from(SystemTime::now()).plus(span.0)),
        }
    }

    /// A span counts back from now.
    fn ago(self) -> Moment {
        match self {
            Self::At(moment) => Moment(moment),
            Self::Span(span) => Moment(Timestamp::from(SystemTime::now()).minus(span.0)),
        }
    }
}

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  roadbed audit --since 7d --kind grant.set
  roadbed audit --actor ann --output json")]
pub(crate) struct AuditArgs {
    /// From when on: a moment (RFC 3339) or a span back from now
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
    /// Most lines
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
    /// From when on: a moment (RFC 3339) or a span back from now
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
    let events: Vec<EventEntry> = client.list("/events", &query, args.limit).await?;
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
