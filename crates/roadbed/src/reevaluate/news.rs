//! What the audit log tells of an import: a line per vulnerability and kind of change, with counts of images, never a line per image.

use std::{cmp::Reverse, collections::BTreeSet};

use findings::advisory::{self, AdvisoryIndex, Touched};
use road::fleet::{Change, Fleet};
use serde_json::{Value, json};
use store::{AdvisoryNews, EventKind};

use crate::{fleet::FleetService, judge::Facts};

/// Vulnerabilities that are compared before those who keep the index current have their turn.
const AT_ONCE: usize = 16;

/// What is told, and how much is not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// The weightiest first.
    pub(crate) news: Vec<AdvisoryNews>,
    /// Lines that were too many.
    pub(crate) untold: u64,
}

/// One vulnerability that reads otherwise.
struct News {
    /// Its id.
    id: String,
    /// What is otherwise.
    change: Change,
    /// Whether it is exploited now, where that is new.
    exploited: Option<bool>,
}

/// Compares what is said of all vulnerabilities that may read otherwise, before and now. `exploited`: those that a catalogue has come to
/// list, or lists no more.
pub(crate) fn news_of(
    fleet: &FleetService,
    touched: &Touched,
    exploited: &BTreeSet<String>,
    (before, facts): (&AdvisoryIndex, &Facts),
    most: usize,
) -> Told {
    let mut found = Vec::new();
    let vulnerabilities: Vec<&str> = touched.vulnerabilities.iter().map(AsRef::as_ref).collect();
    for some in vulnerabilities.chunks(AT_ONCE) {
        fleet.look(|fleet| {
            let news = some
                .iter()
                .filter_map(|id| compare(fleet, id, exploited, before, facts));
            found.extend(news);
        });
    }
    tell(&found, facts.generation, most)
}

fn compare(
    fleet: &Fleet,
    id: &str,
    exploited: &BTreeSet<String>,
    before: &AdvisoryIndex,
    facts: &Facts,
) -> Option<News> {
    let known = facts.index.vulnerability(id);
    let ids: Vec<&str> = match known {
        Some(known) => known.ids.iter().map(AsRef::as_ref).chain([id]).collect(),
        None => vec![id],
    };
    let knowledge = |index| advisory::Knowledge {
        index,
        kev: facts.kev.as_ref(),
        epss: facts.epss.as_ref(),
    };
    let all = fleet.scope(|_| true, None);
    let (then, now) = (knowledge(before), knowledge(&facts.index));
    let change = fleet.change_of(&ids, &then, &now, &all)?;
    let is_listed = |id: &str| facts.kev.as_ref().is_some_and(|kev| kev.get(id).is_some());
    let listed = ids.iter().find(|id| exploited.contains(**id));
    let exploited = listed.filter(|_| change.affected > 0).map(|id| is_listed(id));
    let news = News {
        id: id.to_owned(),
        change,
        exploited,
    };
    (!news.change.is_nothing() || news.exploited.is_some()).then_some(news)
}

/// As lines. Those about newly affected images come first, the most of them first.
fn tell(found: &[News], generation: u64, most: usize) -> Told {
    let mut lines: Vec<((u8, Reverse<u64>), AdvisoryNews)> = Vec::new();
    for news in found {
        lines.extend(lines_of(news, generation));
    }
    lines.sort_by(|(left, one), (right, other)| {
        left.cmp(right)
            .then_with(|| one.vulnerability.cmp(&other.vulnerability))
    });
    let untold = lines.len().saturating_sub(most) as u64;
    lines.truncate(most);
    Told {
        news: lines.into_iter().map(|(_, line)| line).collect(),
        untold,
    }
}

fn lines_of(news: &News, generation: u64) -> Vec<((u8, Reverse<u64>), AdvisoryNews)> {
    let change = &news.change;
    let mut lines = Vec::new();
    let mut put = |rank: u8, kind: EventKind, images: u64, more: Value| {
        let line = AdvisoryNews {
            kind,
            vulnerability: news.id.clone(),
            body: body(change, generation, images, more),
        };
        lines.push(((rank, Reverse(images)), line));
    };
    if change.newly > 0 {
        let more = json!({ "fixes": change.fixes });
        put(0, EventKind::AdvisoryAffects, change.newly, more);
    }
    if change.severity.is_some() || news.exploited.is_some() {
        let mut more = json!({});
        if let Some([before, after]) = change.severity {
            more = json!({ "before": before, "after": after });
        }
        if let Some(exploited) = news.exploited {
            more["exploited"] = json!(exploited);
        }
        put(1, EventKind::AdvisorySeverity, change.affected, more);
    }
    if let Some([before, after]) = &change.fix {
        let more = json!({ "before": before, "after": after });
        put(2, EventKind::AdvisoryFix, change.affected, more);
    }
    if change.no_more > 0 {
        put(3, EventKind::AdvisoryClears, change.no_more, json!({}));
    }
    if !change.conflicts.is_empty() {
        let more = json!({ "about": change.conflicts });
        put(4, EventKind::AdvisoryConflict, change.affected, more);
    }
    lines
}

fn body(change: &Change, generation: u64, images: u64, more: Value) -> Value {
    let mut body = json!({
        "generation": generation,
        "images": images,
        "affected": change.affected,
        "uncertain": change.uncertain,
        "severity": change.rated,
        "packages": change.packages,
        "sources": change.sources,
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

#[cfg(test)]
mod tests {
    use findings::Severity;

    use super::*;

    fn change(newly: u64) -> Change {
        Change {
            newly,
            no_more: 0,
            affected: newly,
            uncertain: 0,
            rated: Severity::High,
            fixes: ["2.0".to_owned()].into_iter().collect(),
            fix: None,
            severity: None,
            conflicts: BTreeSet::new(),
            packages: ["a".to_owned()].into_iter().collect(),
            sources: ["GHSA".to_owned()].into_iter().collect(),
        }
    }

    fn news(id: &str, change: Change) -> News {
        News {
            id: id.to_owned(),
            change,
            exploited: None,
        }
    }

    #[test]
    fn the_most_newly_affected_come_first_and_the_rest_is_counted() {
        let found = (0..10_u64).map(|number| news(&format!("CVE-{number}"), change(number + 1)));
        let told = tell(&found.collect::<Vec<_>>(), 7, 3);
        let ids: Vec<&str> = told.news.iter().map(|line| line.vulnerability.as_str()).collect();
        assert_eq!(ids, ["CVE-9", "CVE-8", "CVE-7"]);
        assert_eq!(told.untold, 7);
        assert_eq!(told.news[0].body["images"], 10);
        assert_eq!(told.news[0].body["generation"], 7);
        assert_eq!(told.news[0].body["fixes"], json!(["2.0"]));
    }

    #[test]
    fn every_kind_of_change_has_a_line_of_its_own() {
        let all = Change {
            no_more: 2,
            affected: 9,
            fix: Some([BTreeSet::new(), ["3".to_owned()].into_iter().collect()]),
            severity: Some([Severity::Low, Severity::Critical]),
            conflicts: ["fix"].into_iter().collect(),
            ..change(1)
        };
        let mut one = news("CVE-1", all);
        one.exploited = Some(true);
        let told = tell(&[one], 1, 100);
        let kinds: Vec<EventKind> = told.news.iter().map(|line| line.kind).collect();
        let expected = [
            EventKind::AdvisoryAffects,
            EventKind::AdvisorySeverity,
            EventKind::AdvisoryFix,
            EventKind::AdvisoryClears,
            EventKind::AdvisoryConflict,
        ];
        assert_eq!(kinds, expected);
        let severity = &told.news[1].body;
        assert_eq!(severity["before"], "low");
        assert_eq!(severity["after"], "critical");
        assert_eq!(severity["exploited"], true);
        assert_eq!(told.news[4].body["about"], json!(["fix"]));
    }
}
