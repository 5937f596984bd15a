//! The server: started on a free port of loopback, pushed to and asked by one client, ended by its process id.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use oci::{Algorithm, Digest};
use rcgen::{KeyPair, SigningKey as _};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::content::Pushed;
use crate::process::{ADMIN, PASSWORD, Process};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A running server, and the key of the platform's team.
pub(crate) struct Server {
    process: Process,
    client: Client,
    key: KeyPair,
}

impl Server {
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let built = env!("CARGO_BIN_EXE_roadbed").into();
        let binary = std::env::var_os("ROADBED_BENCH_BINARY").unwrap_or(built);
        let settings = [("ROADBED_REBASE__PER_HOUR", "1000000")];
        Ok(Self {
            process: Process::start(binary, directory, &settings).await?,
            client: Client::builder().no_proxy().build()?,
            key: KeyPair::generate()?,
        })
    }

    pub(crate) fn address(&self) -> Result<String> {
        let address = self
            .process
            .url
            .split("://")
            .nth(1)
            .context("the server has an address")?;
        Ok(address.trim_end_matches('/').to_owned())
    }

    async fn ask(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Response> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.process.url)
        };
        let request = self.client.request(method, url).basic_auth(ADMIN, Some(PASSWORD));
        let answer = request.header("content-type", kind).body(body).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        anyhow::bail!("{path}: {status}: {}", answer.text().await?)
    }

    async fn api(&self, method: Method, path: &str, body: &Value) -> Result<Response> {
        self.ask(
            method,
            &format!("/api/v1{path}"),
            "application/json",
            body.to_string().into_bytes(),
        )
        .await
    }

    async fn blob(&self, repository: &str, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.ask(Method::POST, &path, "application/octet-stream", bytes.to_vec())
            .await
            .map(drop)
    }

    pub(crate) async fn push(&self, repository: &str, reference: &str, image: &Pushed) -> Result<()> {
        for (digest, bytes) in &image.blobs {
            self.blob(repository, digest, bytes).await?;
        }
        let path = format!("/v2/{repository}/manifests/{reference}");
        let kind = oci::media_type::OCI_IMAGE_MANIFEST;
        self.ask(Method::PUT, &path, kind, image.manifest.clone())
            .await
            .map(drop)
    }

    /// Signs an image as the platform's team, as cosign does.
    pub(crate) async fn sign(&self, repository: &str, image: &Pushed) -> Result<()> {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": image.digest.hex() } }],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let (statement, kind) = (statement.to_string(), "application/vnd.in-toto+json");
        let signed = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": BASE64_STANDARD.encode(&statement),
                "payloadType": kind,
                "signatures": [{ "sig": BASE64_STANDARD.encode(self.key.sign(signed.as_bytes())?) }],
            },
        });
        let (bundle, empty) = (bundle.to_string().into_bytes(), b"{}".to_vec());
        let sha256 = |bytes: &[u8]| Digest::of(Algorithm::Sha256, bytes);
        let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "artifactType": BUNDLE,
            "config": descriptor(oci::media_type::OCI_EMPTY, &empty), "layers": [descriptor(BUNDLE, &bundle)],
            "subject": { "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": image.digest, "size": image.manifest.len() },
        });
        let manifest = manifest.to_string().into_bytes();
        let artifact = Pushed {
            digest: sha256(&manifest),
            manifest,
            blobs: vec![(sha256(&bundle), bundle), (sha256(&empty), empty)],
        };
        let reference = artifact.digest.to_string();
        self.push(repository, &reference, &artifact).await
    }

    pub(crate) async fn trust_platform(&self) -> Result<()> {
        let signer =
            json!({ "name": "platform", "repositories": ["base/**"], "key": self.key.public_key_pem() });
        self.api(Method::PUT, "/signers", &signer).await.map(drop)
    }

    /// The base, and that all images want to follow it.
    pub(crate) async fn declare(&self) -> Result<()> {
        let base = json!({
            "name": "java", "owner": "platform", "contact": null, "repository": "base/java", "channels": {}, "lifecycle": "supported",
            "supported_until": "2100-01-01T00:00:00Z", "replaced_by": null, "patch_within": {}, "signer": "platform",
            "rebase": { "safe": true, "abi": null, "arch": [] },
        });
        self.api(Method::PUT, "/bases", &base).await?;
        let application = "apiVersion: road/v1\nkind: AppRoad\nmetadata: {name: apps, owner: team}\n\
                           spec: {autoRebase: true, until: 2099-01-01}\n";
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("pavedroad.yaml"), application)?;
        self.command(&["app", "set", "apps", "--owner", "team", "--repository", "team/**"])?;
        self.command(&["catalog", "import", &directory.path().to_string_lossy()])
    }

    fn command(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(env!("CARGO_BIN_EXE_roadbed"))
            .args(arguments)
            .env("ROADBED_URL", &self.process.url)
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", PASSWORD)
            .output()?;
        ensure!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Until everything that was pushed was looked into and decided.
    pub(crate) async fn until_looked_into(&self, images: usize, longest: Duration) -> Result<()> {
        let deadline = Instant::now() + longest;
        for number in 0..images {
            let path = format!("/api/v1/decisions?repository=team/app{number}&reference=v1");
            loop {
                let answer = self
                    .ask(Method::GET, &path, "application/json", Vec::new())
                    .await?;
                let said: Value = serde_json::from_slice(&answer.bytes().await?)?;
                if said["outcome"] != "undecided" {
                    break;
                }
                ensure!(Instant::now() < deadline, "image {number} is not decided");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// How many tags stand in each state.
    pub(crate) async fn report(&self) -> Result<Value> {
        let answer = self
            .ask(
                Method::GET,
                "/api/v1/rebases/report?base=java",
                "application/json",
                Vec::new(),
            )
            .await?;
        let report: Value = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(report["counts"].clone())
    }

    /// What the process has in memory.
    pub(crate) fn resident_mib(&self) -> Result<u64> {
        self.process.resident_mib()
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop()
    }
}
