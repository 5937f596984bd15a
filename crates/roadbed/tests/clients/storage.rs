//! What buildah and podman share: a storage of images, and commands of the same shape.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::{
    client::{RegistryClient, Setup, Trust},
    layout::Layout,
    machine::{Outcome, command},
};
use crate::harness::unable::{Program, Unable};

/// Settings that keep podman from what only running containers needs.
const CONTAINERS_CONF: &str = "\
[containers]
log_driver = \"k8s-file\"
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"none\"
lock_type = \"file\"
";

/// Accepts images without signatures, as the default of most distributions does.
const POLICY: &str = r#"{ "default": [ { "type": "insecureAcceptAnything" } ] }"#;

/// Keeps a program of the containers family away from the settings, logins and storage of the system.
pub(super) fn isolate(command: &mut Command, home: &Path) {
    command
        .env("REGISTRY_AUTH_FILE", home.join("auth.json"))
        .env("CONTAINERS_CONF", home.join("containers.conf"))
        .env("CONTAINERS_REGISTRIES_CONF", home.join("registries.conf"))
        .env("CONTAINERS_STORAGE_CONF", home.join("storage.conf"));
    let files = [
        ("containers.conf", CONTAINERS_CONF.to_owned()),
        ("registries.conf", String::new()),
        ("policy.json", POLICY.to_owned()),
        ("storage.conf", storage_conf(home)),
    ];
    for (name, text) in files {
        fs::write(home.join(name), text).expect("the home can be written");
    }
    // Not a login, but some commands want the file to be there.
    let logins = home.join("auth.json");
    if !logins.exists() {
        fs::write(logins, "{}").expect("the home can be written");
    }
}

/// The driver `vfs` copies directories: it needs neither mounts nor a kernel module.
fn storage_conf(home: &Path) -> String {
    let (graph, run) = (home.join("storage"), home.join("run"));
    format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
        graph.display(),
        run.display()
    )
}

/// One of the two programs with a home of its own.
pub(super) struct Storage {
    program: PathBuf,
    /// Arguments in front of every subcommand.
    global: Vec<String>,
    setup: Setup,
}

impl Storage {
    pub(super) fn new(program: Program, global: &[&str], setup: Setup) -> Result<Self, Unable> {
        let global = global.iter().map(|&argument| argument.to_owned()).collect();
        let storage = Self {
            program: program.find()?,
            global,
            setup,
        };
        let why = match storage.run(&["images"], &["--quiet"]) {
            Ok(outcome) if outcome.succeeded => return Ok(storage),
            Ok(outcome) => outcome.errors.trim().replace('\n', " | "),
            Err(error) => format!("{error:#}"),
        };
        Err(Unable::Impossible(format!(
            "{} cannot have a storage here: {why}",
            program.name
        )))
    }

    /// Runs a subcommand of one or two words.
    pub(super) fn run(&self, subcommand: &[&str], arguments: &[&str]) -> Result<Outcome> {
        self.run_with(subcommand, &[], arguments)
    }

    /// Runs a subcommand that talks to the registry.
    fn run_remote(&self, subcommand: &[&str], arguments: &[&str]) -> Result<Outcome> {
        let transport = match &self.setup.trust {
            Trust::PlainHttp => Some("--tls-verify=false".to_owned()),
            Trust::Authority(directory) => Some(format!("--cert-dir={}", directory.display())),
            Trust::Nobody => None,
        };
        self.run_with(subcommand, transport.as_slice(), arguments)
    }

    fn run_with(&self, subcommand: &[&str], transport: &[String], arguments: &[&str]) -> Result<Outcome> {
        let mut command = command(&self.program, &self.setup.home);
        isolate(&mut command, &self.setup.home);
        command
            .args(&self.global)
            .args(subcommand)
            .args(transport)
            .args(arguments);
        Outcome::of(&mut command, &self.setup.home)
    }

    /// A reference with the registry in front.
    pub(super) fn remote(&self, reference: &str) -> String {
        format!("{}/{reference}", self.setup.registry)
    }

    /// Pushes what is in the storage already.
    fn push_stored(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.run_remote(
            &["push"],
            &[layout.native().id(), &format!("docker://{}", self.remote(to))],
        )
    }
}

/// A program that does everything through its storage.
pub(super) trait StorageClient: Sized {
    /// Makes the storage.
    fn over_storage(setup: Setup) -> Result<Self, Unable>;

    fn storage(&self) -> &Storage;
}

impl<C: StorageClient> RegistryClient for C {
    fn start(setup: Setup) -> Result<Self, Unable> {
        Self::over_storage(setup)
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        let storage = self.storage();
        let registry = &storage.setup.registry;
        storage.run_remote(&["login"], &["-u", user, "-p", password, registry])
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        let storage = self.storage();
        storage
            .run(&["pull"], &["--quiet", &layout.oci()])?
            .expect_success()?;
        storage.push_stored(layout, to)
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        let storage = self.storage();
        storage
            .run(&["manifest", "create"], &["gathered"])?
            .expect_success()?;
        storage
            .run(&["manifest", "add"], &["--all", "gathered", &layout.oci()])?
            .expect_success()?;
        let to = format!("docker://{}", storage.remote(to));
        storage.run_remote(&["manifest", "push"], &["--all", "gathered", &to])
    }

    fn copy(&self, layout: &Layout, _: &str, to: &str) -> Result<Outcome> {
        self.storage().push_stored(layout, to)
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        let storage = self.storage();
        storage.run_remote(&["pull"], &["--quiet", &storage.remote(from)])
    }

    /// The id of a stored image is the digest of its config.
    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        let storage = self.storage();
        let listed = storage
            .run(&["images"], &["--quiet", "--no-trunc", &storage.remote(from)])?
            .expect_success()?;
        let wanted = format!("sha256:{}", layout.native().id());
        ensure!(
            listed.output.lines().any(|line| line.trim() == wanted),
            "wanted {wanted}: {listed}"
        );
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        self.storage()
            .run(&["rmi"], &["--all", "--force"])?
            .expect_success()?;
        Ok(())
    }
}
