//! The first lines of a table: what was scanned, what was decided, how much was found and how much is not known.

use super::page::{Page, Style};
use crate::{ByteFindingKind, ScanResult, SeverityCounts, Standing};

pub(super) fn push(page: &mut Page, result: &ScanResult) {
    let target = &result.target;
    let mut about = vec![target.name.clone()];
    about.extend(target.platform.clone());
    about.extend(result.os.as_ref().map(|os| match os.name.as_str() {
        "" => format!("{} {}", os.id, os.version),
        name => name.to_owned(),
    }));
    page.line(Style::Bold, &about.join(", "));
    if let Some(digest) = &target.digest {
        page.line(Style::Dim, &digest.to_string());
    }
    if let Some(decision) = &result.decision {
        page.line(Style::Bold, &format!("Decision: {}", decision.outcome));
        for reason in &decision.reasons {
            page.line(Style::Plain, &format!("- {reason}"));
        }
    }
    page.line(Style::Bold, &summary(result));
    push_origins(page, result);
}

/// What it stands on, and how much of what was found is whose.
fn push_origins(page: &mut Page, result: &ScanResult) {
    let (Some(base), Some(counts)) = (&result.base, result.origins()) else {
        return;
    };
    let layers = counted(base.layers, "layer", "layers").unwrap_or_default();
    let whose = base
        .owner
        .as_ref()
        .map_or_else(String::new, |owner| format!(" of {owner}"));
    let news = if base.superseded {
        ", a newer one is there"
    } else {
        ""
    };
    let mut parts = vec![
        format!("from the base: {}", severities(&counts.base)),
        format!("yours: {}", severities(&counts.own)),
    ];
    if counts.unknown.total() > 0 {
        parts.push(format!("of no known layer: {}", severities(&counts.unknown)));
    }
    let text = format!(
        "On {} {}{whose} ({layers}{news}): {}",
        base.name,
        base.version,
        parts.join("; ")
    );
    page.line(Style::Plain, &text);
}

/// `2 critical, 1 low`.
fn severities(counts: &SeverityCounts) -> String {
    let counted = counts.worst_first().into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = counted
        .map(|(severity, count)| format!("{count} {}", severity.as_str()))
        .collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

fn summary(result: &ScanResult) -> String {
    let counts = result.counted();
    let mut parts = match (counts.total() == 0, result.advisory_generation) {
        (_, None) => vec!["no advisories were asked".to_owned()],
        (true, _) => vec!["no known vulnerabilities".to_owned()],
        (false, _) => vec![severities(&counts)],
    };
    let files = |kind: ByteFindingKind| {
        let is_kind = |placed: &&crate::PlacedByteFinding| placed.finding.kind == kind;
        result.files.iter().filter(is_kind).count()
    };
    parts.extend(counted(files(ByteFindingKind::Malware), "malware", "malware"));
    parts.extend(counted(files(ByteFindingKind::Secret), "secret", "secrets"));
    let uncertain = result.standing(Standing::Uncertain);
    parts.extend(counted(uncertain, "uncertain", "uncertain"));
    let headers = result.standing(Standing::HeadersOnly);
    parts.extend(counted(
        headers,
        "in kernel headers only",
        "in kernel headers only",
    ));
    parts.extend(counted(
        result.uncovered(),
        "package of an ecosystem that no source covers",
        "packages of ecosystems that no source covers",
    ));
    parts.extend(counted(
        result.unknowns.len(),
        "thing is not known",
        "things are not known",
    ));
    let packages = counted(result.packages.len(), "package", "packages");
    parts.push(packages.unwrap_or_else(|| "no packages".to_owned()));
    if let Some(generation) = result.advisory_generation {
        parts.push(format!("advisories: generation {generation}"));
    }
    parts.join("; ")
}

fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    }
}
