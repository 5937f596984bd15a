//! A server that is ended in the middle: nothing is lost, and what comes twice says so by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::receiver::received;
use super::world::{World, until};
use crate::http_server::{Piece, Reply, Server};

const ROBOTS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_kills_and_what_comes_twice_has_the_same_id() -> Result<()> {
    let mut world = World::start(&[]).await;
    // Slow, so that kills hit it in the middle.
    let server = Server::start(|_| {
        Reply::status(200).pieces(vec![
            Piece::Pause(Duration::from_millis(60)),
            Piece::Bytes(b"ok".to_vec()),
        ])
    })
    .await;
    let secret = world.webhook("hook", &server.url("/"), "robot.create")?;
    for number in 0..ROBOTS {
        world.make_robot(&format!("r{number}"))?;
        if number % 3 == 2 {
            world.server.kill();
            world.server.start_again().await;
        }
    }
    for pause in [10, 90, 170] {
        sleep(Duration::from_millis(pause)).await;
        world.server.kill();
        world.server.start_again().await;
    }
    let told = || -> Result<BTreeSet<String>> {
        Ok(received(&server, &secret)?
            .iter()
            .map(|one| one.subject().to_owned())
            .collect())
    };
    until("all came", || Ok(told()?.len() == ROBOTS)).await?;
    until("nothing is pending", || {
        Ok(world.deliveries("hook", "pending")?.is_empty())
    })
    .await?;
    let all = received(&server, &secret)?;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in &all {
        ids.entry(one.subject().to_owned())
            .or_default()
            .insert(one.id.clone());
    }
    ensure!(
        ids.values().all(|ids| ids.len() == 1),
        "told twice under two ids: {ids:?}"
    );
    let mut order = Vec::new();
    for one in &all {
        if order.last() != Some(&one.subject()) {
            order.push(one.subject());
        }
    }
    let wanted: Vec<String> = (0..ROBOTS).map(|number| format!("r{number}")).collect();
    ensure!(order == wanted, "out of order: {order:?}");
    Ok(())
}
