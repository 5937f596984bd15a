use std::io::{Read, Write};

use flate2::{Compression as Level, write::GzEncoder};
use oci::{Algorithm, Digest};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[0x5e, 0x2a, 0x4d, 0x18][..], &length, bytes].concat()
}

fn decode(blob: &[u8], limits: &Limits) -> io::Result<(Compression, Vec<u8>, Digests)> {
    let mut decoder = Decoder::new(blob, Some(Algorithm::Sha256), limits)?;
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes)?;
    assert_eq!(decoder.uncompressed_bytes(), bytes.len() as u64);
    assert_eq!(decoder.compressed_bytes(), blob.len() as u64);
    let compression = decoder.compression();
    Ok((compression, bytes, decoder.finish().unwrap()))
}

fn limit_of<T>(result: io::Result<T>) -> &'static str {
    exceeded(&result.err().expect("a limit is reached"))
        .expect("the error is a limit")
        .limit
}

#[test]
fn each_form_is_known_by_its_bytes() {
    let text = b"some text, long enough to be some text".repeat(9_000);
    for (blob, compression) in [
        (text.clone(), Compression::None),
        (Vec::new(), Compression::None),
        (gzip(&text), Compression::Gzip),
        ([gzip(&text), gzip(b""), gzip(b"end")].concat(), Compression::Gzip),
        (zstd(&text), Compression::Zstd),
        (
            [
                skippable(b"contents"),
                zstd(&text),
                skippable(b""),
                zstd(b"end"),
                skippable(b"x"),
            ]
            .concat(),
            Compression::Zstd,
        ),
    ] {
        let (found, bytes, digests) = decode(&blob, &Limits::default()).unwrap();
        assert_eq!(found, compression);
        assert!(blob.is_empty() || bytes.starts_with(&text));
        assert_eq!(digests.diff_id, Digest::of(Algorithm::Sha256, &bytes));
        assert_eq!(digests.blob, Some(Digest::of(Algorithm::Sha256, &blob)));
    }
}

#[test]
fn what_is_cut_off_anywhere_is_an_error() {
    let text = b"words and more words".repeat(20);
    for blob in [
        [gzip(&text), gzip(b"two")].concat(),
        [skippable(b"abc"), zstd(&text), zstd(b"two")].concat(),
    ] {
        let whole = decode(&blob, &Limits::default()).unwrap().1;
        let mut complete = 0;
        for end in 8..blob.len() {
            match decode(&blob[..end], &Limits::default()) {
                // Only between two members or frames.
                Ok((_, bytes, _)) => {
                    assert!(whole.starts_with(&bytes));
                    complete += 1;
                }
                Err(error) => assert!(matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
                )),
            }
        }
        assert!(complete <= 2, "{complete}");
    }
}

#[test]
fn what_follows_a_member_must_be_one() {
    for tail in [
        &b"\0"[..],
        &[0; 512],
        b"garbage, more than ten bytes",
        &[0x1f, 0x8b, 0x08],
    ] {
        for blob in [gzip(b"text"), zstd(b"text")] {
            assert!(decode(&[&blob, tail].concat(), &Limits::default()).is_err());
        }
    }
}

#[test]
fn headers_of_gzip_are_read_as_go_does() {
    let body = &gzip(b"text")[10..];
    let header = |flags: u8, rest: &[u8]| {
        let mut blob = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
        blob.extend_from_slice(rest);
        blob
    };
    let summed = |mut blob: Vec<u8>| {
        let mut crc = flate2::Crc::new();
        crc.update(&blob);
        blob.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
        blob
    };
    let long = [&[b'n'; 511][..], b"\0"].concat();
    for accepted in [
        header(0, b""),
        header(4, b"\x03\0abc"),
        header(8, &long),
        header(8 | 16, b"name\0comment\0"),
        summed(header(2 | 4 | 8, b"\x01\0xname\0")),
        header(0x80, b""),
    ] {
        assert_eq!(
            decode(&[&accepted, body].concat(), &Limits::default()).unwrap().1,
            b"text"
        );
    }
    let endless = [&[b'n'; 512][..], b"\0"].concat();
    for refused in [header(8, &endless), header(2, b"\0\0"), header(4, b"\xff\xffabc")] {
        assert!(decode(&[&refused, body].concat(), &Limits::default()).is_err());
    }
}

#[test]
fn wrong_checksums_are_errors() {
    let mut blob = gzip(b"text");
    let crc = blob.len() - 8;
    blob[crc] ^= 1;
    assert!(decode(&blob, &Limits::default()).is_err());
}

#[test]
fn bombs_end_by_their_ratio() {
    let zeros = vec![0; 80 << 20];
    for blob in [gzip(&zeros), zstd(&zeros)] {
        assert_eq!(limit_of(decode(&blob, &Limits::default())), "layer.ratio");
        let patient = Limits {
            ratio: u64::MAX,
            ..Limits::default()
        };
        assert!(decode(&blob, &patient).is_ok());
    }
    assert!(
        decode(&zeros, &Limits::default()).is_ok(),
        "nothing was compressed"
    );
}

#[test]
fn layers_end_by_their_bytes() {
    let limits = Limits {
        layer_bytes: 1_000,
        ..Limits::default()
    };
    let text = [b'x'; 1_001];
    for blob in [text.to_vec(), gzip(&text), zstd(&text)] {
        assert_eq!(limit_of(decode(&blob, &limits)), "layer.bytes");
    }
    assert!(decode(&gzip(&text[1..]), &limits).is_ok());
}

#[test]
fn a_large_window_is_refused_by_its_name() {
    // A frame header that announces a window of 2 GiB (RFC 8878, 3.1.1.1.2), and an empty last block.
    let blob = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    assert_eq!(limit_of(decode(&blob, &Limits::default())), "layer.zstd_window");
    let greedy = Limits {
        zstd_window: u64::MAX,
        ..Limits::default()
    };
    assert_eq!(limit_of(decode(&blob, &greedy)), "layer.zstd_window");
}

#[test]
fn a_failed_decoder_stays_failed() {
    let blob = gzip(b"text");
    let mut decoder = Decoder::new(&blob[..12], None, &Limits::default()).unwrap();
    assert!(decoder.read_to_end(&mut Vec::new()).is_err());
    assert!(decoder.read(&mut [0; 8]).is_err());
    assert_eq!(decoder.finish(), None);
}

#[test]
fn many_empty_members_take_no_time() {
    let member = gzip(b"");
    let blob = member.repeat(100_000);
    assert_eq!(decode(&blob, &Limits::default()).unwrap().1, b"");
}
