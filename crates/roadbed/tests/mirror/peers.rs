//! Mirrors that ask each other.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Certificate, Identity};
use tempfile::TempDir;

use super::{
    liar::Liar,
    process::{Mirror, free_port},
    world::{Image, centre, mirror_of, until_held},
};
use crate::harness::{
    authority::{Authority, Files},
    server::Server,
};

/// The authority of some peers, and a certificate that all of them show.
struct Circle {
    directory: TempDir,
    authority: Authority,
    files: Files,
}

impl Circle {
    fn new(name: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let authority = Authority::new(name);
        let files = Files::in_directory(directory.path());
        authority.issue(&[IpAddr::V4(Ipv4Addr::LOCALHOST)], &files);
        std::fs::write(directory.path().join("ca.crt"), authority.pem())?;
        Ok(Self {
            directory,
            authority,
            files,
        })
    }

    fn identity(&self) -> Result<Identity> {
        let pem = [std::fs::read(&self.files.cert)?, std::fs::read(&self.files.key)?].concat();
        Ok(Identity::from_pem(&pem)?)
    }

    /// A mirror that listens to peers on a port and asks those on others.
    async fn mirror(&self, centre: &Server, listen: u16, peers: &[u16]) -> Mirror {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let addresses: Vec<String> = peers.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        mirror_of(
            &centre.url(),
            &[
                ("ROADBED_MIRROR__PEER_LISTEN", &format!("127.0.0.1:{listen}")),
                ("ROADBED_MIRROR__PEERS", &addresses.join(",")),
                (
                    "ROADBED_MIRROR__PEER_CA",
                    &text(&self.directory.path().join("ca.crt")),
                ),
                ("ROADBED_MIRROR__PEER_CERT", &text(&self.files.cert)),
                ("ROADBED_MIRROR__PEER_KEY", &text(&self.files.key)),
                ("ROADBED_MIRROR__PEER_WAIT", "5s"),
            ],
        )
        .await
    }
}

async fn one_has_it() -> Result<()> {
    let mut centre = centre(&[("ROADBED_SCAN__ENABLED", "false")]).await?;
    let circle = Circle::new("peers")?;
    let (first, second) = (free_port(), free_port());
    let has = circle.mirror(&centre, first, &[first, second]).await;
    let wants = circle.mirror(&centre, second, &[first, second]).await;
    let (image, other) = (Image::of("peered", 400_000), Image::of("known", 1_000));
    image.push(&centre, "team/app", "1").await?;
    other.push(&centre, "team/app", "other").await?;
    image.pull(&has.node(), "team/app", "1", "").await?;
    until_held(&has, 1).await?;
    // It may pull there, says the centre before it goes.
    other.pull(&wants.node(), "team/app", "other", "").await?;
    until_held(&wants, 1).await?;
    centre.kill();
    let asked_before = has.metric("mirror_peer_misses_total").await?;
    let digest = &image.document.digest;
    image.pull(&wants.node(), "team/app", digest, "").await?;
    ensure!(
        wants.metric("mirror_peer_hits_total").await? >= 3,
        "a manifest and two blobs"
    );
    // What a tag is, a peer does not say.
    wants
        .node()
        .get("/v2/team/app/manifests/1")
        .send()
        .await?
        .expect(&[503])?;
    // What neither has ends soon: nobody asks further.
    let nowhere = format!("/v2/team/app/manifests/sha256:{}", "0".repeat(64));
    wants.node().get(&nowhere).send().await?.expect(&[503])?;
    let asked = has.metric("mirror_peer_misses_total").await?;
    ensure!(asked == asked_before, "the one that was asked has asked nobody");
    Ok(())
}

async fn only_peers() -> Result<()> {
    let centre = centre(&[("ROADBED_SCAN__ENABLED", "false")]).await?;
    let (circle, strangers) = (Circle::new("peers")?, Circle::new("strangers")?);
    let port = free_port();
    let mirror = circle.mirror(&centre, port, &[port]).await;
    let image = Image::of("private", 1_000);
    image.push(&centre, "team/app", "1").await?;
    image.pull(&mirror.node(), "team/app", "1", "").await?;
    until_held(&mirror, 1).await?;
    let url = |path: &str| format!("https://127.0.0.1:{port}{path}");
    let by_digest = url(&format!("/v2/team/app/manifests/{}", image.document.digest));
    let trusted = Certificate::from_pem(circle.authority.pem().as_bytes())?;
    let builder = || {
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([trusted.clone()])
    };
    let peer = builder().identity(circle.identity()?).build()?;
    ensure!(peer.get(&by_digest).send().await?.status() == 200, "a peer");
    for client in [
        builder().build()?,
        builder().identity(strangers.identity()?).build()?,
    ] {
        ensure!(client.get(&by_digest).send().await.is_err(), "no peer");
    }
    for path in [
        "/v2/team/app/manifests/1",
        "/v2/team/app/tags/list",
        "/v2/",
        "/metrics",
        "/v2/team/app/manifests/sha256:x",
    ] {
        ensure!(peer.get(url(path)).send().await?.status() == 404, "{path}");
    }
    let unknown = url(&format!("/v2/team/app/blobs/sha256:{}", "0".repeat(64)));
    ensure!(
        peer.get(unknown).send().await?.status() == 404,
        "what is not held is asked of nobody"
    );
    Ok(())
}

async fn one_lies() -> Result<()> {
    let centre = centre(&[("ROADBED_SCAN__ENABLED", "false")]).await?;
    let circle = Circle::new("peers")?;
    let image = Image::of("lied about", 200_000);
    image.push(&centre, "team/app", "1").await?;
    let liar = Liar::start(circle.authority.pem(), &circle.files, 200_000).await;
    let mirror = circle.mirror(&centre, free_port(), &[liar.port]).await;
    let node = mirror.node();
    image.pull_manifest(&node, "team/app", "1", "").await?;
    let layer = &image.blobs[1];
    let path = format!("/v2/team/app/blobs/{}", layer.digest);
    // An answer with wrong bytes does not come to its end; the next one is the centre's.
    let deadline = Instant::now() + Duration::from_secs(30);
    let answer = loop {
        match node.get(&path).send().await {
            Ok(answer) if answer.status == 200 => break answer,
            _ => ensure!(Instant::now() < deadline, "it never comes from the centre"),
        }
    };
    answer.expect_body(&layer.bytes)?;
    ensure!(mirror.metric("mirror_peer_lies_total").await? >= 1, "it is known");
    let lies = liar.lies();
    ensure!(lies >= 1, "it was asked");
    let other = Image::of("after that", 100_000);
    other.push(&centre, "team/app", "2").await?;
    other.pull(&node, "team/app", "2", "").await?;
    ensure!(liar.lies() == lies, "it is left alone");
    Ok(())
}

#[tokio::test]
async fn what_one_has_the_other_need_not_ask_the_centre_for() {
    one_has_it().await.unwrap();
}

#[tokio::test]
async fn nobody_but_peers_is_let_in() {
    only_peers().await.unwrap();
}

#[tokio::test]
async fn one_that_lies_is_left_alone() {
    one_lies().await.unwrap();
}
