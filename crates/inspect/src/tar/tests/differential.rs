//! Against other parsers: what containerd unpacks with (Go) must agree always; Python's `tarfile` wherever nothing odd was noted.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use oci::{Algorithm, Digest};

use super::{
    COMPARED_BYTES, Walk,
    generator::{Chance, generate},
    traps, walk,
};
use crate::Limits;

const GO: &str = include_str!("differential/reader.go.txt");
const PYTHON: &str = include_str!("differential/reader.py.txt");

fn corpus() -> Vec<Vec<u8>> {
    let mut chance = Chance(0x1234_5678_9abc_d777);
    let mut archives = traps::archives();
    archives.extend((0..4_000).map(|_| generate(&mut chance)));
    archives
}

/// Each archive with its length before it.
fn batch(archives: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for archive in archives {
        bytes.extend_from_slice(&u32::try_from(archive.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(archive);
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One line: `type,size,name,link,digest;… ok` or `… error`.
fn line(walk: &Walk, with_content: bool) -> String {
    let mut text = String::new();
    for seen in &walk.seen {
        let digest = match &seen.content {
            Some(content) if with_content => Digest::of(Algorithm::Sha256, content).hex()[..8].to_owned(),
            _ => "-".to_owned(),
        };
        let type_flag = u32::from(seen.type_flag);
        let (name, link) = (hex(&seen.name), hex(&seen.link));
        let _ = write!(text, "{type_flag},{},{name},{link},{digest};", seen.size);
    }
    text + if walk.error.is_some() { " error" } else { " ok" }
}

/// What a program prints about the batch, a line for each archive. `None` where there is no such program.
fn lines_of(command: &mut Command, batch: &[u8]) -> Option<Vec<String>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    let batch = batch.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&batch));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    Some(
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
    )
}

/// Our own limits are not those of the others.
fn without_limits() -> Limits {
    Limits {
        layer_bytes: u64::MAX,
        name_bytes: 1 << 20,
        path_bytes: usize::MAX,
        ..Limits::default()
    }
}

#[test]
fn go_sees_the_same_entries() {
    assert_eq!(COMPARED_BYTES, 1 << 20, "the other programs have the same number");
    let archives = corpus();
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("reader.go");
    std::fs::write(&program, GO).unwrap();
    let Some(theirs) = lines_of(Command::new("go").arg("run").arg(&program), &batch(&archives)) else {
        crate::skipped::skip("go is not here");
        return;
    };
    assert_eq!(theirs.len(), archives.len());
    let mut whole = 0;
    for (place, (archive, theirs)) in archives.iter().zip(&theirs).enumerate() {
        let walk = walk(archive, &without_limits());
        let ours = line(&walk, true);
        if ours != *theirs {
            dump(place, archive);
        }
        assert_eq!(
            ours, *theirs,
            "archive {place}, {:?}, {:?}",
            walk.error, walk.oddities
        );
        whole += usize::from(walk.error.is_none());
    }
    assert!(whole > archives.len() / 4, "only {whole} archives are readable");
}

#[test]
fn python_sees_the_same_entries_or_it_was_noted() {
    let archives = corpus();
    let mut python = Command::new("python3");
    let Some(theirs) = lines_of(python.arg("-c").arg(PYTHON), &batch(&archives)) else {
        crate::skipped::skip("python3 is not here");
        return;
    };
    assert_eq!(theirs.len(), archives.len());
    let (mut compared, mut different) = (0, 0);
    for (place, (archive, theirs)) in archives.iter().zip(&theirs).enumerate() {
        let mut walk = walk(archive, &without_limits());
        // Python calls nothing at all an error.
        if walk.seen.is_empty() || walk.error.is_some() || !walk.oddities.is_empty() {
            continue;
        }
        for seen in &mut walk.seen {
            // Python takes the slash from directories.
            while seen.type_flag == '5' && seen.name.ends_with(b"/") {
                seen.name.pop();
            }
        }
        let ours = line(&walk, false);
        if ours != *theirs {
            dump(place, archive);
            println!("ours:   {ours}\ntheirs: {theirs}");
            different += 1;
        }
        compared += 1;
    }
    assert_eq!(different, 0);
    assert!(
        compared > archives.len() / 20,
        "only {compared} archives are plain"
    );
}

fn dump(place: usize, archive: &[u8]) {
    for (number, block) in archive.chunks(512).enumerate() {
        let text = block.escape_ascii().to_string();
        println!("{place}, block {number}: {}", text.replace("\\x00", "."));
    }
}
