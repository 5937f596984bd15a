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
            "at least 412 affected; 30 % of images not scannable or without owner",
        ),
        (
            coverage(0, 1, 1),
            "at least 412 affected; less than 1 % of images not scannable or without owner",
        ),
        (
            coverage(999, 1, 999),
            "at least 412 affected; more than 99 % of images not scannable or without owner",
        ),
        (
            coverage(1_000, 0, 1_000),
            "at least 412 affected; 100 % of images not scannable or without owner",
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
        "at least 0 affected; an unknown share of images not scannable or without owner"
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

/// Three tags: mitigated, mitigated and taken back, waived; all fixed and closed in the end.
fn told() -> Incident {
    let (mut incident, _) = open(&[("a", Cohort::Paved), ("b", Cohort::Paved), ("c", Cohort::Paved)]);
    let hour = |n| T0 + Duration::hours(n);
    let relieved = |name, reason: &str, until| EventKind::Mitigated {
        line: key(name),
        covers: vec![id(SHELL)],
        until,
        reason: reason.to_owned(),
    };
    for name in ["a", "b"] {
        let mitigated = relieved(name, "class (lookup_x) taken out", hour(72));
        incident.record(mitigated, "jane", hour(1)).unwrap();
    }
    let waived = EventKind::Waived {
        line: key("c"),
        covers: vec![id(SHELL)],
        until: hour(48),
        reason: "inside only".to_owned(),
    };
    incident.record(waived, "joe", hour(2)).unwrap();
    let ended = EventKind::MitigationEnded {
        line: key("b"),
        reason: "it did not help".to_owned(),
    };
    incident.record(ended, "sec", hour(3)).unwrap();
    let fixed = ["a", "b", "c"].map(|name| sighting(name, Cohort::Paved, &[]));
    incident.see(fixed.to_vec(), "scan", hour(5)).unwrap();
    let note = "all on 2.15.0 (see wiki/log4shell_2021)".to_owned();
    incident
        .record(EventKind::Closed { note }, "boss", hour(6))
        .unwrap();
    incident
}

/// Who did what, with what reason and until when, is in every form of the report.
#[test]
fn a_report_tells_who_did_what_and_why() {
    let report = told().report(T0 + Duration::hours(7));
    assert_eq!(report.opened_by, "sec");
    assert_eq!(
        (report.closings.len(), report.closings[0].by.as_str()),
        (1, "boss")
    );
    let shown: Vec<_> = report
        .reliefs
        .iter()
        .map(|relief| {
            (
                relief.kind.as_str(),
                relief.state.as_str(),
                relief.lines.len(),
                relief.by.as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("mitigation", "taken back", 1, "jane"),
            ("mitigation", "in force", 1, "jane"),
            ("waiver", "in force", 1, "joe")
        ]
    );
    let what: Vec<&str> = report.events.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "opened with CVE-2021-44228 (fixed in 2.15.0)",
            "3 tags and images found to be affected",
            "mitigation of 1 tag or image: class (lookup_x) taken out",
            "mitigation of 1 tag or image until 2021-12-13T00:41:00Z: class (lookup_x) taken out",
            "waiver of 1 tag or image until 2021-12-12T00:41:00Z: inside only",
            "mitigation of 1 tag or image taken back: it did not help",
            "3 tags and images fixed",
            "closed: all on 2.15.0 (see wiki/log4shell_2021)",
        ]
    );
    for text in [report.to_markdown(), report.to_html(), report.to_json().unwrap()] {
        for part in [
            "class (lookup_x) taken out",
            "2021-12-13T00:41:00Z",
            "inside only",
            "jane",
            "joe",
            "it did not help",
            "boss",
            "all on 2.15.0 (see wiki/log4shell_2021)",
            "team/a:prod",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    let json = report.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn what_happened_is_counted_beyond_a_bound() {
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    for n in 0..MAX_LISTED_EVENTS + 600 {
        let rated = EventKind::SeverityChanged {
            vulnerability: id(SHELL),
            severity: if n % 2 == 0 { Severity::High } else { Severity::Low },
            by_source: BTreeMap::new(),
        };
        incident.record(rated, "feed", T0 + Duration::minutes(1)).unwrap();
    }
    let report = incident.report(T0 + Duration::HOUR);
    assert_eq!(report.events.len(), MAX_LISTED_EVENTS);
    // The opening, the tag, and what was rated.
    assert_eq!(report.events_more, 602);
    assert_eq!(report.opened_by, "sec");
    assert!(report.to_markdown().contains("602 entries before these"));
    // One that was mitigated and taken back again and again.
    let (mut incident, _) = open(&[("a", Cohort::Paved)]);
    for n in 0..MAX_ENDED_RELIEFS + 20 {
        let now = T0 + Duration::minutes(i64::try_from(n).unwrap());
        let mitigated = EventKind::Mitigated {
            line: key("a"),
            covers: vec![id(SHELL)],
            until: now + Duration::DAY,
            reason: n.to_string(),
        };
        incident.record(mitigated, "jane", now).unwrap();
        let ended = EventKind::MitigationEnded {
            line: key("a"),
            reason: "no".to_owned(),
        };
        incident.record(ended, "jane", now).unwrap();
    }
    let line = incident.line(&key("a")).unwrap();
    assert_eq!(line.reliefs.len(), MAX_ENDED_RELIEFS + 1);
    assert_eq!(
        line.reliefs.last().unwrap().reason,
        (MAX_ENDED_RELIEFS + 19).to_string()
    );
}
