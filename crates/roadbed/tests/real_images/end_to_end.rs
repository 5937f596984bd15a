//! Images that buildah made on a base, put on a newer one by the registry, pulled by skopeo and containerd, and run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    debian::output,
    shapes::{Kind, bases, image},
};
use crate::harness::{
    server::{ADMIN, ADMIN_PASSWORD, Server},
    unable::{self, Program, Unable},
};

const PROGRAMS: [Program; 4] = [
    Program {
        name: "buildah",
        package: "buildah",
    },
    Program {
        name: "skopeo",
        package: "skopeo",
    },
    Program {
        name: "containerd",
        package: "containerd",
    },
    Program {
        name: "ctr",
        package: "containerd",
    },
];

/// How long a debug build may take to look into a base.
const PATIENCE: Duration = Duration::from_mins(4);

const POLICY: &str = r#"{ "default": [ { "type": "insecureAcceptAnything" } ] }"#;

/// Without the plugin for Kubernetes, which wants networks.
const CONTAINERD: &str = "version = 2\nroot = \"HOME/root\"\nstate = \"HOME/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
     [grpc]\naddress = \"HOME/socket\"\n";

/// A server, and the programs around it with a place of their own.
struct World {
    server: Server,
    home: tempfile::TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let home = tempfile::tempdir()?;
        fs::write(home.path().join("policy.json"), POLICY)?;
        let place = home.path().display();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{place}/storage\"\nrunroot = \"{place}/run\"\n"
        );
        fs::write(home.path().join("storage.conf"), storage)?;
        let server = Server::start().await;
        Ok(Self { server, home })
    }

    fn remote(&self, reference: &str) -> String {
        format!("docker://{}/{reference}", self.server.address())
    }

    fn login() -> String {
        format!("{ADMIN}:{ADMIN_PASSWORD}")
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn buildah(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("buildah");
        // Its settings are not this machine's.
        command
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path());
        command.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
        output(command.args(words))
    }

    /// Makes an image of a base and layers, and pushes it. What it is made from next time is its name in the storage.
    fn build(&self, from: &str, layers: &[PathBuf], settings: &[&str], to: &str) -> Result<String> {
        let policy = ["--signature-policy", &self.path("policy.json")].map(str::to_owned);
        let policy = policy.each_ref().map(String::as_str);
        let mut container = self
            .buildah(&[&["from"], &policy[..], &[from]].concat())?
            .trim()
            .to_owned();
        for layer in layers {
            self.buildah(&["add", &container, &layer.display().to_string(), "/"])?;
            // Each a layer of its own.
            let name = self.commit(&container, &policy, "step")?;
            let from = self.buildah(&[&["from"], &policy[..], &[&name]].concat())?;
            from.trim().clone_into(&mut container);
        }
        self.buildah(&[&["config"], settings, &[&container]].concat())?;
        let name = self.commit(&container, &policy, to)?;
        let (login, remote) = (Self::login(), self.remote(to));
        let options = ["push", "--tls-verify=false", "--creds", &login];
        let push = [&options, &policy[..], &[&name, &remote]].concat();
        self.buildah(&push)?;
        Ok(name)
    }

    fn commit(&self, container: &str, policy: &[&str], name: &str) -> Result<String> {
        let name = format!("localhost/{name}");
        self.buildah(&[&["commit", "--rm", "--quiet"], policy, &[container, &name]].concat())?;
        Ok(name)
    }

    fn roadbed(&self, words: &[&str]) -> Result<String> {
        let mut command = self.server.command();
        command
            .args(words)
            .env("ROADBED_URL", self.server.url())
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
        output(&mut command)
    }

    /// Asks until the answer is so.
    fn until(&self, words: &[&str], holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.roadbed(&[words, &["--output", "json"]].concat());
            match &said {
                Ok(said) if holds(&serde_json::from_str(said)?) => return Ok(serde_json::from_str(said)?),
                _ => ensure!(Instant::now() < deadline, "{words:?}: {said:?}"),
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Pushes a base and an image on it, then the newer base, and puts the image on that. What kind of rebase it was.
    fn follow(&self, kind: Kind, layers: &[PathBuf], place: &Path) -> Result<String> {
        let name = kind.name();
        let base = format!("base/{name}");
        let team = format!("team/{name}");
        let old = self.build(
            "scratch",
            &[place.join("old.tar")],
            &["--env", "RELEASE=1"],
            &format!("{base}:1"),
        )?;
        self.roadbed(&[
            "base",
            "set",
            name,
            "--owner",
            "platform",
            "--repository",
            &base,
            "--supported-until",
            "2099-01-01",
            "--rebase-safe",
        ])?;
        self.build(
            &old,
            layers,
            &["--workingdir", "/app", "--user", "65532"],
            &format!("{team}:v1"),
        )?;
        let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == name;
        self.until(&["lineage", &format!("{team}:v1")], on_base)?;
        self.build(
            "scratch",
            &[place.join("new.tar")],
            &["--env", "RELEASE=2"],
            &format!("{base}:2"),
        )?;
        let reference = format!("{team}:v1");
        let plan = self.until(&["rebase", &reference], |said| said["class"].is_string())?;
        let made = self.roadbed(&["rebase", &reference, "--apply", "--output", "json"])?;
        let made: Value = serde_json::from_str(&made)?;
        ensure!(made["moved"] == "v1-p1", "{made:#}");
        Ok(plan["class"].as_str().unwrap_or_default().to_owned())
    }

    /// Pulls the new image with buildah and runs a command of it in a container.
    fn run(&self, kind: Kind, words: &[&str]) -> Result<String> {
        let login = Self::login();
        let remote = self.remote(&format!("team/{}:v1-p1", kind.name()));
        let policy = self.path("policy.json");
        let from = [
            "from",
            "--tls-verify=false",
            "--creds",
            &login,
            "--signature-policy",
            &policy,
            &remote,
        ];
        let container = self.buildah(&from)?.trim().to_owned();
        self.buildah(
            &[
                &["run", "--isolation", "chroot", "--user", "0", &container, "--"],
                words,
            ]
            .concat(),
        )
    }

    /// Pulls the new image with skopeo into a layout; its configuration.
    fn skopeo(&self, kind: Kind) -> Result<Value> {
        let (login, policy) = (Self::login(), self.path("policy.json"));
        let remote = self.remote(&format!("team/{}:v1-p1", kind.name()));
        let copy = format!("oci:{}:v1", self.path(&format!("layout-{}", kind.name())));
        let options = [
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            "--src-creds",
            &login,
            &remote,
            &copy,
        ];
        output(Command::new("skopeo").args(["--policy", &policy]).args(options))?;
        let config = output(Command::new("skopeo").args(["inspect", "--config", "--raw", &copy]))?;
        Ok(serde_json::from_str(&config)?)
    }
}

/// containerd with a state of its own, in a mount namespace of its own. Ends with the value.
struct Containerd<'w> {
    world: &'w World,
    child: Child,
}

impl<'w> Containerd<'w> {
    fn start(world: &'w World) -> Result<Self> {
        let config = world.path("containerd.toml");
        let home = world.home.path().display().to_string();
        fs::write(&config, CONTAINERD.replace("HOME", &home))?;
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "containerd",
                "--config",
                &config,
            ])
            .stdout(Stdio::null())
            .stderr(fs::File::create(world.path("containerd.log"))?)
            .spawn()?;
        let containerd = Self { world, child };
        let deadline = Instant::now() + Duration::from_mins(1);
        while containerd.ctr(&["version"]).is_err() {
            ensure!(Instant::now() < deadline, "containerd does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(containerd)
    }

    fn ctr(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("ctr");
        output(
            command
                .args(["--address", &self.world.path("socket")])
                .args(words),
        )
    }

    /// Pulls and unpacks the new image, and runs a command of it where that was unpacked.
    fn run(&self, kind: Kind, words: &[&str]) -> Result<String> {
        let login = World::login();
        let reference = format!("{}/team/{}:v1-p1", self.world.server.address(), kind.name());
        self.ctr(&[
            "images",
            "pull",
            "--plain-http",
            "--user",
            &login,
            "--snapshotter",
            "native",
            &reference,
        ])?;
        let target = self.world.path(&format!("mounted-{}", kind.name()));
        fs::create_dir(&target)?;
        // The snapshot is a directory, which is bound to where the command asks for it.
        self.ctr(&[
            "snapshots",
            "--snapshotter",
            "native",
            "prepare",
            kind.name(),
            &self.chain(kind)?,
        ])?;
        let mounts = self.ctr(&[
            "snapshots",
            "--snapshotter",
            "native",
            "mounts",
            &target,
            kind.name(),
        ])?;
        let script = format!("set -e\n{}\nexec chroot {target} \"$@\"", mounts.trim());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        output(command.args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// The name of the last snapshot of what was unpacked: the chain of its layers (image specification, `ChainID`).
    fn chain(&self, kind: Kind) -> Result<String> {
        let config = self.world.skopeo(kind)?;
        let ids = config["rootfs"]["diff_ids"].as_array().context("it has layers")?;
        let ids = ids.iter().filter_map(Value::as_str);
        let chained = ids.map(str::to_owned).reduce(|chain, id| {
            let text = format!("{chain} {id}");
            format!("sha256:{}", crate::harness::content::sha256_hex(text.as_bytes()))
        });
        chained.context("it has layers")
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready() -> Result<(), Unable> {
    PROGRAMS.iter().try_for_each(|program| program.find().map(drop))
}

/// Layers of a recipe.
fn layers(kind: Kind, shape: &str, count: usize) -> Option<Vec<PathBuf>> {
    let place = image(kind, shape)?;
    Some((0..count).map(|at| place.join(format!("{at}.tar"))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_buildah_follows_its_base_and_runs_where_others_pulled_it() {
    if let Err(unable) = ready() {
        return unable::report(&unable);
    }
    let Some((directory, _)) = bases() else { return };
    let (Some(tls), Some(sqlite)) = (
        layers(Kind::Distroless, "libssl of the base", 1),
        layers(Kind::Debian, "sqlite", 2),
    ) else {
        return;
    };
    let world = World::start().await.unwrap();
    let containerd = Containerd::start(&world).unwrap();
    let place = |kind: Kind| directory.join(kind.name());

    let kind = Kind::Distroless;
    assert_eq!(world.follow(kind, &tls, &place(kind)).unwrap(), "A");
    let config = world.skopeo(kind).unwrap();
    assert!(
        config["config"]["Env"].to_string().contains("RELEASE=2"),
        "{config:#}"
    );
    assert_eq!(config["config"]["User"], "65532");
    let listed = fs::read_to_string(place(kind).join("new.list")).unwrap();
    for said in [
        world.run(kind, &["/app/tls"]),
        containerd.run(kind, &["/app/tls"]),
    ] {
        let said = said.unwrap();
        // The library says its version, which is that of the new base's package.
        let version = said.split_whitespace().nth(1).unwrap();
        assert!(listed.contains(&format!(" libssl3 {version}-")), "{said}");
    }

    let kind = Kind::Debian;
    assert_eq!(world.follow(kind, &sqlite, &place(kind)).unwrap(), "B");
    let query = ["sqlite3", "/data/shop.db", "select x from t"];
    assert_eq!(world.run(kind, &query).unwrap().trim(), "42");
    assert_eq!(containerd.run(kind, &query).unwrap().trim(), "42");
    assert_eq!(world.run(kind, &["dpkg", "--audit"]).unwrap(), "");
    let format = "${db:Status-Abbrev} ${Package} ${Version}\\n";
    let now = world
        .run(kind, &["dpkg-query", "--show", "--showformat", format])
        .unwrap();
    let new = fs::read_to_string(place(kind).join("new.list")).unwrap();
    for line in new.lines() {
        assert!(now.contains(line), "{line} is not in {now}");
    }
    assert!(now.contains(" sqlite3 "), "{now}");
}
