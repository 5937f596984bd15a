//! The right name that is nearest to a wrong one.

/// The one of `names` with the fewest typing errors between it and `wrong`.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wrong: String = wrong.chars().take(64).collect();
    names
        .into_iter()
        .min_by_key(|name| strsim::damerau_levenshtein(&wrong, name))
}

/// `, did you mean …?`, or nothing where there is no name to offer.
pub fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(wrong, names).map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}
