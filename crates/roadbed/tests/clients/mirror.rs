//! A node that pulls `docker.io/…` and asks us first: containerd's mirrors, which send `?ns=docker.io`.

use anyhow::Result;

use super::{
    client::RegistryClient,
    containerd::{Containerd, write_hosts},
    scenarios::{DENIED, UNAUTHORIZED},
    world::World,
};
use crate::harness::{
    server::{ADMIN, ADMIN_PASSWORD, Options},
    unable::report,
};

/// A port on which nobody listens stands for the upstream, so that only the mirror can answer.
const NO_UPSTREAM: &str = "http://127.0.0.1:1";

fn pull_through_the_mirror(world: &World, node: &mut Containerd) -> Result<()> {
    node.log_in(ADMIN, ADMIN_PASSWORD)?.expect_success()?;
    let image = world.image("image", 1)?;
    node.push(&image, "docker.io/library/tool:v1")?.expect_success()?;
    node.forget()?;
    let mirror = format!("http://{}", world.registry());
    let hosts =
        format!("server = \"{NO_UPSTREAM}\"\n[host.\"{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
    let directory = write_hosts(&world.file("node"), "docker.io", &hosts)?;
    let reference = "docker.io/library/tool:v1";
    let options = ["--hosts-dir".to_owned(), directory];
    let stranger = node.transfer_with("pull", &options, reference)?;
    stranger.expect_refusal(&[&UNAUTHORIZED[..], &DENIED, &["connection refused"]].concat())?;
    let login = ["--user".to_owned(), format!("{ADMIN}:{ADMIN_PASSWORD}")];
    node.transfer_with("pull", &[options.clone(), login.clone()].concat(), reference)?
        .expect_success()?;
    node.check_held(reference, &image.top.digest)?;
    let unknown = node.transfer_with("pull", &[options, login].concat(), "docker.io/library/unknown:v1")?;
    unknown.expect_refusal(&["not found", "connection refused"])
}

#[tokio::test]
async fn a_node_pulls_docker_hub_images_from_us() {
    let namespaces = "docker.io=docker.io";
    let world =
        World::plain_with(Options::default().environment("ROADBED_REGISTRY__NAMESPACES", namespaces)).await;
    match Containerd::start(world.setup()) {
        Ok(mut node) => pull_through_the_mirror(&world, &mut node).unwrap(),
        Err(unable) => report(&unable),
    }
}
