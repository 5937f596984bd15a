use std::io::{Cursor, Write as _};

use tempfile::NamedTempFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

fn write(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn read(bytes: &[u8], limits: &FeedLimits) -> Result<Vec<Entry>, ArchiveError> {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut archive = Archive::open(file.path(), limits)?;
    let mut entries = Vec::new();
    while let Some(entry) = archive.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn fails(bytes: &[u8]) -> ArchiveError {
    read(bytes, &FeedLimits::default()).unwrap_err()
}

#[test]
fn documents_come_in_their_order_and_nothing_else() {
    let files: [(&str, &[u8]); 4] = [
        ("B.json", b"{\"id\":\"B\"}"),
        ("README", b"not this"),
        ("../../etc/A.json", b"{}"),
        ("empty.json", b""),
    ];
    for method in [CompressionMethod::Deflated, CompressionMethod::Stored] {
        let entries = read(&write(&files, method), &FeedLimits::default()).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["B.json", "../../etc/A.json", "empty.json"]);
        assert_eq!(entries[0].bytes.as_deref(), Some(files[0].1));
    }
    assert!(
        read(&write(&[], CompressionMethod::Stored), &FeedLimits::default())
            .unwrap()
            .is_empty()
    );
}

/// More files than the fields of the old form can count.
#[test]
fn large_archives_are_read() {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..70_000 {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(format!("{number}.json"), options).unwrap();
        archive.write_all(b"{}").unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert_eq!(read(&bytes, &FeedLimits::default()).unwrap().len(), 70_000);
    let few = FeedLimits {
        archive_entries: 69_999,
        ..FeedLimits::default()
    };
    assert!(matches!(
        read(&bytes, &few),
        Err(ArchiveError::Entries { entries: 70_000, .. })
    ));
}

#[test]
fn bombs_end_at_the_limit() {
    let large = vec![b' '; OSV_DOCUMENT_BYTES + 1];
    let files: Vec<(String, &[u8])> = (0..10)
        .map(|number| (format!("{number}.json"), large.as_slice()))
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), *bytes))
        .collect();
    let bytes = write(&files, CompressionMethod::Deflated);
    // A document that is too large is one less.
    let entries = read(&bytes, &FeedLimits::default()).unwrap();
    assert!(entries.len() == 10 && entries.iter().all(|entry| entry.bytes.is_none()));
    let few = FeedLimits {
        archive_unpacked: 30 << 20,
        ..FeedLimits::default()
    };
    assert!(matches!(read(&bytes, &few), Err(ArchiveError::Unpacked { .. })));
}

#[test]
fn what_is_damaged_is_not_taken() {
    let text = b"{\"id\":\"A\",\"details\":\"words that are packed\"}";
    let good = write(&[("A.json", text), ("B.json", text)], CompressionMethod::Stored);
    for bytes in [
        &b""[..],
        b"PK",
        b"<html>Sign in</html>",
        &good[..good.len() / 2],
        &good[..good.len() - 1],
    ] {
        assert!(
            matches!(fails(bytes), ArchiveError::Damaged(_)),
            "{} bytes",
            bytes.len()
        );
    }
    let place = good.windows(5).position(|window| window == b"words").unwrap();
    let mut flipped = good.clone();
    flipped[place] ^= 1;
    assert!(matches!(
        fails(&flipped),
        ArchiveError::Damaged("a file is not what its checksum says")
    ));
    // Whatever byte is another: an error or other documents, and no panic.
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[at] ^= change;
            let _ = read(&changed, &FeedLimits::default());
        }
    }
}

/// An end that announces more than there is room for.
#[test]
fn announced_numbers_are_not_believed() {
    let mut bytes = write(&[("A.json", b"{}")], CompressionMethod::Stored);
    let end = bytes.len() - 22;
    bytes[end + 8..end + 12].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    assert!(matches!(
        fails(&bytes),
        ArchiveError::Damaged("the table of contents does not fit")
    ));
}
