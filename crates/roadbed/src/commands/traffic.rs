//! `traffic …`: who uses what now, and who is throttled or banned for a while.

use anyhow::Result;
use clap::{Args, Subcommand};
use registry::Rate;
use web::wire::{
    MeasureEntry, MeasureKind, MeasureReport, NewMeasure, TrafficLine, TrafficReport, TrafficUse,
};

use crate::client::Client;
use crate::config::traffic::read_rate;
use crate::moment::MomentArg;
use crate::output;

/// What to do about traffic.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a command it shows who has asked for how much within the last minute, who waits, and who was told to come again. \
WHO is a user, a robot, an address or a network. A measure always ends; what holds for one target takes the place of what held \
before. No administrator can be banned, and nobody the address that they ask from.

Examples:
  roadbed traffic
  roadbed traffic throttle ci-main --rate '50/s 20MiB/s' --for 2h --reason 'floods the registry, asked the team'
  roadbed traffic ban 198.51.100.0/24 --for 10m --reason 'guesses names'
  roadbed traffic lift 198.51.100.0/24")]
pub(crate) struct TrafficArgs {
    #[command(subcommand)]
    command: Option<TrafficCommand>,
    /// Users and robots, and addresses, that are shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

#[derive(Debug, Subcommand)]
enum TrafficCommand {
    /// Let somebody ask for only so much per second, for a while
    Throttle(ThrottleArgs),
    /// Answer somebody nothing but 429, for a while
    Ban(BanArgs),
    /// List who is throttled or banned
    List,
    /// End a measure before its time
    Lift {
        /// User, robot, address or network, as it is listed
        who: String,
    },
}

/// Options of `traffic throttle`.
#[derive(Debug, Args)]
struct ThrottleArgs {
    #[command(flatten)]
    measure: MeasureArgs,
    /// Requests, bytes or both per second, such as 50/s, 20MiB/s or '50/s 20MiB/s'
    #[arg(long, value_name = "RATE", value_parser = read_rate)]
    rate: Rate,
}

/// Options of `traffic ban`.
#[derive(Debug, Args)]
struct BanArgs {
    #[command(flatten)]
    measure: MeasureArgs,
}

#[derive(Debug, Args)]
struct MeasureArgs {
    /// User, robot, address or network
    who: String,
    /// For how long, such as 10m, or until when; at most 30 days
    #[arg(long = "for", value_name = "TIME")]
    until: MomentArg,
    /// Why; for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, args: TrafficArgs) -> Result<()> {
    match args.command {
        None => {
            let query = [("limit", args.limit.to_string())];
            let report: TrafficReport = client.get("/traffic", &query).await?;
            output::show(client.format(), &report, shown)
        }
        Some(TrafficCommand::Throttle(throttle)) => {
            let wanted = NewMeasure {
                requests_per_second: throttle.rate.requests,
                bytes_per_second: throttle.rate.bytes,
                ..throttle.measure.into_measure(MeasureKind::Throttle)
            };
            set(client, &wanted).await
        }
        Some(TrafficCommand::Ban(ban)) => set(client, &ban.measure.into_measure(MeasureKind::Ban)).await,
        Some(TrafficCommand::List) => {
            let report: MeasureReport = client.get("/traffic/measures", &[]).await?;
            output::show(client.format(), &report, |report| measures(&report.measures))
        }
        Some(TrafficCommand::Lift { who }) => {
            let query = [("who", who.clone())];
            client.delete("/traffic/measures", &query).await?;
            output::done(client.format(), format!("{who} may ask again."))
        }
    }
}

impl MeasureArgs {
    fn into_measure(self, kind: MeasureKind) -> NewMeasure {
        NewMeasure {
            who: self.who,
            kind,
            requests_per_second: None,
            bytes_per_second: None,
            until: self.until.ahead(),
            reason: self.reason,
        }
    }
}

async fn set(client: &Client, wanted: &NewMeasure) -> Result<()> {
    let made: MeasureEntry = client.put("/traffic/measures", wanted).await?;
    output::show(client.format(), &made, |made| {
        let until = output::moment(made.until.0);
        format!(
            "{}: {} until {until}.\n",
            output::printable(&made.who),
            what(made)
        )
    })
}

fn what(measure: &MeasureEntry) -> String {
    if measure.kind == MeasureKind::Ban {
        return "banned".to_owned();
    }
    let requests = measure
        .requests_per_second
        .map(|rate| output::count(rate, "request"));
    let bytes = measure.bytes_per_second.map(output::bytes);
    let rates: Vec<String> = [requests, bytes].into_iter().flatten().collect();
    format!("{} per second", rates.join(" and "))
}

fn shown(report: &TrafficReport) -> String {
    let mut parts = vec![
        format!(
            "processor  {}\ndatabase   {}\n",
            waiting(&report.lanes),
            waiting(&report.database)
        ),
        table("USER OR ROBOT", &report.principals),
        table("ADDRESS", &report.addresses),
    ];
    if report.more > 0 {
        let more = output::count(report.more, "other");
        parts.push(format!("{more} not shown; --limit N shows more.\n"));
    }
    if !report.measures.is_empty() {
        parts.push(measures(&report.measures));
    }
    parts.join("\n")
}

fn waiting(line: &TrafficLine) -> String {
    let classes = [
        ("node", line.node),
        ("ci", line.ci),
        ("push", line.push),
        ("scan", line.scan),
        ("pages", line.pages),
    ];
    let waiting: Vec<String> = classes
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| format!("{class} {count}"))
        .collect();
    if waiting.is_empty() {
        return "nobody waits".to_owned();
    }
    format!("waiting: {} ({} at a time)", waiting.join(", "), line.limit)
}

fn table(title: &str, uses: &[TrafficUse]) -> String {
    let rows = uses.iter().map(|it| {
        [
            it.who.clone(),
            it.class.clone(),
            it.requests.to_string(),
            output::bytes(it.bytes),
            it.waiting.to_string(),
            it.shed.to_string(),
        ]
    });
    output::table(
        [title, "CLASS", "REQUESTS/MIN", "BYTES/MIN", "WAITING", "429"],
        rows,
    )
}

fn measures(measures: &[MeasureEntry]) -> String {
    let rows = measures.iter().map(|measure| {
        [
            measure.who.clone(),
            what(measure),
            output::moment(measure.until.0),
            measure.set_by.clone(),
            measure.reason.clone(),
        ]
    });
    output::table(["WHO", "MEASURE", "UNTIL", "BY", "REASON"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_a_list_of_zeroes() {
        let quiet = TrafficLine::default();
        assert_eq!(waiting(&quiet), "nobody waits");
        let busy = TrafficLine {
            limit: 8,
            ci: 4_000,
            push: 2,
            ..quiet
        };
        assert_eq!(waiting(&busy), "waiting: ci 4000, push 2 (8 at a time)");
    }
}
