//! Tables of pairs that other projects test their own comparators with.

use std::{fs, path::Path};

use super::*;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/versions");

/// Rows that are wrong: ecosystem, versions, why.
const EXCEPTIONS: &[(Ecosystem, &str, &str, &str)] = &[
    (Ecosystem::Debian, "1.2.3_pre1", "1.2.3", NO_DEBIAN_VERSION),
    (Ecosystem::Debian, "1.2.3-r0", "1.2.3_pre1-r0", NO_DEBIAN_VERSION),
    (Ecosystem::Rpm, "1:0", "1", EPOCH_IS_ZERO),
    (
        Ecosystem::Rpm,
        "2:4.19.01-1.el7_5",
        "4.19.1-1.el7_5",
        EPOCH_IS_ZERO,
    ),
    (
        Ecosystem::Rpm,
        "4.19.01-1.el7_5",
        "2:4.19.1-1.el7_5",
        EPOCH_IS_ZERO,
    ),
    (Ecosystem::Rpm, "4.19.0-1.el7_5", "12:4.19.0-1.el7", EPOCH_IS_ZERO),
    (Ecosystem::Rpm, "3:4.19.0-1.el7_5", "4.21.0-1.el7", EPOCH_IS_ZERO),
];
const NO_DEBIAN_VERSION: &str =
    "versions of Alpine: `dpkg --compare-versions` warns about `_` and says the opposite";
const EPOCH_IS_ZERO: &str = "the row's project leaves out an epoch that only one side has; to rpm a missing one is 0, as the \
    table's own row `1:2 > 1` has it, and both together are no order";

struct Row<'a> {
    ecosystem: Ecosystem,
    left: &'a str,
    right: &'a str,
    expected: Ordering,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Self {
        let fields: Vec<_> = line.splitn(5, ',').collect();
        let &[ecosystem, left, right, relation, _source] = fields.as_slice() else {
            panic!("`{line}` has too few columns");
        };
        let expected = match relation {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            _ => panic!("`{line}` has an unknown relation"),
        };
        Self {
            ecosystem: ecosystem.parse().unwrap(),
            left,
            right,
            expected,
        }
    }

    fn is_exception(&self) -> bool {
        EXCEPTIONS.iter().any(|(ecosystem, left, right, _)| {
            (*ecosystem, *left, *right) == (self.ecosystem, self.left, self.right)
        })
    }

    fn holds(&self) -> bool {
        compare(self.ecosystem, self.left, self.right) == Ok(self.expected)
            && compare(self.ecosystem, self.right, self.left) == Ok(self.expected.reverse())
    }
}

fn wrong_rows(table: &str) -> (usize, Vec<String>) {
    let rows: Vec<_> = table.lines().skip(1).map(Row::parse).collect();
    let wrong = rows.iter().filter(|row| row.holds() == row.is_exception());
    let described = wrong.map(|row| {
        let Row {
            ecosystem,
            left,
            right,
            expected,
        } = row;
        let answer = compare(*ecosystem, left, right);
        format!("{ecosystem} {left} {right}: {answer:?}, not {expected:?}")
    });
    (rows.len(), described.collect())
}

#[test]
fn every_row_holds_in_both_directions() {
    if !Path::new(DIRECTORY).exists() {
        crate::advisory::test_data::impossible("versions of the shared data are not there");
        return;
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(DIRECTORY).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let (rows, wrong_here) = wrong_rows(&fs::read_to_string(path).unwrap());
            count += rows;
            wrong.extend(wrong_here);
        }
    }
    assert!(count > 0);
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
