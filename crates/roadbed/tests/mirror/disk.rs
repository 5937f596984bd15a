//! The cap of the disk.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::process::run;
use super::world::{Image, World, until_held};
use crate::harness::client::Client;

const MIB: usize = 1 << 20;

/// Three images and a little more.
const CAP: u64 = 3 * (1 << 20) + 300_000;

/// The pull log is written once a second, and says what was used when.
const NOTED: Duration = Duration::from_millis(1_300);

async fn pulled(world: &World, node: &Client, name: &str) -> Result<Image> {
    let image = Image::of(name, MIB);
    image.push(&world.centre, &format!("team/{name}"), "1").await?;
    image.pull(node, &format!("team/{name}"), "1", "").await?;
    let held = world.mirror.held_bytes();
    ensure!(held <= CAP, "{held} bytes are held");
    sleep(NOTED).await;
    Ok(image)
}

async fn the_oldest_goes() -> Result<()> {
    let cap = format!("{CAP}B");
    let mut world = World::start(&[
        ("ROADBED_MIRROR__DISK", &cap),
        ("ROADBED_MIRROR__PINNED", "**/pause*"),
    ])
    .await?;
    let node = world.mirror.node();
    let pause = pulled(&world, &node, "pause").await?;
    let used = pulled(&world, &node, "used").await?;
    pulled(&world, &node, "old").await?;
    until_held(&world.mirror, 3).await?;
    // It came before the other one, and is used after it.
    used.pull(&node, "team/used", "1", "").await?;
    sleep(NOTED).await;
    let newer = pulled(&world, &node, "newer").await?;
    let evicted = world.mirror.metric("mirror_evicted_images_total").await?;
    ensure!(evicted == 1, "{evicted} images went");
    until_held(&world.mirror, 3).await?;

    let large = Image::of("large", usize::try_from(CAP)? + 1);
    large.push(&world.centre, "team/large", "1").await?;
    let layer = format!("/v2/team/large/blobs/{}", large.blobs[1].digest);
    let too_large = node.get(&layer).send().await?;
    let too_large = too_large.expect_error(507, "STORAGE_FULL")?;
    ensure!(
        too_large.error_message()?.contains("mirror.disk"),
        "{}",
        too_large.summary()
    );

    world.centre.kill();
    for (name, image) in [("pause", &pause), ("used", &used), ("newer", &newer)] {
        image.pull(&node, &format!("team/{name}"), "1", "").await?;
    }
    node.get("/v2/team/old/manifests/1")
        .send()
        .await?
        .expect(&[503])?;
    Ok(())
}

/// What is pinned leaves no room for anything else.
async fn nothing_may_go() -> Result<()> {
    let cap = format!("{}B", MIB + 300_000);
    let world = World::start(&[("ROADBED_MIRROR__DISK", &cap), ("ROADBED_MIRROR__PINNED", "**")]).await?;
    let node = world.mirror.node();
    let (first, second) = (Image::of("first", MIB), Image::of("second", MIB));
    first.push(&world.centre, "team/first", "1").await?;
    second.push(&world.centre, "team/second", "1").await?;
    first.pull(&node, "team/first", "1", "").await?;
    until_held(&world.mirror, 1).await?;
    let layer = format!("/v2/team/second/blobs/{}", second.blobs[1].digest);
    let full = node.get(&layer).send().await?.expect_error(507, "STORAGE_FULL")?;
    ensure!(full.error_message()?.contains("pinned"), "{}", full.summary());
    first.pull(&node, "team/first", "1", "").await
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room() {
    the_oldest_goes().await.unwrap();
}

#[tokio::test]
async fn what_is_pinned_stays_and_the_rest_is_told() {
    nothing_may_go().await.unwrap();
}

/// What is pinned on the machine while the mirror runs.
async fn pinned_by_hand() -> Result<()> {
    let cap = format!("{}B", 2 * MIB + 300_000);
    let variables = [
        ("ROADBED_MIRROR__DISK", cap.as_str()),
        ("ROADBED_MIRROR__PINNED", "**/none"),
    ];
    let mut world = World::start(&variables).await?;
    let node = world.mirror.node();
    let data = world.mirror.data().display().to_string();
    let home = tempfile::tempdir()?;
    let by_command = |what: &str, images: &[&str]| {
        let arguments = [&["mirror", what, "--data", data.as_str()][..], images].concat();
        run(home.path(), &arguments)
    };
    let name = format!("{}/team/first:1", world.centre.address());
    let (is_done, text) = by_command("pin", &[name.as_str()])?;
    ensure!(is_done && text == format!("{name}\n"), "{text}");

    let mut images = Vec::new();
    for name in ["first", "second", "third"] {
        let image = Image::of(name, MIB);
        image.push(&world.centre, &format!("team/{name}"), "1").await?;
        image.pull(&node, &format!("team/{name}"), "1", "").await?;
        sleep(NOTED).await;
        images.push(image);
    }
    until_held(&world.mirror, 2).await?;
    world.centre.kill();
    // The first was used longest ago, and the second made room.
    for (name, image) in [("first", &images[0]), ("third", &images[2])] {
        image.pull(&node, &format!("team/{name}"), "1", "").await?;
    }
    node.get("/v2/team/second/manifests/1")
        .send()
        .await?
        .expect(&[503])?;

    let (is_done, text) = by_command("pins", &[])?;
    ensure!(is_done && text == format!("{name}\n"), "{text}");
    let (is_done, text) = by_command("unpin", &[name.as_str()])?;
    ensure!(is_done && text.contains("Nothing is pinned"), "{text}");
    let (is_done, text) = by_command("unpin", &[name.as_str()])?;
    ensure!(!is_done && text.contains("is not pinned"), "{text}");
    let nowhere = ["mirror", "pins", "--data", "/nowhere"];
    let (is_done, text) = run(home.path(), &nowhere)?;
    ensure!(!is_done && text.contains("holds no mirror"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_is_pinned_by_hand_stays() {
    pinned_by_hand().await.unwrap();
}
