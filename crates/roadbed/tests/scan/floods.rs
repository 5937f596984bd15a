//! Layers of more than anybody needs, and files that lie about how much they hold, through the real child with the limits that it
//! has by default.

use std::io::{self, Write};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use super::{
    bombs::{
        CHILD_MEMORY, MIB, SERVER_GROWTH_KIB, children_keep_to_their_memory, is_told, is_told_as, with_layer,
    },
    images::{Image, Layer, log4j_core, zip},
    world::{World, facts},
};
use crate::harness::content::noise;

const EMPTY_FILES: u32 = 1_000_000;

/// Fewer, which are still more than one test allows for.
const TOO_MANY_FILES: u32 = 250_000;

/// How a warning calls what is not what it looks like, and what the log has for the name of a limit.
const MALFORMED: &str = "malformed-evidence";
const MALFORMED_LIMIT: &str = "file.malformed";

/// Hashes what is packed.
struct Packer {
    packed: GzEncoder<Vec<u8>>,
    plain: Sha256,
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.packed.write_all(bytes)?;
        self.plain.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.packed.flush()
    }
}

/// So many empty files, and behind them a jar, which only who reads to the end finds. The archive is never in memory.
fn empty_files(count: u32) -> Result<Layer> {
    let packer = Packer {
        packed: GzEncoder::new(Vec::new(), Compression::fast()),
        plain: Sha256::new(),
    };
    let mut tar = tar::Builder::new(packer);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(0);
    for number in 0..count {
        header.set_path(format!("srv/{:03}/{number:07}", number / 1_000))?;
        header.set_cksum();
        tar.append(&header, io::empty())?;
    }
    let jar = log4j_core("2.14.1");
    header.set_size(jar.len() as u64);
    tar.append_data(&mut header, "app/log4j-core-2.14.1.jar", jar.as_slice())?;
    let packer = tar.into_inner()?;
    let diff_id = format!("sha256:{}", hex::encode(packer.plain.finalize()));
    Ok(Layer::packed(packer.packed.finish()?, diff_id))
}

/// The next blob is looked into as if nothing had been.
async fn next_is_done(world: &World, tag: &str) -> Result<()> {
    world.push(tag, &Image::with_log4j("2.17.1")).await?;
    world.decided(tag).await?.expect(&[200])?;
    children_keep_to_their_memory(world, tag)
}

#[tokio::test]
async fn a_million_empty_files_are_read_to_the_last() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY]).await?;
    world.import(&facts())?;
    next_is_done(&world, "before").await?;
    let before = world.memory()?;
    let layer = empty_files(EMPTY_FILES)?;
    world.push("million", &Image::of("million", &[layer])).await?;
    let refused = world.decided("million").await?.expect_error(403, "DENIED")?;
    let message = refused.error_message()?;
    ensure!(message.contains("log4j-core 2.14.1"), "{message}");
    next_is_done(&world, "after").await?;
    let after = world.memory()?;
    ensure!(
        after < before + SERVER_GROWTH_KIB,
        "the server grew from {before} to {after} KiB"
    );
    Ok(())
}

#[tokio::test]
async fn more_files_than_may_be_are_not_scannable() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY, ("ROADBED_SCAN__LAYER_ENTRIES", "200000")]).await?;
    let image = Image::of("many", &[empty_files(TOO_MANY_FILES)?]);
    is_told(&world, "many", &image, "layer.entries").await?;
    next_is_done(&world, "next").await
}

/// A zip in the large form, whose end says how many entries there are and how many bytes they take.
fn announcing(mut zip: Vec<u8>, entries: u64, directory_bytes: Option<u64>) -> Vec<u8> {
    let end = zip.split_off(zip.len() - 22);
    let number = |at: usize| {
        u64::from(u32::from_le_bytes([
            end[at],
            end[at + 1],
            end[at + 2],
            end[at + 3],
        ]))
    };
    let (size, offset) = (number(12), number(16));
    let place = zip.len() as u64;
    // APPNOTE.TXT, 4.3.14 and 4.3.15: the end of the directory, and where it is.
    zip.extend(b"PK\x06\x06");
    zip.extend(44_u64.to_le_bytes());
    zip.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for value in [entries, entries, directory_bytes.unwrap_or(size), offset] {
        zip.extend(value.to_le_bytes());
    }
    zip.extend(b"PK\x06\x07\0\0\0\0");
    zip.extend(place.to_le_bytes());
    zip.extend(1_u32.to_le_bytes());
    zip.extend(&end[..8]);
    zip.extend([0xff; 12]);
    zip.extend([0, 0]);
    zip
}

#[tokio::test]
async fn jars_that_announce_a_billion_entries_are_not_believed() -> Result<()> {
    const BILLION: u64 = 1_000_000_000;
    const ENTRY_BYTES: u64 = 46;
    let world = World::start(&[CHILD_MEMORY]).await?;
    world.import(&facts())?;
    // What is there is found all the same.
    let lying = announcing(log4j_core("2.14.1"), BILLION, None);
    world
        .push("lying", &with_layer("lying", &[("app/a.jar", lying)]))
        .await?;
    let message = world
        .decided("lying")
        .await?
        .expect_error(403, "DENIED")?
        .error_message()?;
    ensure!(message.contains("log4j-core 2.14.1"), "{message}");

    let with_entries = announcing(log4j_core("2.14.1"), BILLION, Some(BILLION * ENTRY_BYTES));
    let image = with_layer("announced", &[("app/b.jar", with_entries)]);
    is_told_as(&world, "announced", &image, MALFORMED, MALFORMED_LIMIT).await?;

    // Entries that are really there, more than may be, in a jar of some MiB.
    let names: Vec<String> = (0..210_000).map(|number| number.to_string()).collect();
    let entries: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
    let image = with_layer("real", &[("app/c.jar", zip(&entries))]);
    is_told(&world, "real", &image, "archive.entries").await?;
    next_is_done(&world, "next").await
}

/// One line of 100 MB, full of what rules begin with, and a token at its end.
#[tokio::test]
async fn one_endless_line_is_read_to_its_end() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY]).await?;
    let words =
        b"password=AKIA;token:ghp_;secret=xoxb-;key=sk_live_;-----BEGIN eyJhbGciOi api_key: ".repeat(12);
    let mut line = Vec::with_capacity(100 * MIB + 4_096);
    for noise in noise("line", 1 << 20).chunks(16).cycle() {
        if line.len() > 100 * MIB {
            break;
        }
        line.extend_from_slice(hex::encode(noise).as_bytes());
        line.extend_from_slice(&words);
    }
    line.extend_from_slice(b" token: ");
    line.extend_from_slice(super::configuration::token().as_bytes());
    line.push(b'\n');
    world
        .push("line", &with_layer("line", &[("srv/bundle.min.js", line)]))
        .await?;
    let answer = world.decided("line").await?.expect(&[200])?;
    let told = answer.require("warning").context("nothing was found")?;
    ensure!(told.contains("srv/bundle.min.js"), "{told}");
    next_is_done(&world, "next").await
}

#[tokio::test]
async fn databases_of_rpm_that_are_damaged_cost_only_themselves() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY]).await?;
    world.import(&facts())?;
    let rubbish = noise("rpm", MIB);
    let sqlite = [b"SQLite format 3\0\x10\0\x01\x01", &rubbish[..]].concat();
    let ndb = [b"RpmP\0\0\0\0", &rubbish[..]].concat();
    let berkeley = [&[0; 12], &b"\x61\x15\x06\0\x09\0\0\0\0\x10\0\0"[..], &rubbish].concat();
    for (tag, path, bytes) in [
        ("sqlite", "var/lib/rpm/rpmdb.sqlite", sqlite),
        ("ndb", "usr/lib/sysimage/rpm/Packages.db", ndb),
        ("berkeley", "var/lib/rpm/Packages", berkeley),
    ] {
        let image = with_layer(tag, &[(path, bytes)]);
        is_told_as(&world, tag, &image, MALFORMED, MALFORMED_LIMIT).await?;
    }
    next_is_done(&world, "next").await
}
