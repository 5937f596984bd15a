//! `upstream …`: the registries that are pulled through.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use web::wire::{NewPrefetch, PrefetchEntry, PrefetchState, UpstreamEntry, UpstreamReport};

use crate::client::Client;
use crate::output;

mod test;

/// How often it is asked how far images are.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Commands about upstreams.
#[derive(Debug, Subcommand)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Upstreams are configured on the server ([[proxy.upstreams]]). What is fetched before somebody pulls it is fetched as a pull would: one
image at a time, within the upstream's budget, and looked into and judged.

Examples:
  roadbed upstream list
  roadbed upstream test hub library/alpine:3.22
  roadbed upstream prefetch hub/library/alpine:3.22 ghcr/acme/app:1.4"
)]
pub(crate) enum UpstreamCommand {
    /// Show which are reached, what is left of their budgets, and what went wrong last
    List,
    /// Have images fetched before somebody pulls them, and wait until they are here
    Prefetch(PrefetchArgs),
    /// Try one step by step: its name, connection, certificate, login, and an image; says what to do about what fails
    Test(test::TestArgs),
}

/// Options of `upstream prefetch`.
#[derive(Debug, Args)]
pub(crate) struct PrefetchArgs {
    /// Images by the path that they are pulled by, with tag or digest; at most 100
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Do not wait until they are here
    #[arg(long)]
    no_wait: bool,
}

/// Carries out one of them.
pub(crate) async fn run(client: &Client, command: UpstreamCommand) -> Result<()> {
    match command {
        UpstreamCommand::List => {
            let report: UpstreamReport = client.get("/upstreams", &[]).await?;
            output::show(client.format(), &report, describe)
        }
        UpstreamCommand::Prefetch(args) => prefetch(client, args).await,
        UpstreamCommand::Test(args) => test::run(client, args).await,
    }
}

async fn prefetch(client: &Client, args: PrefetchArgs) -> Result<()> {
    let wanted = NewPrefetch { images: args.images };
    let accepted: NewPrefetch = client.post("/upstreams/prefetches", &wanted).await?;
    if args.no_wait {
        return output::show(client.format(), &accepted, |accepted| {
            output::lines(
                accepted
                    .images
                    .iter()
                    .map(|image| format!("{image}: waits for its turn")),
            )
        });
    }
    let ended = loop {
        let report: UpstreamReport = client.get("/upstreams", &[]).await?;
        let mine = of(&report, &accepted.images);
        let is_open =
            |entry: &PrefetchEntry| matches!(entry.state, PrefetchState::Waiting | PrefetchState::Running);
        if !mine.iter().any(is_open) {
            break mine;
        }
        tokio::time::sleep(ASK_EVERY).await;
    };
    output::show(client.format(), &ended, |ended| {
        output::lines(ended.iter().map(told))
    })?;
    let failed = ended
        .iter()
        .filter(|entry| entry.state == PrefetchState::Failed)
        .count();
    if failed > 0 {
        anyhow::bail!("{} could not be fetched", output::count(failed as u64, "image"));
    }
    Ok(())
}

/// What is listed of these images. What is not listed any more was done long ago.
fn of(report: &UpstreamReport, images: &[String]) -> Vec<PrefetchEntry> {
    let all = report.upstreams.iter().flat_map(|upstream| &upstream.prefetches);
    all.filter(|entry| images.contains(&entry.images))
        .cloned()
        .collect()
}

fn describe(report: &UpstreamReport) -> String {
    if report.upstreams.is_empty() {
        return "Nothing is pulled through: the server has no [[proxy.upstreams]].\n".to_owned();
    }
    let rows = report.upstreams.iter().map(|upstream| {
        [
            upstream.name.clone(),
            upstream.kind.clone(),
            format!("{}/", upstream.prefix),
            upstream.url.clone(),
            reached(upstream),
            left(upstream),
            upstream.flights.to_string(),
            format!("{}/{}/{}", upstream.hits, upstream.misses, upstream.stale),
        ]
    });
    let head = [
        "NAME",
        "KIND",
        "PREFIX",
        "URL",
        "REACHED",
        "LEFT THIS HOUR",
        "FLIGHTS",
        "HIT/MISS/STALE",
    ];
    let mut parts = vec![output::table(head, rows)];
    let failures = report.upstreams.iter().filter_map(failure);
    parts.push(output::lines(failures));
    let prefetches = report.upstreams.iter().flat_map(|upstream| &upstream.prefetches);
    parts.push(output::lines(
        prefetches.map(|entry| format!("prefetch {}", told(entry))),
    ));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn reached(upstream: &UpstreamEntry) -> String {
    let since = upstream.since.map(|since| output::moment(since.0));
    match (upstream.reached, since) {
        (Some(true), Some(since)) => format!("yes, since {since}"),
        (Some(false), Some(since)) => format!("NO, since {since}"),
        _ => "not asked yet".to_owned(),
    }
}

fn left(upstream: &UpstreamEntry) -> String {
    let requests = upstream.requests_left.map(|left| output::count(left, "request"));
    let bytes = upstream.bytes_left.map(output::bytes);
    let left: Vec<String> = [requests, bytes].into_iter().flatten().collect();
    if left.is_empty() {
        "no limit".to_owned()
    } else {
        left.join(", ")
    }
}

fn failure(upstream: &UpstreamEntry) -> Option<String> {
    let (error, at) = (upstream.last_error.as_ref()?, upstream.last_error_at?);
    let error = output::printable(error);
    Some(format!(
        "{}: last error {}: {error}",
        upstream.name,
        output::moment(at.0)
    ))
}

fn told(entry: &PrefetchEntry) -> String {
    let images = output::printable(&entry.images);
    let at = entry.at.map(|at| output::moment(at.0)).unwrap_or_default();
    let next = entry
        .next_at
        .map(|next| format!("; again {}", output::moment(next.0)))
        .unwrap_or_default();
    let here = output::count(entry.here, "image");
    let state = match entry.state {
        PrefetchState::Waiting => "waits for its turn".to_owned(),
        PrefetchState::Running => format!("is being fetched since {at}"),
        PrefetchState::Done => format!("{here} here since {at}"),
        PrefetchState::Failed => {
            let error = entry.error.as_deref().map(output::printable).unwrap_or_default();
            format!("failed {at}, {here} here: {error}")
        }
    };
    format!("{images}: {state}{next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> UpstreamEntry {
        serde_json::from_value(serde_json::json!({
            "name": "hub", "kind": "registry", "prefix": "hub", "namespaces": ["docker.io"],
            "url": "https://registry-1.docker.io", "flights": 0, "hits": 7, "misses": 2, "stale": 1, "errors": 1,
            "fetched_bytes": 0, "prefetches": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_wrong_stands_below_the_table() {
        let asked = UpstreamEntry {
            reached: Some(false),
            since: Some(store::Timestamp(0).into()),
            last_error: Some("it cannot be reached: no route".to_owned()),
            last_error_at: Some(store::Timestamp(0).into()),
            requests_left: Some(12),
            ..hub()
        };
        let text = describe(&UpstreamReport {
            upstreams: vec![asked],
        });
        for part in [
            "NO, since 1970-01-01",
            "12 requests",
            "7/2/1",
            "hub: last error 1970",
            "no route",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = describe(&UpstreamReport {
            upstreams: vec![hub()],
        });
        assert!(
            text.contains("not asked yet") && text.contains("no limit"),
            "{text}"
        );
        assert!(
            describe(&UpstreamReport {
                upstreams: Vec::new()
            })
            .contains("[[proxy.upstreams]]")
        );
    }
}
