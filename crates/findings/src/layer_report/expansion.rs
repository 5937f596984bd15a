//! How much memory a report may take once it is read, known from its JSON before it is read.
//!
//! Who writes a report may have been taken over by what it read: `"",` are three bytes and a text of two dozen, and a list of them
//! is of a thousand million. So a text is weighed in one pass that keeps nothing, before anything is made of it.

use super::{ByteFinding, FoundUnit, NotScannable, Oddity};
use crate::{ChartFacts, ChartImage, ChartUnknown, ImageConfig, KeptFile, Linkage, Package};

/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 32;

/// A list that grows has room for twice as much as it holds.
const GROWTH: usize = 2;

/// Bytes for an object: the largest that is an element of a list.
const OBJECT: u64 = (GROWTH
    * largest([
        size_of::<FoundUnit>(),
        size_of::<Package>(),
        size_of::<ByteFinding>(),
        size_of::<NotScannable>(),
        size_of::<Oddity>(),
        size_of::<Linkage>(),
        size_of::<KeptFile>(),
        // In a box of its own.
        size_of::<ImageConfig>(),
        size_of::<ChartFacts>(),
        size_of::<ChartImage>(),
        size_of::<ChartUnknown>(),
    ])) as u64;

/// Bytes for an element of a list that is none, or the list itself: a pair of texts at most.
const ELEMENT: u64 = (GROWTH * size_of::<(String, String)>() + ALLOCATION) as u64;

/// Bytes for a member of an object: its place is the object's, its text is an allocation.
const MEMBER: u64 = ALLOCATION as u64;

const fn largest<const COUNT: usize>(sizes: [usize; COUNT]) -> usize {
    let (mut most, mut place) = (0, 0);
    while place < COUNT {
        if sizes[place] > most {
            most = sizes[place];
        }
        place += 1;
    }
    most
}

/// Bytes of memory that a JSON text takes at most when it is read as a report, the text itself not counted.
///
/// The text need not be JSON: reading it will say so.
pub fn memory_of_json(json: &[u8]) -> u64 {
    let mut bytes = json.len() as u64;
    // Whether what is open is a list, the innermost in the lowest bit. Readers of JSON go no deeper than this.
    let mut lists: u128 = 0;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_text(&mut rest),
            b'{' => {
                lists <<= 1;
                bytes += OBJECT;
            }
            b'[' => {
                lists = (lists << 1) | 1;
                bytes += ELEMENT;
            }
            b'}' | b']' => lists >>= 1,
            b',' if lists & 1 == 1 => bytes += ELEMENT,
            b',' => bytes += MEMBER,
            _ => {}
        }
    }
    bytes
}

fn skip_text(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                rest.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_short_weigh_what_they_take() {
        let many = format!("[{}\"\"]", "\"\",".repeat(99_999));
        let read: Vec<String> = serde_json::from_str(&many).unwrap();
        let taken = (read.capacity() * size_of::<String>()) as u64;
        assert!(memory_of_json(many.as_bytes()) > taken, "{taken}");
        // What looks like structure inside of a text is none.
        let one = format!(r#"["{}\",[{{,"]"#, ",[{".repeat(1_000));
        assert!(memory_of_json(one.as_bytes()) < 2 * one.len() as u64);
    }

    #[test]
    fn objects_weigh_what_the_largest_takes() {
        let one = serde_json::to_string(&Package::new(crate::PackageKind::Npm, "", "")).unwrap();
        let many = format!("[{}{one}]", format!("{one},").repeat(9_999));
        let read: Vec<Package> = serde_json::from_str(&many).unwrap();
        let taken = (read.capacity() * size_of::<Package>()) as u64;
        assert!(memory_of_json(many.as_bytes()) > taken, "{taken}");
    }

    #[test]
    fn half_a_million_packages_have_room() {
        let mut package = Package::new(crate::PackageKind::Npm, "some-package", "1.2.3");
        package.licences = vec!["MIT".to_owned()];
        let one = serde_json::to_string(&package).unwrap();
        let each = memory_of_json(format!("{one},").as_bytes());
        assert!(each * 500_000 < 1 << 30, "{each}");
    }
}
