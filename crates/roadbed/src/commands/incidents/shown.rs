//! Incidents for people.

use std::fmt::Write as _;

use road::incident::{Remedy, State};
use road::names::VulnerabilityId;
use web::wire::{IncidentEntry, IncidentLine};

use super::StateArg;
use crate::output;

/// Tags and images that a person is shown, unless all are asked for.
pub(super) const LINES: usize = 100;

/// The word of a state in the API.
pub(super) const fn word(state: StateArg) -> &'static str {
    match state {
        StateArg::Open => "open",
        StateArg::Mitigated => "mitigated",
        StateArg::Waived => "waived",
        StateArg::Fixed => "fixed",
        StateArg::Gone => "gone",
        StateArg::Reopened => "reopened",
    }
}

pub(super) fn list(entries: &[IncidentEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        [
            entry.id.to_string(),
            entry.status.clone(),
            output::moment(entry.opened_at.0),
            least(entry, entry.open),
            entry.overdue.to_string(),
            entry.mitigated.to_string(),
            entry.waived.to_string(),
            entry.fixed.to_string(),
            entry.title.clone(),
        ]
    });
    output::table(
        [
            "ID",
            "STATUS",
            "OPENED",
            "OPEN",
            "OVERDUE",
            "MITIGATED",
            "WAIVED",
            "FIXED",
            "TITLE",
        ],
        rows,
    )
}

/// A count that may be too small, where not all is known.
fn least(entry: &IncidentEntry, count: u64) -> String {
    if entry.at_least {
        format!("at least {count}")
    } else {
        count.to_string()
    }
}

pub(super) fn describe(entry: &IncidentEntry) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} ({})",
        entry.id,
        output::printable(&entry.title),
        entry.status
    );
    let _ = writeln!(text, "{}", output::printable(&entry.headline));
    for part in &entry.parts {
        let _ = writeln!(text, "  {}", output::printable(&part.words));
    }
    let targets = if entry.targets.is_empty() {
        "no version with a fix is known".to_owned()
    } else {
        format!("fixed in {}", entry.targets.join(", "))
    };
    let mut pairs = vec![
        (
            "opened",
            by(output::moment(entry.opened_at.0), Some(&entry.opened_by)),
        ),
        ("generation", format!("{}, {targets}", entry.generation)),
        ("tags and images", counts(entry)),
    ];
    pairs.extend(entry.due.map(|due| ("first due", output::moment(due.0))));
    pairs.extend(
        entry
            .closed_at
            .map(|at| ("closed", by(output::moment(at.0), entry.closed_by.as_ref()))),
    );
    pairs.extend(entry.note.iter().map(|note| ("note", output::printable(note))));
    text.push_str(&output::properties(&pairs));
    text
}

fn by(moment: String, who: Option<&String>) -> String {
    match who.filter(|who| !who.is_empty()) {
        Some(who) => format!("{moment} by {}", output::printable(who)),
        None => moment,
    }
}

fn counts(entry: &IncidentEntry) -> String {
    let counts = [
        (entry.open, "open"),
        (entry.overdue, "of them overdue"),
        (entry.mitigated, "mitigated"),
        (entry.waived, "waived"),
        (entry.fixed, "fixed"),
        (entry.gone, "gone"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, word)| format!("{count} {word}")).collect();
    if told.is_empty() {
        return "none".to_owned();
    }
    let told = told.join(", ");
    if entry.at_least {
        format!("at least {told}")
    } else {
        told
    }
}

pub(super) fn whole(entry: &IncidentEntry, lines: &[IncidentLine], all: bool) -> String {
    let mut text = describe(entry);
    if lines.is_empty() {
        return text;
    }
    let rows = lines.iter().map(|line| {
        [
            line.line.clone(),
            state(line),
            line.owner
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), ToString::to_string),
            line.severity.as_str().to_owned(),
            line.due.map(|due| output::moment(due.0)).unwrap_or_default(),
            todo(line),
        ]
    });
    text.push('\n');
    text.push_str(&output::table(
        ["IMAGE", "STATE", "OWNER", "SEVERITY", "DUE", "TO DO"],
        rows,
    ));
    if !all && lines.len() >= LINES {
        let _ = writeln!(
            text,
            "\nThe first {LINES} are shown: --all shows all, --owner and --state fewer."
        );
    }
    text
}

fn state(line: &IncidentLine) -> String {
    let overdue = if line.overdue { ", overdue" } else { "" };
    let until = match line.state {
        State::Mitigated { until: Some(until) } | State::Waived { until: Some(until) } => {
            format!(" until {}", until.date())
        }
        _ => String::new(),
    };
    format!("{}{until}{overdue}", line.state.as_str())
}

fn todo(line: &IncidentLine) -> String {
    if line.state.is_over() {
        return line.gone.clone().unwrap_or_default();
    }
    let words: Vec<String> = line.remedies.iter().map(in_words).collect();
    words.join("; ")
}

fn in_words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::NewerTag { tag } => {
            format!("use the newer tag {tag}, which is without it, or move this one to it")
        }
        Remedy::TakeBase { base, release } => format!("rebuild on {base} {release}"),
        Remedy::AwaitBase { base } => format!("wait for a fixed release of base {base}"),
        Remedy::Upgrade {
            package,
            fixed_in,
            leaves,
        } => {
            let ids: Vec<&str> = leaves.iter().map(VulnerabilityId::as_str).collect();
            let left = match ids.as_slice() {
                [] => String::new(),
                ids => format!(" (nothing fixes {} yet: mitigate it)", ids.join(", ")),
            };
            format!(
                "update {package} to {} and push again{left}",
                fixed_in.join(" or ")
            )
        }
        Remedy::NoFix { package } => format!("{package}: no fix is known; mitigate it or take it out"),
        Remedy::Vendor { image } => format!("ask the vendor of {image}, or waive or remove it"),
        Remedy::Investigate { reason } => format!("have a look: {reason}"),
        Remedy::BuildAgain { to, .. } => format!("build it again: {to}"),
        Remedy::LetIn { base, release, .. } => {
            format!("let it in on {base} {release}: its repository does not take it")
        }
        Remedy::Without { base, release, .. } => {
            format!("waive or remove it: it cannot follow to {base} {release}")
        }
    }
}
