//! What a pass finds.

use findings::Compression;

use super::*;

#[test]
fn one_pass_finds_everything() {
    let parts = [
        entry(b'5', "./").mode(0o755),
        entry(b'5', "./srv/").mode(0o777),
        file("./srv/db", "left 1\nright 2\n"),
        file("./srv/notes", "text with a secret"),
        link(b'2', "./srv/link", "notes"),
        link(b'1', "./srv/hard", "srv/notes"),
        entry(b'3', "./dev/zero").mode(0o666),
        file("./bin/su", "").mode(0o4755),
        file("./etc/.wh.passwd", ""),
        file("./var/.wh..wh..opq", ""),
        file("./.wh..wh.plnk", ""),
    ];
    let tar = archive(&parts);
    for (blob, compression) in [
        (tar.clone(), Compression::None),
        (gzip(&tar), Compression::Gzip),
        (::zstd::encode_all(tar.as_slice(), 1).unwrap(), Compression::Zstd),
    ] {
        let report = inspect_with(&blob, &mut NoSpool, &Limits::default());
        assert_eq!(report.compression, compression);
        assert_eq!(report.blob, digest(&blob));
        assert_eq!(report.diff_id, Some(digest(&tar)));
        assert_eq!((report.bytes, report.entries), (tar.len() as u64, 11));
        assert_eq!(units(&report), [("srv/db", vec!["left", "right"], None)]);
        assert_eq!(report.whiteouts, ["etc/passwd"]);
        assert_eq!(report.opaque, ["var"]);
        assert_eq!((oddities(&report), not_scannable(&report)), (vec![], vec![]));
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|found| (&*found.path, &*found.rule))
            .collect();
        assert_eq!(
            found,
            [
                ("bin/su", "setuid-file"),
                ("dev/zero", "device-node"),
                ("srv", "world-writable-directory"),
                ("srv/notes", "word")
            ]
        );
        let notes = &digest(b"text with a secret").hex()[..32];
        let listed = listed(&report);
        let lines: Vec<_> = listed
            .iter()
            .map(|entry| (&*entry.path, entry.kind, &*entry.content))
            .collect();
        assert_eq!(lines[0], ("bin/su", '0', &digest(b"").hex()[..32]));
        assert_eq!(lines[1], ("dev/zero", '3', ""));
        assert_eq!(lines[2], ("srv", '5', ""));
        assert_eq!(
            lines[4..],
            [
                ("srv/hard", '1', "srv/notes"),
                ("srv/link", '2', "notes"),
                ("srv/notes", '0', notes)
            ]
        );
        assert_eq!(inspect_with(&blob, &mut NoSpool, &Limits::default()), report);
    }
}

#[test]
fn a_chart_tells_its_images_and_a_layer_has_none() {
    let chart = [
        file("app/values.yaml", "image: {repository: acme/app}\n"),
        file("app/Chart.yaml", "name: app\nversion: 1.0.0\nappVersion: v2\n"),
        file("app/templates/pod.yaml", "image: {{ .Values.x }}\n"),
    ];
    let found = inspect(&chart).chart.unwrap();
    assert_eq!(found.images[0].reference, "docker.io/acme/app:v2");
    assert_eq!(found.unknown[0].path, "templates/pod.yaml");
    assert_eq!(inspect(&chart[..1]).chart, None);
}

#[test]
fn what_fails_costs_its_file_only() {
    let report = inspect(&[
        file("a/db", "one 1\nfail\ntwo 2\n"),
        file("b/db", "three 3\nlimit\n"),
        file("c", "text secret limit"),
        file("d/db", "four 4\n"),
    ]);
    assert_eq!(
        units(&report),
        [
            ("a/db", vec!["one"], None),
            ("b/db", vec!["three"], None),
            ("d/db", vec!["four"], None)
        ]
    );
    // What is damaged says nothing else to another parser.
    assert_eq!(oddities(&report), []);
    assert_eq!(
        not_scannable(&report),
        [
            ("file.malformed", Some("a/db")),
            ("report.packages", Some("b/db")),
            ("file.memory", Some("c")),
        ]
    );
    assert_eq!(report.findings.len(), 1);
    assert!(report.diff_id.is_some());
}

#[test]
fn packages_of_the_distribution_own_files() {
    let report = inspect(&[
        file("lib/x/db", "a 1\n"),
        file("usr/lib/y/db", "b 1\n"),
        file("opt/db", "c 1\n"),
        file(
            "var/lib/dpkg/status",
            "p 1\nown python3-x /usr/lib/x/db\nown z lib/y/db\nown y lib/y/db\n",
        ),
    ]);
    assert_eq!(
        units(&report),
        [
            ("lib/x/db", vec!["a"], Some("python3-x")),
            ("opt/db", vec!["c"], None),
            ("usr/lib/y/db", vec!["b"], Some("y")),
            ("var/lib/dpkg/status", vec!["p"], None),
        ]
    );
}

#[test]
fn hard_links_are_evidence_too() {
    let report = inspect(&[
        file("one/db", "a 1\n"),
        file("disguised", "b 1\n"),
        link(b'1', "two/db", "/one/db"),
        link(b'1', "three/db", "./two/db"),
        link(b'1', "four/db", "disguised"),
        link(b'1', "five/db", "../elsewhere"),
    ]);
    assert_eq!(
        units(&report),
        [
            ("one/db", vec!["a"], None),
            ("three/db", vec!["a"], None),
            ("two/db", vec!["a"], None)
        ]
    );
    assert_eq!(
        not_scannable(&report),
        [
            ("file.hard_link", Some("five/db")),
            ("file.hard_link", Some("four/db"))
        ]
    );
    assert_eq!(
        oddities(&report),
        [("five/db", "its target leads out of the root")]
    );
    let links: Vec<_> = listed(&report).into_iter().map(|entry| entry.content).collect();
    assert_eq!(links[4..], ["one/db", "one/db"]);
}

#[test]
fn tricks_with_paths_are_noted() {
    let odd = |parts: &[Part]| {
        let report = inspect(parts);
        oddities(&report)
            .into_iter()
            .map(|(_, what)| what.to_owned())
            .collect::<Vec<_>>()
    };
    for (parts, noted) in [
        (vec![file("../../etc/db", "a 1")], "out of the root"),
        (vec![file("/..", "a 1")], "no name"),
        (
            vec![link(b'2', "l", "etc"), file("l/deep/db", "a 1")],
            "below a symbolic link",
        ),
        (vec![file("a", "1"), file("./a", "2")], "one path"),
        (vec![file("a", "1"), file(".wh.a", "")], "adds and deletes"),
        (vec![file("d/.wh..", "")], "names no file"),
    ] {
        let odd = odd(&parts);
        assert!(odd.iter().any(|what| what.contains(noted)), "{noted}: {odd:?}");
    }
    for parts in [
        vec![entry(b'5', "d"), file("d/a", ""), entry(b'5', "d/")],
        vec![link(b'2', "l", "etc"), entry(b'5', "l"), file("l/a", "")],
        vec![
            link(b'2', "bin", "usr/bin"),
            file("binary", ""),
            file("d/bin/x", ""),
        ],
    ] {
        let odd = odd(&parts);
        assert!(odd.iter().all(|what| what.contains("one path")), "{odd:?}");
    }
}

#[test]
fn the_last_entry_of_a_path_counts() {
    let report = inspect(&[
        file("x/db", "old 1"),
        file("y/db", "gone 1"),
        file("x/db", "new 2"),
        link(b'2', "y/db", "z"),
    ]);
    assert_eq!(units(&report), [("x/db", vec!["new"], None)]);
    let listed = listed(&report);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].content, digest(b"new 2").hex()[..32]);
    assert_eq!(listed[1].kind, '2');
}

#[test]
fn names_may_be_anything() {
    let name = String::from_utf8(vec![b'a', 10, 9, b'"']).unwrap();
    let report = inspect(&[
        file(&name, ""),
        file("x", "").raw(0, b"\xff\xfe/db").content("a 1"),
    ]);
    assert_eq!(units(&report), [("\u{fffd}\u{fffd}/db", vec!["a"], None)]);
    assert_eq!(listed(&report)[0].path, name);
}

#[test]
fn digests_of_files_can_be_left_out() {
    let blob = archive(&[file("a", vec![b'x'; 5_000]), file("b/db", "c 1")]);
    let mut analysers = Analysers {
        version: "test",
        catalogers: &[&Lines(UnitKind::NodeModule)],
        bytes: &mut [],
        hashes_files: false,
    };
    let limits = Limits::default();
    let report = inspect_layer(
        blob.as_slice(),
        &digest(&blob),
        &mut NoSpool,
        &mut analysers,
        &limits,
    );
    assert!(listed(&report).iter().all(|entry| entry.content.is_empty()));
    assert_eq!(units(&report).len(), 1);
    assert_eq!(report.diff_id, Some(digest(&blob)));
}

#[test]
fn a_table_of_contents_must_equal_the_archive() {
    let line = |name: &str, kind: &str, size: u64| {
        format!(
            r#"{{"name":"{name}","type":"{kind}","size":{size},"digest":"{}"}}"#,
            digest(b"abc")
        )
    };
    let other_content =
        line("d/a", "reg", 3).replace(&digest(b"abc").to_string(), &digest(b"xyz").to_string());
    let setuid = line("d/a", "reg", 3).replace("\"size\"", "\"mode\":2541,\"size\"");
    let other_piece = line("d/a", "reg", 3).replace(
        "\"size\"",
        &format!("\"chunkDigest\":\"{}\",\"size\"", digest(b"xyz")),
    );
    let other_target = line("l", "symlink", 0).replace("\"size\"", "\"linkName\":\"d/b\",\"size\"");
    let layer = |lines: &[String]| {
        let table = format!(r#"{{"version":1,"entries":[{}]}}"#, lines.join(","));
        inspect(&[
            entry(b'5', "d/"),
            file("d/a", "abc"),
            link(b'2', "l", "d/a"),
            file(".wh.gone", ""),
            file("stargz.index.json", table),
        ])
    };
    let same = vec![
        line("d/", "dir", 0),
        line("d/a", "reg", 3),
        line("d/a", "chunk", 0),
        line("l", "symlink", 0),
        line(".wh.gone", "reg", 0),
    ];
    assert_eq!(oddities(&layer(&same)), []);
    for (place, other, noted) in [
        (1, line("d/a", "reg", 4), vec!["d/a"]),
        (1, line("d/b", "reg", 3), vec!["d/a", "d/b"]),
        (1, other_content, vec!["d/a"]),
        (1, setuid, vec!["d/a"]),
        (1, other_piece, vec!["d/a"]),
        (3, other_target, vec!["l"]),
        (3, line("l", "reg", 0), vec!["l"]),
        (4, line(".wh.other", "reg", 0), vec![".wh.other"]),
    ] {
        let mut lines = same.clone();
        lines[place] = other;
        let report = layer(&lines);
        let paths: Vec<_> = report
            .oddities
            .iter()
            .map(|oddity| oddity.path.as_str())
            .collect();
        assert_eq!(paths, noted);
    }
    assert_eq!(inspect(&[file("stargz.index.json", "{")]).oddities.len(), 1);
}

/// A blob of zstd:chunked: the archive, the table in a skippable frame, the footer in another one.
fn chunked(archive: &[u8], table: &str) -> Vec<u8> {
    let skippable = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&[0x50, 0x2a, 0x4d, 0x18], length.as_slice(), bytes].concat()
    };
    let mut blob = zstd::encode_all(archive, 3).unwrap();
    let packed = zstd::encode_all(table.as_bytes(), 3).unwrap();
    let offset = blob.len() as u64 + 8;
    blob.extend(skippable(&packed));
    let numbers = [offset, packed.len() as u64, table.len() as u64, 1, 0, 0, 0];
    let footer: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    blob.extend(skippable(&[footer.as_slice(), b"GNUlInUx"].concat()));
    blob
}

fn inspect_seekable(blob: &[u8], limits: &Limits) -> LayerReport {
    let mut analysers = Analysers {
        version: "test",
        catalogers: &[],
        bytes: &mut [],
        hashes_files: true,
    };
    inspect_seekable_layer(
        Cursor::new(blob),
        &digest(blob),
        &mut NoSpool,
        &mut analysers,
        limits,
    )
}

#[test]
fn the_table_of_zstd_chunked_must_equal_the_archive_too() {
    let archive = archive(&[file("a", "abc"), file("b", "")]);
    let table = |size: u64| {
        let a = format!(
            r#"{{"name":"a","type":"reg","size":{size},"digest":"{}"}}"#,
            digest(b"abc")
        );
        format!(r#"{{"version":1,"entries":[{a},{{"name":"b","type":"reg"}}]}}"#)
    };
    let limits = Limits::default();
    let same = chunked(&archive, &table(3));
    let report = inspect_seekable(&same, &limits);
    assert_eq!((oddities(&report), listed(&report).len()), (vec![], 2));
    assert_eq!(report.diff_id, Some(digest(&archive)));
    let packed = zstd::encode_all(table(3).as_bytes(), 3).unwrap();
    assert_eq!(report.tables, Some(vec![digest(&packed)]));
    let other = inspect_seekable(&chunked(&archive, &table(4)), &limits);
    let what = "the table of contents for lazy clients and the archive disagree about it";
    assert_eq!(oddities(&other), [("a", what)]);

    let unreadable = [("", "a table of contents cannot be read")];
    let mut broken = same.clone();
    let footer = broken.len() - 64;
    broken[footer..footer + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(oddities(&inspect_seekable(&broken, &limits)), unreadable);
    let bomb = chunked(&archive, &" ".repeat(1 << 20));
    let small = Limits {
        file_memory: 1 << 19,
        ..Limits::default()
    };
    assert_eq!(oddities(&inspect_seekable(&bomb, &small)), unreadable);
    assert_eq!(
        oddities(&inspect_seekable(&chunked(&archive, "{"), &limits)),
        unreadable
    );
}

/// A lazy client checks each piece by itself, and never the file.
#[test]
fn each_piece_of_a_file_must_be_that_of_the_archive() {
    let archive = archive(&[file("a", "abcdef"), file("b", "abc")]);
    let piece = |kind: &str, offset: u64, size: u64, bytes: &[u8]| {
        format!(
            r#"{{"name":"a","type":"{kind}","size":6,"digest":"{}","chunkOffset":{offset},"chunkSize":{size},"chunkDigest":"{}"}}"#,
            digest(b"abcdef"),
            digest(bytes)
        )
    };
    let differs = |pieces: &[String]| {
        let b = format!(
            r#"{{"name":"b","type":"reg","size":3,"digest":"{}"}}"#,
            digest(b"abc")
        );
        let table = format!(r#"{{"version":1,"entries":[{},{b}]}}"#, pieces.join(","));
        let report = inspect_seekable(&chunked(&archive, &table), &Limits::default());
        let paths = report.oddities.iter().map(|oddity| oddity.path.clone());
        paths.collect::<Vec<_>>()
    };
    let first = piece("reg", 0, 3, b"abc");
    // 0: all that follows.
    for rest in [piece("chunk", 3, 3, b"def"), piece("chunk", 3, 0, b"def")] {
        assert_eq!(differs(&[first.clone(), rest]), Vec::<String>::new());
    }
    for other in [
        vec![piece("reg", 0, 3, b"abX"), piece("chunk", 3, 3, b"def")],
        vec![first.clone(), piece("chunk", 3, 3, b"deX")],
        vec![first.clone(), piece("chunk", 2, 3, b"cde")],
        vec![first.clone(), piece("chunk", 3, 2, b"de")],
        vec![
            piece("reg", 0, 0, b"abcdef"),
            piece("chunk", 0, 3, b"abc"),
            piece("chunk", 3, 3, b"deX"),
        ],
    ] {
        assert_eq!(differs(&other), ["a"], "{other:?}");
    }
}

/// A blob of eStargz: the archive, and wherever the caller has put it, the table that the footer names.
fn estargz(members: &[u8], offset: usize) -> Vec<u8> {
    let extra = format!("SG\x16\0{offset:016x}STARGZ");
    let footer = flate2::GzBuilder::new()
        .extra(extra)
        .write(Vec::new(), flate2::Compression::none());
    let mut footer = footer.finish().unwrap();
    // As the original writes it: one stored block of no bytes.
    footer.truncate(38);
    footer.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(footer.len(), 51);
    [members, &footer].concat()
}

fn member(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Whoever reads lazily reads the table that the footer names, which need not be the one of the archive.
#[test]
fn the_table_that_the_footer_of_estargz_names_must_equal_the_archive() {
    let table = |path: &str| {
        let digest = digest(b"abc");
        format!(
            r#"{{"version":1,"entries":[{{"name":"{path}","type":"reg","size":3,"digest":"{digest}"}}]}}"#
        )
    };
    let limits = Limits::default();
    let whole = archive(&[file("a", "abc"), file("stargz.index.json", table("a"))]);
    // The archive begins its table at 1,024, behind the header and the content of the first file.
    let honest = [member(&whole[..1_024]), member(&whole[1_024..])];
    let blob = estargz(&honest.concat(), honest[0].len());
    let report = inspect_seekable(&blob, &limits);
    assert_eq!((oddities(&report), listed(&report).len()), (vec![], 2));
    assert_eq!(report.tables, Some(vec![digest(table("a").as_bytes())]));
    assert_eq!(report.diff_id, Some(digest(&whole)));

    // Another table as the content of a file, which is a member of its own: the archive is what it was, and has one file more.
    let hidden = archive(&[file("stargz.index.json", table("evil"))]);
    let whole = archive(&[
        file("b", hidden.clone()),
        file("a", "abc"),
        file("stargz.index.json", table("a")),
    ]);
    let members = [
        member(&whole[..512]),
        member(&hidden),
        member(&whole[512 + hidden.len()..]),
    ];
    let blob = estargz(&members.concat(), members[0].len());
    let report = inspect_seekable(&blob, &limits);
    let paths: Vec<_> = report
        .oddities
        .iter()
        .map(|oddity| oddity.path.as_str())
        .collect();
    assert!(paths.contains(&"evil"), "{paths:?}");
    assert_eq!(report.diff_id, Some(digest(&whole)));

    for offset in [0, usize::MAX, blob.len() - 52, members[0].len() + 1] {
        let lying = inspect_seekable(&estargz(&members.concat(), offset), &limits);
        assert!(
            oddities(&lying).contains(&("", "a table of contents cannot be read")),
            "{offset}"
        );
        assert_eq!(listed(&lying).len(), 3, "the archive is read all the same");
    }
}
