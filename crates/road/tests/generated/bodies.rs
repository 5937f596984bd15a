//! What must hold for any input. Shared by the fuzz targets (`fuzz/` at the root of the repository) and by
//! `tests/generated.rs`.

use oci::{Algorithm, Digest};
use road::{
    fleet::{Fleet, Moment, load},
    question::Question,
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
        Question::File(digest) => fleet.by_layers(&[*digest], &scope),
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
