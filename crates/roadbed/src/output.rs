//! What the commands print: tables for people, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use store::Timestamp;

use crate::cli::Format;

/// Prints one line to standard output.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{}", text.as_ref())?;
    Ok(())
}

/// Prints text as it is to standard output.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Tells the person at the terminal something that is no result.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody reads it: nothing is lost.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Prints a value as JSON, or what `table` makes of it.
pub(crate) fn show<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    match format {
        Format::Json => line(serde_json::to_string_pretty(value)?),
        Format::Table => text(&table(value)),
    }
}

/// Says that something was done; a program that reads JSON gets nothing.
pub(crate) fn done(format: Format, message: impl AsRef<str>) -> anyhow::Result<()> {
    match format {
        Format::Json => Ok(()),
        Format::Table => line(message),
    }
}

/// Ends a command that failed: the error with its causes, one line. Whoever closed our output early (`| head`) knows.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let is_closed_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if !error.chain().any(is_closed_pipe) {
        // Causes quote what strangers wrote; only lists of problems have lines.
        let text = format!("{error:#}");
        let lines: Vec<String> = text.split('\n').map(printable).collect();
        note(format!("error: {}", lines.join("\n")));
    }
    ExitCode::FAILURE
}

/// Lines of columns that stand below each other. The last column is not padded.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| printable(&cell)))
        .collect();
    let mut widths = head.map(|title| title.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    push_row(&mut out, &head.map(str::to_owned), &widths);
    for row in &rows {
        push_row(&mut out, row, &widths);
    }
    out
}

fn push_row(out: &mut String, row: &[String], widths: &[usize]) {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
    }
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Names and values below each other.
pub(crate) fn properties(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines(
        pairs
            .iter()
            .map(|(name, value)| format!("{name:width$}  {}", printable(value))),
    )
}

/// One item per line.
pub(crate) fn lines<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for item in items {
        let _ = writeln!(text, "{item}");
    }
    text
}

/// What strangers wrote must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// `yes` or `no`.
pub(crate) fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// A moment in whole seconds: those of several lines stand below each other. JSON has all digits.
pub(crate) fn moment(moment: Timestamp) -> String {
    Timestamp(moment.seconds().saturating_mul(1_000_000)).to_rfc3339()
}

/// A number with its noun: `1 manifest`, `2 manifests`, `2 repositories`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

/// Bytes with a unit that keeps them short: `15 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut rest = bytes;
    while rest >= 10 * 1024 && unit + 1 < UNITS.len() {
        rest /= 1024;
        unit += 1;
    }
    format!("{rest} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            ["ann".to_owned(), "yes".to_owned()],
            ["günther".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["name", "admin"], rows),
            "name     admin\nann      yes\ngünther\n"
        );
        assert_eq!(
            properties(&[("a", "1".into()), ("long", "2".into())]),
            "a     1\nlong  2\n"
        );
    }

    #[test]
    fn strangers_do_not_steer_the_terminal() {
        let shown = table(["cause"], [["\u{1b}[2Jgone\r\n".to_owned()]]);
        assert_eq!(shown, "cause\n\\u{1b}[2Jgone\\r\\n\n");
    }

    #[test]
    fn moments_have_no_ragged_end_and_nouns_their_number() {
        for micros in [1_795_336_380_000_000, 1_795_336_380_123_456] {
            assert_eq!(moment(Timestamp(micros)), "2026-11-22T08:33:00Z");
        }
        let counted = [0, 1, 2].map(|number| count(number, "blob"));
        assert_eq!(counted, ["0 blobs", "1 blob", "2 blobs"]);
    }

    #[test]
    fn sizes_are_short() {
        for (size, text) in [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10 KiB"),
            (20 << 20, "20 MiB"),
            (1 << 60, "1048576 TiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }
}
