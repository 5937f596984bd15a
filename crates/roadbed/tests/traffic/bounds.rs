//! A server with every key at an end of its range starts and answers.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::server::{Options, Server, command};

/// Keys that have a range, at least.
const KEYS: usize = 70;

/// The variable of each key with a range, and its ends.
fn ranges() -> Result<Vec<(String, [String; 2])>> {
    let home = TempDir::with_prefix("roadbed-bounds-")?;
    let shown = command(home.path())
        .args(["config", "show", "--defaults", "--output", "json"])
        .output()?;
    let keys: Vec<Value> = serde_json::from_slice(&shown.stdout).context("the list of keys")?;
    let range = |key: &Value| {
        let (_, range) = key["expects"].as_str()?.rsplit_once(", ")?;
        let (least, most) = range.split_once(" to ")?;
        Some((
            key["variable"].as_str()?.to_owned(),
            [least.to_owned(), most.to_owned()],
        ))
    };
    Ok(keys.iter().filter_map(range).collect())
}

async fn serves_at(end: usize) -> Result<()> {
    let ranges = ranges()?;
    ensure!(ranges.len() > KEYS, "{} keys have a range", ranges.len());
    let with = |options: Options, (variable, ends): &(String, [String; 2])| {
        options.environment(variable, &ends[end])
    };
    // Waits until it is ready. Nothing more can be asked: there may be one connection, and that is the harness's own.
    Server::start_with(ranges.iter().fold(Options::default(), with)).await;
    Ok(())
}

#[tokio::test]
async fn a_server_with_every_key_at_its_smallest_is_ready() {
    serves_at(0).await.unwrap();
}

#[tokio::test]
async fn a_server_with_every_key_at_its_largest_is_ready() {
    serves_at(1).await.unwrap();
}
