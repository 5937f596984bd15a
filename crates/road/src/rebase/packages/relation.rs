//! What packages say of each other.

use std::cmp::Ordering;

/// How the version of the other one must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
    /// apk's `~`: begins with.
    Begins,
}

/// One package that would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative<'a> {
    pub(super) name: &'a str,
    pub(super) version: Option<(Operator, &'a str)>,
}

impl Alternative<'_> {
    /// Whether what is there in `version` will do. A name that is provided without a version fulfils none that asks for one
    /// (Debian policy 7.5).
    pub(super) fn allows(&self, version: Option<&str>, compare: fn(&str, &str) -> Ordering) -> bool {
        let Some((operator, wanted)) = self.version else {
            return true;
        };
        let Some(version) = version else {
            return false;
        };
        let order = || compare(version, wanted);
        match operator {
            Operator::Less => order().is_lt(),
            Operator::AtMost => order().is_le(),
            Operator::Equal => order().is_eq(),
            Operator::AtLeast => order().is_ge(),
            Operator::Greater => order().is_gt(),
            Operator::Begins => version.starts_with(wanted),
        }
    }
}

/// Any one of some packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation<'a> {
    /// As it stands there.
    pub(super) text: &'a str,
    pub(super) alternatives: Vec<Alternative<'a>>,
}
