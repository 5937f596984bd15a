//! What must hold for any answer of a mail server. Shared by the fuzz targets (`fuzz/` at the root of the repository) and by
//! `tests/generated.rs`.

#[path = "../../src/mail/answer.rs"]
mod answer;

use answer::{Hearing, MAX_LINE_BYTES, MAX_LINES, ways};

/// All that a server says, in lines as they are read: each answer is bounded, and can be shown on one line of a terminal; what is
/// none ends it.
pub(crate) fn mail(data: &[u8]) {
    let longest = usize::try_from(MAX_LINE_BYTES).expect("it is small");
    let lines = data
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| &line[..line.len().min(longest)]);
    let (mut hearing, mut heard) = (Hearing::default(), 0);
    for line in lines {
        heard += 1;
        match hearing.hear(line) {
            Ok(None) => assert!(heard < MAX_LINES),
            Ok(Some(answer)) => {
                assert!(answer.lines.len() == heard && heard <= MAX_LINES);
                let shown = answer.shown();
                assert!(!shown.chars().any(char::is_control) && shown.chars().count() <= 200);
                assert!(answer.is_positive() == (answer.code / 100 == 2 || answer.code / 100 == 3));
                let offers = answer.offers();
                assert!(ways(&offers).iter().all(|way| !way.contains(' ')));
                heard = 0;
            }
            Err(reason) => {
                assert!(reason.len() < 100);
                return;
            }
        }
    }
}
