//! `chart …`: Helm charts in the registry.

use anyhow::Result;
use clap::{Args, Subcommand};
use web::wire::{ChartImageEntry, ChartReport, ChartState};

use super::decisions::ImageArg;
use crate::client::Client;
use crate::output;

/// Commands about Helm charts.
#[derive(Debug, Subcommand)]
#[command(
    arg_required_else_help = true,
    after_help = "\
What templates make of values is not known without rendering them: such places are listed, and may name other images. What the tag of an
image is if nothing is said of it is assumed to be the chart's appVersion, and marked so.

Examples:
  roadbed chart images jetstack/cert-manager:v1.18.2
  roadbed chart images hub/bitnamicharts/redis:20.1.0 --output json"
)]
pub(crate) enum ChartCommand {
    /// List the images that a chart names, which of them are held here, and what was decided of them
    Images(ImagesArgs),
}

/// Options of `chart images`.
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Chart: `jetstack/cert-manager:v1.18.2` or `…@sha256:…`; in its version, `+` is written `_`
    chart: ImageArg,
}

/// Carries out one of them.
pub(crate) async fn run(client: &Client, command: ChartCommand) -> Result<()> {
    let ChartCommand::Images(ImagesArgs { chart }) = command;
    let query = [
        ("repository", chart.repository().to_string()),
        ("reference", chart.reference().to_string()),
    ];
    let report: ChartReport = client.get("/charts/images", &query).await?;
    output::show(client.format(), &report, describe)
}

fn describe(report: &ChartReport) -> String {
    let chart = match (&report.name, &report.version) {
        (Some(name), Some(version)) => output::printable(&format!("{name} {version}")),
        _ => format!("{}@{}", report.repository, report.digest),
    };
    match report.state {
        ChartState::Waiting => {
            return format!("{chart}: nobody has looked into it yet; ask again in a moment.\n");
        }
        ChartState::Unreadable => {
            return format!("{chart}: it cannot be read as a chart; which images it names is not known.\n");
        }
        ChartState::Read => {}
    }
    let mut parts = vec![format!("{chart}: {}\n", summary(report))];
    if !report.images.is_empty() {
        let rows = report.images.iter().map(row);
        parts.push(output::table(["IMAGE", "HERE", "DECISION", "NAMED IN"], rows));
    }
    if report.more_images > 0 {
        parts.push(format!(
            "{} not listed.\n",
            output::count(report.more_images, "more image")
        ));
    }
    let unknown = report
        .unknown
        .iter()
        .map(|unknown| output::printable(&format!("unknown  {}: {}", unknown.path, unknown.why)));
    parts.push(output::lines(unknown));
    if report.more_unknown > 0 {
        parts.push(format!(
            "unknown  {}\n",
            output::count(report.more_unknown, "more place")
        ));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// How many there are of each kind, the worst first.
fn summary(report: &ChartReport) -> String {
    let count = |outcome: &str| {
        let is_one = |image: &&ChartImageEntry| image.outcome.as_deref() == Some(outcome);
        report.images.iter().filter(is_one).count()
    };
    let not_held = report
        .images
        .iter()
        .filter(|image| image.outcome.is_none())
        .count();
    let kinds = [
        ("refused", count("refuse")),
        ("with a warning", count("warn")),
        ("not decided yet", count("undecided")),
        ("allowed", count("allow")),
        ("not judged", count("not-applicable")),
        ("of which nothing is known here", not_held),
    ];
    let told: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let images = output::count(report.images.len() as u64 + report.more_images, "image");
    if told.is_empty() {
        images
    } else {
        format!("{images}: {}", told.join(", "))
    }
}

fn row(image: &ChartImageEntry) -> [String; 4] {
    let place = image.places.first().map(|place| {
        let assumed = if place.is_tag_assumed {
            " (tag assumed)"
        } else {
            ""
        };
        let more = match image.places.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        format!("{} {}{assumed}{more}", place.path, place.place)
    });
    [
        image.image.clone(),
        image.repository.clone().unwrap_or_else(|| "-".to_owned()),
        image
            .outcome
            .clone()
            .or_else(|| image.unknown.clone())
            .unwrap_or_default(),
        place.unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_and_what_is_not_stand_side_by_side() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let report: ChartReport = serde_json::from_value(serde_json::json!({
            "repository": "charts/app", "digest": digest, "state": "read", "name": "app", "version": "1.0.0",
            "images": [
                { "image": "docker.io/acme/app:2", "repository": "hub/acme/app", "digest": digest, "outcome": "refuse",
                  "places": [{ "path": "values.yaml", "place": "image", "is_tag_assumed": true }] },
                { "image": "quay.io/b/b:1", "places": [{ "path": "values.yaml", "place": "b.image" }],
                  "unknown": "quay.io is no upstream of this registry" },
            ],
            "more_images": 0, "unknown": [{ "path": "templates/a.yaml", "why": "it needs rendering" }], "more_unknown": 2,
        }))
        .unwrap();
        let text = describe(&report);
        for part in [
            "app 1.0.0: 2 images: 1 refused, 1 of which nothing is known here",
            "hub/acme/app",
            "values.yaml image (tag assumed)",
            "quay.io is no upstream",
            "unknown  templates/a.yaml: it needs rendering",
            "unknown  2 more places",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let waiting = ChartReport {
            state: ChartState::Waiting,
            name: None,
            ..report
        };
        assert!(describe(&waiting).contains("nobody has looked into it yet"));
    }
}
