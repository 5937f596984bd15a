//! What ends a pass, or costs a file.

use super::*;

/// What a report says when a limit of the layer was reached; facts from before are there.
fn ended_by(blob: &[u8], limits: &Limits) -> String {
    let report = inspect_with(blob, &mut NoSpool, limits);
    assert_eq!(report.diff_id, None);
    assert_eq!(units(&report), [("a/db", vec!["p"], None)]);
    assert_eq!(report.not_scannable.len(), 1, "{:?}", report.not_scannable);
    assert_eq!(report.not_scannable[0].path, None);
    report.not_scannable[0].limit.clone()
}

fn first() -> Part {
    file("a/db", "p 1")
}

#[test]
fn limits_of_the_layer_end_it() {
    let bomb = gzip(&archive(&[first(), file("zeros", vec![0; 66 << 20])]));
    assert_eq!(ended_by(&bomb, &Limits::default()), "layer.ratio");
    let small = Limits {
        layer_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_eq!(
        ended_by(&archive(&[first(), file("b", vec![0; 1 << 20])]), &small),
        "layer.bytes"
    );
    let few = Limits {
        entries: 2,
        ..Limits::default()
    };
    assert_eq!(
        ended_by(&archive(&[first(), file("b", ""), file("c", "")]), &few),
        "layer.entries"
    );
    let short = Limits {
        names: 10,
        ..Limits::default()
    };
    assert_eq!(
        ended_by(&archive(&[first(), file("long-name", "")]), &short),
        "layer.names"
    );
    assert_eq!(
        ended_by(&archive(&[first(), file(".wh.long-name", "")]), &short),
        "layer.names"
    );
    assert_eq!(
        ended_by(&archive(&[first(), link(b'2', "l", "target")]), &short),
        "layer.names"
    );
    let long_name = archive(&[first(), long(b'L', &"n".repeat(5_000)), file("b", "")]);
    assert_eq!(ended_by(&long_name, &Limits::default()), "layer.path_bytes");
    let holes = pax(&[
        ("GNU.sparse.map", "0,0"),
        ("GNU.sparse.numblocks", "1"),
        ("GNU.sparse.size", "9223372036854775807"),
    ]);
    assert_eq!(
        ended_by(&archive(&[first(), holes, file("b", "")]), &Limits::default()),
        "layer.bytes"
    );
}

#[test]
fn damage_ends_a_layer() {
    let limits = Limits::default();
    let broken = first().bytes().into_iter().chain([b'x'; 512]).collect::<Vec<_>>();
    assert_eq!(ended_by(&broken, &limits), "layer.tar");
    let lie = [first().bytes(), file("b", "short").size(7 << 30).bytes()].concat();
    assert_eq!(ended_by(&lie, &limits), "layer.tar");
    let whole = gzip(&archive(&[first(), file("b", "")]));
    assert_eq!(ended_by(&whole[..whole.len() - 4], &limits), "layer.codec");
    assert_eq!(
        ended_by(&[&whole[..], &[0; 512]].concat(), &limits),
        "layer.codec"
    );
}

#[test]
fn other_bytes_than_expected_are_said() {
    let blob = archive(&[first()]);
    let mut analysers = Analysers {
        version: "test",
        catalogers: &[],
        bytes: &mut [],
        hashes_files: false,
    };
    let expected = digest(b"others");
    let report = inspect_layer(
        blob.as_slice(),
        &expected,
        &mut NoSpool,
        &mut analysers,
        &Limits::default(),
    );
    assert_eq!(not_scannable(&report), [("layer.digest", None)]);
    assert_eq!(report.diff_id, None);
}

#[test]
fn a_blob_that_cannot_be_read_is_said() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut analysers = Analysers {
        version: "test",
        catalogers: &[],
        bytes: &mut [],
        hashes_files: false,
    };
    let report = inspect_layer(
        Broken,
        &digest(b""),
        &mut NoSpool,
        &mut analysers,
        &Limits::default(),
    );
    assert_eq!(not_scannable(&report), [("layer.codec", None)]);
}

#[test]
fn large_files_are_spooled() {
    let limits = Limits {
        file_memory: 600,
        ..Limits::default()
    };
    let filler = format!("p 1\n{}", "x\n".repeat(100_000));
    let blob = archive(&[
        file("a/db", filler),
        file("b/db", "q 2"),
        file("c/db", "r 3\n".repeat(151)),
    ]);
    let mut spool = MemorySpool::default();
    let report = inspect_with(&blob, &mut spool, &limits);
    assert_eq!(spool.made, 2);
    assert_eq!(units(&report).len(), 3);
    assert_eq!(not_scannable(&report), []);
    let whole = listed(&report);
    let report = inspect_with(&blob, &mut NoSpool, &limits);
    assert_eq!(
        not_scannable(&report),
        [("file.spool", Some("a/db")), ("file.spool", Some("c/db"))]
    );
    assert_eq!(units(&report), [("b/db", vec!["q"], None)]);
    assert_eq!(listed(&report), whole, "they are listed all the same");
}

#[test]
fn findings_are_capped() {
    let limits = Limits {
        findings: 3,
        ..Limits::default()
    };
    let blob = archive(&[
        file("a", "text secret secret"),
        file("b", "text secret secret secret"),
    ]);
    let report = inspect_with(&blob, &mut NoSpool, &limits);
    assert_eq!(report.findings.len(), 3);
    assert_eq!(not_scannable(&report), [("report.findings", None)]);
    assert!(report.not_scannable[0].detail.starts_with("2 more"));
    assert!(report.diff_id.is_some(), "the layer was read to its end");
}

#[test]
fn oddities_are_capped() {
    let limits = Limits {
        findings: 3,
        ..Limits::default()
    };
    let parts: Vec<_> = (0..9).map(|n| file(&format!("../{n}"), "")).collect();
    let report = inspect_with(&archive(&parts), &mut NoSpool, &limits);
    assert_eq!(report.oddities.len(), 3);
    assert_eq!(not_scannable(&report), [("report.oddities", None)]);
}

/// Empty files without end, made as they are read.
struct EmptyFiles {
    left: u32,
    block: Vec<u8>,
    at: usize,
}

impl Read for EmptyFiles {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.block = file(&format!("dir/{:07}", self.left), "").bytes();
            self.at = 0;
        }
        let count = out.len().min(self.block.len() - self.at);
        out[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[test]
fn empty_files_end_by_their_number() {
    let files = EmptyFiles {
        left: 1_000_000,
        block: Vec::new(),
        at: 0,
    };
    let mut analysers = Analysers {
        version: "test",
        catalogers: &[],
        bytes: &mut [],
        hashes_files: true,
    };
    let limits = Limits {
        entries: 20_000,
        ..Limits::default()
    };
    let report = inspect_layer(files, &digest(b""), &mut NoSpool, &mut analysers, &limits);
    assert_eq!(not_scannable(&report), [("layer.entries", None)]);
    assert_eq!(listed(&report).len(), 20_000);
    assert!(report.listing.len() < 200_000, "{}", report.listing.len());
}

#[test]
fn links_to_a_large_unit_are_limited() {
    let limits = Limits {
        packages: 10,
        ..Limits::default()
    };
    let mut parts = vec![file("a/db", "p 1\nq 1\nr 1\n")];
    parts.extend((0..9).map(|n| link(b'1', &format!("{n}/db"), "a/db")));
    let report = inspect_with(&archive(&parts), &mut NoSpool, &limits);
    assert_eq!(report.units.len(), 4);
    assert_eq!(not_scannable(&report)[0], ("report.packages", Some("3/db")));
}

#[test]
fn deep_directories_take_no_time() {
    let deep = "d/".repeat(2_000);
    let mut parts = vec![link(b'2', "l", "x"), link(b'2', "d/d/e", "x")];
    for n in 0..300 {
        let name = format!("{deep}{n}/a");
        parts.extend([long(b'L', &name), file("", "").gnu()]);
    }
    parts.push(file("d/d/e/f", ""));
    let report = inspect(&parts);
    assert_eq!(
        oddities(&report),
        [("d/d/e/f", "it lies below a symbolic link of the same layer")]
    );
}
