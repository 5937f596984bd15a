//! Names that are nearly others: whoever mistypes a public image gets what somebody has put there for it.

use oci::RepoName;

/// Names below this many bytes are not compared: too many short ones are near each other.
const SHORTEST: usize = 5;

/// From this many bytes on, two differences are still near.
const LONG: usize = 10;

/// The first of `known` that `name` is nearly called like. Names that differ in digits only are versions of one thing.
pub fn lookalike<'k>(name: &str, known: impl IntoIterator<Item = &'k RepoName>) -> Option<&'k RepoName> {
    lookalikes(name, known).next()
}

/// All of them.
pub(crate) fn lookalikes<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k RepoName>,
) -> impl Iterator<Item = &'k RepoName> {
    let name = short(name).to_owned();
    let most = if name.len() < LONG { 1 } else { 2 };
    known.into_iter().filter(move |other| {
        let other = short(other.as_str());
        name.len() >= SHORTEST
            && name != other
            && !is_version(&name, other)
            && is_within(name.as_bytes(), other.as_bytes(), most)
    })
}

fn short(name: &str) -> &str {
    name.strip_prefix("library/").unwrap_or(name)
}

fn is_version(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    letters(a) == letters(b)
}

/// Whether one becomes the other by at most `most` insertions, deletions, replacements and swaps of neighbours.
fn is_within(a: &[u8], b: &[u8], most: usize) -> bool {
    if a.len().abs_diff(b.len()) > most {
        return false;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != y);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            let is_swap = i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y;
            if is_swap {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()] <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(name: &str, known: &[&str]) -> Option<String> {
        let known: Vec<RepoName> = known.iter().map(|name| name.parse().unwrap()).collect();
        lookalike(name, &known).map(ToString::to_string)
    }

    #[test]
    fn what_is_nearly_called_so_is_found() {
        for (name, known) in [
            ("library/apline", "library/alpine"),
            ("library/alpne", "library/alpine"),
            ("library/pyhton", "library/python"),
            ("library/pythonn", "library/python"),
            ("grafanna/lokii", "grafana/loki"),
            ("alpine", "library/alpina"),
        ] {
            assert_eq!(
                like(name, &["library/postgres", known]).as_deref(),
                Some(known),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_called_otherwise_is_not() {
        for (name, known) in [
            ("library/alpine", "library/alpine"),
            ("library/python", "library/pylons"),
            ("team/app1", "team/app2"),
            ("library/python3", "library/python"),
            ("nats", "nuts"),
            ("library/redis", "library/nginx"),
        ] {
            assert_eq!(like(name, &[known]), None, "{name}");
        }
    }
}
