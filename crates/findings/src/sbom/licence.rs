//! Which texts about licences are what SPDX calls so (SPDX 2.3, annex D).

use std::{collections::HashSet, sync::OnceLock};

/// Parentheses inside parentheses. Nobody licenses so.
const DEPTH: usize = 32;

fn lines(text: &'static str) -> HashSet<&'static str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

/// Whether a text is an id of SPDX's list, in its spelling.
pub(super) fn is_id(text: &str) -> bool {
    static IDS: OnceLock<HashSet<&str>> = OnceLock::new();
    IDS.get_or_init(|| lines(include_str!("../../data/spdx-licences.txt")))
        .contains(text)
}

fn is_exception(text: &str) -> bool {
    static IDS: OnceLock<HashSet<&str>> = OnceLock::new();
    IDS.get_or_init(|| lines(include_str!("../../data/spdx-exceptions.txt")))
        .contains(text)
}

/// What may come next in an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Licence,
    Operator,
    /// After a licence itself, not after parentheses.
    OperatorOrWith,
    Exception,
}

/// Whether a text is an expression of ids of SPDX's list, in their spelling: what needs no explanation elsewhere.
pub(super) fn is_expression(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut next = Next::Licence;
    for token in tokens(text) {
        next = match (next, token) {
            (Next::Licence, "(") if depth < DEPTH => {
                depth += 1;
                Next::Licence
            }
            (Next::Operator | Next::OperatorOrWith, ")") if depth > 0 => {
                depth -= 1;
                Next::Operator
            }
            (Next::Operator | Next::OperatorOrWith, "AND" | "OR") => Next::Licence,
            (Next::OperatorOrWith, "WITH") => Next::Exception,
            (Next::Licence, id) if is_id(id.strip_suffix('+').unwrap_or(id)) => Next::OperatorOrWith,
            (Next::Exception, id) if is_exception(id) => Next::Operator,
            _ => return false,
        };
    }
    depth == 0 && matches!(next, Next::Operator | Next::OperatorOrWith)
}

/// Words and parentheses. Spaces are spaces: other white space is a text of somebody's own.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').flat_map(|word| {
        word.split_inclusive(['(', ')'])
            .flat_map(|part| match part.strip_suffix(['(', ')']) {
                Some(before) => [before, &part[before.len()..]],
                None => [part, ""],
            })
            .filter(|token| !token.is_empty())
    })
}

/// Whether parentheses are needed where an expression becomes a part of another.
pub(super) fn is_compound(expression: &str) -> bool {
    expression.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for text in [
            "MIT",
            "Apache-2.0 OR MIT",
            "GPL-2.0-or-later WITH Classpath-exception-2.0",
            "(MIT AND (BSD-3-Clause OR Zlib)) OR GPL-2.0+",
        ] {
            assert!(is_expression(text), "{text}");
        }
        for text in [
            "",
            "mit",
            "MIT OR",
            "MIT BSD-3-Clause",
            "(MIT",
            "MIT)",
            "()",
            "GPL-2+",
            "MIT WITH MIT",
            "(MIT) WITH Classpath-exception-2.0",
            "Classpath-exception-2.0",
            "MIT\u{1b} OR MIT",
        ] {
            assert!(!is_expression(text), "{text}");
        }
        let deep = "(".repeat(DEPTH) + "MIT" + &")".repeat(DEPTH);
        assert!(is_expression(&deep));
        assert!(!is_expression(&format!("({deep})")));
    }
}
