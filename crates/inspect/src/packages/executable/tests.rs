use proptest::prelude::*;

use super::build::{DATA_ADDRESS, DATA_OFFSET, FORMATS, executable};
use super::{Executable, MAX_PARTS, is_executable};
use crate::packages::harness::mutate;
use crate::packages::random_access::RandomAccess;
use crate::{Content, FileError};

fn read(bytes: &[u8]) -> Result<Executable, FileError> {
    let mut content = Content::of(bytes);
    Executable::read(&mut RandomAccess::new(&mut content)?)
}

#[test]
fn sections_and_addresses_of_each_format() {
    for format in FORMATS {
        let bytes = executable(format, ".name", b"data");
        assert!(is_executable(&bytes));
        let found = read(&bytes).unwrap();
        let section = found
            .section(&["other", ".name"])
            .unwrap_or_else(|| panic!("{format:?}"));
        assert_eq!(
            (section.offset, section.size),
            (DATA_OFFSET as u64, 4),
            "{format:?}"
        );
        assert_eq!(
            found.offset_of(DATA_ADDRESS + 3),
            Some(DATA_OFFSET as u64 + 3),
            "{format:?}"
        );
        assert_eq!(found.offset_of(DATA_ADDRESS + 4), None, "{format:?}");
        assert_eq!(found.offset_of(1), None, "{format:?}");
        assert!(found.segments[0].is_data, "{format:?}");
        assert!(found.section(&[".nam"]).is_none());
    }
}

#[test]
fn this_test_is_an_executable() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(read(&bytes).unwrap().section(&[".text", "__text"]).is_some());
}

#[test]
fn announced_counts_are_not_believed() {
    let mut bytes = executable(FORMATS[0], ".name", b"data");
    for at in [56, 60] {
        bytes[at..at + 2].fill(0xff);
    }
    let found = read(&bytes).unwrap();
    assert!(found.sections.len() < 30 && found.segments.len() < 30);
    let mut bytes = executable(FORMATS[6], ".name", b"data");
    bytes[16..24].fill(0xff);
    assert!(read(&bytes).unwrap().sections.len() < MAX_PARTS);
}

#[test]
fn a_cut_file_ends() {
    for format in FORMATS {
        let bytes = executable(format, ".name", b"data");
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
    }
}

proptest! {
    #[test]
    fn damaged_ones_end(seed: u64) {
        for format in FORMATS {
            let mut bytes = executable(format, ".name", b"data");
            let tail = bytes.split_off(600);
            let mut bytes = mutate(&bytes, seed);
            bytes.extend(tail);
            if let Ok(found) = read(&bytes) {
                let _ = found.offset_of(seed);
            }
        }
    }

    #[test]
    fn any_bytes_end(magic in 0..9_usize, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut whole = executable(FORMATS[magic], ".name", b"");
        whole.truncate(6);
        whole.extend(bytes);
        let _ = read(&whole);
    }
}
