//! `fsck`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use indicatif::ProgressBar;
use store::FsckOptions;
use web::wire::{CheckLine, CheckProgress, CheckReport, CheckRequest, DamageEntry};

use super::FsckArgs;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::{local, output, progress};

/// Longest line of the answer, in bytes: a report lists at most ten thousand damages with five images each.
const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;

/// Checks and says what is wrong.
pub(crate) async fn check(args: &ClientArgs, fsck: FsckArgs) -> anyhow::Result<ExitCode> {
    let bar = progress::of_items();
    let report = match &fsck.data.data {
        Some(data) => {
            let store = local::open(data).await?;
            let options = FsckOptions {
                quarantine: fsck.quarantine,
                quick: fsck.quick,
                ..FsckOptions::default()
            };
            let shown = bar.clone();
            let report = store
                .fsck(options, move |now| advance(&shown, now.into()))
                .await?;
            local::close(store).await?;
            report.into()
        }
        None => through_the_server(&Client::connect(args)?, &fsck, &bar).await?,
    };
    bar.finish_and_clear();
    output::show(args.output, &report, |report| describe(report, fsck.quick))?;
    let is_sound = report.damaged + report.known == 0 && !report.cancelled;
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn describe(report: &CheckReport, quick: bool) -> String {
    let mut text = String::new();
    if !report.damages.is_empty() {
        let head = ["DAMAGE", "DIGEST", "FILE", "STATE", "NEEDED BY"];
        text = output::table(head, report.damages.iter().map(row));
    }
    let progress = report.progress;
    let read = if quick {
        "sizes only".to_owned()
    } else {
        output::bytes(progress.bytes)
    };
    let _ = write!(
        text,
        "{} ({read}), {} of reasons and {} checked: {} damaged, ",
        output::count(progress.blobs, "blob"),
        output::count(progress.reasons, "text"),
        output::count(progress.manifests, "manifest"),
        report.damaged
    );
    if report.known > 0 {
        let _ = write!(text, "{} missing since earlier (push again), ", report.known);
    }
    let _ = writeln!(text, "{}.", output::count(report.orphans, "orphaned file"));
    text
}

fn row(damage: &DamageEntry) -> [String; 5] {
    let is_of_reasons = damage.kind.starts_with("reasons_");
    let state = match (damage.known, damage.quarantined) {
        (true, _) => "found earlier, missing since: push it again",
        (false, true) if is_of_reasons => "made anew: the images are judged again",
        (false, true) => "put away now: push it again",
        (false, false) => "",
    };
    let mut needed_by = damage.needed_by.join(", ");
    if damage.needed_by_more {
        needed_by.push_str(" and more");
    }
    [
        damage.kind.clone(),
        damage.digest.clone().unwrap_or_default(),
        damage.location.clone().unwrap_or_default(),
        state.to_owned(),
        needed_by,
    ]
}

fn advance(bar: &ProgressBar, now: CheckProgress) {
    bar.set_length(now.blobs_total);
    bar.set_position(now.blobs);
    bar.set_message("blobs");
}

async fn through_the_server(
    client: &Client,
    fsck: &FsckArgs,
    bar: &ProgressBar,
) -> anyhow::Result<CheckReport> {
    let request = CheckRequest {
        quarantine: fsck.quarantine,
        quick: fsck.quick,
    };
    let mut response = client.post_streamed("/fsck", &request).await?;
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the check broke off")? {
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line =
                serde_json::from_slice(&line).context("the answer is not what this version expects")?;
            match line {
                CheckLine::Progress(now) => advance(bar, now),
                CheckLine::Report(report) => return Ok(report),
                CheckLine::Problem(problem) => {
                    return Err(anyhow!("{} ({})", problem.detail, problem.remedy));
                }
            }
        }
        if pending.len() > MAX_LINE_BYTES {
            bail!("a line of the answer is larger than {MAX_LINE_BYTES} bytes");
        }
    }
    bail!("the check broke off before its report")
}
