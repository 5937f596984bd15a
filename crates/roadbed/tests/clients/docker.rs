//! Docker: the CLI, and a daemon of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::{
    client::{RegistryClient, Setup, Trust},
    daemon::Daemon,
    layout::Layout,
    machine::{Outcome, command, in_mount_namespace},
};
use crate::harness::unable::{Program, Unable};

const DAEMON: Program = Program {
    name: "dockerd",
    package: "docker.io",
};
const CLIENT: Program = Program {
    name: "docker",
    package: "docker.io",
};

/// No networks, no overlay mounts: what is left needs root, and nothing else of the machine.
const DAEMON_OPTIONS: [&str; 4] = [
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
    "--storage-driver=vfs",
];

/// A Docker daemon with images of its own, and its client.
pub(super) struct Docker {
    cli: PathBuf,
    setup: Setup,
    _daemon: Daemon,
}

impl Docker {
    fn docker(&self, arguments: &[&str]) -> Result<Outcome> {
        Outcome::of(
            base_command(&self.cli, &self.setup.home).args(arguments),
            &self.setup.home,
        )
    }

    fn remote(&self, reference: &str) -> String {
        format!("{}/{reference}", self.setup.registry)
    }

    fn load(&self, layout: &Layout) -> Result<()> {
        self.docker(&["load", "--input", &layout.archive()?.display().to_string()])?
            .expect_success()?;
        Ok(())
    }

    fn tag_and_push(&self, id: &str, to: &str) -> Result<Outcome> {
        self.docker(&["tag", id, &self.remote(to)])?.expect_success()?;
        self.docker(&["push", &self.remote(to)])
    }
}

fn base_command(docker: &Path, home: &Path) -> Command {
    let mut command = command(docker, home);
    command
        .env("DOCKER_CONFIG", home.join("client"))
        .env("DOCKER_HOST", format!("unix://{}", home.join("socket").display()));
    command
}

/// The directory that stands in for `/etc/docker`: which authority to trust for the registry.
fn settings(setup: &Setup) -> PathBuf {
    let directory = setup.home.join("etc");
    let certificates = directory.join("certs.d").join(&setup.registry);
    fs::create_dir_all(&certificates).expect("the home can be written");
    if let Trust::Authority(authorities) = &setup.trust {
        let copied = fs::copy(authorities.join("ca.crt"), certificates.join("ca.crt"));
        copied.expect("the home can be written");
    }
    directory
}

impl RegistryClient for Docker {
    fn start(setup: Setup) -> Result<Self, Unable> {
        let (daemon, docker) = (DAEMON.find()?, CLIENT.find()?);
        let home = setup.home.clone();
        let mut command = in_mount_namespace(&daemon, &home, &[(&settings(&setup), "/etc/docker")]);
        for (option, file) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(home.join(file));
        }
        command
            .arg("--host")
            .arg(format!("unix://{}", home.join("socket").display()))
            .args(DAEMON_OPTIONS);
        let answers = || {
            let version = Outcome::of(base_command(&docker, &home).arg("version"), &home);
            version.is_ok_and(|outcome| outcome.succeeded)
        };
        let daemon = Daemon::start("dockerd", &mut command, &home.join("daemon.log"), answers)?;
        Ok(Self {
            cli: docker,
            setup,
            _daemon: daemon,
        })
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        self.docker(&[
            "login",
            "--username",
            user,
            "--password",
            password,
            &self.setup.registry,
        ])
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.load(layout)?;
        self.tag_and_push(layout.native().id(), to)
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.load(layout)?;
        let mut parts = Vec::new();
        for image in &layout.images {
            let part = format!("{to}-{}", image.architecture);
            self.tag_and_push(image.id(), &part)?.expect_success()?;
            parts.push(self.remote(&part));
        }
        let mut create = vec!["manifest", "create", "--insecure"];
        let index = self.remote(to);
        create.push(&index);
        create.extend(parts.iter().map(String::as_str));
        self.docker(&create)?.expect_success()?;
        self.docker(&["manifest", "push", "--insecure", &index])
    }

    fn copy(&self, layout: &Layout, _: &str, to: &str) -> Result<Outcome> {
        self.tag_and_push(layout.native().id(), to)
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        self.docker(&["pull", &self.remote(from)])
    }

    /// Docker calls an image by the digest of its config.
    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        let held = self
            .docker(&["image", "inspect", "--format", "{{.Id}}", &self.remote(from)])?
            .expect_success()?;
        let wanted = &layout.native().config.digest;
        ensure!(held.output.trim() == wanted, "wanted {wanted}: {held}");
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        let listed = self
            .docker(&["image", "ls", "--all", "--quiet"])?
            .expect_success()?;
        let mut ids: Vec<&str> = listed.output.lines().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        self.docker(&[&["image", "rm", "--force"], ids.as_slice()].concat())?
            .expect_success()?;
        Ok(())
    }
}
