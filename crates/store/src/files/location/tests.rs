use oci::{Algorithm, Digest};
use uuid::Uuid;

use super::Location;

const HEX: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const NONCE: &str = "0198c7a2b3c47def8123456789abcdef";

#[test]
fn what_is_printed_is_read_again() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let location = Location::new(Digest::of(algorithm, b"hello"), Uuid::try_parse(NONCE).unwrap());
        let text = location.to_string();
        assert_eq!(text.parse(), Ok(location));
        assert_eq!(location.path().to_str(), Some(text.as_str()));
    }
    let location: Location = format!("blobs/sha256/2c/{HEX}.{NONCE}").parse().unwrap();
    assert_eq!(location.digest(), Digest::of(Algorithm::Sha256, b"hello"));
    assert_eq!(location.upload(), Uuid::try_parse(NONCE).unwrap());
}

#[test]
fn what_names_another_place_is_refused() {
    let upper = HEX.to_uppercase();
    let hyphens = Uuid::try_parse(NONCE).unwrap().hyphenated().to_string();
    let hostile = [
        String::new(),
        "/".to_owned(),
        "..".to_owned(),
        "blobs".to_owned(),
        format!("/blobs/sha256/2c/{HEX}.{NONCE}"),
        format!("blobs/sha256/2c/{HEX}.{NONCE}/"),
        format!("blobs/sha256/2c/{HEX}.{NONCE}/.."),
        format!("blobs//sha256/2c/{HEX}.{NONCE}"),
        format!("./blobs/sha256/2c/{HEX}.{NONCE}"),
        format!("../blobs/sha256/2c/{HEX}.{NONCE}"),
        format!("blobs/../sha256/2c/{HEX}.{NONCE}"),
        format!("blobs/sha256/../{HEX}.{NONCE}"),
        format!("blobs/sha256/2d/{HEX}.{NONCE}"),
        format!("blobs/sha256/2C/{HEX}.{NONCE}"),
        format!("blobs/sha512/2c/{HEX}.{NONCE}"),
        format!("blobs/md5/2c/{HEX}.{NONCE}"),
        format!("blobs/sha256/2C/{upper}.{NONCE}"),
        format!("blobs/sha256/2c/{HEX}"),
        format!("blobs/sha256/2c/{HEX}."),
        format!("blobs/sha256/2c/{HEX}.{}", NONCE.to_uppercase()),
        format!("blobs/sha256/2c/{HEX}.{hyphens}"),
        format!("blobs/sha256/2c/{HEX}.{{{NONCE}}}"),
        format!("blobs/sha256/2c/{HEX}.{NONCE}.x"),
        format!("blobs/sha256/2c/{HEX}.{NONCE}\0"),
        format!("blobs/sha256/2c/{HEX}.{NONCE}\n"),
        format!("blobs\\sha256\\2c\\{HEX}.{NONCE}"),
        format!("uploads/sha256/2c/{HEX}.{NONCE}"),
        format!("blobs/sha256/2c/{}é.{NONCE}", &HEX[..62]),
        "blobs/sha256/é/é.é".to_owned(),
        "blobs/".repeat(100_000),
    ];
    for text in hostile {
        let error = text.parse::<Location>().expect_err(&text);
        assert!(error.to_string().len() < 2000, "repeats at most an excerpt");
    }
}
