//! A node with the mirror in its `hosts.toml`: what it has pulled once it can pull when the registry is gone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    client::RegistryClient,
    containerd::Containerd,
    layout::Layout,
    mirror_process::{Mirror, run},
    world::World,
};
use crate::harness::{
    admin::{self, USER_PASSWORD},
    server::{ADMIN, ADMIN_PASSWORD, Options},
    unable::report,
};

const OF_DOCKER: &str = "docker.io/library/tool";

/// What is not known is told soon.
const SOON: Duration = Duration::from_secs(15);

struct Node<'n> {
    containerd: &'n Containerd,
    hosts: String,
}

impl Node<'_> {
    /// Without credentials: the mirror has some of its own.
    fn pull(&self, reference: &str) -> Result<super::machine::Outcome> {
        let options = ["--hosts-dir".to_owned(), self.hosts.clone()];
        self.containerd.transfer_with("pull", &options, reference)
    }

    fn pull_all(&self, own: &str, (tool, app): (&Layout, &Layout)) -> Result<()> {
        let by_digest = format!("{OF_DOCKER}@{}", tool.top.digest);
        for (reference, image) in [
            (format!("{OF_DOCKER}:v1"), tool),
            (by_digest, tool),
            (own.to_owned(), app),
        ] {
            self.pull(&reference)?.expect_success()?;
            self.containerd.check_held(&reference, &image.top.digest)?;
        }
        Ok(())
    }
}

async fn mirror_before(world: &World) -> Result<Mirror> {
    admin::user(&world.server, "cluster", "**", &["pull"]).await?;
    Ok(Mirror::start(&[
        ("ROADBED_MIRROR__CENTRE", &world.server.url()),
        ("ROADBED_MIRROR__NAMESPACES", "docker.io"),
        ("ROADBED_MIRROR__USERNAME", "cluster"),
        ("ROADBED_MIRROR__PASSWORD_ENV", "SECRET"),
        ("SECRET", USER_PASSWORD),
        ("ROADBED_MIRROR__FRESH", "0s"),
    ])
    .await)
}

fn installed(world: &World, mirror: &Mirror) -> Result<String> {
    let hosts = world.file("certs.d");
    std::fs::create_dir_all(&hosts)?;
    let directory = hosts.to_string_lossy().into_owned();
    let (centre, own, url) = (world.server.url(), world.registry().to_owned(), mirror.url());
    let arguments = [
        "mirror",
        "install",
        "--containerd-dir",
        &directory,
        "--mirror",
        &url,
    ];
    let more = [
        "--centre",
        &centre,
        "--namespace",
        "docker.io",
        "--namespace",
        &own,
    ];
    let (done, said) = run(&hosts, &[&arguments[..], &more].concat())?;
    ensure!(done, "{said}");
    Ok(directory)
}

async fn outlives(world: &mut World, containerd: &mut Containerd) -> Result<()> {
    containerd.log_in(ADMIN, ADMIN_PASSWORD)?.expect_success()?;
    let (tool, app) = (world.image("tool", 2)?, world.image("app", 1)?);
    containerd
        .push(&tool, &format!("{OF_DOCKER}:v1"))?
        .expect_success()?;
    containerd.push(&app, "team/app:v1")?.expect_success()?;
    containerd.forget()?;
    let mirror = mirror_before(world).await?;
    let own = format!("{}/team/app:v1", world.registry());
    let node = Node {
        containerd,
        hosts: installed(world, &mirror)?,
    };
    node.pull_all(&own, (&tool, &app))?;
    let begun = Instant::now();
    while mirror.metric("mirror_held_images").await? < 2 {
        ensure!(begun.elapsed() < SOON, "the images are not held");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    containerd.forget()?;
    world.server.kill();
    node.pull_all(&own, (&tool, &app))?;
    let begun = Instant::now();
    let unknown = node.pull("docker.io/library/unknown:v1")?;
    unknown.expect_refusal(&["503", "cannot be reached", "connection refused"])?;
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_node_starts_what_it_has_run_when_the_registry_is_gone() {
    let namespaces = "docker.io=docker.io";
    let mut world =
        World::plain_with(Options::default().environment("ROADBED_REGISTRY__NAMESPACES", namespaces)).await;
    match Containerd::start(world.setup()) {
        Ok(mut containerd) => outlives(&mut world, &mut containerd).await.unwrap(),
        Err(unable) => report(&unable),
    }
}
