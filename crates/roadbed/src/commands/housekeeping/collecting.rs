//! `gc`.

use std::path::PathBuf;
use std::time::Duration;

use store::{GcReport, StoreConfig};
use web::wire::{CollectionReport, CollectionRequest};

use super::GcArgs;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::config::{Config, Sources, Span};
use crate::{local, output};

/// Rows that one step of a local collection may touch.
const STEP_ROWS: u64 = 500;

/// Collects until nothing is left to collect.
pub(crate) async fn collect(args: &ClientArgs, gc: GcArgs) -> anyhow::Result<()> {
    let report = match gc.data.data {
        Some(data) => {
            let config = Config::load(&Sources::of_process(gc.file.config, Vec::new()))?;
            locally(data, &config).await?
        }
        None => through_the_server(&Client::connect(args)?).await?,
    };
    output::show(args.output, &report, describe)
}

async fn locally(data: PathBuf, config: &Config) -> anyhow::Result<CollectionReport> {
    let store = local::open_with(StoreConfig {
        limits: config.store_limits(),
        ..StoreConfig::at(data)
    })
    .await?;
    let mut total = GcReport::default();
    loop {
        total.add(&store.gc_step(STEP_ROWS).await?);
        if !total.more || total.paused {
            break;
        }
    }
    let kept = store.kept().await?;
    local::close(store).await?;
    Ok(CollectionReport::new(&total, kept))
}

async fn through_the_server(client: &Client) -> anyhow::Result<CollectionReport> {
    let mut total = CollectionReport::default();
    loop {
        total.add(&client.post("/gc", &CollectionRequest {}).await?);
        if !total.more || total.paused {
            return Ok(total);
        }
    }
}

/// What was done, and what was left; nothing of what was not.
fn describe(report: &CollectionReport) -> String {
    if report.paused {
        return "A backup is running, or the registry is read-only (`roadbed maintenance status`): nothing was collected.\n"
            .to_owned();
    }
    let freed = format!("{} ({} freed)", report.blobs, output::bytes(report.bytes));
    let unlinked = format!(
        "{} (no manifest there names them; their bytes go one grace time later)",
        report.unlinked
    );
    let lines = [
        (report.blobs, "blobs removed for good", freed),
        (report.unlinked, "blobs taken out of a repository", unlinked),
        (
            report.orphans,
            "files removed that a crash left",
            report.orphans.to_string(),
        ),
        (
            report.uploads,
            "unfinished uploads dropped",
            report.uploads.to_string(),
        ),
        (
            report.repositories,
            "empty repositories forgotten",
            report.repositories.to_string(),
        ),
        (
            report.pulls,
            "old lines of the pull log dropped",
            report.pulls.to_string(),
        ),
    ];
    let lines: Vec<(&str, String)> = lines
        .into_iter()
        .filter_map(|(count, what, line)| (count > 0).then_some((what, line)))
        .collect();
    let done = if lines.is_empty() {
        "Nothing was old enough to be removed.\n".to_owned()
    } else {
        output::properties(&lines)
    };
    let grace = Span(Duration::from_secs(report.kept.grace_seconds));
    let left = match report.kept.blobs {
        0 => "Every blob that is left is named by a manifest.".to_owned(),
        blobs => format!(
            "{} ({}) that no manifest names {} younger than the grace time ({grace}) and {}.",
            output::count(blobs, "blob"),
            output::bytes(report.kept.bytes),
            if blobs == 1 { "is" } else { "are" },
            if blobs == 1 { "stays" } else { "stay" }
        ),
    };
    format!("{done}{left}\n")
}

#[cfg(test)]
mod tests {
    use web::wire::KeptBlobs;

    use super::*;

    #[test]
    fn only_what_was_done_is_said_and_why_the_rest_stays() {
        let kept = KeptBlobs {
            blobs: 12,
            bytes: 20 << 20,
            grace_seconds: 24 * 60 * 60,
        };
        let nothing = CollectionReport {
            kept,
            ..CollectionReport::default()
        };
        assert_eq!(
            describe(&nothing),
            "Nothing was old enough to be removed.\n\
             12 blobs (20 MiB) that no manifest names are younger than the grace time (1d) and stay.\n"
        );
        let some = CollectionReport {
            blobs: 3,
            bytes: 7,
            ..CollectionReport::default()
        };
        assert_eq!(
            describe(&some),
            "blobs removed for good  3 (7 B freed)\nEvery blob that is left is named by a manifest.\n"
        );
    }
}
