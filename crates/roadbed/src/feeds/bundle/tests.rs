//! What a reader makes of bundles that are none, whatever signs them.

use std::io::Write as _;

use super::*;

const LIMITS: BundleLimits = BundleLimits {
    bytes: 1 << 20,
    unpacked: 1 << 20,
};

fn made() -> Timestamp {
    Timestamp::from_rfc3339("2026-11-01T00:00:00Z").unwrap()
}

fn document(name: &str, text: &str) -> Document {
    Document {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn bundle(documents: Vec<Document>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = documents.len() as u64;
    let written = write(&mut bytes, made(), documents.into_iter().map(Ok)).unwrap();
    assert_eq!(written, count);
    bytes
}

fn some() -> Vec<u8> {
    bundle(vec![
        document("osv/npm/A-1.json", "{\"id\":1}"),
        document("kev.json", "{}\n"),
    ])
}

/// All of it, or why not, with causes.
fn read(bytes: &[u8], limits: BundleLimits) -> Result<Vec<Document>, String> {
    let said = |error: BundleError| format!("{:#}", anyhow::Error::from(error));
    let mut reader = BundleReader::open(bytes, limits).map_err(said)?;
    assert_eq!(reader.created, made());
    let mut documents = Vec::new();
    while let Some(document) = reader.next().map_err(said)? {
        documents.push(document);
    }
    Ok(documents)
}

fn unpacked(bytes: &[u8]) -> String {
    String::from_utf8(zstd::stream::decode_all(bytes).unwrap()).unwrap()
}

fn packed(text: &str) -> Vec<u8> {
    zstd::stream::encode_all(text.as_bytes(), 3).unwrap()
}

#[test]
fn what_was_put_in_comes_out() {
    let read = read(&some(), LIMITS).unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[0], document("osv/npm/A-1.json", "{\"id\":1}"));
    assert_eq!(self::read(&bundle(Vec::new()), LIMITS), Ok(Vec::new()));
}

#[test]
fn whatever_is_altered_or_cut_is_refused() {
    let whole = some();
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        let is_same = read(&altered, LIMITS).is_ok_and(|documents| Ok(documents) != read(&whole, LIMITS));
        assert!(!is_same, "the byte {at} says something else");
        assert!(read(&whole[..at], LIMITS).is_err(), "cut at {at}");
    }
    let text = unpacked(&whole);
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| packed(&(lines.join("\n") + "\n"));
    for (lines, why) in [
        (vec![lines[0], lines[1], lines[2]], "it is cut off"),
        (vec![lines[0], lines[1], lines[3]], "put together of parts"),
        (
            vec![lines[0], lines[2], lines[1], lines[3]],
            "put together of parts",
        ),
        (
            vec![lines[0], lines[1], lines[2], lines[3], lines[1]],
            "put together of parts",
        ),
        (vec![lines[1], lines[2], lines[3]], "line 1 is no line"),
        (
            vec![lines[0], lines[0], lines[1], lines[2], lines[3]],
            "line 2 is no line",
        ),
    ] {
        let said = read(&joined(&lines), LIMITS).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    let other = text.replace("{\\\"id\\\":1}", "{\\\"id\\\":2}");
    let said = read(&packed(&other), LIMITS).unwrap_err();
    assert!(
        said.contains("the document osv/npm/A-1.json is not the one"),
        "{said}"
    );
    let version = text.replace(FORMAT, "roadbed-advisories/9");
    assert!(
        read(&packed(&version), LIMITS)
            .unwrap_err()
            .contains("roadbed-advisories/9")
    );
    let mut trailing = whole.clone();
    trailing.write_all(b"more").unwrap();
    assert!(read(&trailing, LIMITS).is_err());
}

#[test]
fn bombs_and_paths_are_refused() {
    let bomb = bundle(vec![document("a.json", &" ".repeat(4 << 20))]);
    assert!(bomb.len() < 4 << 10);
    let said = read(&bomb, LIMITS).unwrap_err();
    assert!(
        said.contains("more than 1048576 bytes (feeds.bundle_unpacked)"),
        "{said}"
    );
    // Without an end of line there would be no end to it.
    let endless = packed(&"x".repeat(8 << 20));
    assert!(
        read(&endless, LIMITS)
            .unwrap_err()
            .contains("feeds.bundle_unpacked")
    );
    let text = unpacked(&some());
    for name in [
        "../../etc/cron.d/x",
        "/etc/passwd",
        "osv/../x",
        "a\\\\b",
        "a\\u0000b",
        "a\\u202eb",
        "",
    ] {
        let named = packed(&text.replace("osv/npm/A-1.json", name));
        let said = read(&named, LIMITS).unwrap_err();
        assert!(
            said.contains("line 2 has a document whose name"),
            "{name}: {said}"
        );
        let refused = write(Vec::new(), made(), std::iter::once(Ok(document("../x", ""))));
        assert!(refused.is_err());
    }
    for text in ["", "PK\u{3}\u{4}", "<html>"] {
        assert!(read(text.as_bytes(), LIMITS).is_err(), "{text}");
    }
}
