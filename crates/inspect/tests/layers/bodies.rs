//! What must hold for any layer, one function per parser.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/layers.rs`.

use std::io::Read;

use inspect::{
    Limits,
    codec::{Decoder, exceeded},
    layer::{Analysers, NoSpool, inspect_layer},
    tar::{Entry, EntryKind, Reader, normalise},
};
use oci::{Algorithm, Digest};

const BLOCK: usize = 512;

/// Small enough to be exceeded.
fn limits() -> Limits {
    Limits {
        layer_bytes: 1 << 20,
        ratio: 50,
        entries: 64,
        path_bytes: 300,
        name_bytes: 2_048,
        names: 4_096,
        zstd_window: 1 << 20,
        file_memory: 4_096,
        findings: 16,
        ..Limits::default()
    }
}

/// Any blob: what is decoded is within the limits, is hashed, and is what another reader of gzip makes of it.
pub(crate) fn codec(data: &[u8]) {
    let limits = limits();
    let Ok(mut decoder) = Decoder::new(data, Some(Algorithm::Sha256), &limits) else {
        return;
    };
    let compression = decoder.compression();
    let mut bytes = Vec::new();
    let result = decoder.read_to_end(&mut bytes);
    assert!(bytes.len() as u64 <= limits.layer_bytes);
    assert!(decoder.compressed_bytes() <= data.len() as u64);
    let Err(error) = result else {
        let digests = decoder.finish().expect("it was read to its end");
        assert_eq!(digests.diff_id, Digest::of(Algorithm::Sha256, &bytes));
        assert_eq!(digests.blob, Some(Digest::of(Algorithm::Sha256, data)));
        if compression == findings::Compression::Gzip {
            let mut theirs = Vec::new();
            if flate2::read::MultiGzDecoder::new(data)
                .read_to_end(&mut theirs)
                .is_ok()
            {
                assert_eq!(bytes, theirs);
            }
        }
        return;
    };
    if let Some(exceeded) = exceeded(&error) {
        assert!(exceeded.limit.starts_with("layer."));
    }
    assert!(decoder.finish().is_none());
}

/// An archive, with its checksums made right where the first byte is odd: entries are within the limits and within the archive.
pub(crate) fn tar(data: &[u8]) {
    let archive = repaired(data);
    let limits = limits();
    let mut reader = Reader::new(archive.as_slice(), &limits);
    let (mut entries, mut content) = (0, 0);
    let mut buffer = [0; 777];
    while let Ok(Some(entry)) = reader.next_entry() {
        entries += 1;
        check_entry(&entry, &limits);
        let mut read = 0;
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            read += count as u64;
        }
        assert!(entry.kind == EntryKind::File || read == 0);
        assert!(read <= entry.size);
        content += read;
    }
    assert!(entries <= reader.entries() && reader.entries() <= limits.entries + 1);
    assert!(content <= archive.len() as u64 + limits.layer_bytes);
    assert!(reader.oddities().len() as u64 <= limits.findings);
    let _ = reader.finish();
}

fn check_entry(entry: &Entry, limits: &Limits) {
    assert!(entry.name.len() <= limits.path_bytes && entry.link.len() <= limits.path_bytes);
    assert!(entry.mode <= 0o7777);
    let path = normalise(&entry.name).path;
    let is_clean = |part: &str| !matches!(part, "" | "." | "..");
    assert!(path.is_empty() || path.split('/').all(is_clean), "{path:?}");
}

/// A layer: the report is within the limits, sorted, and complete if it says so.
pub(crate) fn layer(data: &[u8]) {
    let blob = repaired(data);
    let limits = limits();
    let mut analysers = Analysers {
        version: "generated",
        catalogers: inspect::packages::CATALOGERS,
        bytes: &mut [],
        hashes_files: true,
    };
    let expected = Digest::of(Algorithm::Sha256, &blob);
    let report = inspect_layer(blob.as_slice(), &expected, &mut NoSpool, &mut analysers, &limits);
    let again = inspect_layer(blob.as_slice(), &expected, &mut NoSpool, &mut analysers, &limits);
    assert_eq!(report, again);
    let of_layer = report.not_scannable.iter().filter(|note| note.path.is_none());
    assert!(report.diff_id.is_some() || of_layer.count() != 0);
    assert!(report.findings.len() as u64 <= limits.findings);
    assert!(report.oddities.len() as u64 <= 2 * limits.findings);
    assert!(report.whiteouts.is_sorted() && report.opaque.is_sorted());
    assert!(report.units.is_sorted_by_key(|found| &found.path));
    let listing = report
        .listing
        .entries(1 << 20)
        .expect("a listing that was just written");
    assert!(listing.windows(2).all(|pair| pair[0].path < pair[1].path));
    let json = serde_json::to_string(&report).expect("a report is JSON");
    assert_eq!(
        serde_json::from_str::<findings::LayerReport>(&json).expect("as written"),
        report
    );
}

/// A program or library in a layer: what it needs of others is read within the limits, or it is counted as one that was not read.
pub(crate) fn linkage(data: &[u8]) {
    let mut header = [0; BLOCK];
    header[..5].copy_from_slice(b"app/x");
    header[100..107].copy_from_slice(b"0000755");
    header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let end = vec![0; data.len().next_multiple_of(BLOCK) - data.len() + 2 * BLOCK];
    let blob = repaired_at(&[&header, data, &end].concat());
    let mut analysers = Analysers {
        version: "generated",
        catalogers: &[],
        bytes: &mut [],
        hashes_files: true,
    };
    let expected = Digest::of(Algorithm::Sha256, &blob);
    let report = inspect_layer(
        blob.as_slice(),
        &expected,
        &mut NoSpool,
        &mut analysers,
        &Limits::default(),
    );
    let Some(facts) = report.rebase else {
        return;
    };
    assert!(facts.linkages.len() as u64 + facts.more_linkages <= 1);
    for linkage in &facts.linkages {
        let names = linkage.needed.iter().chain(&linkage.offers);
        let wanted = linkage
            .wants
            .iter()
            .flat_map(|(library, version)| [library, version]);
        assert!(names.chain(wanted).all(|name| name.len() <= 3 * 4_096));
        assert!(
            linkage.needed.len() <= 4_097 && linkage.wants.len() <= 4_097 && linkage.offers.len() <= 4_097
        );
    }
}

/// The first block with the checksum that makes it a header.
fn repaired_at(archive: &[u8]) -> Vec<u8> {
    let mut bytes = repaired(&[&[1], &archive[..BLOCK]].concat());
    bytes.extend_from_slice(&archive[BLOCK..]);
    bytes
}

/// All but the first byte. Where that is odd, each block gets the checksum that makes it a header.
fn repaired(data: &[u8]) -> Vec<u8> {
    let Some((first, rest)) = data.split_first() else {
        return Vec::new();
    };
    let mut bytes = rest.to_vec();
    if first % 2 == 1 {
        for block in bytes
            .chunks_exact_mut(BLOCK)
            .filter(|block| block.iter().any(|byte| *byte != 0))
        {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    bytes
}
