use std::collections::BTreeSet;

use crate::anonymous::{Measured, Value, quotient, time_to_remediate};
use crate::kpi::exposure::exposures;
use crate::kpi::failure::{IncidentRecords, change_failure_rate};
use crate::kpi::remediation::{Cohorts, Frozen, Policy};
use crate::kpi::ships::Ships;
use crate::kpi::testing::{DAY, NOW, Story, ago, app, coverage, frame, group, place};
use crate::kpi::velocity::velocity;
use crate::kpi::{App, Cohort, Frame, Window};

/// Ten applications, affected and patched after 10 hours each; the first five are paved.
fn ten() -> (Story, Cohorts, BTreeSet<App>) {
    let mut story = Story::default();
    let mut cohorts = Cohorts::new();
    let mut apps = BTreeSet::new();
    story.advisory(ago(5 * DAY), "CVE-1");
    for n in 0..10 {
        let name = format!("zq-app-{n}");
        let shop = place(&name, "zq-cluster");
        let (old, new) = (format!("{name}-old"), format!("{name}-new"));
        story
            .image(&old, &old, "base", &old)
            .image(&new, &new, "base", &new)
            .matched(ago(5 * DAY), &old, "CVE-1", "2")
            .scanned(ago(5 * DAY), &new)
            .ready(ago(40 * DAY), &shop, &old)
            .ready(ago(5 * DAY - 9), &shop, &new)
            .gone(ago(5 * DAY - 10), &shop, &old);
        let frozen = Frozen {
            cohort: if n < 5 { Cohort::Paved } else { Cohort::OwnRoad },
            ring: None,
            tier: None,
            language: None,
        };
        cohorts.insert((group("CVE-1"), app(&name)), frozen);
        apps.insert(app(&name));
    }
    (story, cohorts, apps)
}

fn of_severity_and_cohort(frame: &Frame<'_>) -> Option<Measured> {
    let (story, cohorts, _) = ten();
    let exposures = exposures(&story.asked(frame));
    let kpi = crate::kpi::remediation::time_to_remediate(&exposures, frame, &cohorts, &Policy::new());
    time_to_remediate(&kpi, &exposures, &cohorts, NOW)
}

#[test]
fn from_events_to_a_document() {
    let (story, _, apps) = ten();
    let journal = story.journal();
    let ships = Ships::of(&journal);
    let window = Window {
        from: ago(60 * DAY),
        until: NOW,
    };
    let failures = change_failure_rate(&journal, &ships, &frame(), window, IncidentRecords::Missing);
    // The new versions are in the last full week: one for each application.
    let shipped = velocity(&ships, &frame(), None, 1);
    let measured: Vec<Measured> = [
        of_severity_and_cohort(&frame()),
        quotient(&failures, apps.clone()),
        quotient(&shipped, apps),
    ]
    .into_iter()
    .flatten()
    .collect();
    let document = super::exported(&super::on_levels(&[10]), &measured, false).unwrap();
    let text = String::from_utf8(document.to_bytes().unwrap()).unwrap();
    assert!(!text.contains("zq-"), "{text}");
    let values: Vec<&Value> = document.figures.iter().map(|figure| &figure.value).collect();
    let [velocity, failures, own, paved] = values.as_slice() else {
        panic!("{document:?}")
    };
    assert_eq!(*velocity, &Value::Number { hundredths: 100 });
    assert_eq!(*failures, &Value::Share { per_mille: 0 });
    for times in [own, paved] {
        let Value::Times { median_seconds, .. } = times else {
            panic!("{document:?}")
        };
        assert_eq!(*median_seconds, Some(36_000));
    }
}

#[test]
fn what_is_withheld_inside_is_not_told_outside() {
    let frame = Frame {
        coverage: coverage(7, 10),
        ..frame()
    };
    assert_eq!(of_severity_and_cohort(&frame), None);
    let (story, _, apps) = ten();
    let ships = Ships::of(&story.asked(&frame));
    assert_eq!(quotient(&velocity(&ships, &frame, None, 4), apps), None);
}
