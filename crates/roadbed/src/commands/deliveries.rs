//! `delivery …`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use road::names::SinkName;
use serde_json::json;
use web::wire::{DeliveryEntry, Retried, RetryRequest, ShownDelivery};

use crate::client::Client;
use crate::output;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Whatever a sink does not take is tried again, later each time, until it is given up and dead.

Examples:
  roadbed delivery list --state dead
  roadbed delivery show 17
  roadbed delivery retry 17
  roadbed delivery retry --sink chat              what it could not be told, given up or not")]
pub(crate) enum DeliveryCommand {
    /// List deliveries, the newest first
    List(ListArgs),
    /// Show a delivery with what it tells
    Show {
        /// Number of the delivery
        id: i64,
    },
    /// Try again at once what was given up, is pending, or was sent
    Retry(RetryArgs),
}

/// Options of `delivery list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only to this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<SinkName>,
    /// Only in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Most that are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

/// Options of `delivery retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Number of the delivery
    #[arg(conflicts_with = "sink")]
    id: Option<i64>,
    /// Everything that this sink could not be told
    #[arg(long, value_name = "NAME")]
    sink: Option<SinkName>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    Pending,
    Sent,
    Dead,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: DeliveryCommand) -> Result<()> {
    match command {
        DeliveryCommand::List(args) => {
            let mut query = Vec::new();
            query.extend(args.sink.map(|sink| ("sink", sink.to_string())));
            query.extend(args.state.map(|state| ("state", state.word().to_owned())));
            let all: Vec<DeliveryEntry> = client.list("/deliveries", &query, args.limit).await?;
            output::show(client.format(), &all, |all| table(all))
        }
        DeliveryCommand::Show { id } => {
            let shown: ShownDelivery = client.get(&format!("/deliveries/{id}"), &[]).await?;
            output::show(client.format(), &shown, describe)
        }
        DeliveryCommand::Retry(RetryArgs { id: Some(id), .. }) => {
            client
                .post_streamed(&format!("/deliveries/{id}/retry"), &json!({}))
                .await?;
            output::done(client.format(), format!("{id} is tried again."))
        }
        DeliveryCommand::Retry(RetryArgs { sink: Some(sink), .. }) => {
            let request = RetryRequest {
                sink: sink.to_string(),
            };
            let retried: Retried = client.post("/deliveries/retry", &request).await?;
            output::show(client.format(), &retried, |retried| match retried.deliveries {
                1 => "1 delivery is tried again.\n".to_owned(),
                count => format!("{count} deliveries are tried again.\n"),
            })
        }
        DeliveryCommand::Retry(_) => bail!("name a delivery by its number, or a sink with --sink"),
    }
}

fn table(all: &[DeliveryEntry]) -> String {
    let rows = all.iter().map(|one| {
        [
            one.id.to_string(),
            one.sink.clone(),
            one.state.clone(),
            one.attempts.to_string(),
            next(one),
            one.kind.clone(),
            one.subject.clone(),
            one.error.clone().unwrap_or_default(),
        ]
    });
    let head = ["ID", "SINK", "STATE", "TRIED", "NEXT", "KIND", "ABOUT", "ERROR"];
    output::table(head, rows)
}

fn next(one: &DeliveryEntry) -> String {
    one.next_at.map(|at| output::moment(at.0)).unwrap_or_default()
}

fn describe(shown: &ShownDelivery) -> String {
    let one = &shown.delivery;
    let mut pairs = vec![
        ("delivery", one.id.to_string()),
        ("id", one.uid.clone()),
        ("sink", one.sink.clone()),
        ("kind", one.kind.clone()),
        ("about", one.subject.clone()),
        ("state", one.state.clone()),
        ("tried", one.attempts.to_string()),
        ("since", output::moment(one.created_at.0)),
    ];
    if one.held {
        pairs.push(("held", "for quiet hours or a digest".to_owned()));
    }
    if one.next_at.is_some() {
        pairs.push(("next", next(one)));
    }
    pairs.extend(one.finished_at.map(|at| ("finished", output::moment(at.0))));
    pairs.extend(one.status.map(|status| ("answer", status.to_string())));
    pairs.extend(one.error.iter().map(|error| ("error", error.clone())));
    let body = serde_json::to_string_pretty(&shown.body).unwrap_or_default();
    let body: Vec<String> = body.lines().map(output::printable).collect();
    format!("{}\n{}", output::properties(&pairs), output::lines(body))
}
