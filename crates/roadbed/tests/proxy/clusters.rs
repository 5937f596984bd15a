//! Forty clusters start again at once while builds pull and somebody asks for all there is: every node has its image, none is turned
//! away, and the upstream hears nothing of it. How long that takes is measured by `just bench-traffic`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, ensure};
use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{
    kubelet::Kubelet,
    kubelets::{ALONE, Image, all, pull, want_files},
    world::{World, manifest, until_stored},
};
use crate::harness::{
    admin,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD},
};

const CLUSTERS: usize = 40;

/// Nodes of each: fewer than there are, so that a debug build is through with them soon.
const NODES: usize = 5;

const BUILDS: usize = 40;

/// Connections of whoever asks for all.
const HOSTILE: usize = 100;

/// As Docker calls itself.
const BUILD: &str = "docker/28.0.0";

/// Asks for the same manifest over and over.
async fn hammer(registry: SocketAddr, login: String, path: String, bytes: Arc<Image>, stop: Arc<AtomicBool>) {
    let from = Ipv4Addr::new(127, 0, 2, 1);
    let mut hostile = Kubelet::new(registry, from, &login).called("curl/8");
    while !stop.load(Ordering::Relaxed) {
        // What becomes of it nobody cares.
        if hostile.get(&path, &bytes.document.bytes).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What the administrator sees of who was told to come again.
async fn shed(world: &World, who: &str) -> Result<u64> {
    let admin = world.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let traffic = admin.get("/api/v1/traffic?limit=1000").send().await?;
    let traffic = traffic.expect(&[200])?.json()?;
    let principals = traffic["principals"].as_array().cloned().unwrap_or_default();
    let its = principals.iter().find(|one| one["who"] == who);
    ensure!(its.is_some(), "{who} is not in {traffic}");
    Ok(its.and_then(|one| one["shed"].as_u64()).unwrap_or(0))
}

async fn start_again() -> Result<()> {
    want_files()?;
    let world = World::start("fresh = \"1h\"\n").await?;
    let image = Arc::new(Image::new("library/again"));
    world.upstream.add(image.name, "1", &image.blobs, &image.document);
    let registry = world.server.address();
    let mut logins = Vec::new();
    for number in 0..CLUSTERS {
        logins.push(admin::robot(&world.server, &format!("cluster-{number}"), "hub/**").await?);
    }
    let builds = admin::robot(&world.server, "builds", "hub/**").await?;
    let hostile = admin::robot(&world.server, "hostile", "hub/**").await?;
    // It is here before.
    let first = Kubelet::new(registry, Ipv4Addr::LOCALHOST, &logins[0]);
    pull(first, 0, Arc::clone(&image), Arc::new(Barrier::new(1))).await?;
    until_stored(&world.node, image.name, "1").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut hammering = JoinSet::new();
    for _ in 0..HOSTILE {
        let path = manifest(image.name, "1");
        let (login, image, stop) = (hostile.clone(), Arc::clone(&image), Arc::clone(&stop));
        hammering.spawn(hammer(registry, login, path, image, stop));
    }
    let begin = Arc::new(Barrier::new(CLUSTERS * NODES + BUILDS));
    let (mut nodes, mut building) = (JoinSet::new(), JoinSet::new());
    for number in 0..CLUSTERS * NODES {
        let cluster = number / NODES;
        let from = Ipv4Addr::new(127, 0, 1, u8::try_from(cluster + 1)?);
        let node = Kubelet::new(registry, from, &logins[cluster]);
        nodes.spawn(pull(node, number, Arc::clone(&image), Arc::clone(&begin)));
    }
    for number in 0..BUILDS {
        let build = Kubelet::new(registry, Ipv4Addr::new(127, 0, 3, 1), &builds).called(BUILD);
        building.spawn(pull(build, number, Arc::clone(&image), Arc::clone(&begin)));
    }
    let of_nodes = all(nodes).await?;
    let of_builds = all(building).await?;
    stop.store(true, Ordering::Relaxed);
    while hammering.join_next().await.is_some() {}
    ensure!(
        of_nodes.told == 0 && of_nodes.broken == 0,
        "nodes were turned away: {of_nodes:?}"
    );
    ensure!(
        of_builds.broken == 0,
        "answers to builds broke off: {of_builds:?}"
    );
    let asked = world.upstream.count("GET", "/v2/library/again/");
    ensure!(
        asked == 1 + image.blobs.len(),
        "{asked} questions to the upstream"
    );
    ensure!(
        shed(&world, "cluster-7").await? == 0,
        "a node was told to come again"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_start_again_at_once_get_all_their_images() {
    let _alone = ALONE.lock().await;
    start_again().await.unwrap();
}
