//! `crane`, as build scripts run it: no daemon, no storage, files in and out.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};

use super::{
    client::{RegistryClient, Setup, Trust},
    layout::{Layout, machine_architecture},
    machine::{Outcome, command},
};
use crate::harness::unable::{Unable, tool};

/// A home with a login and a directory of pulled images.
pub(super) struct Crane {
    program: PathBuf,
    setup: Setup,
}

impl Crane {
    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let home = &self.setup.home;
        let mut command = command(&self.program, home);
        command.env("DOCKER_CONFIG", home.join("client")).args(arguments);
        // It has no option for an authority; Go's library has a variable.
        if let Trust::Authority(directory) = &self.setup.trust {
            command.env("SSL_CERT_FILE", directory.join("ca.crt"));
        }
        Outcome::of(&mut command, home)
    }

    fn remote(&self, reference: &str) -> String {
        format!("{}/{reference}", self.setup.registry)
    }

    fn pulled(&self, from: &str) -> PathBuf {
        self.setup
            .home
            .join("pulled")
            .join(from.replace(['/', ':', '@'], "_"))
    }
}

impl RegistryClient for Crane {
    fn start(setup: Setup) -> Result<Self, Unable> {
        Ok(Self {
            program: tool("crane")?,
            setup,
        })
    }

    /// It only notes them.
    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        self.run(&["auth", "login", &self.setup.registry, "-u", user, "-p", password])
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.run(&[
            "push",
            &layout.directory().display().to_string(),
            &self.remote(to),
        ])
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.push(layout, to)
    }

    fn copy(&self, _: &Layout, from: &str, to: &str) -> Result<Outcome> {
        self.run(&["copy", &self.remote(from), &self.remote(to)])
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        let directory = self.pulled(from);
        fs::create_dir_all(directory.join(".."))?;
        let platform = format!("linux/{}", machine_architecture());
        let (from, to) = (self.remote(from), directory.display().to_string());
        self.run(&["pull", "--platform", &platform, "--format", "oci", &from, &to])
    }

    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        let (directory, image) = (self.pulled(from), layout.native());
        let index = fs::read_to_string(directory.join("index.json"))?;
        ensure!(index.contains(&image.manifest.digest), "pulled {index}");
        for blob in image.layers.iter().chain([&image.config]) {
            let bytes = fs::read(directory.join("blobs").join(blob.digest.replace(':', "/")))?;
            ensure!(bytes == blob.bytes, "{} arrived with other bytes", blob.digest);
        }
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        let pulled = self.setup.home.join("pulled");
        if pulled.exists() {
            fs::remove_dir_all(pulled)?;
        }
        Ok(())
    }
}
