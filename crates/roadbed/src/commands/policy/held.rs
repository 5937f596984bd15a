//! `policy held` and `policy approve`: what would refuse too much of what is in use, and letting it happen.

use serde_json::json;
use web::wire::{ApprovedChange, HeldEntry, HeldReport};

use crate::client::Client;
use crate::output;

pub(super) async fn list(client: &Client, limit: usize) -> anyhow::Result<()> {
    let query = [("limit", limit.to_string())];
    let report: HeldReport = client.get("/policy/held", &query).await?;
    output::show(client.format(), &report, describe)
}

pub(super) async fn approve(client: &Client, change: u64) -> anyhow::Result<()> {
    let path = format!("/policy/held/{change}/approve");
    let done: ApprovedChange = client.post(&path, &json!({})).await?;
    output::show(client.format(), &done, |done| {
        let images = output::count(done.images, "image");
        format!(
            "Change {} is approved; {images} in use refused from now on.\n",
            done.change
        )
    })
}

fn describe(report: &HeldReport) -> String {
    if report.changes.is_empty() {
        return "Nothing is held.\n".to_owned();
    }
    let mut lines = Vec::new();
    for entry in &report.changes {
        describe_change(entry, &mut lines);
    }
    lines.push(
        "They are served with a warning. `roadbed policy approve CHANGE` refuses them; a waiver or another policy lets them go."
            .to_owned(),
    );
    output::lines(lines)
}

fn describe_change(entry: &HeldEntry, lines: &mut Vec<String>) {
    lines.push(format!(
        "Change {}, held since {}: {} of {} in use, {} now",
        entry.change,
        output::moment(entry.held_at.0),
        output::count(entry.turned, "image"),
        entry.in_use,
        entry.images,
    ));
    for cause in &entry.causes {
        lines.push(format!(
            "  {}: {}",
            cause.cause,
            output::count(cause.images, "image")
        ));
    }
    let rows = entry.listed.iter().map(|image| {
        [
            format!("{}@{}", image.repository, image.digest),
            output::printable(&image.text),
        ]
    });
    let table = output::table(["IMAGE", "WHY"], rows);
    lines.extend(table.lines().map(|line| format!("  {line}")));
    let more = entry.images.saturating_sub(entry.listed.len() as u64);
    if more > 0 {
        lines.push(format!("  … and {more} more; --limit shows up to 1000."));
    }
}
