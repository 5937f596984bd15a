//! How much of the fleet an answer covers.

use serde::{Deserialize, Serialize};

/// How many images were asked about, and of how many the answer is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// All images.
    pub images: u64,
    /// Those of which it is not known what is in them.
    pub not_scannable: u64,
    /// Those without owner.
    pub without_owner: u64,
    /// Those of which either is so.
    pub either: u64,
}

impl Coverage {
    /// The line that stands above every answer: never a bare number where something is not known.
    pub fn headline(&self, affected: u64) -> String {
        let share = percent(
            self.either.max(self.not_scannable).max(self.without_owner),
            self.images,
        );
        match (self.not_scannable, self.without_owner) {
            (0, 0) => format!("{affected} affected"),
            (0, _) => format!("{affected} affected; {share} of images without owner"),
            (_, 0) => format!("at least {affected} affected; {share} of images not scannable"),
            _ => format!("at least {affected} affected; {share} of images not scannable or without owner"),
        }
    }
}

/// Rounded so that some is never none and not all is never all.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "an unknown share".to_owned();
    }
    let (part, whole) = (u128::from(part.min(whole)), u128::from(whole));
    match (part * 200 + whole) / (whole * 2) {
        0 if part > 0 => "less than 1 %".to_owned(),
        100 if part < whole => "more than 99 %".to_owned(),
        share => format!("{share} %"),
    }
}
