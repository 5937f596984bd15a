//! What people read.

use super::*;

fn table(width: usize, has_colour: bool) -> String {
    let options = OutputOptions {
        width,
        has_colour,
        ..OutputOptions::default()
    };
    sample::scanned().to_form(OutputForm::Table, &options)
}

#[test]
fn the_table() {
    let expected = include_str!("table.txt");
    assert_eq!(table(100, false), expected, "\n{}", table(100, false));
}

#[test]
fn no_line_is_wider_than_asked() {
    for width in [0, 40, 57, 80, 200] {
        let widest = table(width, false)
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap();
        assert!(widest <= width.max(40), "{widest} > {width}");
    }
    let hostile = sample::hostile(&"wide".repeat(400)).to_form(OutputForm::Table, &OutputOptions::default());
    assert!(hostile.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn colours_are_all_that_colours_change() {
    let coloured = table(80, true);
    assert!(coloured.contains("\u{1b}[31mcritical\u{1b}[0m"));
    let mut plain = coloured.clone();
    for code in ["0", "1", "2", "31", "33", "34"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, table(80, false));
}
