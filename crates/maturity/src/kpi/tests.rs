use super::testing::{coverage, frame, proxy};
use super::*;

fn two(frame: &Frame<'_>) -> Kpi<u64> {
    Kpi::measure(KpiId::Recurrence, frame, |_| {
        Ok(Measured {
            value: 2,
            numerator: 4,
            denominator: 2,
        })
    })
}

#[test]
fn below_the_floor_nothing_is_computed() {
    for (known, running, withheld) in [
        (10, 10, None),
        // At the floor itself there is a figure.
        (8, 10, None),
        (799, 1_000, Some("799 of 1000")),
        (0, 1, Some("0 of 1")),
        (0, 0, Some("nothing is known to run")),
    ] {
        let frame = Frame {
            coverage: coverage(known, running),
            ..frame()
        };
        let mut computed = false;
        let kpi = Kpi::measure(KpiId::Fold, &frame, |_| {
            computed = true;
            Ok(Measured {
                value: 1,
                numerator: 1,
                denominator: 1,
            })
        });
        assert_eq!(computed, withheld.is_none(), "{known} of {running}");
        assert_eq!(kpi.value().is_some(), withheld.is_none());
        if let Some(reason) = withheld {
            let text = kpi.withheld().unwrap().text();
            assert!(text.contains(reason), "{text}");
        }
    }
}

#[test]
fn all_four_must_be_known() {
    let coverage = Coverage::of([
        &Part::ALL[..],
        &[Part::App, Part::Owner, Part::Sbom],
        &[Part::App, Part::Revision],
        &[],
    ]);
    let wanted = Coverage {
        running: 4,
        known: 1,
        app: 3,
        owner: 2,
        sbom: 2,
        revision: 2,
    };
    assert_eq!(coverage, wanted);
}

#[test]
fn the_proxy_is_written_on_the_figure() {
    let kpi = two(&proxy());
    assert_eq!(kpi.source_label, "published (proxy)");
    assert!(kpi.caveats[0].contains("published (proxy)"));
    assert_eq!(two(&frame()).source_label, "measured in clusters");
    assert_eq!(two(&frame()).caveats, Vec::<String>::new());
}

#[test]
fn every_figure_has_a_definition_of_its_own() {
    let texts: BTreeSet<&str> = KpiId::ALL.iter().map(|kpi| kpi.definition()).collect();
    assert_eq!(texts.len(), KpiId::ALL.len());
    assert!(texts.iter().all(|text| text.len() > 60));
}

#[test]
fn as_json_it_is_a_figure_or_a_reason() {
    let json = serde_json::to_value(two(&frame())).unwrap();
    assert_eq!(json["kpi"], "recurrence");
    assert_eq!(json["measured"]["numerator"], 4);
    assert_eq!(json["measured"]["denominator"], 2);
    assert_eq!(json["coverage"]["running"], 10);
    let back: Kpi<u64> = serde_json::from_value(json).unwrap();
    assert_eq!(back, two(&frame()));

    let frame = Frame {
        coverage: coverage(1, 10),
        ..frame()
    };
    let json = serde_json::to_value(two(&frame)).unwrap();
    assert_eq!(json["withheld"]["because"], "coverage");
    assert!(json.get("measured").is_none());
}

#[test]
fn names_have_an_end() {
    assert!("a".repeat(event::MAX_NAME_BYTES).parse::<App>().is_ok());
    let error = "a".repeat(event::MAX_NAME_BYTES + 1).parse::<App>().unwrap_err();
    assert!(error.to_string().contains("256 bytes"));
    assert!("".parse::<Cluster>().is_err());
    assert!("two\nlines".parse::<Environment>().is_err());
}
