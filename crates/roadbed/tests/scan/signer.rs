//! A signer with a key of the test's own, and what the command line says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    images::{Image, Layer},
    world::World,
};
use crate::harness::{
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody with a key.
pub(super) struct Signer {
    name: &'static str,
    pub(super) key: KeyPair,
}

/// A policy that wants a signature, also of what is in use.
pub(super) fn named(signer: &str) -> String {
    format!(
        "version: 1\nrules:\n  - id: signed\n    when: \"!('{signer}' in image.signed_by)\"\n    decide: refuse\n    \
         running: refuse\n    message: \"not signed by {signer}\"\n"
    )
}

/// An image of which nothing is to be said.
pub(super) fn plain(seed: &str) -> Image {
    Image::of(
        seed,
        &[Layer::of_files(&[("etc/motd", seed.as_bytes().to_vec())])],
    )
}

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

impl Signer {
    pub(super) fn named(name: &'static str) -> Result<Self> {
        let key = KeyPair::generate()?;
        Ok(Self { name, key })
    }

    /// Has the registry trust them, with these options.
    pub(super) fn trust(&self, world: &World, options: &[&str]) -> Result<()> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("key.pub");
        std::fs::write(&file, self.key.public_key_pem())?;
        let file = file.to_string_lossy();
        let trust = [
            "signer",
            "add",
            self.name,
            "--repository",
            "team/**",
            "--key",
            &file,
        ];
        world.roadbed(&[&trust, options].concat()).map(drop)
    }
}

impl World {
    /// What is said about an image.
    pub(super) fn decision(&self, tag: &str) -> Result<String> {
        self.roadbed(&["decision", &format!("{}:{tag}", super::world::REPOSITORY)])
    }

    /// Waits until all of this is said about an image.
    pub(super) async fn until_told(&self, tag: &str, wanted: &[&str]) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.decision(tag)?;
            if wanted.iter().all(|text| told.contains(text)) {
                return Ok(told);
            }
            ensure!(Instant::now() < deadline, "not all of {wanted:?} in\n{told}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sets the policy.
    pub(super) async fn set_policy(&self, body: &str) -> Result<()> {
        self.api("PUT", "/api/v1/policy", Some(json!({ "body": body })))
            .await
    }

    /// One request of the administrator.
    pub(super) async fn api(&self, method: &str, path: &str, body: Option<Value>) -> Result<()> {
        let client = self.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
        let mut request = client.request(method, path);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        request.send().await?.expect(&[200, 201, 204])?;
        Ok(())
    }
}
