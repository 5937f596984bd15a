//! What an import would let pass is weighed before it counts; one that lets pass too much waits for a person. Nobody who takes
//! advisories in can forget it: only what was admitted is finished.

use store::{Actor, ImportSummary, Importer, Lifts, NotedLifts, StoreError};
use thiserror::Error;

use crate::judging::{Judging, JudgingError};

/// What an import would lift, and whether that is too much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weighed {
    /// What.
    pub lifts: Lifts,
    /// More than may be without a person (`feeds.lift_share`, `feeds.lift_floor`).
    pub is_too_much: bool,
}

impl Weighed {
    /// What is kept for the record, where a person has accepted that so many refusals are lifted.
    ///
    /// # Errors
    /// It waits for a person, for what it would lift.
    pub fn admit(self, accepted: Option<u64>) -> Result<NotedLifts, Box<Lifts>> {
        if self.is_too_much && accepted.is_none_or(|accepted| accepted < self.lifts.lifted) {
            return Err(Box::new(self.lifts));
        }
        Ok(NotedLifts {
            lifts: self.lifts,
            // What is too much got here by a person's word.
            is_approved: self.is_too_much,
        })
    }
}

/// Why an import does not count.
#[derive(Debug, Error)]
pub enum NotAdmitted {
    /// It waits for a person.
    #[error("it is held: {0}")]
    Held(Box<Lifts>),
    /// What it would let pass could not be found out.
    #[error(transparent)]
    Weighing(#[from] JudgingError),
}

/// An import that may count.
pub struct Admitted(Importer);

/// Weighs an import, and lets it pass unless it lets pass more than may be without a person, or than one has accepted. Where no images
/// are judged, nothing is refused that it could let pass.
///
/// # Errors
/// It is held, or could not be weighed. Then nothing of it counts.
pub async fn admit(
    judging: Option<&dyn Judging>,
    mut importer: Importer,
    accepted: Option<u64>,
) -> Result<Admitted, NotAdmitted> {
    if let Some(judging) = judging {
        let weighed = judging.weigh(&mut importer).await?;
        importer.note_lifts(weighed.admit(accepted).map_err(NotAdmitted::Held)?);
    }
    Ok(Admitted(importer))
}

impl Admitted {
    /// Makes it the present generation.
    ///
    /// # Errors
    /// The store failed.
    pub async fn finish(self, origin: &str, actor: &Actor) -> Result<ImportSummary, StoreError> {
        self.0.finish(origin, actor).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_admitted_by_a_word_that_covers_it_alone() {
        for (is_too_much, accepted, approved) in [
            (false, None, Some(false)),
            (false, Some(0), Some(false)),
            (true, None, None),
            (true, Some(6), None),
            (true, Some(7), Some(true)),
            (true, Some(8), Some(true)),
        ] {
            let lifts = Lifts {
                refused: 9,
                lifted: 7,
                ..Lifts::default()
            };
            let weighed = Weighed {
                lifts: lifts.clone(),
                is_too_much,
            };
            let admitted = weighed.admit(accepted);
            let expected = approved.map(|is_approved| NotedLifts {
                lifts: lifts.clone(),
                is_approved,
            });
            assert_eq!(admitted, expected.ok_or(Box::new(lifts)));
        }
    }
}
