//! How far a match reaches around a keyword of its rule.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition, literal::Extractor};

/// The most bytes that can lie between the start of a match and a keyword in it.
///
/// `None`: a match need not hold a keyword at all, or there is no bound below `limit`; the rule then applies to all of a file
/// that has the keyword anywhere.
pub(super) fn lead(hir: &Hir, keywords: &[String], limit: usize) -> Option<usize> {
    let hir = lower(hir);
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(&hir),
    };
    let mut before = 0_usize;
    for (index, part) in parts.iter().enumerate() {
        if let Some(offset) = keyword_in_prefix(&parts[index..], keywords) {
            return Some(before.saturating_add(offset)).filter(|lead| *lead <= limit);
        }
        before = before.saturating_add(part.properties().maximum_len()?);
    }
    None
}

/// The most bytes of a match, `limit` where there is no bound.
pub(super) fn reach(hir: &Hir, limit: usize) -> usize {
    hir.properties().maximum_len().map_or(limit, |len| len.min(limit))
}

/// Where every match of the parts has a keyword near its beginning: the largest offset of it.
fn keyword_in_prefix(parts: &[Hir], keywords: &[String]) -> Option<usize> {
    let prefixes = Extractor::new().extract(&Hir::concat(parts.to_vec()));
    let literals = prefixes.literals()?;
    let offsets = literals.iter().map(|literal| {
        let text = literal.as_bytes();
        keywords
            .iter()
            .filter_map(|keyword| find(text, keyword.as_bytes()))
            .min()
    });
    offsets.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn find(text: &[u8], keyword: &[u8]) -> Option<usize> {
    text.windows(keyword.len().max(1))
        .position(|window| window == keyword)
}

/// The same in lower case and without groups, so that `(?i:token)` is one literal and not 32.
fn lower(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => hir.clone(),
        HirKind::Literal(literal) => Hir::literal(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => Hir::class(Class::Bytes(lower_class(class))),
        HirKind::Class(Class::Unicode(class)) => match class.to_byte_class() {
            Some(class) => Hir::class(Class::Bytes(lower_class(&class))),
            None => hir.clone(),
        },
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(lower(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => lower(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(lower).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(lower).collect()),
    }
}

fn lower_class(class: &ClassBytes) -> ClassBytes {
    let bytes = class.iter().flat_map(|range| range.start()..=range.end());
    ClassBytes::new(bytes.map(|byte| {
        let byte = byte.to_ascii_lowercase();
        ClassBytesRange::new(byte, byte)
    }))
}

#[cfg(test)]
mod tests {
    use super::lead;
    use crate::secrets::syntax::parse;

    #[test]
    fn a_keyword_is_found_in_every_branch_or_not_at_all() {
        for (go, keywords, expected) in [
            (r"\b((?:AKIA|ASIA)[A-Z]{16})", &["akia", "asia"][..], Some(0)),
            (r"(?i)[\w.-]{0,50}?(?:adafruit)x", &["adafruit"], Some(50)),
            (r"(?i)x{0,5}(?:a|b)(key|secret)", &["key", "secret"], Some(6)),
            (r"\b\d{15}_fb", &["facebook"], None),
            (r"a*key", &["key"], None),
        ] {
            let keywords: Vec<_> = keywords.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(lead(&parse(go).unwrap(), &keywords, 1000), expected, "{go}");
        }
    }
}
