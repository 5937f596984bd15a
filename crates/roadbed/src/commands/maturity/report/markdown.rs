//! A report in Markdown, for a wiki or a pull request.

use std::fmt::Write as _;

use super::{Cell, LISTED, Moved, Report, cell, team};
use crate::commands::maturity::figures;
use crate::output;

/// What strangers wrote, as text alone: nothing of it is markup, a link, HTML or another line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in super::html::fit(text) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    // Bare addresses become links in many places.
    escaped.replace("://", ":&#47;/").replace("www.", "www&#46;")
}

/// Writes it.
pub(super) fn write(report: &Report) -> String {
    let mut text = format!(
        "# Maturity\n\nAs of {}, judged by {}, of {}. What moved: the last {}. There is no overall score.\n",
        output::moment(report.as_of.0),
        escape(&report.rule_version),
        output::count(report.organisation.apps.apps as u64, "application"),
        output::count(u64::from(report.days), "day"),
    );
    let told = |topics: &[maturity::model::TopicId]| topics.iter().map(|topic| report.told(topic)).collect();
    section(
        &mut text,
        "Where strong",
        told(&report.strong),
        "No topic stands out.",
    );
    section(
        &mut text,
        "Where weak",
        told(&report.weak),
        "No topic stands out.",
    );
    moved(&mut text, report);
    section(&mut text, "What is unknown", report.unknown(), "Nothing.");
    figures_of(&mut text, report);
    topics(&mut text, report);
    heat_map(&mut text, report);
    text
}

fn section(text: &mut String, title: &str, items: Vec<String>, nothing: &str) {
    let _ = write!(text, "\n## {title}\n\n");
    if items.is_empty() {
        let _ = writeln!(text, "{nothing}");
    }
    for item in items {
        let _ = writeln!(text, "- {}", escape(&item));
    }
}

fn moved(text: &mut String, report: &Report) {
    let (falls, rises) = (report.falls(), report.rises());
    let mut items = Vec::new();
    for (what, moves) in [("fell", &falls), ("rose", &rises)] {
        let count = output::count(moves.len() as u64, "level");
        let why = Report::why(moves).join("; ");
        items.push(match why.as_str() {
            "" => format!("{count} {what}"),
            why => format!("{count} {what}: {why}"),
        });
    }
    if report.ending > 0 {
        items.push(format!(
            "{} that people vouch for ends within 30 days",
            report.ending
        ));
    }
    if report.moved_cut > 0 {
        let apps = output::count(report.moved_cut, "application");
        items.push(format!(
            "older changes of {apps} are left out: ask for fewer days"
        ));
    }
    section(text, "What moved and why", items, "");
    for (title, moves) in [("Fell", falls), ("Rose", rises)] {
        if moves.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n| {title} | topic | from | to | when | because |\n|---|---|---|---|---|---|\n"
        );
        for one in moves.iter().take(LISTED) {
            row(text, report, one);
        }
        if moves.len() > LISTED {
            let _ = write!(text, "\nand {} more\n", moves.len() - LISTED);
        }
    }
}

fn row(text: &mut String, report: &Report, one: &Moved) {
    let level = |level: Option<u8>| level.map_or_else(|| "–".to_owned(), |level| report.level(level));
    let event = one
        .event
        .map(|event| format!(" (event {event})"))
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {}{event} |",
        escape(one.app.as_str()),
        escape(&one.topic),
        escape(&level(one.from)),
        escape(&level(one.to)),
        output::moment(one.at.0),
        escape(&one.because)
    );
}

fn figures_of(text: &mut String, report: &Report) {
    let Some(kpis) = &report.kpis else { return };
    text.push_str("\n## Figures\n\n| figure | value | counted | known |\n|---|---|---|---|\n");
    let lines = report.figures();
    for line in &lines {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            escape(&line.name),
            escape(&line.value),
            escape(&line.counted),
            escape(&line.coverage)
        );
    }
    let _ = write!(text, "\n{}\n\n", escape(&figures::baseline(kpis)));
    for line in &lines {
        let _ = writeln!(
            text,
            "- {}: {}",
            escape(&line.name),
            escape(&line.notes.join(" · "))
        );
    }
}

fn topics(text: &mut String, report: &Report) {
    text.push_str("\n## Topics\n\n| topic | applications at level 0/1/2/… | on target | nobody can tell |\n|---|---|---|---|\n");
    for line in &report.topics {
        let levels: Vec<String> = line.by_level.iter().map(ToString::to_string).collect();
        let percent = line.on_target_percent.map(|percent| format!("{percent} %"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} % |",
            escape(&line.name),
            levels.join("/"),
            percent.as_deref().unwrap_or("no target"),
            line.untold_percent
        );
    }
}

fn heat_map(text: &mut String, report: &Report) {
    text.push_str("\n## Teams by topics\n\nOf the applications with a target those that are on it, by weight; L2: without targets, half are at level 2 or above; ?: of most nobody can tell.\n\n| team |");
    for line in &report.topics {
        let _ = write!(text, " {} |", escape(&line.name));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(report.topics.len()));
    text.push('\n');
    for group in &report.teams {
        let _ = write!(text, "| {} |", escape(&team(group)));
        for one in &group.topics {
            let Cell { text: cell, .. } = cell(one);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
}
