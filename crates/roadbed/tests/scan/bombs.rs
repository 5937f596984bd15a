//! Layers that want to cost more than they are worth, through the real child.

use anyhow::{Context as _, Result, ensure};

use super::{
    images::{Image, Layer, append, gzip, zip},
    world::{World, status_number},
};
use crate::harness::content::{Algorithm, Blob};

pub(super) const MIB: usize = 1 << 20;

/// What a child may take in these tests, and what the server may grow by while it has bombs looked into.
pub(super) const CHILD_MEMORY: (&str, &str) = ("ROADBED_SCAN__WORKER_MEMORY", "1GiB");
pub(super) const SERVER_GROWTH_KIB: u64 = 96 * 1024;

/// Pushes an image and waits for its decision: it is not scannable, and the log says by which limit. No child takes more memory
/// than it may.
pub(super) async fn is_told(world: &World, tag: &str, image: &Image, limit: &str) -> Result<()> {
    is_told_as(world, tag, image, "not-scannable", limit).await
}

/// The same under another word for what could not be looked into.
pub(super) async fn is_told_as(
    world: &World,
    tag: &str,
    image: &Image,
    kind: &str,
    limit: &str,
) -> Result<()> {
    world.push(tag, image).await?;
    let answer = world.decided(tag).await?.expect(&[200])?;
    let warning = answer.require("warning").context(tag.to_owned())?;
    ensure!(warning.contains(kind), "{tag}: {warning}");
    let log = world.server.log();
    let told = log
        .lines()
        .find(|line| line.contains("not all of a blob") && line.contains(&image.layer().digest))
        .with_context(|| format!("{tag}: the log tells nothing"))?;
    ensure!(told.contains(limit), "{tag}: no {limit} in {told}");
    children_keep_to_their_memory(world, tag)
}

/// No child has ever had more than [`CHILD_MEMORY`].
pub(super) fn children_keep_to_their_memory(world: &World, tag: &str) -> Result<()> {
    for child in world.children() {
        let Some(peak) = status_number(child, "VmPeak") else {
            continue;
        };
        ensure!(peak <= 1024 * 1024, "{tag}: a child had {peak} KiB");
    }
    Ok(())
}

pub(super) fn with_layer(tag: &str, files: &[(&str, Vec<u8>)]) -> Image {
    Image::of(tag, &[Layer::of_files(files)])
}

/// A layer that takes some seconds to look into: text in which rules look for secrets, with enough noise to be no bomb.
pub(super) fn slow_tar() -> Vec<u8> {
    slow_tar_of(12)
}

/// The same with so many files.
pub(super) fn slow_tar_of(files: usize) -> Vec<u8> {
    const BLOCK: usize = 4 * 1024;
    const NOISE: usize = 64;
    let line = b"password = ghp_ AKIA sk_live_ -----BEGIN xoxb- eyJhbGciOi token secret key api\n";
    let mut block = line.repeat(BLOCK / line.len());
    let mut text = Vec::with_capacity(9 * MIB);
    for noise in crate::harness::content::noise("slow", 8 * MIB / BLOCK * NOISE).chunks(NOISE / 2) {
        block.truncate(BLOCK / line.len() * line.len());
        block.extend_from_slice(hex::encode(noise).as_bytes());
        text.extend_from_slice(&block);
    }
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..files {
        append(&mut tar, &format!("srv/{number}.txt"), &text);
    }
    tar.into_inner().expect("memory can be written")
}

#[tokio::test]
async fn packed_bombs_are_not_scannable_and_cost_little() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY]).await?;
    world.push("first", &Image::with_log4j("2.17.1")).await?;
    world.decided("first").await?.expect(&[200])?;
    let before = world.memory()?;
    let zeros = vec![0; 256 * MIB];
    is_told(
        &world,
        "gzip",
        &with_layer("gzip", &[("zeros", zeros)]),
        "layer.ratio",
    )
    .await?;

    let inner = zip(&[("zeros.class", vec![0; 64 * MIB])]);
    let jars: Vec<(String, Vec<u8>)> = (0..40)
        .map(|number| (format!("lib/{number}.jar"), zip(&[("inner.jar", inner.clone())])))
        .collect();
    let jars: Vec<(&str, Vec<u8>)> = jars
        .iter()
        .map(|(path, jar)| (path.as_str(), jar.clone()))
        .collect();
    world.push("zip", &with_layer("zip", &jars)).await?;
    world.decided("zip").await?.expect(&[200])?;

    let after = world.memory()?;
    ensure!(
        after < before + SERVER_GROWTH_KIB,
        "the server grew from {before} to {after} KiB"
    );
    world.decided("first").await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn too_much_of_anything_is_not_scannable() -> Result<()> {
    let options = [
        CHILD_MEMORY,
        ("ROADBED_SCAN__LAYER_ENTRIES", "1000"),
        ("ROADBED_SCAN__ARCHIVE_ENTRIES", "1000"),
        ("ROADBED_SCAN__ARCHIVE_BYTES", "8MiB"),
        ("ROADBED_SCAN__LAYER_BYTES", "64MiB"),
    ];
    let world = World::start(&options).await?;
    let names: Vec<String> = (0..1_100).map(|number| format!("empty/{number}")).collect();
    let empty: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), Vec::new())).collect();
    is_told(&world, "entries", &with_layer("entries", &empty), "layer.entries").await?;

    let crowded = with_layer("crowded", &[("a.jar", zip(&empty))]);
    is_told(&world, "crowded", &crowded, "archive.entries").await?;

    let noise = crate::harness::content::noise("large", 9 * MIB).to_vec();
    let inner = zip(&[("large.jar", zip(&[("large.class", noise)]))]);
    is_told(
        &world,
        "bytes",
        &with_layer("bytes", &[("a.jar", inner)]),
        "archive.bytes",
    )
    .await?;

    let mut nested = super::images::log4j_core("2.17.1");
    for _ in 0..12 {
        nested = zip(&[("inner.jar", nested)]);
    }
    is_told(
        &world,
        "nested",
        &with_layer("nested", &[("a.jar", nested)]),
        "archive.depth",
    )
    .await
}

#[tokio::test]
async fn archives_that_lie_are_not_believed() -> Result<()> {
    let world = World::start(&[CHILD_MEMORY]).await?;
    let raw = |tag: &str, tar: &[u8]| Image::of(tag, &[Layer::of_tar(tar)]);

    // A sparse file that claims a terabyte, one that claims all that fits, one of a negative size.
    let sparse = |real: &str| {
        pax_file(
            &[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "huge"),
                ("GNU.sparse.realsize", real),
            ],
            b"1\n0\n512\n",
        )
    };
    for (tag, real) in [
        ("tera", "1099511627776"),
        ("max", "18446744073709551615"),
        ("minus", "-1"),
    ] {
        world.push(tag, &raw(tag, &sparse(real))).await?;
        world.decided(tag).await?.expect(&[200])?;
    }

    // A file that announces more than comes.
    let mut lying = pax_file(&[("size", "8589934592")], b"short");
    is_told(&world, "lying", &raw("lying", &lying), "layer.tar").await?;
    lying.truncate(1_024 + 700);
    is_told(&world, "torn", &raw("torn", &lying), "layer.tar").await?;

    let endless = "a".repeat(4 * MIB);
    let endless = pax_file(&[("path", &endless)], b"");
    is_told(&world, "endless", &raw("endless", &endless), "layer.name_bytes").await?;

    // Not an archive at all, and gzip that ends in the middle.
    let mut torn = Layer::of_files(&[("etc/motd", crate::harness::content::noise("torn", MIB).to_vec())]);
    let half = torn.blob.bytes.slice(..torn.blob.bytes.len() / 2);
    torn.blob = Blob::new(Algorithm::Sha256, half);
    is_told(&world, "half", &Image::of("half", &[torn]), "layer.").await?;
    let noise = Layer::of_tar(&gzip(&crate::harness::content::noise("noise", MIB)));
    is_told(&world, "noise", &Image::of("noise", &[noise]), "layer.").await
}

/// A file behind a PAX header of these records.
fn pax_file(records: &[(&str, &str)], content: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for (key, value) in records {
        header.extend_from_slice(&record(key, value));
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut pax = tar::Header::new_ustar();
    pax.set_entry_type(tar::EntryType::XHeader);
    pax.set_size(header.len() as u64);
    tar.append_data(&mut pax, "PaxHeaders/file", header.as_slice())
        .expect("memory can be written");
    append(&mut tar, "file", content);
    tar.into_inner().expect("memory can be written")
}

/// `length key=value`, where the length counts its own digits.
fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}
