use super::*;
use crate::base::tests::base;
use crate::lineage::tests::{layers, release};
use crate::lineage::{BaseIndex, Superseded, Word};
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-10 12:00 UTC);

fn exemption(from: OffsetDateTime, until: OffsetDateTime) -> Exemption {
    Exemption {
        from,
        until,
        ..crate::exemption::tests::video()
    }
}

/// Its base, superseded so long ago by a release without a problem of that severity.
fn superseded(age: Duration, worst_fixed: Severity) -> Lineage {
    let mut release = release("java17", "17.1", &["d", "j"]);
    let at = NOW - age;
    release.superseded = Some(Superseded { at, worst_fixed });
    BaseIndex::build(vec![release])
        .unwrap()
        .lineage(&layers(&["d", "j", "app"]))
}

fn current() -> Lineage {
    let index = BaseIndex::build(vec![release("java17", "17.1", &["d"])]).unwrap();
    index.lineage(&layers(&["d", "app"]))
}

fn bases(change: impl FnOnce(&mut BaseImage)) -> Bases {
    let mut java = base("java17");
    change(&mut java);
    Bases::build(vec![java, base("java21")]).unwrap()
}

#[test]
fn promises_decide_between_paved_and_stale() {
    let bases = bases(|_| {});
    for (age, severity, wanted) in [
        (Duration::hours(23), Severity::Critical, Cohort::Paved),
        (Duration::hours(24), Severity::Critical, Cohort::Stale),
        (Duration::days(6), Severity::High, Cohort::Paved),
        (Duration::days(8), Severity::Unknown, Cohort::Stale),
        (Duration::days(29), Severity::Low, Cohort::Paved),
        (Duration::days(31), Severity::Low, Cohort::Stale),
        (Duration::days(-1), Severity::Critical, Cohort::Paved),
    ] {
        let verdict = of_image(Some(&superseded(age, severity)), &bases, None, NOW);
        assert_eq!(verdict.cohort, wanted, "{age} {severity:?} {:?}", verdict.because);
    }
}

#[test]
fn what_the_declared_signer_has_not_signed_is_not_on_the_road() {
    let mut stranger = release("java17", "17.1", &["d", "j"]);
    stranger.word = Word::Nobody;
    let below = release("java21", "12", &["d"]);
    let names = ["d", "j", "app"];
    let index = BaseIndex::build(vec![stranger.clone()]).unwrap();
    let verdict = of_image(Some(&index.lineage(&layers(&names))), &bases(|_| {}), None, NOW);
    assert!(matches!(verdict.because, Because::NotSigned { .. }) && verdict.cohort == Cohort::OwnRoad);
    // It does not hide what it was built on.
    let index = BaseIndex::build(vec![stranger, below]).unwrap();
    let verdict = of_image(Some(&index.lineage(&layers(&names))), &bases(|_| {}), None, NOW);
    assert!(matches!(&verdict.because, Because::Current { base } if base.as_str() == "java21"));
}

#[test]
fn the_life_of_the_base_decides() {
    let end = NOW - Duration::DAY;
    for (lifecycle, ended, wanted) in [
        (Lifecycle::Supported, false, Cohort::Paved),
        (Lifecycle::Supported, true, Cohort::Stale),
        (Lifecycle::Deprecated, false, Cohort::Paved),
        (Lifecycle::Retired, false, Cohort::Stale),
        (Lifecycle::Experimental, false, Cohort::OwnRoad),
    ] {
        let bases = bases(|base| {
            base.lifecycle = lifecycle;
            base.replaced_by = Some("java21".parse().unwrap());
            if ended {
                base.supported_until = end;
            }
        });
        assert_eq!(
            of_image(Some(&current()), &bases, None, NOW).cohort,
            wanted,
            "{lifecycle:?}"
        );
    }
}

#[test]
fn unknown_is_not_own_road() {
    let index = BaseIndex::default();
    let own = index.lineage(&layers(&["x"]));
    let mut hole = layers(&["x"]);
    hole.push(None);
    let hole = index.lineage(&hole);
    let none = Bases::default();
    assert_eq!(of_image(Some(&own), &none, None, NOW).because, Because::NoBase);
    assert_eq!(of_image(Some(&hole), &none, None, NOW).cohort, Cohort::Unknown);
    assert_eq!(of_image(None, &none, None, NOW).cohort, Cohort::Unknown);
    let verdict = of_image(Some(&current()), &none, None, NOW);
    assert!(matches!(verdict.because, Because::NotDeclared { .. }) && verdict.cohort == Cohort::OwnRoad);
}

#[test]
fn an_exemption_counts_while_it_lives_and_never_for_what_is_paved() {
    let bases = bases(|_| {});
    let live = exemption(NOW - Duration::DAY, NOW + Duration::DAY);
    let over = exemption(NOW - Duration::DAY, NOW);
    let coming = exemption(NOW + Duration::SECOND, NOW + Duration::DAY);
    let stale = superseded(Duration::days(90), Severity::Low);
    let cohort = |lineage, exemption| of_image(lineage, &bases, Some(exemption), NOW).cohort;
    assert_eq!(cohort(Some(&stale), &live), Cohort::Exempt);
    let verdict = of_image(Some(&stale), &bases, Some(&live), NOW);
    let exempt = verdict.exempt.unwrap();
    assert_eq!(
        (exempt.rule.as_str(), exempt.reason.as_str()),
        ("TE-CON-2", "needs CUDA base")
    );
    assert!(matches!(verdict.because, Because::PromiseOver { .. }));
    assert_eq!(cohort(Some(&stale), &over), Cohort::Stale);
    assert_eq!(cohort(Some(&stale), &coming), Cohort::Stale);
    assert_eq!(cohort(None, &live), Cohort::Exempt);
    assert_eq!(cohort(Some(&current()), &live), Cohort::Paved);
}

#[test]
fn the_image_that_says_most_decides() {
    use Cohort::{Exempt, OwnRoad, Paved, Stale, Unknown};

    let verdict = |cohort| Verdict {
        cohort,
        because: Because::NoBase,
        exempt: None,
    };
    for (images, wanted) in [
        (&[][..], Unknown),
        (&[Paved, Paved], Paved),
        (&[Paved, Exempt], Exempt),
        (&[Unknown, Paved, Exempt], Unknown),
        (&[Unknown, Stale, Paved], Stale),
        (&[OwnRoad, Unknown, Stale], OwnRoad),
    ] {
        let found = of_application(images.iter().copied().map(verdict));
        assert_eq!(found.cohort, wanted, "{images:?}");
    }
}

#[test]
fn verdicts_are_kept_as_json() {
    for lineage in [
        Some(current()),
        Some(superseded(Duration::days(90), Severity::High)),
        None,
    ] {
        let verdict = of_image(lineage.as_ref(), &bases(|_| {}), None, NOW);
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict, "{text}");
    }
    let words: Vec<_> = Cohort::ALL
        .iter()
        .map(|cohort| serde_json::to_value(cohort).unwrap())
        .collect();
    assert_eq!(words, Cohort::ALL.map(Cohort::as_str));
}
