//! Classes of traffic: what goes first where not everybody can be served at once.

use std::fmt;
use std::str::FromStr;

/// A class, the most urgent one first. A cluster that cannot pull cannot start pods; a page can be loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Pulls of what runs images.
    Node,
    /// Pulls of builds, of people, of everybody else with a name.
    Ci,
    /// Whatever changes a repository.
    Push,
    /// Pulls of whoever looks into images, lists, and pulls without a name.
    Scan,
    /// The API and the pages.
    Pages,
}

impl Class {
    /// All of them, the most urgent one first.
    pub const ALL: [Self; 5] = [Self::Node, Self::Ci, Self::Push, Self::Scan, Self::Pages];

    /// Its name in the configuration, in headers and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Ci => "ci",
            Self::Push => "push",
            Self::Scan => "scan",
            Self::Pages => "pages",
        }
    }

    /// Its place in [`Class::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// This class, or `at_best` if that is less urgent: a claim that can only lower.
    #[must_use]
    pub fn lowered_to(self, at_best: Self) -> Self {
        self.max(at_best)
    }
}

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(text: &str) -> Result<Self, ClassError> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str().eq_ignore_ascii_case(text))
            .ok_or(ClassError)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No class has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write node, ci, push, scan or pages")]
pub struct ClassError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_only_lowers() {
        assert_eq!(Class::Node.lowered_to(Class::Push), Class::Push);
        assert_eq!(Class::Scan.lowered_to(Class::Push), Class::Scan);
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(class));
            assert_eq!(Class::ALL[class.index()], class);
        }
        assert!("root".parse::<Class>().is_err());
    }
}
