//! `sink …`.

mod set;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use road::names::SinkName;
use road::sink::SinkSpec;
use web::wire::{SetSink, ShownSink, SinkTest};

use crate::client::{Client, segment};
use crate::output;

pub(crate) use set::read_secret;

/// Most sinks that a list shows.
const MOST: usize = 1_000;

/// What to do with sinks.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A sink is told what owners must do about incidents, one message per owner and incident, and a webhook also the events of the
audit log that it names. Secrets come from a file or from the environment and are never shown again.

Examples:
  roadbed sink set hooks --kind webhook --target https://hooks.example/roadbed --events 'image.decide,tag.*'
  roadbed sink set chat --kind slack --secret-file webhook-url --quiet 20:00-07:00 --quiet-weekend --zone Europe/Vienna
  roadbed sink set tickets --kind jira --target https://shop.atlassian.net --user bot@shop.example \\
      --secret-env JIRA_TOKEN --project SEC --issue-type Task --done-transition Done
  roadbed sink set mail --kind smtp --target smtps://mail.shop.example --user roadbed --secret-file password \\
      --from roadbed@shop.example --digest 08:00
  roadbed sink test chat")]
pub(crate) enum SinkCommand {
    /// Set a sink, in place of the one of its name
    Set(Box<set::SetArgs>),
    /// List the sinks and how they stand
    List,
    /// Show a sink, without its secret
    Show {
        /// Name of the sink
        name: SinkName,
    },
    /// Tell a sink that this is a test, at once; ticket systems are asked whether a ticket could be made
    Test {
        /// Name of the sink
        name: SinkName,
    },
    /// Remove a sink, with all that it was and is to be told
    Remove {
        /// Name of the sink
        name: SinkName,
    },
}

/// Carries out a command. A test that was not taken fails.
pub(crate) async fn run(client: &Client, command: SinkCommand) -> Result<ExitCode> {
    match command {
        SinkCommand::Set(args) => {
            let present = match args.rotated() {
                Some(name) => {
                    let path = format!("/sinks/{}", segment(name.as_str()));
                    let present: ShownSink = client.get(&path, &[]).await?;
                    Some(present.sink.0)
                }
                None => None,
            };
            let set: SetSink = client.put("/sinks", &args.into_new(present)?).await?;
            output::show(client.format(), &set, said)?;
        }
        SinkCommand::List => {
            let sinks: Vec<ShownSink> = client.list("/sinks", &[], MOST).await?;
            output::show(client.format(), &sinks, |sinks| table(sinks))?;
        }
        SinkCommand::Show { name } => {
            let path = format!("/sinks/{}", segment(name.as_str()));
            let sink: ShownSink = client.get(&path, &[]).await?;
            output::show(client.format(), &sink, describe)?;
        }
        SinkCommand::Test { name } => {
            let path = format!("/sinks/{}/test", segment(name.as_str()));
            let test: SinkTest = client.post(&path, &serde_json::json!({})).await?;
            output::show(client.format(), &test, |test| tested(&name, test))?;
            if !test.taken {
                return Ok(ExitCode::FAILURE);
            }
        }
        SinkCommand::Remove { name } => {
            let path = format!("/sinks/{}", segment(name.as_str()));
            client.delete(&path, &[]).await?;
            output::done(client.format(), format!("Nobody is told at {name} any more."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn said(set: &SetSink) -> String {
    let instead = if set.replaced {
        ", in place of what was"
    } else {
        ""
    };
    let mut text = format!("{} is told from now on{instead}.\n", set.name);
    if let Some(secret) = &set.secret {
        let _ = writeln!(text, "Its secret, shown this once: {secret}");
    }
    text
}

fn tested(name: &SinkName, test: &SinkTest) -> String {
    let status = test
        .status
        .map(|status| format!(" ({status})"))
        .unwrap_or_default();
    let detail = test.detail.as_deref().map(output::printable);
    if test.taken {
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        return format!("{name} took it{status}{detail}.\n");
    }
    format!("{name} did not take it: {}\n", detail.unwrap_or_default())
}

fn table(sinks: &[ShownSink]) -> String {
    let rows = sinks.iter().map(|shown| {
        let sink = &shown.sink.0;
        let state = if sink.enabled { "on" } else { "off" };
        [
            sink.name.to_string(),
            sink.kind.as_str().to_owned(),
            state.to_owned(),
            shown.pending.to_string(),
            shown.dead.to_string(),
            shown.dropped.to_string(),
            sink.target.clone(),
        ]
    });
    output::table(
        ["NAME", "KIND", "STATE", "PENDING", "DEAD", "DROPPED", "TARGET"],
        rows,
    )
}

fn describe(shown: &ShownSink) -> String {
    let sink = &shown.sink.0;
    let mut pairs = vec![
        ("sink", sink.name.to_string()),
        ("kind", sink.kind.as_str().to_owned()),
        ("state", if sink.enabled { "on" } else { "off" }.to_owned()),
        ("target", sink.target.clone()),
    ];
    pairs.extend(sink.user.iter().map(|user| ("user", user.clone())));
    let secret = if shown.has_secret {
        "set, not shown"
    } else {
        "none"
    };
    pairs.push(("secret", secret.to_owned()));
    let until = shown.old_secret_until.map(|until| output::moment(until.0));
    pairs.extend(until.map(|until| ("old secret", format!("signs as well until {until}"))));
    pairs.extend(sink.from.iter().map(|from| ("from", from.to_string())));
    if !sink.to.is_empty() {
        pairs.push(("to", joined(&sink.to)));
    }
    if sink.kind.has_tickets() {
        pairs.push((
            "tickets",
            serde_json::to_string(&sink.tickets).unwrap_or_default(),
        ));
    }
    pairs.push(("told of", told_of(sink)));
    if sink.kind.is_for_people() {
        pairs.push(("when", set::when(&sink.schedule)));
    }
    pairs.extend([
        ("pending", shown.pending.to_string()),
        ("sent", shown.sent.to_string()),
        ("dead", shown.dead.to_string()),
        ("dropped", shown.dropped.to_string()),
        (
            "set",
            format!("{} by {}", output::moment(shown.set_at.0), shown.set_by),
        ),
    ]);
    output::properties(&pairs)
}

fn told_of(sink: &SinkSpec) -> String {
    let mut told = Vec::new();
    if sink.incidents {
        let of = if sink.owners.is_empty() {
            "all owners".to_owned()
        } else {
            joined(&sink.owners)
        };
        told.push(format!("incidents of {of} from {} on", sink.at_least.as_str()));
    }
    if !sink.events.is_empty() {
        told.push(format!("events {}", joined(&sink.events)));
    }
    told.join("; ")
}

fn joined<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(T::to_string).collect();
    items.join(",")
}
