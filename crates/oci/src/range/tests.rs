//! Tests of ranges.

use super::*;

#[test]
fn the_table_of_the_specification_page() {
    const SIZE: u64 = 2048;
    for (header, expected) in [
        ("bytes=500-1499", ResolvedRange::Part(500..1500)),
        ("bytes=500-", ResolvedRange::Part(500..2048)),
        ("bytes=-500", ResolvedRange::Part(1548..2048)),
        ("bytes=2000-5000", ResolvedRange::Part(2000..2048)),
        ("bytes=500-0", ResolvedRange::Unsatisfiable),
        ("bytes=5000-10000", ResolvedRange::Unsatisfiable),
        ("bytes=2047-", ResolvedRange::Part(2047..2048)),
        ("bytes=2048-", ResolvedRange::Unsatisfiable),
        ("bytes=0-0", ResolvedRange::Part(0..1)),
        ("bytes=-0", ResolvedRange::Unsatisfiable),
        ("bytes=-5000", ResolvedRange::Part(0..2048)),
        ("bytes=0-99999999999999999999999999", ResolvedRange::Part(0..2048)),
        ("bytes=0-18446744073709551615", ResolvedRange::Part(0..2048)),
        ("bytes=99999999999999999999999999-", ResolvedRange::Unsatisfiable),
        ("Bytes = 0-1 ", ResolvedRange::Part(0..2)),
        ("bytes=,0-1", ResolvedRange::Part(0..2)),
        ("bytes=0-1,5-6", ResolvedRange::Whole),
        ("bytes=0-1,nonsense", ResolvedRange::Whole),
        ("lines=0-1", ResolvedRange::Whole),
        ("nonsense", ResolvedRange::Whole),
        ("", ResolvedRange::Whole),
        ("bytes=", ResolvedRange::Unsatisfiable),
        ("bytes=-", ResolvedRange::Unsatisfiable),
        ("bytes=--5", ResolvedRange::Unsatisfiable),
        ("bytes=+1-2", ResolvedRange::Unsatisfiable),
        ("bytes=a-b", ResolvedRange::Unsatisfiable),
        ("bytes=1 -2", ResolvedRange::Unsatisfiable),
    ] {
        assert_eq!(RangeRequest::parse(header).resolve(SIZE), expected, "{header}");
    }
}

#[test]
fn ranges_of_nothing() {
    assert_eq!(
        RangeRequest::parse("bytes=0-").resolve(0),
        ResolvedRange::Unsatisfiable
    );
    assert_eq!(RangeRequest::parse("bytes=-1").resolve(0), ResolvedRange::Whole);
}

#[test]
fn content_ranges() {
    for text in ["0-499", "bytes 0-499/500", "bytes 0-499/*"] {
        let range: ContentRange = text.parse().unwrap();
        assert_eq!((range.start(), range.end(), range.len()), (0, 499, 500));
        assert_eq!(range.to_string(), "0-499");
    }
    assert_eq!("7-7".parse::<ContentRange>().unwrap().len(), 1);
    for text in [
        "",
        "-",
        "5",
        "5-",
        "-5",
        "5-4",
        "0--1",
        "+0-1",
        "00-1",
        "0-1 ",
        " 0-1",
        "0-1/2",
        "bytes=0-1",
        "bytes 0-1",
        "bytes 0-1/1",
        "bytes 0-1/x",
        "bytes */5",
        "0-9223372036854775808",
        "0-99999999999999999999",
        "0x1-2",
    ] {
        assert!(text.parse::<ContentRange>().is_err(), "{text:?}");
    }
}
