//! The configuration of an image is looked into as well.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    images::{Image, Layer},
    world::World,
};
use crate::harness::answer::Answer;

/// A token of GitHub's form with its checksum: thirty letters and digits, and the CRC-32 of them in base 62, six digits.
/// Put together here, so that no file holds one.
pub(super) fn token() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let noise = "x7Kq2VbN9sTfR4mWc8LpZ1hYdG6jXa";
    let mut crc = flate2::Crc::new();
    crc.update(noise.as_bytes());
    let mut rest = crc.sum() as usize;
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    format!("ghp_{noise}{}", String::from_utf8_lossy(&checksum))
}

fn warning(answer: &Answer) -> Result<String> {
    Ok(answer.require("warning")?.to_owned())
}

#[tokio::test]
async fn a_secret_in_the_environment_is_found_and_not_repeated() -> Result<()> {
    let world = World::start(&[]).await?;
    let layer = Layer::of_files(&[("etc/motd", b"hello\n".to_vec())]);
    let token = token();
    let environment = json!({ "Env": [format!("GITHUB_TOKEN={token}"), "PATH=/bin"], "User": "1000" });
    world
        .push(
            "leaky",
            &Image::with_config(std::slice::from_ref(&layer), &environment),
        )
        .await?;
    let warned = world.decided("leaky").await?.expect(&[200])?;
    let text = warning(&warned)?;
    ensure!(text.contains("config"), "{text}");
    ensure!(text.contains("github"), "{text}");
    ensure!(!text.contains(&token), "the secret is shown: {text}");
    ensure!(!world.server.log().contains(&token), "the secret is in the log");

    world
        .push("root", &Image::with_config(&[layer], &json!({ "Cmd": ["/app"] })))
        .await?;
    let warned = world.decided("root").await?.expect(&[200])?;
    ensure!(warning(&warned)?.contains("root"), "{}", warned.summary());
    Ok(())
}
