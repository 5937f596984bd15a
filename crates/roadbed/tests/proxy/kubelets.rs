//! Two thousand nodes that have nothing yet and want one image at once, each over a connection of its own: the upstream is asked
//! once for each blob. Then the upstream is killed in the middle: nobody gets a wrong byte, all are told what is wrong, and who
//! asks again gets a whole image once there is one.

use std::{
    io::Write as _,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    sync::{Barrier, Mutex},
    task::JoinSet,
    time::sleep,
};

use super::{
    faults::Fault,
    kubelet::{Fate, Kubelet},
    world::{World, blob, manifest},
};
use crate::harness::{
    admin,
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, LAYER},
};

/// Nodes that pull at once.
const NODES: usize = 2_000;

/// Layers of the image.
const LAYERS: usize = 8;

/// Bytes of each layer: two thousand copies of the image are to be read and compared on two cores.
const LAYER_BYTES: usize = 256 * 1024;

/// Nodes behind one address, as in racks.
const NODES_OF_AN_ADDRESS: usize = 50;

/// Until when every node must have all of it.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long the upstream is away: longer than a blob that was cut is gone on with.
const AWAY: Duration = Duration::from_secs(5);

/// Open files of this process: a socket of each node, and what the upstream needs.
const FILES: u64 = 4_096;

/// Most questions for a blob whose upstream is killed once: before, and after.
const QUESTIONS_ABOUT_A_CUT_BLOB: usize = 3;

/// Whoever has the machine to themselves: thousands of connections take all of it.
pub(super) static ALONE: Mutex<()> = Mutex::const_new(());

pub(super) struct Image {
    pub(super) name: &'static str,
    pub(super) blobs: Vec<Blob>,
    pub(super) document: Document,
}

impl Image {
    pub(super) fn new(name: &'static str) -> Self {
        let config = Blob::new(Algorithm::Sha256, format!(r#"{{"seed":"{name}"}}"#));
        let layer = |number| Blob::noise(Algorithm::Sha256, &format!("{name} {number}"), LAYER_BYTES);
        let mut blobs: Vec<Blob> = (0..LAYERS).map(layer).collect();
        let described = blobs.iter().map(|blob| blob.descriptor(LAYER)).collect();
        let document = Draft::image(config.descriptor(CONFIG), described).finish();
        blobs.push(config);
        Self {
            name,
            blobs,
            document,
        }
    }
}

/// The usual limit of 1,024 is for programs that wait with `select`.
pub(super) fn want_files() -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= FILES) {
        return Ok(());
    }
    let raised = Rlimit {
        current: now.maximum.map_or(Some(FILES), |most| Some(most.min(FILES))),
        ..now
    };
    setrlimit(Resource::Nofile, raised)?;
    ensure!(
        now.maximum.is_none_or(|most| most >= FILES),
        "{NODES} nodes need {FILES} open files, and no more than {:?} are allowed",
        now.maximum
    );
    Ok(())
}

/// All of it, the layers in an order of its own.
pub(super) async fn pull(
    mut node: Kubelet,
    number: usize,
    image: Arc<Image>,
    all_are_there: Arc<Barrier>,
) -> Result<Fate> {
    let until = tokio::time::Instant::now() + PATIENCE;
    all_are_there.wait().await;
    let path = manifest(image.name, "1");
    node.pull(&path, &image.document.bytes, until).await?;
    for place in 0..image.blobs.len() {
        let part = &image.blobs[(number + place) % image.blobs.len()];
        node.pull(&blob(image.name, &part.digest), &part.bytes, until)
            .await?;
    }
    Ok(node.fate)
}

/// Has all nodes pull an image.
fn cluster(world: &World, login: &str, image: &Arc<Image>) -> JoinSet<Result<Fate>> {
    let (registry, all_are_there) = (world.server.address(), Arc::new(Barrier::new(NODES)));
    let mut nodes = JoinSet::new();
    for number in 0..NODES {
        let rack = u8::try_from(number / NODES_OF_AN_ADDRESS).unwrap_or(u8::MAX);
        let node = Kubelet::new(registry, Ipv4Addr::new(127, 0, 1, rack + 1), login);
        nodes.spawn(pull(node, number, Arc::clone(image), Arc::clone(&all_are_there)));
    }
    nodes
}

pub(super) async fn all(mut nodes: JoinSet<Result<Fate>>) -> Result<Fate> {
    let mut fate = Fate::default();
    while let Some(node) = nodes.join_next().await {
        fate.add(node.context("a node was lost")??);
    }
    Ok(fate)
}

fn tell(what: &str, fate: Fate, begun: Instant) {
    let line = format!(
        "{what}: {NODES} nodes, {fate:?}, {:.1} s\n",
        begun.elapsed().as_secs_f64()
    );
    // Not `eprintln!`: the runner would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

async fn cold() -> Result<()> {
    want_files()?;
    let world = World::start("undecided = \"stream\"\n").await?;
    let login = admin::robot(&world.server, "cluster", "hub/**").await?;
    let image = Arc::new(Image::new("library/cold"));
    world.upstream.add(image.name, "1", &image.blobs, &image.document);
    world.upstream.pause(Duration::from_secs(1));
    let begun = Instant::now();
    let fate = all(cluster(&world, &login, &image)).await?;
    tell("cold", fate, begun);
    ensure!(
        fate.broken == 0,
        "no answer breaks off where nothing is wrong: {fate:?}"
    );
    for part in &image.blobs {
        let asked = world.upstream.count("GET", &part.digest);
        ensure!(asked == 1, "{asked} questions for {}", part.digest);
    }
    let asked = world.upstream.count("GET", "/manifests/");
    ensure!(asked == 1, "{asked} questions for the manifest");
    Ok(())
}

async fn killed() -> Result<()> {
    want_files()?;
    let (world, faults) = World::start_behind_faults("undecided = \"stream\"\n").await?;
    let login = admin::robot(&world.server, "cluster", "hub/**").await?;
    let image = Arc::new(Image::new("library/killed"));
    world.upstream.add(image.name, "1", &image.blobs, &image.document);
    // Each blob stands still half way.
    world.upstream.pause(Duration::from_mins(1));
    let begun = Instant::now();
    let nodes = cluster(&world, &login, &image);
    for part in &image.blobs {
        while world.upstream.count("GET", &part.digest) == 0 {
            ensure!(begun.elapsed() < PATIENCE, "{} was never asked for", part.digest);
            sleep(Duration::from_millis(20)).await;
        }
    }
    sleep(Duration::from_millis(500)).await;
    faults.set(Fault::Gone);
    world.upstream.pause(Duration::ZERO);
    sleep(AWAY).await;
    faults.set(Fault::None);
    let fate = all(nodes).await?;
    tell("killed", fate, begun);
    ensure!(fate.broken > 0, "nobody noticed: {fate:?}");
    for part in &image.blobs {
        let asked = world.upstream.count("GET", &part.digest);
        ensure!(
            asked <= QUESTIONS_ABOUT_A_CUT_BLOB,
            "{asked} questions for {}",
            part.digest
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_nodes_make_one_request_for_each_blob() {
    let _alone = ALONE.lock().await;
    cold().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_killed_gives_nobody_a_wrong_byte() {
    let _alone = ALONE.lock().await;
    killed().await.unwrap();
}
