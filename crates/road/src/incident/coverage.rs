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
    /// Whether all images were looked into and are somebody's. Only then a count is a count; else it is the least that it can be.
    pub const fn is_whole(&self) -> bool {
        self.not_scannable == 0 && self.without_owner == 0 && self.either == 0
    }

    /// A count of what is affected, as it may be said.
    pub fn at_least(&self, count: impl std::fmt::Display) -> String {
        if self.is_whole() {
            count.to_string()
        } else {
            format!("at least {count}")
        }
    }

    /// How much is not covered.
    pub fn words(&self) -> String {
        if self.is_whole() {
            return "all images could be looked into and have an owner".to_owned();
        }
        let unseen = self.either.max(self.not_scannable).max(self.without_owner);
        format!(
            "{} of images not scannable or without owner",
            percent(unseen, self.images)
        )
    }

    /// The line that stands above every answer, as above that to who is affected: never a bare number where something is not known.
    pub fn headline(&self, affected: u64) -> String {
        let count = self.at_least(affected);
        if self.is_whole() {
            format!("{count} affected")
        } else {
            format!("{count} affected; {}", self.words())
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
