//! The figures, in words: each with its numerator, denominator, coverage and source, or why there is none.

use anyhow::Result;
use maturity::kpi::Withheld;
use serde::Deserialize as _;
use serde_json::Value;
use web::wire::KpiReport;

use crate::client::Client;
use crate::output;

/// A figure in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Which.
    pub(super) name: String,
    /// What came out, or why nothing did.
    pub(super) value: String,
    /// What was counted out of what.
    pub(super) counted: String,
    /// How much of what runs is known, and where it comes from.
    pub(super) coverage: String,
    /// What it is defined as, and what to bear in mind.
    pub(super) notes: Vec<String>,
    /// Whether there is a figure.
    pub(super) is_measured: bool,
}

/// Shows the figures.
pub(super) async fn run(client: &Client) -> Result<()> {
    let report: KpiReport = client.get_ready("/maturity/kpis", &[]).await?;
    output::show(client.format(), &report, describe)
}

fn describe(report: &KpiReport) -> String {
    let lines: Vec<Line> = report.figures.iter().map(line).collect();
    let rows = lines.iter().map(|line| {
        [
            line.name.clone(),
            line.value.clone(),
            line.counted.clone(),
            line.coverage.clone(),
        ]
    });
    let mut text = output::table(["FIGURE", "VALUE", "COUNTED", "KNOWN"], rows);
    text.push('\n');
    text.push_str(&output::printable(&baseline(report)));
    text.push('\n');
    text
}

/// What figures are compared with, in words.
pub(super) fn baseline(report: &KpiReport) -> String {
    match &report.baseline {
        Some(baseline) => format!(
            "compared with {} weeks frozen at {}: {}",
            baseline.weeks.len(),
            output::moment(baseline.frozen_at.0),
            baseline.reason
        ),
        None => {
            "compared with nothing: freeze 12 weeks with `roadbed maturity baseline --reason TEXT`".to_owned()
        }
    }
}

/// A figure in words. What this version does not know is told as it was counted.
pub(super) fn line(figure: &Value) -> Line {
    let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
    let id = text("kpi");
    let coverage = &figure["coverage"];
    let (known, running) = (number(&coverage["known"]), number(&coverage["running"]));
    let measured = &figure["measured"];
    let is_measured = measured.is_object();
    let value = if is_measured {
        headline(&id, measured)
    } else {
        withheld(&figure["withheld"])
    };
    let counted = if is_measured {
        format!(
            "{} of {}",
            number(&measured["numerator"]),
            number(&measured["denominator"])
        )
    } else {
        String::new()
    };
    let mut notes = vec![text("definition")];
    let caveats = figure["caveats"].as_array().into_iter().flatten();
    notes.extend(caveats.filter_map(Value::as_str).map(str::to_owned));
    notes.retain(|note| !note.is_empty());
    Line {
        name: title(&id),
        value,
        counted,
        coverage: format!("{known} of {running}, {}", text("source_label")),
        notes,
        is_measured,
    }
}

fn title(id: &str) -> String {
    match id {
        "velocity" => "versions shipped by week",
        "fold" => "versions against the baseline",
        "lead-time" => "lead time",
        "change-failure-rate" => "versions that failed",
        "recovery" => "recovery from a failed version",
        "time-to-remediate" => "time to remediate",
        "exposure-window" => "exposure",
        "recurrence" => "exposures that came back",
        "adoption" => "on the paved road",
        "freshness" => "freshness",
        "movement" => "levels that moved",
        other => other,
    }
    .to_owned()
}

fn withheld(why: &Value) -> String {
    match Withheld::deserialize(why) {
        Ok(why) => why.text(),
        Err(_) => "withheld".to_owned(),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// The one thing to read first; everything else is in the JSON.
fn headline(id: &str, measured: &Value) -> String {
    let value = &measured["value"];
    let told = match id {
        "velocity" => velocity(value),
        "fold" => fold(value),
        "lead-time" => lead_time(value),
        "change-failure-rate" => share(&value["rate"]),
        "recovery" => seconds(&value["median_seconds"]).map(|time| format!("median {time}")),
        "time-to-remediate" => remediation(value),
        "exposure-window" => {
            let open = number(&value["total"]["open"]) / 3_600;
            Some(format!("{open} replica-hours"))
        }
        "recurrence" | "adoption" => share(&value["share"]),
        "freshness" => share(&value["behind"]["30"]).map(|share| format!("{share} at most 30 days behind")),
        "movement" => movement(value),
        _ => None,
    };
    told.unwrap_or_else(|| {
        let (numerator, denominator) = (number(&measured["numerator"]), number(&measured["denominator"]));
        format!("{numerator} of {denominator}")
    })
}

fn share(value: &Value) -> Option<String> {
    value.as_f64().map(|share| format!("{:.0} %", share * 100.0))
}

fn seconds(value: &Value) -> Option<String> {
    value.as_u64().map(duration)
}

fn velocity(value: &Value) -> Option<String> {
    let weeks = value["weeks"].as_array()?;
    let sum = |key: &str| weeks.iter().map(|week| number(&week[key])).sum::<u64>();
    Some(format!(
        "{} in {} weeks; apart: {} maintenance, {} rollbacks",
        output::count(sum("features"), "version"),
        weeks.len(),
        sum("maintenance"),
        sum("rollbacks")
    ))
}

fn fold(value: &Value) -> Option<String> {
    let fold = &value["fold"];
    let told = match (
        fold["fold"].as_f64().or_else(|| fold["value"].as_f64()),
        fold["is"].as_str(),
    ) {
        (Some(times), _) => format!("{times:.1} times"),
        (None, Some(is)) => is.replace('-', " "),
        (None, None) => return None,
    };
    let interval = &value["interval"];
    Some(match (interval["low"].as_f64(), interval["high"].as_f64()) {
        (Some(low), Some(high)) => format!("{told} ({low:.1} to {high:.1})"),
        _ => told,
    })
}

fn lead_time(value: &Value) -> Option<String> {
    let series = value["series"].as_array()?;
    let by_people = series.iter().find(|one| one["automated"] == false);
    let first = by_people.or_else(|| series.first())?;
    let spread = &first["spread"];
    let measure = first["measure"].as_str().unwrap_or_default().replace('-', " ");
    Some(format!(
        "median {}, nine in ten {} ({measure})",
        seconds(&spread["median_seconds"])?,
        seconds(&spread["p90_seconds"])?
    ))
}

fn remediation(value: &Value) -> Option<String> {
    let groups = value["cohorts"].as_array()?;
    let worst = ["critical", "high"];
    let told = groups
        .iter()
        .filter(|group| worst.contains(&group["severity"].as_str().unwrap_or_default()))
        .map(|group| {
            let total = &group["figures"]["total"];
            let median = seconds(&total["median_seconds"]).unwrap_or_else(|| "not reached".to_owned());
            format!(
                "{} {}: median {median} ({} closed, {} open)",
                group["severity"].as_str().unwrap_or_default(),
                group["by"].as_str().unwrap_or_default(),
                number(&total["closed"]),
                number(&total["open"])
            )
        });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn movement(value: &Value) -> Option<String> {
    let topics = value["topics"].as_object()?;
    let sum = |key: &str| topics.values().map(|moves| number(&moves[key])).sum::<u64>();
    Some(format!(
        "{} up, {} down, {} lapsed",
        sum("up"),
        sum("down"),
        sum("lapsed")
    ))
}

/// Seconds in the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_has_what_was_counted_and_what_is_known() {
        let line = line(&json!({
            "kpi": "change-failure-rate", "definition": "Failed of shipped.", "source_label": "published (proxy)",
            "coverage": { "known": 9, "running": 10 }, "caveats": ["a lower bound"],
            "measured": { "value": { "rate": 0.25 }, "numerator": 2, "denominator": 8 },
        }));
        assert_eq!(line.value, "25 %");
        assert_eq!(line.counted, "2 of 8");
        assert_eq!(line.coverage, "9 of 10, published (proxy)");
        assert_eq!(line.notes, ["Failed of shipped.", "a lower bound"]);
    }

    #[test]
    fn a_figure_that_is_withheld_says_why_and_what_would_help() {
        let line = line(&json!({
            "kpi": "velocity", "coverage": { "known": 1, "running": 10 },
            "withheld": { "because": "coverage", "known": 1, "running": 10, "floor_percent": 80 },
        }));
        assert!(!line.is_measured);
        assert!(
            line.value.contains("1 of 10") && line.value.contains("80 %"),
            "{line:?}"
        );
        assert_eq!(line.counted, "");
    }

    #[test]
    fn what_is_not_known_or_damaged_is_told_as_it_was_counted() {
        let odd = [
            json!({ "kpi": "luck", "measured": { "value": [], "numerator": 1, "denominator": 2 } }),
            json!({ "kpi": "velocity", "measured": { "value": null, "numerator": 1, "denominator": 2 } }),
        ];
        assert!(odd.iter().all(|figure| line(figure).value == "1 of 2"));
        for figure in [json!(null), json!([]), json!({ "kpi": 7, "withheld": "x" })] {
            assert_eq!(line(&figure).value, "withheld");
        }
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (5, "5 s"),
            (300, "5 min"),
            (7_200, "2 h"),
            (9_000, "2 h 30 min"),
            (172_800, "2 d"),
            (180_000, "2 d 2 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
