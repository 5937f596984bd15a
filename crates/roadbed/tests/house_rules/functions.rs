//! How long a function may get. `cargo fmt --check` guarantees the layout that this reads: a function ends at the first
//! closing brace in the column of its first line.

use super::checkout::{assert_none, rust_files};

/// Lines from the signature to the closing brace.
const MAX_FUNCTION_LINES: usize = 70;

/// Name, first line and number of lines of every function.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let end = lines[start..]
            .iter()
            .position(|line| is_last(line, indent, &closing));
        if let Some(length) = end {
            found.push((name, start + 1, length + 1));
        }
    }
    found
}

/// A declaration in a trait ends with a semicolon, a body with its brace; both in the column of the first line, unless
/// all is on one line.
fn is_last(line: &str, indent: &str, closing: &str) -> bool {
    let at_column = line
        .strip_prefix(indent)
        .is_some_and(|rest| !rest.starts_with(' '));
    at_column
        && (line.trim_end() == closing || line.ends_with(';') || line.ends_with(" }") || line.ends_with("{}"))
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let qualifiers = ["async", "const", "default", "extern", "\"C\"", "unsafe", "pub"];
    let mut word = words.next()?;
    while qualifiers.contains(&word) || word.starts_with("pub(") || word.ends_with(')') {
        word = words.next()?;
    }
    let name = (word == "fn").then(|| words.next())??;
    Some(name.split(['(', '<']).next().unwrap_or(name).to_owned())
}

#[test]
fn no_function_is_too_long() {
    let mut violations = Vec::new();
    let mut count = 0;
    for file in rust_files() {
        for (name, line, length) in functions(&file.text) {
            count += 1;
            if length > MAX_FUNCTION_LINES {
                violations.push(format!("{}:{line}: {name} has {length} lines", file.path));
            }
        }
    }
    assert!(
        count > 300,
        "only {count} functions were found: this check does not see them any more"
    );
    assert_none(
        &format!("a function is longer than {MAX_FUNCTION_LINES} lines: take it apart"),
        &violations,
    );
}

#[test]
fn functions_are_measured_rightly() {
    let text = "\
pub(in crate::a) async fn first<T>(
    a: T,
) -> T {
    inner(|| {
        1
    });
    fn nested() {}
}
trait A {
    fn declared(&self);
    const unsafe fn second() -> u8 {
        2
    }
}
";
    let wanted = [
        ("first", 1, 8),
        ("nested", 7, 1),
        ("declared", 10, 1),
        ("second", 11, 3),
    ];
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|(name, line, length)| (name.to_owned(), line, length))
        .collect();
    assert_eq!(functions(text), wanted);
}
