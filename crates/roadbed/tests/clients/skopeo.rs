//! `skopeo`: copies between registries and files, without a daemon or a storage.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    client::{RegistryClient, Setup, Trust},
    layout::Layout,
    machine::{Outcome, command},
    storage::isolate,
};
use crate::harness::unable::{Program, Unable};

const PROGRAM: Program = Program {
    name: "skopeo",
    package: "skopeo",
};

/// The tag under which pulled images are kept.
const KEPT: &str = "pulled";

/// A home with a login and a directory of pulled images.
pub(super) struct Skopeo {
    program: PathBuf,
    setup: Setup,
}

impl Skopeo {
    /// A `skopeo` command with what it must not take from the system.
    pub(super) fn command(&self, subcommand: &str) -> Command {
        let mut command = command(&self.program, &self.setup.home);
        isolate(&mut command, &self.setup.home);
        command.arg("--insecure-policy").arg(subcommand);
        command
    }

    /// Runs it.
    pub(super) fn run(&self, command: &mut Command) -> Result<Outcome> {
        Outcome::of(command, &self.setup.home)
    }

    /// The options that tell it how to reach the registry; `side` is `src-`, `dest-` or nothing.
    pub(super) fn transport(&self, side: &str) -> Vec<String> {
        match &self.setup.trust {
            Trust::PlainHttp => vec![format!("--{side}tls-verify=false")],
            Trust::Authority(directory) => vec![format!("--{side}cert-dir={}", directory.display())],
            Trust::Nobody => Vec::new(),
        }
    }

    /// A reference with transport and registry in front.
    pub(super) fn remote(&self, reference: &str) -> String {
        format!("docker://{}/{reference}", self.setup.registry)
    }

    fn pulled(&self, from: &str) -> PathBuf {
        self.setup
            .home
            .join("pulled")
            .join(from.replace(['/', ':', '@'], "_"))
    }
}

impl RegistryClient for Skopeo {
    fn start(setup: Setup) -> Result<Self, Unable> {
        Ok(Self {
            program: PROGRAM.find()?,
            setup,
        })
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        let mut command = self.command("login");
        command
            .args(self.transport(""))
            .args(["-u", user, "-p", password, &self.setup.registry]);
        self.run(&mut command)
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        let mut command = self.command("copy");
        command
            .arg("--all")
            .args(self.transport("dest-"))
            .args([layout.oci(), self.remote(to)]);
        self.run(&mut command)
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.push(layout, to)
    }

    fn copy(&self, _: &Layout, from: &str, to: &str) -> Result<Outcome> {
        let mut command = self.command("copy");
        command
            .args(self.transport("src-"))
            .args(self.transport("dest-"))
            .args([self.remote(from), self.remote(to)]);
        self.run(&mut command)
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        let directory = self.pulled(from);
        fs::create_dir_all(directory.join(".."))?;
        let mut command = self.command("copy");
        command
            .args(self.transport("src-"))
            .arg(self.remote(from))
            .arg(format!("oci:{}:{KEPT}", directory.display()));
        self.run(&mut command)
    }

    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        let directory = self.pulled(from);
        let index: Value = serde_json::from_slice(&fs::read(directory.join("index.json"))?)?;
        let digest = index["manifests"][0]["digest"]
            .as_str()
            .context("nothing was pulled")?;
        let wanted = layout.native();
        ensure!(
            digest == wanted.manifest.digest,
            "pulled {digest}, wanted {}",
            wanted.manifest.digest
        );
        for blob in wanted.layers.iter().chain([&wanted.config]) {
            let bytes = fs::read(directory.join("blobs").join(blob.digest.replace(':', "/")))?;
            ensure!(bytes == blob.bytes, "{} arrived with other bytes", blob.digest);
        }
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        let pulled = self.setup.home.join("pulled");
        if pulled.exists() {
            Ok(fs::remove_dir_all(pulled)?)
        } else {
            Ok(())
        }
    }
}
