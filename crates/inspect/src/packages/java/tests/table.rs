//! The table of releases is whole.

use std::collections::BTreeSet;

use crate::packages::java::log4j::{knows_version, predates_lookup};

#[test]
fn every_row_has_every_mark() {
    let table = include_str!("../log4j_core.txt");
    let count = |kind: &str| table.lines().filter(|line| line.starts_with(kind)).count();
    let (checksums, telling) = (count("crc "), count("has "));
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .map(|line| line.split(' ').collect())
        .collect();
    let versions: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(versions.len(), rows.len());
    for row in &rows {
        assert_eq!(row.len(), checksums + 2, "{row:?}");
        assert_eq!(row[checksums + 1].len(), telling, "{row:?}");
        assert_eq!(row[1] == "-", predates_lookup(row[0]), "{row:?}");
        assert!(knows_version(row[0]));
    }
    assert!(rows.len() > 70);
}
