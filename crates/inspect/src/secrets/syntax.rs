//! Go's expressions, read by an engine that is a little stricter.
//!
//! Go takes `{` for itself where no repetition can stand, knows no operators between classes, has `\Q…\E`, and its `\w`,
//! `\d`, `\s` and `\b` are ASCII (<https://pkg.go.dev/regexp/syntax>).

use regex_syntax::{ParserBuilder, hir::Hir};

/// Brackets within brackets. Parsing and all that walks over the result recurse that deep.
const NEST_LIMIT: u32 = 100;

/// Parses an expression of Go.
///
/// Bytes are matched, not characters; only where an expression cannot be read so is it read with Unicode.
pub(super) fn parse(go: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    let text = from_go(go);
    let parser = |unicode| {
        ParserBuilder::new()
            .nest_limit(NEST_LIMIT)
            .unicode(unicode)
            .utf8(false)
            .build()
            .parse(&text)
            .map_err(Box::new)
    };
    parser(false).or_else(|error| parser(true).map_err(|_| error))
}

/// Rewrites what Go reads in another way.
fn from_go(go: &str) -> String {
    let mut rest = go;
    let mut text = String::with_capacity(go.len() + 16);
    let mut in_class = false;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '\\' => taken = escape(rest, &mut text),
            '[' if in_class => taken = bracket_in_class(rest, &mut text),
            '[' => {
                in_class = true;
                taken = class_start(rest, &mut text);
            }
            ']' if in_class => {
                in_class = false;
                text.push(']');
            }
            '&' | '~' if in_class => text.extend(['\\', first]),
            '-' if in_class && rest.starts_with("--") => text.push_str(r"\-"),
            '{' if !in_class && !is_repetition(rest) => text.push_str(r"\{"),
            other => text.push(other),
        }
        rest = &rest[taken..];
    }
    text
}

/// Copies an escape; gives how many bytes it had.
fn escape(rest: &str, text: &mut String) -> usize {
    if let Some(quoted) = rest.strip_prefix(r"\Q") {
        let end = quoted.find(r"\E").unwrap_or(quoted.len());
        text.push_str(&regex_syntax::escape(&quoted[..end]));
        return (2 + end + 2).min(rest.len());
    }
    let Some(second) = rest[1..].chars().next() else {
        text.push('\\');
        return 1;
    };
    // Here they are the edges of words, in Go they are themselves.
    if !matches!(second, '<' | '>') {
        text.push('\\');
    }
    text.push(second);
    1 + second.len_utf8()
}

/// `[:alpha:]` stays, any other bracket is itself.
fn bracket_in_class(rest: &str, text: &mut String) -> usize {
    match rest.find(":]") {
        Some(end) if rest.starts_with("[:") => {
            text.push_str(&rest[..end + 2]);
            end + 2
        }
        _ => {
            text.push_str(r"\[");
            1
        }
    }
}

/// A bracket that closes is itself where it is the first of a class.
fn class_start(rest: &str, text: &mut String) -> usize {
    for (start, written) in [("[^]", r"[^\]"), ("[]", r"[\]"), ("[^", "[^")] {
        if rest.starts_with(start) {
            text.push_str(written);
            return start.len();
        }
    }
    text.push('[');
    1
}

/// `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inner, _)) = rest[1..].split_once('}') else {
        return false;
    };
    let (least, most) = inner.split_once(',').unwrap_or((inner, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::{from_go, parse};

    #[test]
    fn what_go_reads_in_another_way_is_rewritten() {
        for (go, ours) in [
            (r"^\$(?:\d+|{\d+})$", r"^\$(?:\d+|\{\d+})$"),
            (r"a{2}b{2,}c{2,3}d{,3}", r"a{2}b{2,}c{2,3}d\{,3}"),
            (r"[[a]&&[:alpha:]~]", r"[\[a]&&[:alpha:]~]"),
            (r"[a&&b[[:alpha:]~]", r"[a\&\&b\[[:alpha:]\~]"),
            (r"[]a][^]b]", r"[\]a][^\]b]"),
            (r"\<\>\Qa.b\Ec", r"<>a\.bc"),
            (r"[\w--]", r"[\w\--]"),
        ] {
            assert_eq!(from_go(go), ours);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(parse(&deep).is_err());
    }
}
