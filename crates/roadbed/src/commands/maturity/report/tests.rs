use serde_json::json;

use super::*;

const HOSTILE: &str =
    "<script>alert(1)</script> \"x\" 'y' & [a](https://evil.example) `z` | \n# b\u{202e}\u{1b}[2J";

fn group(team: Option<&str>, topics: &Value) -> Group {
    serde_json::from_value(json!({
        "team": team, "apps": { "apps": 4, "weight": 10 }, "topics": topics,
        "own": { "met": 1, "not_met": 0, "unknown": 2, "not_applicable": 0, "exempt": 0, "expired": 1 },
    }))
    .unwrap()
}

/// A topic with so many of ten on target, below, and untold.
fn topic(name: &str, on: u64, below: u64, untold: u64) -> Value {
    let band = |weight: u64| json!({ "apps": weight.min(4), "weight": weight });
    json!({
        "topic": format!("technology/{name}"), "all": band(10), "not_rated": band(0), "untold": band(untold),
        "by_level": { "0": band(below), "2": band(10 - below) },
        "by_standing": { "on-target": band(on), "below": band(below), "no-target": band(10 - on - below) },
    })
}

fn model_topics(names: &[(&str, &str)]) -> Vec<Topic> {
    let topic = |(id, name): &(&str, &str)| Topic {
        id: format!("technology/{id}").parse().unwrap(),
        name: (*name).to_owned(),
    };
    names.iter().map(topic).collect()
}

fn report_of(topics: &Value, names: &[(&str, &str)]) -> Report {
    let organisation = group(None, topics);
    let lines = lines(&organisation, &model_topics(names));
    let (strong, weak) = extremes(&lines);
    let since = Timestamp(0);
    let app: SubjectName = "shop/checkout".parse().unwrap();
    let change = json!({
        "at": "2026-11-22T08:33:00Z", "event": 7, "cause": HOSTILE, "change": "level", "topic": "technology/testing",
        "from": 3, "to": 1, "because": "TE-1",
    });
    Report {
        as_of: Moment(Timestamp(1_795_336_380_000_000)),
        days: 30,
        rule_version: HOSTILE.to_owned(),
        levels: vec!["Build".to_owned(), HOSTILE.to_owned()],
        strong,
        weak,
        topics: lines,
        moved: moved(&app, &change, since).into_iter().collect(),
        moved_cut: 1,
        ended: 2,
        ending: 1,
        teams: vec![group(Some("payments"), topics), group(None, topics)],
        organisation,
        kpis: Some(KpiReport {
            as_of: Moment(since),
            baseline: None,
            figures: vec![json!({
                "kpi": "adoption", "definition": HOSTILE, "source_label": HOSTILE, "caveats": [HOSTILE],
                "coverage": { "known": 9, "running": 10 },
                "measured": { "value": { "share": 0.5 }, "numerator": 2, "denominator": 4 },
            })],
        }),
    }
}

fn hostile() -> Report {
    let topics = json!([
        topic("testing", 8, 2, 0),
        topic("ai", 1, 9, 0),
        topic("cost", 0, 10, 8)
    ]);
    report_of(&topics, &[("testing", HOSTILE), ("ai", "AI")])
}

#[test]
fn html_has_what_strangers_wrote_as_text_alone_and_nothing_from_elsewhere() {
    let html = html::write(&hostile());
    let (_, body) = html.split_once("<body>").unwrap();
    for bad in ["<script", "\u{202e}", "\u{1b}", "href", "src=", "\"x\"", "'y'"] {
        assert!(!body.contains(bad), "{bad:?}");
    }
    assert!(body.contains("&lt;script&gt;alert(1)&lt;/script&gt; &quot;x&quot; &#39;y&#39; &amp; "));
    assert!(!html.contains("@import") && !html.contains("url("));
    assert!(html.contains("default-src 'none'"));
    // Every element that is opened is closed.
    for tag in [
        "table", "section", "ul", "tr", "td", "th", "thead", "tbody", "div", "p", "li", "span",
    ] {
        let opened = body.matches(&format!("<{tag}>")).count() + body.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, body.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn markdown_has_what_strangers_wrote_as_text_alone() {
    let text = markdown::write(&hostile());
    for bad in ["<script", "\u{202e}", "\u{1b}", "\n# b", "[a](", "://evil"] {
        assert!(!text.contains(bad), "{bad:?}");
    }
    assert!(text.contains("&lt;script&gt;"));
    // A bar within a cell would make another column.
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| technology") || line.starts_with("| shop"));
    for row in rows {
        assert!(columns(row) == 5 || columns(row) == 7, "{row}");
    }
}

#[test]
fn what_nobody_can_tell_is_neither_strong_nor_weak() {
    let report = hostile();
    let ids = |topics: &[TopicId]| topics.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&report.strong), ["technology/testing"]);
    assert_eq!(ids(&report.weak), ["technology/ai"]);
    let unknown = report.unknown();
    assert!(unknown[0].contains("technology/cost: of 80 %"), "{unknown:?}");
    assert!(
        unknown
            .iter()
            .any(|told| told.contains("3 of 4 criteria of the organisation")),
        "{unknown:?}"
    );
    let untold = cell(&report.organisation.topics[2]);
    assert_eq!(
        (untold.text.as_str(), untold.shade, untold.is_untold),
        ("?", None, true)
    );
}

#[test]
fn without_targets_topics_are_told_by_the_level_of_half_of_the_applications() {
    let report = report_of(&json!([topic("testing", 0, 0, 0), topic("ai", 0, 0, 0)]), &[]);
    assert_eq!(report.topics[0].half_at, Some(2));
    assert_eq!(report.topics[0].on_target_percent, None);
    assert!(
        report.strong.is_empty() && report.weak.is_empty(),
        "where all are alike none is stronger"
    );
    assert_eq!(cell(&report.organisation.topics[0]).text, "L2");
    assert!(html::write(&report).contains("No topic stands out."));
}

#[test]
fn nobody_is_told_an_overall_score() {
    let json = serde_json::to_string(&hostile()).unwrap();
    for word in ["score\":", "average", "mean"] {
        assert!(!json.contains(word), "{word}");
    }
}

#[test]
fn only_levels_that_moved_in_the_time_are_told() {
    let app: SubjectName = "shop".parse().unwrap();
    let since = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let change = |at: &str, what: &str, from: Value| json!({ "at": at, "cause": "time", "change": what, "topic": "a/b", "from": from, "to": 2 });
    let told = |change: Value| moved(&app, &change, since).is_some();
    assert!(told(change("2026-02-01T00:00:00Z", "level", json!(1))));
    assert!(
        !told(change("2025-12-31T00:00:00Z", "level", json!(1))),
        "too old"
    );
    assert!(
        !told(change("2026-02-01T00:00:00Z", "state", json!(1))),
        "no level"
    );
    assert!(
        !told(change("2026-02-01T00:00:00Z", "level", Value::Null)),
        "not rated before"
    );
    assert!(
        !told(json!({ "change": "level" })) && !told(json!(null)),
        "damaged"
    );
}

#[test]
fn reasons_come_with_how_often_and_the_most_frequent_first() {
    let report = hostile();
    let fall = &report.moved[0];
    let other = Moved {
        because: "time went by".to_owned(),
        ..fall.clone()
    };
    let why = Report::why(&[&other, fall, &other]);
    assert_eq!(why[0], "2 × time went by");
    assert_eq!(why.len(), 2);
}
