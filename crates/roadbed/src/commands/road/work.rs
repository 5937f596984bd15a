//! What images that cannot follow their base ask of their owners, for people.

use std::fmt::Write as _;

use road::work::{Asks, Problem, WorkState, in_own};
use web::wire::{WorkEntry, WorkReport};

use crate::output;

pub(super) fn describe(report: &WorkReport) -> String {
    if report.items.is_empty() {
        return "Nothing is asked of anybody: no image that stands on an older release must be built again.\n".to_owned();
    }
    let mut text = String::new();
    for entry in &report.items {
        text.push_str(&output::lines(of_entry(entry)));
        text.push('\n');
    }
    if report.more_items > 0 {
        let _ = writeln!(text, "and {} more", report.more_items);
    }
    text
}

fn of_entry(entry: &WorkEntry) -> Vec<String> {
    let owner = entry
        .owner
        .as_ref()
        .map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let application = entry
        .application
        .as_ref()
        .map_or_else(String::new, |name| format!(" ({name})"));
    let mut lines = vec![format!(
        "{}:{}{application}, of {owner}",
        entry.repository, entry.tag
    )];
    if entry.state != WorkState::Open {
        lines.push(format!("  is           {}", entry.state.as_str()));
    }
    let version = output::printable(&entry.version);
    match entry.asks {
        Asks::Rebuild => {
            lines.push(format!("  build again  on {} {version}", entry.base));
            lines.push(format!("  - {}", output::printable(&entry.line)));
            lines.push(format!("  + {}", output::printable(&entry.new_line)));
        }
        Asks::LetIn => lines.push(format!(
            "  let it in    it can follow to {} {version}, and its repository does not take the new image; it is tried again each day",
            entry.base
        )),
        Asks::Vendor => lines.push(format!(
            "  decide       it cannot follow to {} {version} and names no source: waive it until a date, ask for a statement (VEX), or remove it",
            entry.base
        )),
    }
    for reason in &entry.reasons {
        let step = reason.step.as_ref().map(|step| format!(" (by `{step}`)"));
        let text = format!("{}{}", reason.text, step.unwrap_or_default());
        lines.push(format!("  because      {}", output::printable(&text)));
    }
    if entry.more_reasons > 0 {
        lines.push(format!("  because      {} more", entry.more_reasons));
    }
    lines.extend(entry.fixes.iter().map(|fixed| of_problem("fixes", fixed)));
    if entry.more_fixes > 0 {
        lines.push(format!("  fixes        {} more", entry.more_fixes));
    }
    lines.extend(entry.remains.iter().map(|stays| of_problem("stays", stays)));
    lines
}

fn of_problem(word: &str, problem: &Problem) -> String {
    let text = format!("{} ({})", in_own(problem), problem.severity.as_str());
    format!("  {word:<11}  {}", output::printable(&text))
}
