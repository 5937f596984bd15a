//! Reports: figures, honesty, and names of strangers.

use super::*;

#[test]
fn the_headline_is_honest() {
    let coverage = |not_scannable, without_owner, either| Coverage {
        images: 1_000,
        not_scannable,
        without_owner,
        either,
    };
    for (coverage, wanted) in [
        (coverage(0, 0, 0), "412 affected"),
        (
            coverage(40, 20, 60),
            "at least 412 affected; 6 % of images not scannable or without owner",
        ),
        (
            coverage(300, 0, 300),
            "at least 412 affected; 30 % of images not scannable",
        ),
        (
            coverage(0, 1, 1),
            "412 affected; less than 1 % of images without owner",
        ),
        (
            coverage(999, 1, 999),
            "at least 412 affected; more than 99 % of images not scannable or without owner",
        ),
        (
            coverage(1_000, 0, 1_000),
            "at least 412 affected; 100 % of images not scannable",
        ),
    ] {
        assert_eq!(coverage.headline(412), wanted);
    }
    let nothing = Coverage {
        not_scannable: 1,
        ..Coverage::default()
    };
    assert_eq!(
        nothing.headline(0),
        "at least 0 affected; an unknown share of images not scannable"
    );
}

#[test]
fn curves_are_by_the_cohort_of_the_opening() {
    let cohorts = [
        ("p1", Cohort::Paved),
        ("p2", Cohort::Paved),
        ("o1", Cohort::OwnRoad),
        ("o2", Cohort::OwnRoad),
    ];
    let (mut incident, _) = open(&cohorts);
    for (name, minutes) in [("p1", 10), ("p2", 20), ("o1", 60 * 24 * 9)] {
        let fixed = sighting(name, Cohort::Paved, &[]);
        incident
            .see(vec![fixed], "scan", T0 + Duration::minutes(minutes))
            .unwrap();
    }
    let report = incident.report(T0 + Duration::days(11));
    let estimates: Vec<_> = report
        .by_cohort
        .iter()
        .map(|figures| (figures.cohort.unwrap(), figures.time_to_remediate.median_seconds))
        .collect();
    assert_eq!(
        estimates,
        [(Cohort::Paved, Some(600)), (Cohort::OwnRoad, Some(9 * 86_400))]
    );
    let fixed: Vec<usize> = report.total.shares.iter().map(|share| share.fixed).collect();
    assert_eq!(fixed, [2, 2, 2, 2, 3, 0]);
    assert_eq!(report.total.shares[5].of, 0);
    assert_eq!((report.total.open, report.total.overdue), (1, 1));
    let counts: Vec<[u64; 5]> = report.burn_down.iter().map(|point| point.affected).collect();
    assert_eq!(
        counts,
        [[2, 0, 0, 2, 0], [1, 0, 0, 2, 0], [0, 0, 0, 2, 0], [0, 0, 0, 1, 0]]
    );
    assert_eq!(report.waiting_on, BTreeMap::from([("a rebuild".to_owned(), 1)]));
    // 10 + 20 minutes, 9 days, 11 days.
    assert_eq!(report.total.exposure_hours, 20 * 24);
}

#[test]
fn what_is_gone_is_not_remediated() {
    let (mut incident, _) = open(&[("a", Cohort::Paved), ("b", Cohort::Paved)]);
    for name in ["a", "b"] {
        let gone = EventKind::Gone {
            line: key(name),
            reason: "tag deleted".into(),
        };
        incident.record(gone, "scan", T0 + Duration::MINUTE).unwrap();
    }
    let total = incident.report(T0 + Duration::DAY).total;
    assert_eq!((total.gone, total.fixed, total.shares[0].fixed), (2, 0, 0));
    assert_eq!(total.time_to_remediate, Estimate::default());
    // Deleted and pushed anew without the problem is fixed.
    incident
        .see(
            vec![sighting("a", Cohort::Paved, &[])],
            "scan",
            T0 + Duration::HOUR,
        )
        .unwrap();
    let total = incident.report(T0 + Duration::DAY).total;
    assert_eq!((total.gone, total.fixed, total.shares[0].fixed), (1, 1, 1));
}

#[test]
fn names_of_strangers_stay_names() {
    let mut opening = opening(vec![sighting("a", Cohort::Paved, &[SHELL])]);
    opening.title = "<script>alert(1)</script> | [x](http://evil.example)\n# @channel \u{202e}".into();
    opening.vulnerabilities[0].fixed_in = vec!["<b>2.15</b>|x".into()];
    let (incident, _) = Incident::open(opening, "sec", T0).unwrap();
    let report = incident.report(T0);
    let html = report.to_html();
    assert!(!html.contains("<script") && !html.contains("<b>") && html.contains("&lt;script&gt;"));
    let markdown = report.to_markdown();
    let bare = markdown.replace("\\<", "");
    assert!(!bare.contains('<'), "{bare}");
    for bad in ["](http", "@channel", "\u{202e}", "\n# @"] {
        assert!(!markdown.contains(bad), "{bad}\n{markdown}");
    }
    // Every row of a table has as many cells as its head.
    let mut cells = 0;
    for line in markdown.lines() {
        let count = line.replace("\\|", "").matches('|').count();
        assert!(count == 0 || cells == 0 || count == cells, "{line}");
        cells = count;
    }
    let json = report.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn long_lists_are_counted() {
    let lines = (0..MAX_LISTED_LINES + 5).map(|n| sighting(&format!("x{n}"), Cohort::Paved, &[SHELL]));
    let (incident, _) = Incident::open(opening(lines.collect()), "sec", T0).unwrap();
    let report = incident.report(T0);
    assert_eq!((report.open.len(), report.open_more), (MAX_LISTED_LINES, 5));
    assert!(report.to_markdown().contains("and 5 more"));
}
