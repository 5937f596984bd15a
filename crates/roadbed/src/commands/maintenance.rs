//! `maintenance`: nothing changes while it is on, and pulls go on.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Subcommand;
use web::wire::{MaintenanceRequest, MaintenanceStatus};

use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// Commands about read-only mode.
#[derive(Debug, Subcommand)]
#[command(
    arg_required_else_help = true,
    after_help = "\
While it is on, pulls, looks and scans of what is there go on; pushes, deletions and changes are answered 503 with the reason
and a time to come again; collection, rebases and attached SBOMs wait. It outlives a restart, /readyz tells it to everybody.

Examples:
  roadbed maintenance on --reason 'the disk is moved' --for 2h
  roadbed maintenance status
  roadbed maintenance off"
)]
pub(crate) enum MaintenanceCommand {
    /// Make the registry read-only
    On {
        /// Why: whoever is refused reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// For how long or until when, such as 2h, at most 30 days [default: until `maintenance off`]
        #[arg(long = "for", value_name = "TIME")]
        until: Option<MomentArg>,
    },
    /// Let changes happen again
    Off,
    /// Say whether the registry is read-only, and why
    Status,
}

/// Carries out one of them.
pub(crate) async fn run(client: &Client, command: MaintenanceCommand) -> Result<()> {
    let status: MaintenanceStatus = match command {
        MaintenanceCommand::On { reason, until } => {
            let until = until.map(MomentArg::ahead);
            let wanted = MaintenanceRequest { reason, until };
            client.put("/maintenance", &wanted).await?
        }
        MaintenanceCommand::Off => {
            client.delete("/maintenance", &[]).await?;
            client.get("/maintenance", &[]).await?
        }
        MaintenanceCommand::Status => client.get("/maintenance", &[]).await?,
    };
    output::show(client.format(), &status, describe)
}

fn describe(status: &MaintenanceStatus) -> String {
    let mut text = String::new();
    if let Some(away) = &status.database {
        let what = if away.readable {
            "The database cannot be written"
        } else {
            "The database is away"
        };
        let since = output::moment(away.since.0);
        let _ = writeln!(text, "{what} since {since}: {}.", output::printable(&away.why));
    }
    match &status.maintenance {
        Some(maintenance) => {
            let until = maintenance.until.map_or_else(
                || "until `roadbed maintenance off`".to_owned(),
                |until| format!("until {}", output::moment(until.0)),
            );
            let _ = writeln!(
                text,
                "The registry is read-only since {}, {until}, by {}: {}",
                output::moment(maintenance.since.0),
                output::printable(&maintenance.by),
                output::printable(&maintenance.reason)
            );
        }
        None if status.read_only => {}
        None => text.push_str("The registry takes changes.\n"),
    }
    text
}

#[cfg(test)]
mod tests {
    use store::Timestamp;
    use web::wire::{DatabaseAway, MaintenanceEntry, Moment};

    use super::*;

    #[test]
    fn whoever_asks_reads_why_nothing_changes() {
        let mut status = MaintenanceStatus {
            read_only: false,
            maintenance: None,
            database: None,
        };
        assert_eq!(describe(&status), "The registry takes changes.\n");
        status.read_only = true;
        status.maintenance = Some(MaintenanceEntry {
            reason: "the disk is moved".to_owned(),
            by: "ann".to_owned(),
            since: Moment(Timestamp(0)),
            until: None,
        });
        let text = describe(&status);
        assert!(
            text.contains("by ann: the disk is moved") && text.contains("maintenance off"),
            "{text}"
        );
        status.maintenance = None;
        status.database = Some(DatabaseAway {
            since: Moment(Timestamp(0)),
            why: "locked".to_owned(),
            readable: true,
        });
        let text = describe(&status);
        assert!(text.starts_with("The database cannot be written since"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
