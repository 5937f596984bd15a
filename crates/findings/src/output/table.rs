//! The form for people: what to fix first, then everything by layer.

mod headline;
mod page;

use page::{Page, Style};

use super::OutputOptions;
use crate::{
    ByteFindingKind, PlacedByteFinding, ScanResult, ScannedLayer, Severity, Standing,
    advisory::VulnerabilityFinding,
    scan_result::{UpdateGroup, update_groups},
};

/// Groups at the top.
const FIX_FIRST: usize = 5;
/// Paths of one group that are shown.
const PATHS: usize = 2;
/// Lines of a section about what is not known or does not count.
const LINES: usize = 50;
/// Characters of the step that made a layer.
const STEP: usize = 160;

pub(super) fn write(result: &ScanResult, options: &OutputOptions) -> String {
    let mut page = Page::new(options.width, options.has_colour);
    headline::push(&mut page, result);
    let groups = update_groups(result);
    push_first(&mut page, &groups);
    push_files(&mut page, "Malware", ByteFindingKind::Malware, result);
    push_files(&mut page, "Secrets", ByteFindingKind::Secret, result);
    push_layers(&mut page, &groups, result);
    push_files(&mut page, "Configuration", ByteFindingKind::Configuration, result);
    push_standing(&mut page, result);
    push_unknowns(&mut page, result);
    page.finish()
}

/// As users read and write it.
pub(super) const fn kind_word(kind: ByteFindingKind) -> &'static str {
    match kind {
        ByteFindingKind::Secret => "secret",
        ByteFindingKind::Malware => "malware",
        ByteFindingKind::Configuration => "configuration",
    }
}

/// What is exploited, and what an update fixes.
fn push_first(page: &mut Page, groups: &[UpdateGroup<'_>]) {
    let can_be_helped = |group: &&UpdateGroup<'_>| {
        group.is_exploited() || group.fix.is_some() && group.worst() >= Severity::High
    };
    let first: Vec<_> = groups.iter().filter(can_be_helped).take(FIX_FIRST).collect();
    if first.is_empty() {
        return;
    }
    page.heading("Fix first");
    for group in first {
        push_group(page, group);
    }
}

fn push_layers(page: &mut Page, groups: &[UpdateGroup<'_>], result: &ScanResult) {
    let mut by_layer: Vec<&UpdateGroup<'_>> = groups.iter().collect();
    // Stable: within a layer, the most urgent stays first.
    by_layer.sort_by_key(|group| group.package.layer);
    for of_layer in by_layer.chunk_by(|left, right| left.package.layer == right.package.layer) {
        let layer = of_layer.first().and_then(|group| group.package.layer);
        page.heading(&layer_title(layer, result));
        for group in of_layer {
            push_group(page, group);
        }
    }
}

/// The lowest layer is the base, or the lowest part of it.
fn layer_title(layer: Option<usize>, result: &ScanResult) -> String {
    let Some(number) = layer else {
        return "In a layer that is not known".to_owned();
    };
    let layer = result.layers.get(number);
    let step: String = layer
        .map(|layer: &ScannedLayer| layer.created_by.chars().take(STEP).collect())
        .unwrap_or_default();
    let base = if number == 0 { "Base layer" } else { "Layer" };
    match step.as_str() {
        "" => format!("{base} {number}"),
        step => format!("{base} {number}: {step}"),
    }
}

fn push_group(page: &mut Page, group: &UpdateGroup<'_>) {
    let package = &group.package.package;
    let fix = match group.fix {
        Some(fix) => format!("→ {fix}"),
        None => "(no fix)".to_owned(),
    };
    let ids: Vec<String> = group.findings.iter().map(|finding| id_text(finding)).collect();
    let version = package.version.as_str();
    let text = format!("{} {version} {fix}: {}", package.name, ids.join(", "));
    page.row(group.worst(), &text);
    // The database of a distribution is where its packages always are.
    if !package.kind.is_os() {
        let shown = group.paths.len().min(PATHS);
        let more = match group.paths.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        page.detail(&format!("in {}{more}", group.paths[..shown].join(", ")));
    }
}

fn id_text(finding: &VulnerabilityFinding) -> String {
    match (finding.kev.is_some(), finding.epss) {
        (true, _) => format!("{} (exploited)", finding.id),
        (false, Some(score)) if score.probability >= 0.1 => {
            format!("{} (EPSS {:.0} %)", finding.id, score.probability * 100.0)
        }
        _ => finding.id.to_string(),
    }
}

fn push_files(page: &mut Page, title: &str, kind: ByteFindingKind, result: &ScanResult) {
    let mut found: Vec<_> = result
        .files
        .iter()
        .filter(|placed| placed.finding.kind == kind)
        .collect();
    if found.is_empty() {
        return;
    }
    found.sort_by_key(|placed| {
        (
            placed.finding.is_example,
            std::cmp::Reverse(placed.finding.severity),
        )
    });
    page.heading(title);
    for placed in found {
        push_file(page, placed);
    }
}

fn push_file(page: &mut Page, placed: &PlacedByteFinding) {
    let finding = &placed.finding;
    let mut text = finding.title.clone();
    if !finding.path.is_empty() {
        text.push_str(" in ");
        text.push_str(&placed.full_path());
    }
    if let Some(line) = finding.line {
        text.push(':');
        text.push_str(&line.to_string());
    }
    if let Some(excerpt) = &finding.excerpt {
        text.push_str(" (");
        text.push_str(excerpt);
        text.push(')');
    }
    if finding.is_example {
        text.push_str(", known to be an example");
    }
    page.row(finding.severity, &text);
    let mut details: Vec<String> = placed
        .layer
        .map(|layer| format!("layer {layer}"))
        .into_iter()
        .collect();
    details.extend(
        placed
            .hidden_by
            .map(|layer| format!("hidden by layer {layer}, but whoever has the image has it")),
    );
    details.extend(finding.fix.clone());
    if !details.is_empty() {
        page.detail(&details.join("; "));
    }
}

/// What does not count, or may not.
fn push_standing(page: &mut Page, result: &ScanResult) {
    for (title, standing) in [
        ("Uncertain", Standing::Uncertain),
        ("Mitigated", Standing::Mitigated),
        ("Said not to matter", Standing::Suppressed),
        ("In headers of a kernel only", Standing::HeadersOnly),
    ] {
        let found: Vec<_> = result
            .vulnerabilities
            .iter()
            .filter(|finding| Standing::of(finding) == standing)
            .collect();
        if found.is_empty() {
            continue;
        }
        page.heading(title);
        for finding in found.iter().take(LINES) {
            let placed = result.package_of(finding);
            let package = placed.map(|placed| format!("{} {}", placed.package.name, placed.package.version));
            let package = package.unwrap_or_default();
            let why = standing.why(finding);
            page.row(
                finding.severity,
                &format!("{package}: {}: {why}", id_text(finding)),
            );
        }
        push_more(page, found.len());
    }
}

fn push_unknowns(page: &mut Page, result: &ScanResult) {
    let mut uncovered: Vec<&str> = result
        .packages
        .iter()
        .filter_map(|placed| match &placed.coverage {
            Some(crate::advisory::Coverage::Unknown(why)) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    uncovered.sort_unstable();
    uncovered.dedup();
    let all: Vec<&str> = uncovered
        .into_iter()
        .chain(result.unknowns.iter().map(String::as_str))
        .collect();
    if all.is_empty() {
        return;
    }
    page.heading("Not known");
    for unknown in all.iter().take(LINES) {
        page.line(Style::Plain, &format!("- {unknown}"));
    }
    push_more(page, all.len());
}

fn push_more(page: &mut Page, count: usize) {
    if count > LINES {
        page.line(Style::Dim, &format!("and {} more", count - LINES));
    }
}
