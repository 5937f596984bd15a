//! Layers that clients can unpack: tar, and gzip around it.

use bytes::Bytes;

/// Most bytes of a stored block (RFC 1951, 3.2.4).
const STORED_BLOCK_BYTES: usize = 65_535;

/// A tar archive of one file per pair of path and bytes.
pub(super) fn tar(files: &[(String, Bytes)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive
            .append_data(&mut header, path, bytes.as_ref())
            .expect("writing to memory does not fail");
    }
    archive.into_inner().expect("writing to memory does not fail")
}

/// A gzip file (RFC 1952) of these bytes, not compressed: what is tested is not how well we compress.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = bytes.chunks(STORED_BLOCK_BYTES).collect();
    for (number, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).expect("blocks are cut to fit");
        file.push(u8::from(number + 1 == blocks.len()));
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&(!length).to_le_bytes());
        file.extend_from_slice(block);
    }
    file.extend_from_slice(&crc32(bytes).to_le_bytes());
    file.extend_from_slice(
        &u32::try_from(bytes.len())
            .expect("layers of tests are small")
            .to_le_bytes(),
    );
    file
}

/// CRC-32 as gzip wants it (RFC 1952, 8).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn the_checksum_is_gzips() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}
