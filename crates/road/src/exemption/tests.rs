use super::*;
use time::macros::datetime;

pub(crate) fn video() -> Exemption {
    Exemption {
        application: "video".parse().unwrap(),
        rule: "TE-CON-2".parse().unwrap(),
        reason: "needs CUDA base".to_owned(),
        owner: "team-video".parse().unwrap(),
        approved_by: vec!["platform".parse().unwrap()],
        from: datetime!(2026-11-01 0:00 UTC),
        until: datetime!(2027-02-02 0:00 UTC),
        max_renewals: 2,
        compensating: Some("weekly rebuild + scan".to_owned()),
    }
}

fn renewed(until: OffsetDateTime, reason: &str) -> Exemption {
    let reason = reason.to_owned();
    Exemption {
        reason,
        until,
        ..video()
    }
}

#[test]
fn it_counts_between_its_beginning_and_its_end() {
    let of = video();
    assert_eq!(of.state(of.from - Duration::SECOND), ExemptionState::Pending);
    assert!(of.is_live(of.from) && of.is_live(of.until - Duration::SECOND));
    assert_eq!(of.state(of.until), ExemptionState::Expired);
}

#[test]
fn a_later_end_needs_a_new_reason() {
    let later = datetime!(2027-05-01 0:00 UTC);
    assert_eq!(
        renewed(later, "Needs CUDA-base!").renews(&video(), 0),
        Err(RenewalError::SameReason)
    );
    assert_eq!(
        renewed(later, "the vendor's port is late").renews(&video(), 0),
        Ok(1)
    );
    // An earlier end, or other words, is no renewal.
    assert_eq!(
        renewed(datetime!(2027-01-01 0:00 UTC), "needs CUDA base").renews(&video(), 1),
        Ok(1)
    );
    assert_eq!(renewed(video().until, "said better").renews(&video(), 2), Ok(2));
}

#[test]
fn renewals_are_counted_and_their_number_is_not_raised() {
    let later = renewed(datetime!(2027-05-01 0:00 UTC), "still");
    assert_eq!(
        later.renews(&video(), 2),
        Err(RenewalError::Spent { done: 2, max: 2 })
    );
    let more = Exemption {
        max_renewals: 9,
        ..later
    };
    assert_eq!(
        more.renews(&video(), 0),
        Err(RenewalError::Raised { was: 2, to: 9 })
    );
}

/// It lasts 366 days from its first beginning, also by renewals.
#[test]
fn its_beginning_does_not_move() {
    let mut later = renewed(datetime!(2027-10-30 0:00 UTC), "the vendor's port is late");
    assert_eq!((later.check(), later.renews(&video(), 0)), (Ok(()), Ok(1)));
    later.from += Duration::days(30);
    assert_eq!(later.renews(&video(), 0), Ok(1));
    assert_eq!(later.clone().since(&video()).from, video().from, "it is kept");
    later.until += Duration::days(30);
    assert_eq!(later.check(), Ok(()), "by itself it is short enough");
    let long = RenewalError::Long(video().from);
    assert_eq!(later.renews(&video(), 0), Err(long.clone()));
    assert!(long.to_string().contains("366 days from then"), "{long}");
}

/// What makes an exemption wrong, and what is said of it.
type Wrong = (fn(&mut Exemption), ExemptionError);

const WRONG: &[Wrong] = &[
    (|of| of.until = of.from, ExemptionError::Backwards),
    (
        |of| of.until = of.from + MAX_EXEMPTION + Duration::SECOND,
        ExemptionError::Long,
    ),
    (
        |of| {
            of.from = datetime!(9999-01-02 0:00 UTC);
            of.until = datetime!(9999-12-31 23:59:59 UTC);
        },
        ExemptionError::Endless,
    ),
    (|of| of.approved_by.clear(), ExemptionError::NotApproved),
    (
        |of| of.approved_by = vec![of.owner.clone()],
        ExemptionError::NotApproved,
    ),
    (
        |of| of.approved_by = vec![of.owner.clone(); 21],
        ExemptionError::Approvers(21),
    ),
    (|of| of.max_renewals = 13, ExemptionError::Renewals(13)),
    (|of| of.reason = " ".to_owned(), ExemptionError::Text("reason")),
    (|of| of.reason = "a\nb".to_owned(), ExemptionError::Text("reason")),
    (|of| of.reason = "x".repeat(1_001), ExemptionError::Text("reason")),
    (
        |of| of.compensating = Some(String::new()),
        ExemptionError::Text("compensating"),
    ),
];

#[test]
fn what_makes_no_sense_is_refused() {
    for (change, wanted) in WRONG {
        let mut exemption = video();
        change(&mut exemption);
        assert_eq!(exemption.check().as_ref(), Err(wanted));
    }
    assert_eq!(video().check(), Ok(()));
}
