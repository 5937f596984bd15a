//! What has to be done to make what is in use by somebody's word what it should be.

use std::collections::{HashMap, HashSet};

use oci::{Reference, RepoName};

use super::{Present, becoming};
use crate::declared::{Declared, DeclaredInUse, End, Step};
use crate::{AdminError, IN_USE_REASON_BYTES, LONGEST_IN_USE, MAX_IN_USE, Timestamp};

/// Removals first. What is over by now is neither set nor kept.
pub(super) fn steps(declared: &Declared, present: &Present, prune: bool) -> Result<Vec<Step>, AdminError> {
    let mut wanted = HashMap::new();
    for image in &declared.in_use {
        if check(image, present.now)? && wanted.insert(place(image), image).is_some() {
            return Err(invalid(image, "is declared twice"));
        }
    }
    let known: HashMap<_, _> = present.in_use.iter().map(|image| (place(image), image)).collect();
    let removed: HashSet<_> = known
        .keys()
        .filter(|place| prune && !wanted.contains_key(*place))
        .collect();
    let added = wanted.keys().filter(|place| !known.contains_key(*place)).count();
    if added > 0 && known.len() - removed.len() + added > MAX_IN_USE {
        return Err(AdminError::TooMany {
            kind: "image in use",
            limit: MAX_IN_USE as u64,
        });
    }
    let gone = present
        .in_use
        .iter()
        .filter(|image| removed.contains(&place(image)));
    let gone = gone.cloned().map(Step::RemoveInUse);
    // In the order in which they are declared.
    let set = declared
        .in_use
        .iter()
        .filter(|image| wanted.contains_key(&place(image)));
    let set = set.filter_map(|image| becoming(image, known.get(&place(image)).copied()).map(Step::SetInUse));
    Ok(gone.chain(set).collect())
}

fn place(image: &DeclaredInUse) -> (&RepoName, &Reference) {
    (&image.repository, &image.reference)
}

/// Whether it is not over yet.
fn check(image: &DeclaredInUse, now: Timestamp) -> Result<bool, AdminError> {
    let End::At(until) = image.until else {
        return Err(invalid(
            image,
            "needs an end: set `until`, at most 366 days ahead",
        ));
    };
    if until > now.plus(LONGEST_IN_USE) {
        return Err(invalid(image, "has an end too far ahead: 366 days at most"));
    }
    let reason = image.reason.trim();
    if reason.is_empty() || reason.len() > IN_USE_REASON_BYTES {
        let why =
            format!("needs a `reason` of 1 to {IN_USE_REASON_BYTES} bytes: why it is known to be in use");
        return Err(invalid(image, &why));
    }
    Ok(until > now)
}

fn invalid(image: &DeclaredInUse, why: &str) -> AdminError {
    let reason = format!("{} of {} in use {why}", image.reference, image.repository);
    AdminError::Invalid { reason }
}
