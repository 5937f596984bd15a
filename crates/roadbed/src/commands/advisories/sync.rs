//! `advisories sync`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use reqwest::Response;
use store::{Actor, StoreConfig};
use web::wire::{SourceOutcome, SyncLine, SyncProgress, SyncReport, SyncRequest};
use web::{RunningSync, Syncing as _};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::commands::serve::ConfigFile;
use crate::config::{Config, Sources};
use crate::feeds::Feeds;
use crate::local::DataArgs;
use crate::{local, output, progress};

/// Longest line of the answer, in bytes: a report names every source and some documents.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Options of `advisories sync`.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Only this source: an ecosystem, `kev`, `epss`, or `osv` for all ecosystems; several times for several
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Believe a source also where it has lost much of what it had
    #[arg(long)]
    accept_removals: bool,
    /// Let it through also where it lifts so many refusals, as `advisories status` shows
    #[arg(long, value_name = "IMAGES")]
    accept_lifts: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    file: ConfigFile,
}

/// Fetches and says what came of it.
pub(crate) async fn sync(client: &ClientArgs, args: SyncArgs) -> Result<()> {
    let request = SyncRequest {
        sources: args.source,
        accept_removals: args.accept_removals,
        accept_lifts: args.accept_lifts,
    };
    let bar = progress::of_unknown();
    let report = match &args.data.data {
        Some(data) => {
            let config = Config::load(&Sources::of_process(args.file.config, Vec::new()))?;
            let begin = |feeds: &Feeds| Ok(feeds.sync(&request, Actor::operator("sync"))?);
            locally(data, &config, &bar, begin).await
        }
        None => through_the_server(&Client::connect(client)?, &request, &bar).await,
    };
    bar.finish_and_clear();
    let report = report?;
    output::show(client.output, &report, describe)?;
    let failed = report
        .sources
        .iter()
        .filter(|outcome| outcome.error.is_some())
        .count();
    if failed > 0 {
        bail!(
            "{failed} of {} could not be fetched; what was fetched before stays in force",
            output::count(report.sources.len() as u64, "source")
        );
    }
    Ok(())
}

/// Does it in the data directory of a stopped server.
pub(super) async fn locally(
    data: &Path,
    config: &Config,
    bar: &ProgressBar,
    begin: impl FnOnce(&Feeds) -> Result<RunningSync>,
) -> Result<SyncReport> {
    let store = local::open_with(StoreConfig {
        limits: config.store_limits(),
        ..StoreConfig::at(data)
    })
    .await?;
    let judged = local::Judged::start(&store, config);
    let feeds = Feeds::new(&config.feeds, store.clone(), Some(judged.judging()));
    let report = match begin(&feeds) {
        Ok(running) => until_ended(running, bar).await,
        Err(error) => Err(error),
    };
    drop(judged);
    local::close(store).await?;
    report
}

/// Waits for what runs here.
async fn until_ended(running: RunningSync, bar: &ProgressBar) -> Result<SyncReport> {
    let mut result = running.result;
    let ended = loop {
        match tokio::time::timeout(LOOK, &mut result).await {
            Ok(ended) => break ended,
            Err(_) => advance(bar, &running.progress.borrow()),
        }
    };
    ended.context("the sync was lost")?.map_err(anyhow::Error::from)
}

async fn through_the_server(client: &Client, request: &SyncRequest, bar: &ProgressBar) -> Result<SyncReport> {
    report_of(client.post_streamed("/advisories/sync", request).await?, bar).await
}

/// Reads lines of progress, and the report at the end.
pub(super) async fn report_of(mut response: Response, bar: &ProgressBar) -> Result<SyncReport> {
    let mut pending: Vec<u8> = Vec::new();
    let broke_off =
        "the connection broke off; the server goes on, `roadbed advisories status` shows what comes of it";
    while let Some(chunk) = response.chunk().await.context(broke_off)? {
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line =
                serde_json::from_slice(&line).context("the answer is not what this version expects")?;
            match line {
                SyncLine::Progress(now) => advance(bar, &now),
                SyncLine::Report(report) => return Ok(report),
                SyncLine::Problem(problem) => return Err(anyhow!("{} ({})", problem.detail, problem.remedy)),
            }
        }
        if pending.len() > MAX_LINE_BYTES {
            bail!("the answer has a line of more than {MAX_LINE_BYTES} bytes");
        }
    }
    bail!("{broke_off}")
}

fn advance(bar: &ProgressBar, now: &SyncProgress) {
    bar.set_position(now.bytes);
    let (done, all) = (now.sources_done, now.sources);
    bar.set_message(if now.source.is_empty() && now.documents > 0 {
        format!("{} taken in", output::count(now.documents, "document"))
    } else {
        format!("{} ({done} of {all} sources)", now.source)
    });
}

fn describe(report: &SyncReport) -> String {
    let came = output::bytes(report.bytes);
    let mut text = match report.generation {
        Some(generation) => format!("Generation {generation}: {came} came.\n"),
        None => format!("Nothing is new; {came} came.\n"),
    };
    text.push_str(&output::table(
        ["SOURCE", "NEW OR CHANGED", "GONE", "OUTCOME"],
        report.sources.iter().map(row),
    ));
    text + &passed_over(report)
}

/// What was not taken, if anything.
pub(super) fn passed_over(report: &SyncReport) -> String {
    let mut text = String::new();
    if report.older > 0 {
        let older = output::count(report.older, "advisory");
        let _ = writeln!(text, "{older} passed over: what is known is newer");
    }
    if report.refused > 0 {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{} not taken:", output::count(report.refused, "document"));
        for refusal in &report.refusals {
            let _ = writeln!(text, "  {}", output::printable(refusal));
        }
    }
    text
}

fn row(outcome: &SourceOutcome) -> [String; 4] {
    let number = |number: u64| {
        if number == 0 {
            String::new()
        } else {
            number.to_string()
        }
    };
    [
        outcome.source.clone(),
        number(outcome.changed),
        number(outcome.gone),
        outcome.error.clone().unwrap_or_else(|| "current".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_came_of_each_source() {
        let outcome = |source: &str, changed, error: Option<&str>| SourceOutcome {
            source: source.to_owned(),
            changed,
            error: error.map(str::to_owned),
            ..SourceOutcome::default()
        };
        let report = SyncReport {
            generation: Some(7),
            bytes: 3,
            bundle: None,
            sources: vec![
                outcome("kev", 1, None),
                outcome("Maven", 0, Some("cannot reach it (mend it)")),
            ],
            older: 0,
            refused: 1,
            refusals: vec!["X is odd\u{1b}".to_owned()],
        };
        assert_eq!(
            describe(&report),
            "Generation 7: 3 B came.\n\
             SOURCE  NEW OR CHANGED  GONE  OUTCOME\n\
             kev     1                     current\n\
             Maven                         cannot reach it (mend it)\n\
             1 document not taken:\n  X is odd\\u{1b}\n"
        );
    }
}
