//! Archives that parsers are known to read in more than one way.

use super::{
    builder::{Part, archive, entry, file, global, link, long, open_archive, pax},
    names, walk,
};
use crate::Limits;

/// A trap: the archive, what is seen, and a word of what is noted (empty: nothing is).
struct Trap(&'static str, Vec<u8>, &'static [&'static str], &'static str);

fn hidden() -> Vec<u8> {
    archive(&[file("hidden", "content")])
}

fn sizes() -> Vec<Trap> {
    let mut traps = stated_sizes();
    traps.extend(written_sizes());
    traps
}

fn stated_sizes() -> Vec<Trap> {
    let inner = hidden();
    let pretended = file("pretended", inner.clone());
    vec![
        Trap(
            "plain",
            archive(&[file("a", "x"), entry(b'5', "d/"), link(b'2', "l", "a")]),
            &["a", "d/", "l"],
            "",
        ),
        Trap(
            "PAX says more than the header",
            archive(&[
                pax(&[("size", &inner.len().to_string())]),
                pretended.clone().size(0),
            ]),
            &["pretended"],
            "disagree about the size",
        ),
        Trap(
            "PAX says less than the header",
            archive(&[pax(&[("size", "0")]), pretended]),
            &["pretended", "hidden"],
            "disagree about the size",
        ),
        Trap(
            "a link with a size",
            archive(&[link(b'2', "l", "a").size(1024), file("b", ""), file("c", "")]),
            &["l", "b", "c"],
            "without content has a size",
        ),
        Trap(
            "a link with a size in PAX",
            archive(&[
                pax(&[("size", "1024")]),
                link(b'1', "l", "a"),
                file("b", ""),
                file("c", ""),
            ]),
            &["l", "b", "c"],
            "without content has a size",
        ),
        Trap(
            "a size before a long name",
            archive(&[
                pax(&[("size", "2048")]),
                long(b'L', "name"),
                file("x", [b'x'; 2048]).size(0),
            ]),
            &["name"],
            "of PAX and of GNU",
        ),
    ]
}

fn written_sizes() -> Vec<Trap> {
    vec![
        Trap(
            "base 256 where octal would do",
            archive(&[file("a", "abc").size_field(b"\x80\0\0\0\0\0\0\0\0\0\0\x03")]),
            &["a"],
            "size is written in an ambiguous way",
        ),
        Trap(
            "octal behind NULs",
            archive(&[file("a", "abc").size_field(b"\0\0\0\x000000003\0")]),
            &["a"],
            "size is written in an ambiguous way",
        ),
        Trap(
            "an empty size in PAX",
            archive(&[pax(&[("size", "")]), file("a", "abc")]),
            &["a"],
            "empty",
        ),
        Trap(
            "the size twice",
            archive(&[pax(&[("size", "9"), ("size", "3")]), file("a", "abc")]),
            &["a"],
            "one key twice",
        ),
    ]
}

fn name_traps() -> Vec<Trap> {
    let mut traps = long_names();
    traps.extend(odd_headers());
    traps
}

fn long_names() -> Vec<Trap> {
    vec![
        Trap(
            "PAX",
            archive(&[pax(&[("path", "long"), ("mtime", "1.5")]), file("a", "")]),
            &["long"],
            "",
        ),
        Trap(
            "GNU",
            archive(&[long(b'L', "long"), file("a", "").gnu()]),
            &["long"],
            "",
        ),
        Trap(
            "empty values",
            archive(&[pax(&[("SCHILY.xattr.x", ""), ("uname", "")]), file("a", "")]),
            &["a"],
            "",
        ),
        Trap(
            "an empty path",
            archive(&[pax(&[("path", "")]), file("a", "")]),
            &["a"],
            "empty",
        ),
        Trap(
            "PAX and GNU",
            archive(&[pax(&[("path", "pax")]), long(b'L', "gnu"), file("a", "")]),
            &["gnu"],
            "of PAX and of GNU",
        ),
        Trap(
            "GNU and PAX",
            archive(&[long(b'L', "gnu"), pax(&[("path", "pax")]), file("a", "")]),
            &["gnu"],
            "of PAX and of GNU",
        ),
        Trap(
            "two long names",
            archive(&[long(b'L', "1"), long(b'L', "2"), file("a", "")]),
            &["2"],
            "two long names",
        ),
        Trap(
            "two extended headers",
            archive(&[pax(&[("path", "1")]), pax(&[("uid", "2")]), file("a", "")]),
            &["a"],
            "two extended headers",
        ),
        Trap(
            "a NUL in a long name",
            archive(&[long(b'L', "a\0b"), file("x", "")]),
            &["a"],
            "behind a NUL",
        ),
        Trap(
            "a NUL in a name",
            archive(&[file("a", "").raw(5, b"b")]),
            &["a"],
            "behind a NUL",
        ),
    ]
}

fn odd_headers() -> Vec<Trap> {
    vec![
        Trap(
            "a global path",
            archive(&[global(&[("path", "all")]), file("a", ""), file("b", "")]),
            &["a", "b"],
            "global",
        ),
        Trap(
            "a global comment",
            archive(&[global(&[("comment", "abc")]), file("a", "")]),
            &["a"],
            "",
        ),
        Trap(
            "a global header between",
            archive(&[pax(&[("path", "b")]), global(&[("comment", "c")]), file("a", "")]),
            &["a"],
            "between another one and its entry",
        ),
        Trap(
            "a prefix without magic",
            archive(&[file("a", "").v7().raw(345, b"p")]),
            &["a"],
            "no magic",
        ),
        Trap(
            "a prefix in GNU's times",
            archive(&[file("a", "").gnu().raw(345, b"pre")]),
            &["pre/a"],
            "times",
        ),
        Trap(
            "a prefix",
            archive(&[file("a", "").raw(345, b"pre")]),
            &["pre/a"],
            "",
        ),
        Trap(
            "a directory of old",
            archive(&[entry(0, "d/").v7(), entry(0, "f").v7()]),
            &["d/", "f"],
            "",
        ),
        Trap(
            "a file with a slash",
            archive(&[file("d/", "abc")]),
            &["d/"],
            "name of a directory",
        ),
        Trap(
            "an unknown type",
            archive(&[entry(b'Z', "z").content("abc"), file("a", "")]),
            &["z", "a"],
            "refuse",
        ),
    ]
}

fn ends() -> Vec<Trap> {
    let one = file("a", "abc");
    let behind = [archive(std::slice::from_ref(&one)), hidden()].concat();
    let garbage = [&archive(std::slice::from_ref(&one))[..], b"garbage"].concat();
    let zeros = [archive(std::slice::from_ref(&one)), vec![0; 9000]].concat();
    let mut half_padding = open_archive(std::slice::from_ref(&one));
    half_padding.truncate(512 + 100);
    let mut one_zero = open_archive(std::slice::from_ref(&one));
    one_zero.resize(one_zero.len() + 512, 0);
    let dangling = archive(&[one.clone(), pax(&[("path", "x")])]);
    let signed = file("a", "").raw(265, b"\xe9\xe9");
    let sum = format!("{:06o}\0 ", signed.sums().1);
    let signed = signed.checksum_field(sum.as_bytes().try_into().unwrap());
    vec![
        Trap("nothing", Vec::new(), &[], ""),
        Trap("no end", open_archive(&[one]), &["a"], ""),
        Trap("one block of zeros", one_zero, &["a"], ""),
        Trap(
            "the end inside padding",
            half_padding,
            &["a"],
            "inside the padding",
        ),
        Trap("zeros behind the end", zeros, &["a"], ""),
        Trap("entries behind the end", behind, &["a"], "entries follow"),
        Trap("garbage behind the end", garbage, &["a"], "data follow"),
        Trap("a header of nothing", dangling, &["a"], "belongs to no entry"),
        Trap("a signed checksum", archive(&[signed]), &["a"], "checksum"),
    ]
}

fn all() -> Vec<Trap> {
    [sizes(), name_traps(), ends()].into_iter().flatten().collect()
}

pub(super) fn archives() -> Vec<Vec<u8>> {
    let sparse = sparse_files().into_iter().map(|(archive, _)| archive);
    let refused = refused().into_iter().map(|parts| archive(&parts));
    all()
        .into_iter()
        .map(|trap| trap.1)
        .chain(sparse)
        .chain(refused)
        .collect()
}

#[test]
fn each_trap_is_read_as_go_does_and_noted() {
    for Trap(what, archive, expected, noted) in all() {
        let walk = walk(&archive, &Limits::default());
        assert!(walk.error.is_none(), "{what}: {:?}", walk.error);
        assert_eq!(names(&walk), expected, "{what}");
        let is_noted = walk.oddities.iter().any(|oddity| oddity.contains(noted));
        assert!(
            walk.oddities.is_empty() == noted.is_empty(),
            "{what}: {:?}",
            walk.oddities
        );
        assert!(noted.is_empty() || is_noted, "{what}: {:?}", walk.oddities);
    }
}

/// The same file with holes in each form: `abc`, seven zeros, `de`.
fn sparse_files() -> Vec<(Vec<u8>, &'static [u8])> {
    const EXPECTED: &[u8] = b"abc\0\0\0\0\0\0\0de";
    let octal = |numbers: &[u64]| {
        numbers
            .iter()
            .flat_map(|n| format!("{n:011o}\0").into_bytes())
            .collect::<Vec<_>>()
    };
    let old = entry(b'S', "s")
        .gnu()
        .raw(386, &octal(&[0, 3, 10, 2]))
        .raw(483, &octal(&[12]))
        .content("abcde");
    let mut extension = octal(&[10, 2]);
    extension.resize(512, 0);
    let mut extended = entry(b'S', "s")
        .gnu()
        .raw(386, &octal(&[0, 1, 1, 1, 2, 1, 3, 0]))
        .raw(482, &[1])
        .raw(483, &octal(&[12]))
        .size(5)
        .bytes();
    extended.extend(extension);
    let mut data = b"abcde".to_vec();
    data.resize(512, 0);
    extended.extend(data);
    let inside = format!("{:\0<512}abcde", "2\n0\n3\n10\n2\n");
    let v00 = pax(&[
        ("GNU.sparse.size", "12"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "3"),
        ("GNU.sparse.offset", "10"),
        ("GNU.sparse.numbytes", "2"),
    ]);
    let v01 = pax(&[
        ("GNU.sparse.size", "12"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "0,3,10,2"),
        ("GNU.sparse.name", "s"),
    ]);
    let v10 = pax(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.realsize", "12"),
    ]);
    vec![
        (archive(&[old]), EXPECTED),
        (extended, EXPECTED),
        (archive(&[v00, file("s", "abcde")]), EXPECTED),
        (archive(&[v01, file("GNUSparse.0/s", "abcde")]), EXPECTED),
        (archive(&[v10, file("GNUSparse.0/s", inside)]), EXPECTED),
    ]
}

#[test]
fn sparse_files_are_read_in_each_form() {
    for (place, (archive, expected)) in sparse_files().into_iter().enumerate() {
        let walk = walk(&archive, &Limits::default());
        assert!(walk.error.is_none(), "form {place}: {:?}", walk.error);
        assert_eq!(names(&walk), ["s"], "form {place}");
        assert_eq!(walk.seen[0].size, 12);
        assert_eq!(walk.seen[0].content.as_deref(), Some(expected), "form {place}");
    }
}

/// What Go refuses.
fn refused() -> Vec<Vec<Part>> {
    let version = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.size", "12"),
    ];
    vec![
        vec![file("a", "").checksum_field(*b"000000\0 ")],
        vec![file("a", "").size_field(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
        vec![file("a", "").size_field(b"0000000000x\0")],
        vec![pax(&[("size", "-1")]), file("a", "")],
        vec![pax(&[("size", "x")]), file("a", "")],
        vec![pax(&[("mtime", "1.x")]), file("a", "")],
        vec![pax(&[("path", "a\0b")]), file("a", "")],
        vec![entry(b'x', "x").content("8 path=a\n"), file("a", "")],
        vec![
            entry(b'x', "x").content("99999999999999999999 path=a\n"),
            file("a", ""),
        ],
        vec![
            pax(&[("GNU.sparse.offset", "0"), ("GNU.sparse.offset", "0")]),
            file("a", ""),
        ],
        vec![pax(&version), entry(b'5', "d")],
        vec![pax(&version), file("a", format!("{:\0<512}", "1\n9\n9\n"))],
        vec![pax(&version), file("a", format!("{:\0<512}", "1\n0\n"))],
        vec![pax(&version), file("a", format!("{:\0<512}ab", "1\n0\n3\n"))],
        vec![pax(&version), file("a", format!("{:\0<512}abcd", "1\n0\n3\n"))],
        vec![entry(b'S', "s")],
    ]
}

#[test]
fn what_go_refuses_is_an_error() {
    for (place, parts) in refused().into_iter().enumerate() {
        assert!(
            walk(&archive(&parts), &Limits::default()).error.is_some(),
            "{place}"
        );
    }
}
