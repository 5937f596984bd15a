use super::*;
use crate::cohort::Cohort;
use crate::incident::tests::{SHELL, T0, key, open, opening, sighting};
use crate::incident::{EventKind, Sighting};

mod encoders;
mod times;

const LINK: &str = "https://roadbed.example/incidents/log4shell";

/// `shared` owns two applications, `own` one; one repository is nobody's.
fn incident() -> Incident {
    let with = |name: &str, owner: Option<&str>| {
        let mut sighting = sighting(name, Cohort::Paved, &[SHELL]);
        sighting.owner = owner.map(|owner| owner.parse().unwrap());
        sighting
    };
    let mut nobodys = with("lost", None);
    nobodys.line.application = None;
    nobodys.contacts = vec![];
    let lines: Vec<Sighting> = vec![
        with("cart", Some("shared")),
        with("checkout", Some("shared")),
        with("video", Some("own")),
        nobodys,
    ];
    Incident::open(opening(lines), "sec", T0).unwrap().0
}

pub(crate) fn all(now: OffsetDateTime) -> Vec<Message> {
    messages(&incident(), Some(LINK), now)
}

#[test]
fn there_is_one_message_per_owner() {
    let messages = all(T0);
    let owners: Vec<String> = messages
        .iter()
        .map(|message| {
            message
                .owner
                .as_ref()
                .map_or_else(|| "-".into(), ToString::to_string)
        })
        .collect();
    assert_eq!(owners, ["-", "group:own", "group:shared"]);
    let shared = &messages[2];
    let subjects: Vec<&str> = shared.parts.iter().map(|part| part.subject.as_str()).collect();
    assert_eq!(subjects, ["cart", "checkout"]);
    assert_eq!(shared.parts[0].actions[0].lines, ["team/cart:prod"]);
    assert_eq!(
        (shared.why, shared.severity, shared.contacts.len()),
        (Why::Affected, Severity::Critical, 2)
    );
    assert_eq!(shared.due, Some(T0 + Duration::days(3)));
    assert_eq!(messages[0].parts[0].subject, "team/lost");
}

#[test]
fn the_reason_is_the_most_urgent_one() {
    let mut incident = incident();
    let why = |incident: &Incident, now| messages(incident, None, now)[1].why;
    assert_eq!(why(&incident, T0 + Duration::hours(49)), Why::DueSoon);
    assert_eq!(why(&incident, T0 + Duration::days(3)), Why::Overdue);
    let video = |affected_by: &[&str]| {
        let mut video = sighting("video", Cohort::Paved, affected_by);
        video.owner = Some("own".parse().unwrap());
        vec![video]
    };
    incident.see(video(&[]), "scan", T0 + Duration::HOUR).unwrap();
    assert_eq!(why(&incident, T0 + Duration::HOUR), Why::Done);
    incident
        .see(video(&[SHELL]), "scan", T0 + Duration::hours(2))
        .unwrap();
    assert_eq!(why(&incident, T0 + Duration::hours(2)), Why::Reopened);
    let waived = EventKind::Waived {
        line: key("video"),
        covers: vec![SHELL.parse().unwrap()],
        until: T0 + Duration::DAY,
        reason: "internal".into(),
    };
    incident.record(waived, "joe", T0 + Duration::hours(2)).unwrap();
    assert_eq!(why(&incident, T0 + Duration::hours(3)), Why::Done);
    assert_eq!(why(&incident, T0 + Duration::DAY), Why::Reopened);
}

#[test]
fn only_news_has_another_fingerprint() {
    let (first, later) = (all(T0), all(T0 + Duration::HOUR));
    assert_eq!(first[1].fingerprint(), later[1].fingerprint());
    assert_ne!(first[1].fingerprint(), first[2].fingerprint());
    assert_ne!(
        first[1].fingerprint(),
        all(T0 + Duration::days(4))[1].fingerprint()
    );
}

#[test]
fn a_superseded_fix_is_told_as_such() {
    let mut incident = open(&[("a", Cohort::Paved)]).0;
    let second = crate::incident::tests::vulnerability("CVE-2021-45046", Severity::High, &["2.16.0"]);
    incident
        .add_vulnerability(second, &[], "feed", T0 + Duration::HOUR)
        .unwrap();
    let message = &messages(&incident, None, T0 + Duration::HOUR)[0];
    assert_eq!(
        (message.why, message.generation, message.targets.as_slice()),
        (Why::NewTarget, 2, &["2.16.0".to_owned()][..])
    );
}

#[test]
fn lists_are_bounded() {
    let lines = (0..MAX_LINES_NAMED + 3).map(|n| {
        let mut sighting = sighting("a", Cohort::Paved, &[SHELL]);
        sighting.line.reference = format!("v{n}").parse().unwrap();
        sighting
    });
    let (incident, _) = Incident::open(opening(lines.collect()), "sec", T0).unwrap();
    let action = &messages(&incident, None, T0)[0].parts[0].actions[0];
    assert_eq!((action.lines.len(), action.more), (MAX_LINES_NAMED, 3));
    let lines = (0..MAX_PARTS_WRITTEN + 7).map(|n| {
        let mut sighting = sighting(&format!("app{n}"), Cohort::Paved, &[SHELL]);
        sighting.owner = Some("one".parse().unwrap());
        sighting
    });
    let (incident, _) = Incident::open(opening(lines.collect()), "sec", T0).unwrap();
    let messages = messages(&incident, None, T0);
    assert_eq!(
        (
            messages.len(),
            messages[0].parts.len(),
            messages[0].contacts.len()
        ),
        (1, 57, MAX_CONTACTS)
    );
    let mut large = messages[0].clone();
    large.parts = vec![large.parts[0].clone(); MAX_PARTS_SENT + 3];
    let event = cloud_event(&large, "x");
    assert_eq!(event["data"]["parts"].as_array().unwrap().len(), MAX_PARTS_SENT);
    assert_eq!(event["data"]["parts_left_out"], 3);
    let contacts = &messages[0].contacts;
    let mail = email(&[&messages[0]], "roadbed@shop.example", contacts).unwrap();
    assert!(mail.body.contains("and 7 more applications"));
    assert_eq!(
        slack(&messages[0])["blocks"].as_array().unwrap().len(),
        2 + 40 + 1
    );
}
