//! The form for people: what to fix first, then everything by layer.

mod headline;
mod page;

use page::{Page, Style};

use super::OutputOptions;
use crate::{
    ByteFindingKind, Confidence, LayerOrigin, PlacedByteFinding, ScanResult, ScannedLayer, Severity,
    Standing,
    advisory::VulnerabilityFinding,
    scan_result::{UpdateGroup, update_groups},
};

/// Groups at the top.
const FIX_FIRST: usize = 5;
/// Vulnerabilities of one group that are named: a kernel has thousands.
const IDS: usize = 20;
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
    push_first(&mut page, &groups, result);
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
fn push_first(page: &mut Page, groups: &[UpdateGroup<'_>], result: &ScanResult) {
    let can_be_helped = |group: &&UpdateGroup<'_>| {
        group.is_exploited() || group.fix.version().is_some() && group.worst() >= Severity::High
    };
    let first: Vec<_> = groups.iter().filter(can_be_helped).take(FIX_FIRST).collect();
    if first.is_empty() {
        return;
    }
    page.heading("Fix first");
    for group in first {
        push_group(page, group, on_base(result, group.package.layer));
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
            push_group(page, group, None);
        }
    }
}

/// Whose a layer of an image on a known base is: of others all is whoever's the image is.
fn on_base(result: &ScanResult, layer: Option<usize>) -> Option<LayerOrigin> {
    result.origin_of(layer).filter(|_| result.base.is_some())
}

/// Of what stands on no known base, the lowest layer is taken for the base, or the lowest part of it.
fn layer_title(layer: Option<usize>, result: &ScanResult) -> String {
    let Some(number) = layer else {
        return "In a layer that is not known".to_owned();
    };
    let layer = result.layers.get(number);
    let step: String = layer
        .map(|layer: &ScannedLayer| layer.created_by.chars().take(STEP).collect())
        .unwrap_or_default();
    let title = match (&result.base, layer.and_then(|layer| layer.origin)) {
        (Some(base), Some(LayerOrigin::Base)) => format!("Layer {number} of {}", base.name),
        (Some(_), Some(LayerOrigin::Own)) => format!("Layer {number}, yours"),
        _ if number == 0 => format!("Base layer {number}"),
        _ => format!("Layer {number}"),
    };
    match step.as_str() {
        "" => title,
        step => format!("{title}: {step}"),
    }
}

/// `origin`: whose layer it is in, where nothing else on the page says.
fn push_group(page: &mut Page, group: &UpdateGroup<'_>, origin: Option<LayerOrigin>) {
    let package = &group.package.package;
    let fix = match group.fix.version() {
        Some(fix) => format!("→ {fix}"),
        None => format!("({})", group.fix.words()),
    };
    let ids: Vec<String> = group
        .findings
        .iter()
        .take(IDS)
        .map(|finding| id_text(finding))
        .collect();
    let version = package.version.as_str();
    let more = and_more(group.findings.len(), IDS);
    let text = format!("{} {version} {fix}: {}{more}", package.name, ids.join(", "));
    page.row(group.worst(), &text);
    let mut details: Vec<String> = origin
        .map(|origin| origin.words().to_owned())
        .into_iter()
        .collect();
    // The database of a distribution is where its packages always are.
    if !package.kind.is_os() {
        let paths: Vec<String> = group
            .packages
            .iter()
            .take(PATHS)
            .map(|placed| placed.full_path())
            .collect();
        let more = and_more(group.packages.len(), PATHS);
        details.push(format!("in {}{more}", paths.join(", ")));
    }
    match package.confidence {
        Confidence::High => {}
        Confidence::Medium => details.push("known by traces of it".to_owned()),
        Confidence::Low => details.push("guessed".to_owned()),
    }
    if !details.is_empty() {
        page.detail(&details.join("; "));
    }
}

fn and_more(count: usize, shown: usize) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        more => format!(" and {more} more"),
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
        push_file(page, placed, on_base(result, placed.layer));
    }
}

fn push_file(page: &mut Page, placed: &PlacedByteFinding, origin: Option<LayerOrigin>) {
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
    details.extend(origin.map(|origin| origin.words().to_owned()));
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
