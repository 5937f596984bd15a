//! Sources that are slow.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    mirror::Mirror,
    served::{PATIENCE, run, start},
};
use crate::{
    feed_server::{Piece, Reply},
    scan::world::World,
};

/// Waits until the sources stand so.
async fn until(world: &World, wanted: impl Fn(&dyn Fn(&str) -> Value, &Value) -> bool) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, status, said) = run(world, &["advisories", "status"]).await?;
        let of = |name: &str| {
            let sources = status["sources"].as_array().into_iter().flatten();
            let mut of = sources.filter(|source| source["source"] == name);
            of.next().cloned().unwrap_or_default()
        };
        if wanted(&of, &status) {
            return Ok(status);
        }
        ensure!(Instant::now() < deadline, "{status} {said}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Its bytes come one by one, so it is never silent: the others are in force long before it is given up.
#[tokio::test]
async fn a_slow_source_holds_up_no_other() -> Result<()> {
    let mirror = Mirror::start().await;
    let drops = (0..600).flat_map(|_| {
        [
            Piece::Bytes(b"2".to_vec()),
            Piece::Pause(Duration::from_millis(500)),
        ]
    });
    let slow = Reply::status(200).pieces(drops.collect());
    mirror.spoil("/osv/Maven/modified_id.csv", slow);
    let mut variables = mirror.variables();
    variables.retain(|(name, _)| *name != "ROADBED_FEEDS__CONCURRENT_SOURCES");
    variables.push(("ROADBED_FEEDS__SOURCE_TIMEOUT", "20s".to_owned()));
    variables.push(("ROADBED_FEEDS__GATHER", "1s".to_owned()));
    let world = start(&variables).await?;
    let is_fresh = |source: &Value| source["state"] == "fresh";
    let status = until(&world, |of, _| {
        ["kev", "epss", "npm"].iter().all(|name| is_fresh(&of(name)))
    })
    .await?;
    let sources = status["sources"].as_array().cloned().unwrap_or_default();
    let maven = sources.iter().find(|source| source["source"] == "Maven");
    ensure!(maven.is_some_and(|maven| maven["tried_at"].is_null()), "{status}");
    ensure!(status["generation"].as_u64() >= Some(1), "{status}");
    until(&world, |of, _| {
        let error = of("Maven")["error"].to_string();
        error.contains("within 20 s") && error.contains("feeds.source_timeout")
    })
    .await?;
    Ok(())
}
