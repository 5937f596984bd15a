//! Debian's registry as the upstream, and `skopeo` as the client.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use super::world::of_upstream;
use crate::harness::{
    admin,
    client::Client,
    login::Login,
    manifest::{Document, small_image},
    server::{Options, Server},
    unable::{Program, Unable, report},
};

const REGISTRY: Program = Program {
    name: "docker-registry",
    package: "docker-registry",
};

const SKOPEO: Program = Program {
    name: "skopeo",
    package: "skopeo",
};

/// Debian's registry. Ends with the value.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    async fn start(program: &Path, directory: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = directory.join("registry.yml");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
                 http: {{ addr: \"127.0.0.1:{port}\" }}\n",
                directory.join("registry").display()
            ),
        )?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&configuration)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let peer = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        peer.until_ready().await?;
        Ok(peer)
    }

    async fn until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.client().get("/v2/").send().await.is_err() {
            ensure!(Instant::now() < deadline, "docker-registry is not ready");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn client(&self) -> Client {
        Client::new(&self.url, Login::Anonymous)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pulls a tag into a directory and answers the manifest that it got.
fn copy(skopeo: &Path, server: &Server, home: &Path, to: &str) -> Result<Vec<u8>> {
    let directory = home.join(to);
    let from = format!("docker://{}/hub/team/app:1", server.address());
    let output = Command::new(skopeo)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .args([
            "--insecure-policy",
            "copy",
            "--src-tls-verify=false",
            "--src-creds",
        ])
        .arg(format!("node:{}", admin::USER_PASSWORD))
        .arg(from)
        .arg(format!("dir:{}", directory.display()))
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read(directory.join("manifest.json")).context("skopeo has written no manifest")
}

async fn pulled(registry: &Path, skopeo: &Path) -> Result<()> {
    let scratch = TempDir::new()?;
    let peer = Peer::start(registry, scratch.path()).await?;
    let (blobs, document): (_, Document) = small_image("skopeo");
    peer.client()
        .push_image("team/app", "1", &blobs, &document)
        .await?;
    let file = scratch.path().join("roadbed.toml");
    fs::write(&file, of_upstream(&peer.url, "fresh = \"0s\""))?;
    let options = Options::default()
        .environment("ROADBED_CONFIG", &file.to_string_lossy())
        .environment("ROADBED_SCAN__ENABLED", "false")
        .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s");
    let server = Server::start_with(options).await;
    let node = admin::user(&server, "node", "hub/**", &["pull"]).await?;
    let got = copy(skopeo, &server, scratch.path(), "first")?;
    ensure!(got == document.bytes, "another manifest");
    super::world::until_stored(&node, "team/app", "1").await?;
    drop(peer);
    let got = copy(skopeo, &server, scratch.path(), "second").context("without the upstream")?;
    ensure!(got == document.bytes, "another manifest");
    Ok(())
}

fn programs() -> Result<[std::path::PathBuf; 2], Unable> {
    Ok([REGISTRY.find()?, SKOPEO.find()?])
}

#[tokio::test]
async fn skopeo_pulls_through_what_debians_registry_has() {
    match programs() {
        Ok([registry, skopeo]) => pulled(&registry, &skopeo).await.unwrap(),
        Err(unable) => report(&unable),
    }
}
