//! What becomes of indexes and blobs, from what becomes of the manifests around them.

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What becomes of something that follows from several decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combined {
    /// It follows.
    Decided(Outcome),
    /// It does not yet: whoever asks waits, as for an image that is not decided.
    Undecided,
}

/// A child of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildDecision {
    /// What became of it; `None` while it is not decided. Children that are signatures, attestations or caches are
    /// [`Outcome::NotApplicable`]; a nested index has the outcome of [`decide_index`].
    pub outcome: Option<Outcome>,
}

/// What becomes of an index: it is served if any runnable child is.
///
/// | runnable children | index |
/// |---|---|
/// | none | not applicable |
/// | all allowed | allow |
/// | some served, some warned or refused | warn |
/// | none served yet, some undecided | undecided |
/// | all refused | refuse |
pub fn decide_index(children: &[ChildDecision]) -> Combined {
    let runnable = || {
        children
            .iter()
            .map(|child| child.outcome)
            .filter(|outcome| *outcome != Some(Outcome::NotApplicable))
    };
    let worst = runnable().flatten().max();
    let is_served = runnable().flatten().any(Outcome::is_served);
    let is_undecided = runnable().any(|outcome| outcome.is_none());
    match worst {
        Some(worst) if is_served => Combined::Decided(worst.min(Outcome::Warn)),
        _ if is_undecided => Combined::Undecided,
        Some(_) => Combined::Decided(Outcome::Refuse),
        None => Combined::Decided(Outcome::NotApplicable),
    }
}

/// What becomes of a blob, from the decisions on the manifests of the repository that name it (`None`: not decided).
///
/// It is refused when manifests name it and all of them are refused. One that no manifest names yet is served to whoever may
/// pull there: it is being pushed. While none of them lets it through and one is undecided, it waits.
pub fn blob_outcome(manifests: &[Option<Outcome>]) -> Combined {
    let decided = || manifests.iter().flatten().copied();
    if manifests.is_empty() || decided().any(Outcome::is_served) {
        return Combined::Decided(Outcome::Allow);
    }
    if manifests.contains(&None) {
        return Combined::Undecided;
    }
    Combined::Decided(Outcome::Refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Outcome> = Some(Outcome::Allow);
    const W: Option<Outcome> = Some(Outcome::Warn);
    const R: Option<Outcome> = Some(Outcome::Refuse);
    const N: Option<Outcome> = Some(Outcome::NotApplicable);
    const U: Option<Outcome> = None;

    #[test]
    fn an_index_is_served_if_any_runnable_child_is() {
        let decided = Combined::Decided;
        let cases: [(&[Option<Outcome>], Combined); 13] = [
            (&[], decided(Outcome::NotApplicable)),
            (&[N, N], decided(Outcome::NotApplicable)),
            (&[A, A, N], decided(Outcome::Allow)),
            (&[A, W], decided(Outcome::Warn)),
            (&[A, R], decided(Outcome::Warn)),
            (&[W, R, N], decided(Outcome::Warn)),
            (&[R, R], decided(Outcome::Refuse)),
            (&[R, N], decided(Outcome::Refuse)),
            (&[R, U], Combined::Undecided),
            (&[U], Combined::Undecided),
            (&[U, N], Combined::Undecided),
            (&[A, U], decided(Outcome::Allow)),
            (&[R, A, U], decided(Outcome::Warn)),
        ];
        for (outcomes, expected) in cases {
            let children: Vec<_> = outcomes
                .iter()
                .map(|outcome| ChildDecision { outcome: *outcome })
                .collect();
            assert_eq!(decide_index(&children), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn a_blob_is_refused_when_all_that_name_it_are() {
        let cases: [(&[Option<Outcome>], Combined); 8] = [
            (&[], Combined::Decided(Outcome::Allow)),
            (&[R], Combined::Decided(Outcome::Refuse)),
            (&[R, R], Combined::Decided(Outcome::Refuse)),
            (&[R, A], Combined::Decided(Outcome::Allow)),
            (&[R, W], Combined::Decided(Outcome::Allow)),
            (&[U], Combined::Undecided),
            (&[R, U], Combined::Undecided),
            (&[U, W], Combined::Decided(Outcome::Allow)),
        ];
        for (manifests, expected) in cases {
            assert_eq!(blob_outcome(manifests), expected, "{manifests:?}");
        }
    }
}
