//! When a release of an operating system ends.
//!
//! The table has the ends that the projects published for everybody, long-term support that is free included, paid extensions
//! left out. A release that it does not name has no known end, which is not the same as none.

use time::{Date, macros::format_description};

use crate::OsRelease;

const TABLE: &str = include_str!("../data/end-of-life.csv");

/// The last day of support of a release.
pub fn end_of_life(os: &OsRelease) -> Option<Date> {
    let rows = TABLE.lines().skip(1).filter_map(row);
    rows.filter(|(id, release, _)| *id == os.id && is_of(&os.version, release))
        .max_by_key(|(_, release, _)| release.len())
        .map(|(_, _, end)| end)
}

fn row(line: &str) -> Option<(&str, &str, Date)> {
    let mut fields = line.split(',');
    let (id, release, end) = (fields.next()?, fields.next()?, fields.next()?);
    let end = Date::parse(end, format_description!("[year]-[month]-[day]")).ok()?;
    Some((id, release, end))
}

/// `3.18.4` is of release `3.18`, `12` of `12`, `9.3` of `9`.
fn is_of(version: &str, release: &str) -> bool {
    version
        .strip_prefix(release)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn os(id: &str, version: &str) -> OsRelease {
        OsRelease {
            id: id.to_owned(),
            version: version.to_owned(),
            ..OsRelease::default()
        }
    }

    #[test]
    fn every_row_is_read() {
        assert_eq!(
            TABLE.lines().skip(1).filter_map(row).count(),
            TABLE.lines().count() - 1
        );
    }

    #[test]
    fn point_releases_are_of_their_release() {
        assert_eq!(end_of_life(&os("alpine", "3.18.4")), Some(date!(2025 - 05 - 09)));
        assert_eq!(end_of_life(&os("alpine", "3.1.4")), None);
        assert_eq!(end_of_life(&os("debian", "12")), Some(date!(2028 - 06 - 30)));
        assert_eq!(end_of_life(&os("rhel", "9.3")), Some(date!(2032 - 05 - 31)));
        assert_eq!(end_of_life(&os("wolfi", "20230201")), None);
    }
}
