//! A server that is killed again and again while all images on a base follow it: afterwards all have, each once, and at no moment did a
//! tag name what was missing or half made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::images::Image;
use super::mass::{in_state, on_signed_base, report, say, sign};
use super::rebase::{self, push, until};
use super::world::World;

/// Images that follow.
const IMAGES: usize = 30;

/// Releases that they follow to, one after the other.
const RELEASES: [u8; 3] = [2, 3, 4];

/// Kills while they follow to one of them, at most and at least.
const MOST_KILLS: usize = 12;
const LEAST_KILLS: usize = 2;

/// Longest time between a start and a kill, in milliseconds.
const LONGEST: u64 = 700;

/// Images that are looked at after each kill; all of them at the end.
const SAMPLE: usize = 3;

/// The seed of a run that is to be repeated, as far as the machine repeats it.
const SEED: &str = "ROADBED_MASS_SEED";

/// A small generator (xorshift), so that a run can be told by its seed.
struct Dice(u64);

impl Dice {
    /// By the seed that was given, or else by the time.
    fn new() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let seed = match std::env::var(SEED) {
            Ok(given) => given.parse().with_context(|| format!("{SEED} is no number"))?,
            Err(_) => u64::try_from(now & u128::from(u64::MAX))?,
        };
        Ok(Self(seed | 1))
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

#[tokio::test]
async fn a_mass_rebase_that_is_killed_at_any_moment_completes_and_no_tag_names_what_is_missing() -> Result<()>
{
    let mut dice = Dice::new()?;
    let seed = dice.0;
    let told = || format!("{SEED}={seed}");
    let names: Vec<String> = (0..IMAGES).map(|number| format!("app{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut world, platform) = on_signed_base(&[], &names).await?;
    let wants: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (*name, "{autoRebase: true, until: 2099-01-01}"))
        .collect();
    say(&world, &wants)?;
    for (wave, number) in RELEASES.into_iter().enumerate() {
        let release = rebase::release(number);
        push(&world, "base/java", &number.to_string(), &release).await?;
        sign(&world, "base/java", &release.document, &platform).await?;
        for kills in 1..=MOST_KILLS {
            sleep(Duration::from_millis(dice.up_to(LONGEST))).await;
            world.server.kill();
            world.server.start_again().await;
            world.log_in_again();
            let from = usize::try_from(dice.up_to((IMAGES - SAMPLE) as u64))?;
            whole(&world, &names[from..from + SAMPLE], wave)
                .await
                .with_context(told)?;
            let said = report(&world, |_| true).await.with_context(told)?;
            if kills >= LEAST_KILLS && have_all_followed(&said, &release) {
                break;
            }
        }
        report(&world, |said| have_all_followed(said, &release))
            .await
            .with_context(told)?;
        let followed = whole(&world, &names, wave).await.with_context(told)?;
        ensure!(
            followed == IMAGES,
            "{followed} of {IMAGES} have followed: {}",
            told()
        );
    }
    for name in &names {
        let journal = until(&world, &["rebase", "list", &format!("team/{name}")], |_| true).await?;
        let lines = journal.as_array().context("a list")?;
        let all_moved = lines.iter().all(|line| line["state"] == "moved");
        ensure!(
            lines.len() == RELEASES.len() && all_moved,
            "{}: {journal:#}",
            told()
        );
    }
    world.roadbed(&["fsck"]).with_context(told)?;
    Ok(())
}

/// Until a release was looked into and counts, the report is of the one before it.
fn have_all_followed(report: &Value, release: &Image) -> bool {
    let moved = in_state(report, "moved");
    moved.len() == IMAGES
        && moved
            .iter()
            .all(|item| item["release"] == release.document.digest)
}

/// All that tags name is there. Answers how many images have followed to the release of this wave.
async fn whole(world: &World, names: &[&str], wave: usize) -> Result<usize> {
    let mut followed = 0;
    for name in names {
        let repository = format!("team/{name}");
        let tags = world
            .admin
            .get(format!("/v2/{repository}/tags/list"))
            .send()
            .await?
            .expect(&[200])?;
        let tags: Value = serde_json::from_slice(&tags.body)?;
        let tags: Vec<&str> = tags["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let all: Vec<String> = std::iter::once("v1".to_owned())
            .chain((0..=wave).map(|done| format!("v1-p{}", done + 1)))
            .collect();
        let is_one_of = tags == all || tags == all[..=wave];
        ensure!(
            is_one_of,
            "{repository}: {tags:?}, not {all:?} or all but the last"
        );
        followed += usize::from(tags.len() == all.len());
        for tag in tags {
            whole_image(world, &repository, tag)
                .await
                .with_context(|| format!("{repository}:{tag}"))?;
        }
    }
    Ok(followed)
}

async fn whole_image(world: &World, repository: &str, tag: &str) -> Result<()> {
    let manifest = world
        .admin
        .get(format!("/v2/{repository}/manifests/{tag}"))
        .send()
        .await?
        .expect(&[200])?;
    let digest = manifest
        .header("docker-content-digest")
        .unwrap_or_default()
        .to_owned();
    let manifest: Value = serde_json::from_slice(&manifest.body)?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for blob in layers.chain([&manifest["config"]]) {
        let blob = blob["digest"].as_str().context("a blob has a digest")?;
        let there = world
            .admin
            .get(format!("/v2/{repository}/blobs/{blob}"))
            .send()
            .await?;
        there.expect(&[200])?;
    }
    if tag == "v1" {
        return Ok(());
    }
    // What is made is made with what is stated of it: its provenance at least, and nobody signed what it was made of.
    let referrers = world
        .admin
        .get(format!("/v2/{repository}/referrers/{digest}"))
        .send()
        .await?
        .expect(&[200])?;
    let referrers: Value = serde_json::from_slice(&referrers.body)?;
    let stated = referrers["manifests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["artifactType"] == "application/vnd.dev.sigstore.bundle.v0.3+json");
    ensure!(stated.count() >= 1, "{referrers:#}");
    Ok(())
}
