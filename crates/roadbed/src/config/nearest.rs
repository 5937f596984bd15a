//! The right name that is nearest to a wrong one.

/// The one of `names` with the fewest typing errors between it and `wrong`. A name that ends in the same word wins
/// over others, because a key is more often put under the wrong section than mistyped beyond recognition.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names.into_iter().min_by_key(|name| distance(wrong, name))
}

fn distance(wrong: &str, name: &str) -> (usize, usize) {
    let whole = strsim::damerau_levenshtein(wrong, name);
    let last = strsim::damerau_levenshtein(last_word(wrong), last_word(name));
    (whole.min(last.saturating_mul(2)), whole)
}

fn last_word(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_wrong_sections_are_recognised() {
        let names = [
            "server.listen",
            "server.data_dir",
            "auth.token_lifetime",
            "log.level",
        ];
        for (wrong, right) in [
            ("server.listn", "server.listen"),
            ("server.level", "log.level"),
            ("listen", "server.listen"),
            ("server.datadir", "server.data_dir"),
            ("auth.token_liftime", "auth.token_lifetime"),
        ] {
            assert_eq!(nearest(wrong, names), Some(right), "{wrong}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
