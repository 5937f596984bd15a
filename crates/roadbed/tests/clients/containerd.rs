//! containerd, as a node runs it, driven by `ctr`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::{
    client::{RegistryClient, Setup, Trust},
    daemon::Daemon,
    layout::{Layout, TAG},
    machine::{Outcome, command, in_mount_namespace},
};
use crate::harness::unable::{Program, Unable};

const DAEMON: Program = Program {
    name: "containerd",
    package: "containerd",
};
const CLIENT: Program = Program {
    name: "ctr",
    package: "containerd",
};

/// The name under which images from files are held.
const IMPORTED: &str = "layout.test/imported";

/// A containerd with state, content and snapshots of its own.
pub(super) struct Containerd {
    ctr: PathBuf,
    socket: PathBuf,
    setup: Setup,
    /// `ctr` has no login: name and password go with every command.
    login: Option<String>,
    _daemon: Daemon,
}

impl Containerd {
    fn ctr(&self, arguments: &[&str]) -> Result<Outcome> {
        Outcome::of(
            base_command(&self.ctr, &self.socket, &self.setup.home).args(arguments),
            &self.setup.home,
        )
    }

    /// Runs `ctr images push` or `pull` as the setup says.
    fn transfer(&self, direction: &str, reference: &str) -> Result<Outcome> {
        let mut options = match &self.setup.trust {
            Trust::PlainHttp => vec!["--plain-http".to_owned()],
            Trust::Authority(directory) => vec!["--hosts-dir".to_owned(), self.hosts_directory(directory)?],
            Trust::Nobody => Vec::new(),
        };
        if let Some(login) = &self.login {
            options.extend(["--user".to_owned(), login.clone()]);
        }
        self.transfer_with(direction, &options, &self.remote(reference))
    }

    /// Runs `ctr images push` or `pull` with options of the test's own and a reference that names its registry.
    pub(super) fn transfer_with(
        &self,
        direction: &str,
        options: &[String],
        reference: &str,
    ) -> Result<Outcome> {
        // The snapshotter `native` copies files: it works on any file system.
        let snapshotter: &[&str] = if direction == "pull" {
            &["--snapshotter", "native"]
        } else {
            &[]
        };
        let options = options.iter().map(String::as_str);
        let arguments: Vec<&str> = ["images", direction]
            .into_iter()
            .chain(snapshotter.iter().copied())
            .chain(options)
            .chain([reference])
            .collect();
        self.ctr(&arguments)
    }

    /// `hosts.toml` is how a node is told which authority to trust for a registry.
    fn hosts_directory(&self, authorities: &Path) -> Result<String> {
        let registry = &self.setup.registry;
        let authority = authorities.join("ca.crt");
        let server = format!("https://{registry}");
        let text = format!(
            "server = \"{server}\"\n[host.\"{server}\"]\nca = \"{}\"\n",
            authority.display()
        );
        write_hosts(&self.setup.home, registry, &text)
    }

    fn remote(&self, reference: &str) -> String {
        format!("{}/{reference}", self.setup.registry)
    }

    /// That an image of this name is held and is this manifest.
    pub(super) fn check_held(&self, name: &str, digest: &str) -> Result<()> {
        let listed = self
            .ctr(&["images", "list", &format!("name=={name}")])?
            .expect_success()?;
        ensure!(
            listed.output.contains(digest),
            "wanted {name} with {digest}: {listed}"
        );
        Ok(())
    }
}

/// Writes the `hosts.toml` of a registry and returns the directory that holds all of them.
pub(super) fn write_hosts(home: &Path, registry: &str, text: &str) -> Result<String> {
    let directory = home.join("hosts");
    fs::create_dir_all(directory.join(registry))?;
    fs::write(directory.join(registry).join("hosts.toml"), text)?;
    Ok(directory.display().to_string())
}

fn base_command(ctr: &Path, socket: &Path, home: &Path) -> Command {
    let mut command = command(ctr, home);
    command.arg("--address").arg(socket);
    command
}

/// Without the plugin for Kubernetes, which wants networks; everything that pulls and unpacks is there.
fn configuration(home: &Path, socket: &Path) -> String {
    format!(
        "version = 2\nroot = \"{root}\"\nstate = \"{state}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = \"{socket}\"\n",
        root = home.join("root").display(),
        state = home.join("state").display(),
        socket = socket.display()
    )
}

impl RegistryClient for Containerd {
    fn start(setup: Setup) -> Result<Self, Unable> {
        let (daemon, ctr) = (DAEMON.find()?, CLIENT.find()?);
        let home = setup.home.clone();
        let (socket, config) = (home.join("socket"), home.join("config.toml"));
        fs::write(&config, configuration(&home, &socket)).expect("the home can be written");
        let mut command = in_mount_namespace(&daemon, &home, &[]);
        command.arg("--config").arg(&config);
        let answers = || {
            let version = Outcome::of(base_command(&ctr, &socket, &home).arg("version"), &home);
            version.is_ok_and(|outcome| outcome.succeeded)
        };
        let daemon = Daemon::start("containerd", &mut command, &home.join("daemon.log"), answers)?;
        Ok(Self {
            ctr,
            socket,
            setup,
            login: None,
            _daemon: daemon,
        })
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        self.login = Some(format!("{user}:{password}"));
        self.ctr(&["version"])
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        let archive = layout.archive()?.display().to_string();
        let import = [
            "images",
            "import",
            "--all-platforms",
            "--no-unpack",
            "--base-name",
            IMPORTED,
            &archive,
        ];
        self.ctr(&import)?.expect_success()?;
        self.ctr(&[
            "images",
            "tag",
            "--force",
            &format!("{IMPORTED}:{TAG}"),
            &self.remote(to),
        ])?
        .expect_success()?;
        self.transfer("push", to)
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.push(layout, to)
    }

    /// A node knows where content came from when it pulled it, and then asks for a mount.
    fn copy(&self, _: &Layout, from: &str, to: &str) -> Result<Outcome> {
        self.forget()?;
        self.transfer("pull", from)?.expect_success()?;
        self.ctr(&["images", "tag", "--force", &self.remote(from), &self.remote(to)])?
            .expect_success()?;
        self.transfer("push", to)
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        self.transfer("pull", from)
    }

    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        self.check_held(&self.remote(from), &layout.top.digest)
    }

    fn forget(&self) -> Result<()> {
        let listed = self.ctr(&["images", "list", "--quiet"])?.expect_success()?;
        let names: Vec<&str> = listed.output.lines().collect();
        if names.is_empty() {
            return Ok(());
        }
        // `--sync`: the content is collected before the command ends.
        self.ctr(&[&["images", "remove", "--sync"], names.as_slice()].concat())?
            .expect_success()?;
        Ok(())
    }
}
