mod comparing;
mod hostile;
mod telling;

use super::*;
use crate::kpi::Severity;
use proptest::prelude::*;
use serde_json::Value as Json;
use time::macros::datetime;

pub(super) const TOPICS: [&str; 3] = ["security", "culture", "testing"];

pub(super) fn public() -> BTreeSet<String> {
    TOPICS.map(str::to_owned).into()
}

pub(super) fn app(name: &str) -> App {
    name.parse().unwrap()
}

/// So many applications on each level of one topic, from level 0 on, all of one tier and paved.
pub(super) fn on_levels(counts: &[usize]) -> Vec<Application> {
    let levels = counts.iter().zip(0_u8..);
    let levels = levels.flat_map(|(count, level)| std::iter::repeat_n(level, *count));
    levels
        .enumerate()
        .map(|(n, level)| Application {
            app: app(&format!("app-{n}")),
            tier: Some(1),
            cohort: Cohort::Paved,
            levels: BTreeMap::from([("security".to_owned(), level)]),
            on_target: BTreeMap::new(),
        })
        .collect()
}

pub(super) fn exported(
    applications: &[Application],
    measured: &[Measured],
    by_tier: bool,
) -> Result<Document, ExportError> {
    export(&Input {
        window: Window {
            from: datetime!(2026-07-01 00:00 UTC),
            until: datetime!(2026-10-01 00:00 UTC),
        },
        source: Source::Cluster,
        coverage: Coverage {
            running: 100,
            known: 87,
            app: 100,
            owner: 90,
            sbom: 100,
            revision: 87,
        },
        applications,
        public_topics: &public(),
        by_tier,
        measured,
    })
}

fn parts(document: &Document) -> Vec<(Option<u8>, Option<u8>, u64)> {
    let row = &document.topics[0].rows[0];
    row.parts
        .iter()
        .map(|part| (part.lowest, part.highest, part.applications))
        .collect()
}

#[test]
fn small_groups_become_one_with_the_smaller_neighbour() {
    let document = exported(&on_levels(&[7, 2, 9, 6, 0, 3]), &[], false).unwrap();
    let (none, level) = (None, Some);
    assert_eq!(
        parts(&document),
        [
            (none, none, 0),
            (level(0), level(1), 9),
            (level(2), level(2), 9),
            // 3 alone is too few, with none beside it still.
            (level(3), level(5), 9)
        ]
    );
    assert_eq!(document.coverage_percent, 87);
}

#[test]
fn tiers_are_told_by_the_same_levels() {
    let mut applications = on_levels(&[6, 20, 20]);
    // Of those on level 0, five are of tier 1 and one is of tier 2: told by tier alone, tier 2 could be subtracted.
    for (n, application) in applications.iter_mut().enumerate() {
        application.tier = Some(if n < 5 || n % 2 == 0 { 1 } else { 2 });
    }
    let document = exported(&applications, &[], true).unwrap();
    let rows = &document.topics[0].rows;
    assert_eq!(rows.len(), 2);
    for row in rows {
        let shown: Vec<_> = row.parts.iter().map(|part| (part.lowest, part.highest)).collect();
        assert_eq!(shown[1], (Some(0), Some(1)));
        assert!(
            row.parts
                .iter()
                .all(|part| merge::may_be_shown(part.applications))
        );
    }
}

#[test]
fn tiers_with_few_applications_are_told_with_the_next() {
    let mut applications = on_levels(&[30]);
    for (n, application) in applications.iter_mut().enumerate() {
        application.tier = match n {
            0..2 => None,
            2..20 => Some(1),
            20..27 => Some(2),
            _ => Some(3),
        };
    }
    let document = exported(&applications, &[], true).unwrap();
    let tiers: Vec<_> = document.topics[0]
        .rows
        .iter()
        .map(|row| row.tiers.clone())
        .collect();
    assert_eq!(tiers, [vec![0, 1], vec![2, 3]]);
}

#[test]
fn all_topics_are_about_the_same_applications() {
    let mut applications = on_levels(&[10, 10]);
    // Culture applies to all but three: their number must not follow from the sums.
    for application in applications.iter_mut().skip(3) {
        application.levels.insert("culture".to_owned(), 1);
    }
    let document = exported(&applications, &[], false).unwrap();
    let sums: Vec<u64> = document
        .topics
        .iter()
        .map(|topic| topic.rows[0].parts.iter().map(|part| part.applications).sum())
        .collect();
    assert_eq!(sums, [20, 20]);
    assert_eq!(document.topics[0].topic, "culture");
    assert_eq!(document.topics[0].rows[0].parts[0].highest, Some(1));
}

#[test]
fn targets_are_told_when_no_group_is_small() {
    let target = |on: usize, below: usize| {
        let mut applications = on_levels(&[20]);
        for (n, application) in applications.iter_mut().enumerate().take(on + below) {
            application.on_target.insert("security".to_owned(), n < on);
        }
        exported(&applications, &[], false).unwrap().topics[0].on_target
    };
    assert_eq!(target(10, 10), Some(OnTarget { on: 10, below: 10 }));
    assert_eq!(target(10, 5), Some(OnTarget { on: 10, below: 5 }));
    assert_eq!(target(17, 3), None);
    // Those without a target could be subtracted.
    assert_eq!(target(10, 8), None);
    assert_eq!(target(0, 0), None);
}

#[test]
fn cohorts_are_merged_by_size() {
    let mut applications = on_levels(&[30]);
    for (n, application) in applications.iter_mut().enumerate() {
        application.cohort = match n {
            0..20 => Cohort::Paved,
            20..23 => Cohort::Stale,
            23 => Cohort::Exempt,
            _ => Cohort::OwnRoad,
        };
    }
    let document = exported(&applications, &[], false).unwrap();
    let road: Vec<_> = document
        .road
        .into_iter()
        .map(|part| (part.cohorts, part.applications))
        .collect();
    assert_eq!(
        road,
        [
            (vec![Cohort::Paved], 20),
            (vec![Cohort::Stale, Cohort::Exempt, Cohort::OwnRoad], 10),
            (vec![Cohort::Unknown], 0)
        ]
    );
}

pub(super) fn times(cohort: Cohort, apps: std::ops::Range<usize>, hours: u64) -> Group<Vec<Observation>> {
    let key = Key {
        severity: Some(Severity::Critical),
        cohort: Some(cohort),
    };
    let data = apps.clone().map(|_| Observation {
        seconds: hours * 3_600 + 7,
        is_over: true,
    });
    Group {
        key,
        data: data.collect(),
        apps: apps.map(|n| app(&format!("app-{n}"))).collect(),
    }
}

#[test]
fn figures_of_small_groups_are_computed_together() {
    let groups = vec![
        // Told as 15: how many there are exactly is nobody's business.
        times(Cohort::Paved, 0..18, 1),
        times(Cohort::Stale, 20..23, 100),
        times(Cohort::OwnRoad, 23..30, 240),
    ];
    let measured = [Measured::Times {
        kpi: KpiId::TimeToRemediate,
        groups,
    }];
    let document = exported(&on_levels(&[30]), &measured, false).unwrap();
    let [paved, others] = document.figures.as_slice() else {
        panic!("{document:?}")
    };
    assert_eq!((paved.keys.len(), paved.applications_at_least), (1, 15));
    assert_eq!((others.keys.len(), others.applications_at_least), (2, 10));
    let Value::Times { median_seconds, .. } = others.value else {
        panic!("{others:?}")
    };
    // 240 hours and 7 seconds, with two digits.
    assert_eq!(median_seconds, Some(860_000));
}

#[test]
fn the_same_applications_in_two_groups_do_not_add_up() {
    let mut high = times(Cohort::Paved, 0..4, 2);
    high.key.severity = Some(Severity::High);
    let measured = [Measured::Times {
        kpi: KpiId::TimeToRemediate,
        groups: vec![times(Cohort::Paved, 0..4, 1), high],
    }];
    let document = exported(&on_levels(&[30]), &measured, false).unwrap();
    assert_eq!(document.figures, []);
    assert_eq!(document.figures_withheld, [KpiId::TimeToRemediate]);
}

#[test]
fn what_cannot_be_exported() {
    assert_eq!(
        exported(&on_levels(&[4]), &[], false),
        Err(ExportError::TooFew(4))
    );
    let mut twice = on_levels(&[6]);
    twice.push(twice[0].clone());
    assert_eq!(exported(&twice, &[], false), Err(ExportError::Twice));
    let measured = Measured::Times {
        kpi: KpiId::Recovery,
        groups: vec![times(Cohort::Paved, 0..6, 1)],
    };
    let error = exported(&on_levels(&[6]), &[measured.clone(), measured], false);
    assert_eq!(error, Err(ExportError::FigureTwice(KpiId::Recovery)));
    let group = |n: usize| Group {
        key: Key::default(),
        ..times(Cohort::Paved, n * 5..n * 5 + 5, 1)
    };
    let measured = Measured::Times {
        kpi: KpiId::Recovery,
        groups: (0..=MAX_FIGURES).map(group).collect(),
    };
    let error = exported(&on_levels(&[6]), &[measured], false).unwrap_err();
    assert!(error.to_string().contains("501 figures: at most 500"), "{error}");
}

#[test]
fn own_topics_are_left_out_and_counted() {
    let mut applications = on_levels(&[10]);
    applications[0].levels.insert("secret project".to_owned(), 5);
    let document = exported(&applications, &[], false).unwrap();
    assert_eq!((document.topics.len(), document.topics_left_out), (1, 1));
    let text = String::from_utf8(document.to_bytes().unwrap()).unwrap();
    assert!(!text.contains("secret project"));
}

#[test]
fn the_bytes_are_canonical() {
    let document = exported(&on_levels(&[10]), &[], false).unwrap();
    let bytes = document.to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with(r#"{"coverage_percent":87,"figures":[],"figures_withheld":[],"period":{"from":"2026-07-01","until":"2026-10-01"},"road":[{"applications":10,"#), "{text}");
    assert!(!text.contains([' ', '\n']));
    assert_eq!(Document::parse(&bytes).unwrap(), document);
    assert_eq!(Document::parse(&bytes).unwrap().to_bytes().unwrap(), bytes);
}

/// Whatever an organisation may look like.
fn organisations() -> impl Strategy<Value = Vec<Application>> {
    let one = (
        prop::option::of(0_u8..4),
        prop::sample::select(Cohort::ALL.to_vec()),
        prop::collection::vec(prop::option::of(0_u8..=5), TOPICS.len()),
        prop::option::of(any::<bool>()),
    );
    prop::collection::vec(one, 5..80).prop_map(|list| {
        let named =
            |(n, (tier, cohort, levels, on)): (usize, (_, _, Vec<Option<u8>>, Option<bool>))| Application {
                app: app(&format!("zq-name-{n}")),
                tier,
                cohort,
                levels: TOPICS
                    .into_iter()
                    .chain(["zq-own-topic"])
                    .zip(levels.into_iter().chain([Some(1)]))
                    .filter_map(|(topic, level)| Some((topic.to_owned(), level?)))
                    .collect(),
                on_target: on.map(|on| ("security".to_owned(), on)).into_iter().collect(),
            };
        list.into_iter().enumerate().map(named).collect()
    })
}

fn measured(applications: &[Application]) -> Vec<Measured> {
    let mut groups: BTreeMap<Cohort, Group<Vec<Observation>>> = BTreeMap::new();
    for (application, hours) in applications.iter().zip(1_u64..) {
        let cohort = application.cohort;
        let group = groups.entry(cohort).or_insert_with(|| times(cohort, 0..0, 0));
        group.apps.insert(application.app.clone());
        group.data.push(Observation {
            seconds: hours * 3_601,
            is_over: hours % 3 > 0,
        });
    }
    let quotient = Group {
        key: Key::default(),
        apps: applications.iter().map(|one| one.app.clone()).collect(),
        data: Quotient {
            numerator: 3,
            denominator: 7,
        },
    };
    vec![
        Measured::Times {
            kpi: KpiId::TimeToRemediate,
            groups: groups.into_values().collect(),
        },
        Measured::Quotients {
            kpi: KpiId::ChangeFailureRate,
            groups: vec![quotient],
        },
    ]
}

/// All whole numbers under members of this name.
fn counts(json: &Json, name: &str, found: &mut Vec<u64>) {
    match json {
        Json::Object(members) => {
            for (member, value) in members {
                found.extend(value.as_u64().filter(|_| member == name));
                counts(value, name, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| counts(item, name, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_name_and_no_small_group_comes_out(applications in organisations(), by_tier in any::<bool>()) {
        let document = exported(&applications, &measured(&applications), by_tier).unwrap();
        let bytes = document.to_bytes().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        prop_assert!(!text.contains("zq-"), "{text}");
        let json: Json = serde_json::from_slice(&bytes).unwrap();
        let mut found = Vec::new();
        for name in ["applications", "on", "below"] {
            counts(&json, name, &mut found);
        }
        prop_assert!(found.iter().all(|count| merge::may_be_shown(*count)), "{text}");
        // What is written can be read, by rules that know nothing of how it was made.
        prop_assert_eq!(Document::parse(&bytes).unwrap(), document);
    }

    #[test]
    fn nothing_follows_from_differences(applications in organisations()) {
        let document = exported(&applications, &[], true).unwrap();
        for topic in &document.topics {
            let tiers: Vec<_> = topic.rows.iter().map(|row| &row.tiers).collect();
            let first: Vec<_> = document.topics[0].rows.iter().map(|row| &row.tiers).collect();
            prop_assert_eq!(tiers, first);
            for row in &topic.rows {
                let levels: Vec<_> = row.parts.iter().map(|part| (part.lowest, part.highest)).collect();
                let of_first: Vec<_> = topic.rows[0].parts.iter().map(|part| (part.lowest, part.highest)).collect();
                prop_assert_eq!(levels, of_first);
                let sum: u64 = row.parts.iter().map(|part| part.applications).sum();
                prop_assert!(sum >= LEAST_GROUP);
            }
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(applications in organisations()) {
        let mut other = applications.clone();
        other.reverse();
        prop_assert_eq!(exported(&applications, &[], true), exported(&other, &[], true));
    }
}
