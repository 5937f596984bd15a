//! `crictl`, which asks a containerd as the kubelet of a node does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::{
    client::Setup,
    daemon::Daemon,
    machine::{Outcome, command, in_mount_namespace},
    refused::Refused,
    world::World,
};
use crate::harness::unable::{Program, Unable, report, tool};

const DAEMON: Program = Program {
    name: "containerd",
    package: "containerd",
};

/// A containerd with its plugin for Kubernetes, and what asks it.
struct Crictl {
    program: PathBuf,
    setup: Setup,
    _daemon: Daemon,
}

/// Pulls only: there is no network for containers, and no plugin may touch the system's directories.
fn configuration(home: &str) -> String {
    format!(
        "version = 2\nroot = \"{home}/root\"\nstate = \"{home}/state\"\n\
         disabled_plugins = [\"io.containerd.internal.v1.opt\"]\n\
         [grpc]\naddress = \"{home}/socket\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\ndisable_tcp_service = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"native\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{home}/cni\"\nconf_dir = \"{home}/cni.d\"\n"
    )
}

impl Crictl {
    fn start(setup: Setup) -> Result<Self, Unable> {
        let (daemon, program) = (DAEMON.find()?, tool("crictl")?);
        let home = setup.home.clone();
        let config = home.join("config.toml");
        fs::write(&config, configuration(&home.display().to_string())).expect("the home can be written");
        let mut command = in_mount_namespace(&daemon, &home, &[]);
        command.arg("--config").arg(&config);
        let answers = || run(&program, &setup, &["version"]).is_ok_and(|outcome| outcome.succeeded);
        let daemon = Daemon::start("containerd", &mut command, &home.join("daemon.log"), answers)?;
        Ok(Self {
            program,
            setup,
            _daemon: daemon,
        })
    }

    /// What a kubelet does with a secret of the kind `kubernetes.io/dockerconfigjson`.
    fn pull(&self, reference: &str) -> Result<Outcome> {
        let (user, password) = Refused::LOGIN;
        let credentials = format!("{user}:{password}");
        let reference = format!("{}/{reference}", self.setup.registry);
        run(
            &self.program,
            &self.setup,
            &["pull", "--creds", &credentials, &reference],
        )
    }
}

fn run(program: &Path, setup: &Setup, arguments: &[&str]) -> Result<Outcome> {
    let endpoint = format!("unix://{}", setup.home.join("socket").display());
    let mut command = command(program, &setup.home);
    command
        .args(["--runtime-endpoint", &endpoint, "--image-endpoint", &endpoint])
        .args(arguments);
    Outcome::of(&mut command, &setup.home)
}

#[tokio::test]
async fn a_node_shows_why_policy_refuses_an_image() -> Result<()> {
    let world = World::plain().await;
    let node = match Crictl::start(world.setup()) {
        Ok(node) => node,
        Err(unable) => {
            report(&unable);
            return Ok(());
        }
    };
    let refused = Refused::push(&world).await?;
    node.pull(refused.harmless())?.expect_success()?;
    refused.is_explained(&node.pull(refused.image())?)?;
    let held = run(&node.program, &node.setup, &["images"])?.expect_success()?;
    ensure!(
        held.output.contains("good") && !held.output.contains("bad"),
        "the node has {held}"
    );
    Ok(())
}
