//! A report as one HTML file: no scripts, nothing from elsewhere, for a screen and for print.

use std::fmt::{self, Write as _};

use maturity::model::TopicId;

use super::{LISTED, Moved, Report, TopicLine, cell, team};
use crate::commands::maturity::figures;
use crate::output;

/// Colours are never alone: every cell has its number, and what nobody can tell is hatched.
const STYLE: &str = "\
:root{color-scheme:light}body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:75rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:1.8rem 0 .4rem}.as-of,.note{color:#555}ul{margin:.2rem 0;padding-left:1.2rem}
.four{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem;margin-top:1rem}
.four section{border:1px solid #ccc;border-radius:.4rem;padding:.6rem .9rem}.four h2{margin:0 0 .3rem}
table{border-collapse:collapse;font-size:.85rem;width:100%}th,td{border:1px solid #ddd;padding:.25rem .4rem;text-align:left;vertical-align:top}
.map{width:auto}.map td{text-align:center;min-width:2.6rem}.map thead th{vertical-align:bottom}.map thead span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:12rem}
.s0{background:#f2c6bd}.s1{background:#f8e0c8}.s2{background:#f7f2cf}.s3{background:#d9ecd0}.s4{background:#b5dcb0}
.u{background:repeating-linear-gradient(45deg,#eee,#eee 4px,#cfcfcf 4px,#cfcfcf 6px)}
.scroll{overflow-x:auto}td.n{white-space:nowrap}
@media print{body{margin:0;max-width:none;font-size:11px}@page{size:A4 landscape;margin:12mm}h2{break-after:avoid}tr,section{break-inside:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/// Characters of a text without those that end a line, are not seen or turn the writing around.
pub(super) fn fit(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|character| match character {
        _ if character.is_control() => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => ' ',
        character => character,
    })
}

/// Text from outside: as text, also within an attribute in quotes.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in fit(self.0) {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Writes it.
pub(super) fn write(report: &Report) -> String {
    let mut html = String::with_capacity(64 << 10);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Maturity, {}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n\
         <h1>Maturity</h1>\n<p class=\"as-of\">As of {}, judged by {}, of {}. What moved: the last {}. \
         There is no overall score.</p>\n",
        output::moment(report.as_of.0),
        output::moment(report.as_of.0),
        Text(&report.rule_version),
        output::count(report.organisation.apps.apps as u64, "application"),
        output::count(u64::from(report.days), "day"),
    );
    html.push_str("<div class=\"four\">\n");
    let told = |topics: &[TopicId]| topics.iter().map(|topic| report.told(topic)).collect();
    section(
        &mut html,
        "Where strong",
        told(&report.strong),
        "No topic stands out.",
    );
    section(
        &mut html,
        "Where weak",
        told(&report.weak),
        "No topic stands out.",
    );
    section(&mut html, "What moved and why", moved(report), "Nothing.");
    section(&mut html, "What is unknown", report.unknown(), "Nothing.");
    html.push_str("</div>\n");
    figures_of(&mut html, report);
    heat_map(&mut html, report);
    topics(&mut html, report);
    movements(&mut html, report);
    definitions(&mut html, report);
    html.push_str("</body>\n</html>\n");
    html
}

fn section(html: &mut String, title: &str, items: Vec<String>, nothing: &str) {
    let _ = write!(html, "<section>\n<h2>{title}</h2>\n");
    if items.is_empty() {
        let _ = writeln!(html, "<p>{nothing}</p>");
    } else {
        html.push_str("<ul>\n");
        for item in items {
            let _ = writeln!(html, "<li>{}</li>", Text(&item));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</section>\n");
}

fn moved(report: &Report) -> Vec<String> {
    let mut items = Vec::new();
    for (what, moves) in [("fell", report.falls()), ("rose", report.rises())] {
        items.push(format!("{} {what}", output::count(moves.len() as u64, "level")));
        items.extend(Report::why(&moves));
    }
    if report.ending > 0 {
        items.push(format!(
            "{} that people vouch for ends within 30 days",
            report.ending
        ));
    }
    items
}

fn figures_of(html: &mut String, report: &Report) {
    let Some(kpis) = &report.kpis else { return };
    html.push_str(
        "<h2>Figures</h2>\n<table>\n<thead><tr><th>figure</th><th>value</th><th>counted</th><th>known</th></tr></thead>\n<tbody>\n",
    );
    for line in report.figures() {
        let class = if line.is_measured { "" } else { " class=\"u\"" };
        let _ = writeln!(
            html,
            "<tr><th>{}</th><td{class}>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            Text(&line.name),
            Text(&line.value),
            Text(&line.counted),
            Text(&line.coverage)
        );
    }
    let baseline = figures::baseline(kpis);
    let _ = write!(
        html,
        "</tbody>\n</table>\n<p class=\"note\">{}</p>\n",
        Text(&baseline)
    );
}

fn heat_map(html: &mut String, report: &Report) {
    html.push_str(
        "<h2>Teams by topics</h2>\n<p class=\"note\">Of the applications with a target those that are on it, by weight. L2: without \
         targets, half are at level 2 or above. ? and hatched: of most nobody can tell. –: nothing applies.</p>\n\
         <div class=\"scroll\"><table class=\"map\">\n<thead><tr><th>team</th><th>apps</th>",
    );
    for TopicLine { name, .. } in &report.topics {
        let _ = write!(html, "<th><span>{}</span></th>", Text(name));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for group in &report.teams {
        let _ = write!(
            html,
            "<tr><th>{}</th><td>{}</td>",
            Text(&team(group)),
            group.apps.apps
        );
        for one in &group.topics {
            let cell = cell(one);
            let class = match cell.shade {
                _ if cell.is_untold => "u".to_owned(),
                Some(shade) => format!("s{shade}"),
                None => String::new(),
            };
            let (text, about) = (Text(&cell.text), Text(&cell.about));
            let _ = write!(html, "<td class=\"{class}\" title=\"{about}\">{text}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn topics(html: &mut String, report: &Report) {
    html.push_str(
        "<h2>Topics</h2>\n<table>\n<thead><tr><th>topic</th><th>applications by level</th><th>on target</th>\
         <th>nobody can tell</th></tr></thead>\n<tbody>\n",
    );
    for line in &report.topics {
        let levels = line.by_level.iter().zip(0_u8..).filter(|(apps, _)| **apps > 0);
        let levels: Vec<String> = levels
            .map(|(apps, level)| format!("{apps} at {}", report.level(level)))
            .collect();
        let percent = match line.on_target_percent {
            Some(percent) => format!("{percent} % of {}", line.with_target),
            None => "no target".to_owned(),
        };
        let class = if line.untold_percent > 50 {
            " class=\"u\""
        } else {
            ""
        };
        let _ = writeln!(
            html,
            "<tr><th>{}</th><td>{}</td><td class=\"n\">{percent}</td><td{class}>{} %</td></tr>",
            Text(&line.name),
            Text(&levels.join(", ")),
            line.untold_percent
        );
    }
    html.push_str("</tbody>\n</table>\n");
}

fn movements(html: &mut String, report: &Report) {
    for (title, moves) in [
        ("Levels that fell", report.falls()),
        ("Levels that rose", report.rises()),
    ] {
        if moves.is_empty() {
            continue;
        }
        let _ = write!(
            html,
            "<h2>{title}</h2>\n<table>\n<thead><tr><th>application</th><th>topic</th><th>from</th><th>to</th>\
             <th>when</th><th>because</th></tr></thead>\n<tbody>\n"
        );
        for one in moves.iter().take(LISTED) {
            row(html, report, one);
        }
        html.push_str("</tbody>\n</table>\n");
        if moves.len() > LISTED {
            let _ = writeln!(html, "<p class=\"note\">and {} more</p>", moves.len() - LISTED);
        }
    }
    if report.moved_cut > 0 {
        let apps = output::count(report.moved_cut, "application");
        let _ = writeln!(
            html,
            "<p class=\"note\">Older changes of {apps} are left out: ask for fewer days.</p>"
        );
    }
}

fn row(html: &mut String, report: &Report, one: &Moved) {
    let level = |level: Option<u8>| level.map_or_else(|| "–".to_owned(), |level| report.level(level));
    let event = one
        .event
        .map(|event| format!(" (event {event})"))
        .unwrap_or_default();
    let _ = writeln!(
        html,
        "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}{event}</td></tr>",
        Text(one.app.as_str()),
        Text(&one.topic),
        Text(&level(one.from)),
        Text(&level(one.to)),
        output::moment(one.at.0),
        Text(&one.because)
    );
}

fn definitions(html: &mut String, report: &Report) {
    let lines = report.figures();
    if lines.is_empty() {
        return;
    }
    html.push_str("<h2>What the figures are</h2>\n<ul class=\"note\">\n");
    for line in lines {
        let notes = line.notes.join(" · ");
        let _ = writeln!(html, "<li><b>{}</b>: {}</li>", Text(&line.name), Text(&notes));
    }
    html.push_str("</ul>\n");
}
