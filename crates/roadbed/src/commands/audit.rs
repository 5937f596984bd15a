//! `audit` and `pulls`.

use oci::{Digest, RepoName};
use serde_json::Value;
use web::wire::{EventEntry, PullLine};

use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --since the last 24 hours are shown. Sign-ins (login, login.failed) are gathered for ten
seconds: AT is when they were written, `times` how many they were. Whoever failed is anonymous; the
name that they tried is the subject, if somebody has it.

Examples:
  roadbed audit --since 7d --kind grant.set
  roadbed audit --actor ann --output json")]
pub(crate) struct AuditArgs {
    /// From when on: a date, a moment (RFC 3339) or a span back from now, such as 30d
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
#[command(after_help = "\
CLASS is what pulled: `node` (the client calls itself containerd, CRI-O or kubelet), else `ci` (a
robot), else `other`. A client's name for itself proves nothing; BY says who it was.

Examples:
  roadbed pulls --repository team/app --since 7d
  roadbed pulls --output json")]
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
    let since = args.since.ago().0;
    let mut query = vec![("since", since.to_rfc3339())];
    query.extend(args.kind.map(|kind| ("kind", kind)));
    query.extend(args.subject.map(|subject| ("subject", subject)));
    query.extend(args.actor.map(|actor| ("actor", actor)));
    let events: Vec<EventEntry> = client.last("/events", &query, args.limit).await?;
    output::show(client.format(), &events, |events| {
        let rows = events.iter().map(|event| {
            [
                output::moment(event.at.0),
                event.actor.clone(),
                event.kind.name(),
                event.subject.clone(),
                event.cause.clone(),
                detail(&event.body),
            ]
        });
        let table = output::table(["AT", "ACTOR", "KIND", "SUBJECT", "CAUSE", "DETAIL"], rows);
        // Whoever finds nothing must see that no more was asked for.
        let from = output::moment(since);
        format!("{table}Events since {from} (--since WHEN, by default 24h).\n")
    })
}

/// What else is known of an event: `pattern=team/** roles=pull,push`.
fn detail(body: &Value) -> String {
    let Value::Object(fields) = body else {
        return short(body);
    };
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", short(value)));
    fields.collect::<Vec<_>>().join(" ")
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
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
                output::moment(pull.at.0),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_is_one_line_of_names_and_values() {
        let grant = json!({ "pattern": "team/**", "roles": ["pull", "push"] });
        assert_eq!(detail(&grant), "pattern=team/** roles=pull,push");
        let failed = json!({ "from": "192.0.2.1", "times": 3 });
        assert_eq!(detail(&failed), "from=192.0.2.1 times=3");
        let user = json!({ "administrator": false, "not_after": null });
        assert_eq!(detail(&user), "administrator=false not_after=none");
        assert_eq!(detail(&json!({})), "");
    }
}
