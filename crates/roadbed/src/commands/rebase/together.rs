//! Images that follow a base together: the report, what is approved and rejected, and the switch.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use road::names::BaseName;
use uuid::Uuid;
use web::wire::{FindingEntry, FindingsChange, PatchKeyEntry, RebaseItemEntry, RebaseReport, RebaseSwitch};

use crate::client::Client;
use crate::output;

/// Findings that a person is shown, each of those that go and come.
const FINDINGS: usize = 10;

/// Approves or rejects, one after the other.
pub(super) async fn rule(client: &Client, ids: &[Uuid], how: &str) -> Result<()> {
    let mut ruled: Vec<RebaseItemEntry> = Vec::new();
    for id in ids {
        ruled.push(client.post(&format!("/rebases/items/{id}/{how}"), &()).await?);
    }
    output::show(client.format(), &ruled, |ruled| {
        let line =
            |item: &RebaseItemEntry| format!("{}:{} is {}", item.repository, item.tag, item.state.as_str());
        output::lines(ruled.iter().map(line))
    })
}

pub(super) async fn report(client: &Client, base: &BaseName, release: Option<String>) -> Result<()> {
    let mut query = vec![("base", base.to_string())];
    query.extend(release.map(|release| ("release", release)));
    let report: RebaseReport = client.get("/rebases/report", &query).await?;
    output::show(client.format(), &report, describe)
}

pub(super) async fn switch(client: &Client, how: &str) -> Result<()> {
    let switched: RebaseSwitch = client.post(&format!("/rebases/{how}"), &()).await?;
    output::show(client.format(), &switched, |switched| {
        match &switched.stopped_by {
            Some(by) => format!(
                "All rebases are stopped by {}, those that had begun too. `roadbed rebase resume` lets them go on.\n",
                output::printable(by)
            ),
            None => "Rebases go on.\n".to_owned(),
        }
    })
}

pub(super) async fn key(client: &Client) -> Result<()> {
    let key: PatchKeyEntry = client.get("/rebases/key", &[]).await?;
    output::show(client.format(), &key, |key| key.public_key.clone())
}

/// What moves the base, and how its tags stand.
fn heading(report: &RebaseReport) -> Vec<String> {
    let mut lines = vec![format!("base {}", report.base)];
    lines.extend(match &report.signer {
        Some(signer) => Some(format!("  moves        by what {} has signed", output::printable(signer))),
        None if report.withheld => None,
        None => Some(
            "  moves        by every push, and asks for each image: no signer is declared (`roadbed base set --signer`)".to_owned(),
        ),
    });
    if let Some(by) = &report.stopped_by {
        lines.push(format!(
            "  stopped      by {} (`roadbed rebase resume`)",
            output::printable(by)
        ));
    }
    for release in &report.releases {
        let (version, platform) = (
            output::printable(&release.version),
            output::printable(&release.platform),
        );
        let why = output::printable(&release.moves_nothing);
        lines.push(if release.moves_nothing.is_empty() {
            format!("  release      {version} for {platform}")
        } else {
            format!("  moves nothing {version} for {platform}: {why}")
        });
    }
    let counts: Vec<String> = report
        .counts
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if !counts.is_empty() {
        lines.push(format!("  tags         {}", counts.join(", ")));
    }
    lines
}

fn describe(report: &RebaseReport) -> String {
    let rows = report.items.iter().map(|item| {
        [
            format!("{}:{}", item.repository, item.tag),
            item.state.as_str().to_owned(),
            item.class.clone(),
            item.ring.clone(),
            item.followed_by
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            item.id.to_string(),
            why(item),
        ]
    });
    let table = output::table(
        ["TAG", "STATE", "CLASS", "RING", "FOLLOWED BY", "ID", "WHY"],
        rows,
    );
    let mut text = output::lines(heading(report));
    if report.items.is_empty() {
        let _ = writeln!(
            text,
            "Nothing follows: {}.",
            output::printable(&report.why_nothing)
        );
    } else {
        text.push('\n');
        text.push_str(&table);
    }
    if report.more_items > 0 {
        let _ = writeln!(text, "and {} more", report.more_items);
    }
    if !report.earlier.is_empty() {
        let earlier: Vec<String> = report.earlier.iter().map(|of| output::printable(of)).collect();
        let _ = writeln!(
            text,
            "Other releases with a report (--release): {}",
            earlier.join(", ")
        );
    }
    text
}

/// Why it stands there, and what the base does not take away.
fn why(item: &RebaseItemEntry) -> String {
    let reason = output::printable(&item.reason);
    if item.remains.is_empty() {
        return reason;
    }
    let remains = format!("still affected by its own {}", output::printable(&item.remains));
    if reason.is_empty() {
        remains
    } else {
        format!("{reason}; {remains}")
    }
}

/// What the base does not take away: the same in the image's own layers.
pub(super) fn of_remains(findings: &[FindingEntry]) -> Vec<String> {
    findings
        .iter()
        .take(FINDINGS)
        .map(|finding| line("stays", finding))
        .collect()
}

/// What the change of the base takes away and brings.
pub(super) fn of_findings(change: &FindingsChange) -> Vec<String> {
    let mut lines = Vec::new();
    for (word, counts, findings) in [
        ("goes ", &change.gone_by_severity, &change.gone),
        ("comes", &change.come_by_severity, &change.come),
    ] {
        let all: u64 = counts.values().sum();
        lines.extend(findings.iter().take(FINDINGS).map(|finding| line(word, finding)));
        if all > FINDINGS as u64 {
            lines.push(format!("  {word}        in all {}", by_severity(counts)));
        }
    }
    lines
}

fn by_severity(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    counts.join(", ")
}

fn line(word: &str, finding: &FindingEntry) -> String {
    format!(
        "  {word}        {} ({}) in {} {}",
        output::printable(&finding.id),
        finding.severity.as_str(),
        output::printable(&finding.package),
        output::printable(&finding.version)
    )
}
