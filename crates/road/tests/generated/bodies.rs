//! What must hold for any input. Shared by the fuzz targets (`fuzz/` at the root of the repository) and by
//! `tests/generated.rs`.

use std::collections::BTreeSet;

use oci::{Algorithm, Digest};
use road::{
    application::{Applications, ImageWords},
    base::Bases,
    catalog::{self, CatalogErrors, CatalogLimits, SourceFile},
    fleet::{Fleet, Moment, State, load},
    incident::{Event, Incident},
    paving::Paving,
    question::Question,
    sink::SinkSpec,
};

/// A question that was understood is written so that it is understood as the same, and can be asked. One that was not says why
/// in one line of bounded length.
pub(crate) fn question(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Question>() {
        Ok(question) => {
            let written = question.to_string();
            assert!(!written.chars().any(char::is_control), "{written:?}");
            ask(&question);
            // Names in package URLs may have letters that nothing else may have.
            let is_purl = text
                .trim_start()
                .get(..4)
                .is_some_and(|start| start.eq_ignore_ascii_case("pkg:"));
            if !is_purl {
                assert_eq!(
                    written.parse::<Question>(),
                    Ok(question),
                    "{text:?} is written {written:?}"
                );
            }
        }
        Err(error) => {
            let told = error.to_string();
            let is_line = !told.contains('\n') && !told.contains('\u{1b}');
            assert!(is_line && told.len() < 2 * text.len() + 400, "{told:?}");
        }
    }
}

fn ask(question: &Question) {
    let fleet = Fleet::default();
    let scope = fleet.scope(|_| true, None);
    let answer = match question {
        Question::Package(package) => fleet.by_package(package, &scope),
        Question::Class(class) => fleet.by_class(class, &scope),
        Question::File(digest) => fleet.by_layers(&BTreeSet::from([*digest]), &scope, |_| State::Uncertain),
        Question::Vulnerability(_) => return,
    };
    assert_eq!(answer.counts().affected, 0);
}

/// A stored index, with a checksum that is right, is read or refused; what is read can be asked, changed and written.
pub(crate) fn snapshot(data: &[u8]) {
    let mut bytes = b"roadbed fleet 1\n".to_vec();
    bytes.extend_from_slice(data);
    let hash = Digest::of(Algorithm::Sha256, &bytes);
    bytes.extend_from_slice(hash.bytes());
    let Ok((mut fleet, event)) = load(&bytes) else {
        return;
    };
    let (again, same) = load(&fleet.encode(event)).expect("what was written is read");
    assert_eq!((again.dump(), same), (fleet.dump(), event));
    fleet.forget(Moment::NEVER);
}

/// Few enough to be exceeded.
const CATALOG: CatalogLimits = CatalogLimits {
    files: 1,
    file_bytes: 4_096,
    bytes: 4_096,
    documents: 8,
    errors: 5,
};

/// A file of a team, as Backstage reads it: applications that can be built, or complaints of bounded number and length.
pub(crate) fn backstage(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = SourceFile {
        name: "catalog-info.yaml",
        text,
    };
    match catalog::read(&[file], &CATALOG) {
        // Two that say the same may still be refused, with both named.
        Ok(read) => drop(Applications::build(read.statements)),
        Err(errors) => check_complaints(&errors),
    }
}

/// Our own file, with approved bases.
pub(crate) fn paved_road(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = SourceFile {
        name: "pavedroad.yaml",
        text,
    };
    match catalog::read_paved_road(&[file], &CATALOG) {
        Ok(read) => {
            let bases = Bases::build(read.bases).expect("what was read was checked");
            assert!(bases.iter().all(|base| bases.get(&base.name) == Some(base)));
            let paving = Paving::build(&bases, read.entries).expect("likewise");
            assert!(paving.exemptions().all(|of| of.check().is_ok()));
        }
        Err(errors) => check_complaints(&errors),
    }
}

fn check_complaints(errors: &CatalogErrors) {
    let told = errors.to_string();
    assert!(!told.is_empty() && told.len() < 1 << 14, "{} bytes", told.len());
    assert!(
        !told.chars().any(|letter| letter.is_control() && letter != '\n'),
        "{told:?}"
    );
}

/// What an image says of itself, a pair a line: it speaks for the repository that it lies in and for no other.
pub(crate) fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let (words, problems) = ImageWords::read(pairs);
    assert!(
        problems
            .iter()
            .all(|problem| !problem.to_string().chars().any(char::is_control))
    );
    let repository = "team/app".parse().expect("it is a name");
    if let Some(statement) = words.statement(&repository, "image in team/app") {
        assert_eq!(statement.repositories, [oci::RepoPattern::from(&repository)]);
        let built = Applications::build(vec![statement]).expect("one statement contradicts nobody");
        assert!(
            built
                .owner_of(&"other/app".parse().expect("it is a name"))
                .application()
                .is_none()
        );
    }
}

/// A sink as somebody declares it: one that is taken says the same when it is written and read, one that is not says why on one
/// line of bounded length.
pub(crate) fn sink(data: &[u8]) {
    let Ok(sink) = serde_json::from_slice::<SinkSpec>(data) else {
        return;
    };
    match sink.check() {
        Ok(()) => {
            let written = serde_json::to_vec(&sink).expect("a sink is JSON");
            assert_eq!(serde_json::from_slice::<SinkSpec>(&written).ok(), Some(sink));
        }
        Err(error) => {
            let told = error.to_string();
            assert!(
                !told.chars().any(char::is_control) && told.len() < 1_000,
                "{told:?}"
            );
        }
    }
}

/// Events as a journal holds them, in one list. An incident that can be made of them can be asked everything, now and much later, and
/// its messages can be told in every form.
pub(crate) fn incident(data: &[u8]) {
    let Ok(events) = serde_json::from_slice::<Vec<Event>>(data) else {
        return;
    };
    let Ok(incident) = Incident::replay(&events) else {
        return;
    };
    let same = Incident::replay(&events).expect("the same events");
    let at = incident.last_at();
    let later = at.checked_add(time::Duration::days(400)).unwrap_or(at);
    for now in [at, later] {
        let report = incident.report(now);
        assert_eq!(report, same.report(now));
        let page = report.to_html();
        assert!(!page.contains("<script") && !report.to_markdown().contains('\0'));
        report.to_json().expect("a report is JSON");
        for message in road::message::messages(&incident, Some("https://roadbed.example"), now) {
            road::message::slack(&message);
            road::message::cloud_event(&message, "roadbed");
        }
    }
    let written = serde_json::to_vec(&events).expect("events are JSON");
    assert_eq!(serde_json::from_slice::<Vec<Event>>(&written).ok(), Some(events));
}
