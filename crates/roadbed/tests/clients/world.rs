//! A server, a place for the client's things, and what the server says happened.

use std::{
    cell::Cell,
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    client::{Setup, Trust},
    layout::Layout,
};
use crate::harness::{
    authority::{Authority, Files},
    client::Client,
    content::Blob,
    login::Login,
    metrics::Metrics,
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
    unable::Unable,
};

/// A registry and a directory for everything around it.
pub(super) struct World {
    pub(super) server: Server,
    scratch: TempDir,
    /// `host:port` as clients are to write it.
    registry: String,
    /// PEM of the authority that issued the server's certificate; `None`: plain HTTP.
    authority: Option<String>,
    homes: Cell<u32>,
}

impl World {
    /// A registry on plain HTTP.
    pub(super) async fn plain() -> Self {
        Self::plain_with(Options::default()).await
    }

    /// The same with options.
    pub(super) async fn plain_with(options: Options) -> Self {
        let server = Server::start_with(options).await;
        let registry = server.address().to_string();
        Self {
            server,
            scratch: scratch(),
            registry,
            authority: None,
            homes: Cell::new(0),
        }
    }

    /// A registry on TLS with a certificate that nobody trusts by default, reachable under an address of this machine
    /// that is not the loopback interface's: there, Docker would not look at the certificate.
    pub(super) async fn tls() -> Result<Self, Unable> {
        let scratch = scratch();
        let address = own_address().ok_or_else(|| {
            Unable::Impossible(
                "this machine has no network address, and Docker trusts every certificate on loopback".into(),
            )
        })?;
        let authority = Authority::new("Roadbed's tests");
        let files = Files::in_directory(scratch.path());
        authority.issue(&[address, Ipv4Addr::LOCALHOST.into()], &files);
        let server =
            Server::start_with(authority.serve(Options::default().listen("0.0.0.0:0"), &files)).await;
        let registry = format!("{address}:{}", server.address().port());
        Ok(Self {
            server,
            scratch,
            registry,
            authority: Some(authority.pem().to_owned()),
            homes: Cell::new(0),
        })
    }

    /// What a client needs to know, with a home of its own. Over TLS it trusts the server's authority.
    pub(super) fn setup(&self) -> Setup {
        let home = self.new_home();
        let trust = match &self.authority {
            None => Trust::PlainHttp,
            Some(pem) => {
                let directory = home.join("authorities");
                fs::create_dir_all(&directory).expect("the directory is new");
                fs::write(directory.join("ca.crt"), pem).expect("the directory is new");
                Trust::Authority(directory)
            }
        };
        Setup {
            registry: self.registry.clone(),
            trust,
            home,
        }
    }

    /// The same for a client that was not told whom to trust.
    pub(super) fn setup_without_trust(&self) -> Setup {
        Setup {
            registry: self.registry.clone(),
            trust: Trust::Nobody,
            home: self.new_home(),
        }
    }

    fn new_home(&self) -> PathBuf {
        let number = self.homes.replace(self.homes.get() + 1);
        let home = self.scratch.path().join(format!("home-{number}"));
        fs::create_dir_all(&home).expect("a directory can be made");
        home
    }

    /// One image with so many layers. Its bytes are new in every run: clients that run as root remember blobs in a file
    /// of the system's, and would not send again what they once sent to the same address.
    pub(super) fn image(&self, name: &str, layers: usize) -> Result<Layout> {
        Layout::image(&self.scratch.path().join(name), &self.seed(name), layers)
    }

    /// An index of two images.
    pub(super) fn index(&self, name: &str) -> Result<Layout> {
        Layout::index(&self.scratch.path().join(name), &self.seed(name))
    }

    /// Text that no other test and no other run has.
    pub(super) fn seed(&self, name: &str) -> String {
        format!("{} {name}", self.scratch.path().display())
    }

    /// Where a test puts files of its own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `host:port`, as clients write it.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// What the server counted so far.
    pub(super) async fn metrics(&self) -> Result<Metrics> {
        Metrics::read(&self.server).await
    }

    /// The top manifest of a repository's tag, checked: everything it names is there and has the digest that it says.
    pub(super) async fn check_whole(&self, repository: &str, reference: &str) -> Result<Value> {
        let client = self.server.admin();
        let answer = client
            .get(format!("/v2/{repository}/manifests/{reference}"))
            .send()
            .await?
            .expect(&[200])?;
        let manifest = answer.json()?;
        let parts = ["config"]
            .map(|name| &manifest[name])
            .into_iter()
            .filter(|part| part.is_object());
        for part in parts.chain(manifest["layers"].as_array().into_iter().flatten()) {
            let digest = part["digest"].as_str().context("a descriptor has a digest")?;
            let blob = client
                .get(blob_path(repository, digest))
                .send()
                .await?
                .expect(&[200])?;
            let computed = Blob::new(crate::harness::content::Algorithm::Sha256, blob.body).digest;
            ensure!(computed == digest, "{digest} is served with other bytes");
        }
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            let digest = child["digest"].as_str().context("a descriptor has a digest")?;
            Box::pin(self.check_whole(repository, digest)).await?;
        }
        Ok(manifest)
    }

    /// The config's digests of what a tag names: one for an image, one per child for an index.
    pub(super) async fn configs(&self, repository: &str, reference: &str) -> Result<Vec<String>> {
        let manifest = self.check_whole(repository, reference).await?;
        let mut configs: Vec<String> = manifest["config"]["digest"]
            .as_str()
            .map(str::to_owned)
            .into_iter()
            .collect();
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            let digest = child["digest"].as_str().context("a descriptor has a digest")?;
            configs.extend(Box::pin(self.configs(repository, digest)).await?);
        }
        Ok(configs)
    }

    /// Makes a robot and returns its secret and what to call it when it is revoked.
    pub(super) async fn robot(&self, name: &str) -> Result<(String, i64)> {
        let api = self.api();
        let request = api
            .post("/api/v1/robots")
            .header("content-type", "application/json");
        let made = request
            .body(json!({ "name": name }).to_string())
            .send()
            .await?
            .expect(&[201])?
            .json()?;
        let secret = made["secret"]
            .as_str()
            .context("a new robot has a secret")?
            .to_owned();
        Ok((secret, made["id"].as_i64().context("a secret has an id")?))
    }

    /// The secret is good for nothing from now on.
    pub(super) async fn revoke(&self, robot: &str, secret: i64) -> Result<()> {
        self.api()
            .delete(format!("/api/v1/robots/{robot}/secrets/{secret}"))
            .send()
            .await?
            .expect(&[204])?;
        Ok(())
    }

    fn api(&self) -> Client {
        self.server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
    }
}

/// In lower case: podman makes a repository's name of the path.
fn scratch() -> TempDir {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (count, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
    let name = format!("roadbed-clients-{}-{process}-{count}", since.as_micros());
    tempfile::Builder::new()
        .prefix(&name)
        .rand_bytes(0)
        .tempdir()
        .expect("a temporary directory can be made")
}

/// The address from which this machine would talk to others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Documentation addresses (RFC 5737) are nobody's.
    socket.connect("198.51.100.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
