//! A Debian with things of every language in it, in layers: the system, what pip and npm install, programs, and a last one in
//! which some of it goes again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

use super::{languages, layout, programs, tree::Tree};
use crate::{
    fetch,
    harness::{
        content::sha256_hex,
        unable::{self, Program, Unable, tool},
    },
};

/// What the system has besides the smallest set of packages: the distribution's own packages of Python and of Node among it.
const PACKAGES: &str = "python3-requests,python3-pip,node-minimist,node-uuid";

const RELEASE: &str = "bookworm";

/// Where this machine has its packages from; `mmdebstrap` asks Debian itself without it.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";

/// What goes again in the last layer.
const PURGED: &str = "node-uuid";

const MMDEBSTRAP: Program = Program {
    name: "mmdebstrap",
    package: "mmdebstrap",
};

/// All of what makes the image, so that one of another recipe is not taken for it.
const RECIPE: [&str; 4] = [
    include_str!("debian.rs"),
    include_str!("languages.rs"),
    include_str!("programs.rs"),
    include_str!("tree.rs"),
];

/// Where there is the image, in `layout`, with what its tools list, in `lists`. It is made once.
pub(super) fn image() -> Option<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());
    // A test that failed left nothing half done.
    let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let auditable = match ready() {
        Ok(auditable) => auditable,
        Err(unable) => {
            unable::report(&unable);
            return None;
        }
    };
    let name = format!("debian-{}", &sha256_hex(RECIPE.concat().as_bytes())[..16]);
    fetch::kept(&name, |directory| match make(directory, &auditable) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("the image could not be made: {error:#}");
            false
        }
    })
}

/// What is needed; where cargo-auditable is.
fn ready() -> Result<PathBuf, Unable> {
    MMDEBSTRAP.find()?;
    if !rustix::process::geteuid().is_root() {
        let why = "making an image with mmdebstrap and chroot needs root";
        return Err(Unable::Impossible(why.to_owned()));
    }
    tool("cargo-auditable")
}

fn make(directory: &Path, auditable: &Path) -> Result<()> {
    let root = Root(directory.join("root"));
    let lists = directory.join("lists");
    fs::create_dir(&lists)?;
    root.bootstrap()?;
    let mut tree = Tree::new(&root.0);
    let mut layers = vec![tree.layer()?];
    languages::install(&root)?;
    layers.push(tree.layer()?);
    programs::build(directory, &root, auditable)?;
    layers.push(tree.layer()?);
    root.run(&["dpkg", "--purge", PURGED])?;
    languages::remove(&root)?;
    layers.push(tree.layer()?);

    let format =
        "${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\\n";
    let installed = root.run(&["dpkg-query", "--show", "--showformat", format])?;
    fs::write(lists.join("dpkg"), installed)?;
    let metadata = ["*/package.json", "*/METADATA", "*/PKG-INFO", "*.egg-info"];
    let owners = root.run(&[&["dpkg-query", "--search"], &metadata[..]].concat())?;
    fs::write(lists.join("owners"), owners)?;
    languages::list(&root, &lists)?;
    programs::list(directory, &root, &lists)?;
    layout::write(&directory.join("layout"), &layers);
    for made in ["root", "go", "rust"] {
        fs::remove_dir_all(directory.join(made))?;
    }
    Ok(())
}

/// The root directory of the system.
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    fn bootstrap(&self) -> Result<()> {
        let mut command = Command::new(MMDEBSTRAP.name);
        command
            .args(["--quiet", "--variant=minbase", "--format=directory"])
            .arg(format!("--include={PACKAGES}"))
            // As images do that are to be small; dpkg lists the files all the same.
            .args(["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
            .arg(RELEASE)
            .arg(&self.0);
        if Path::new(SOURCES).is_file() {
            command.arg(SOURCES);
        }
        output(&mut command).map(drop)
    }

    /// Runs a program of the image in the image; what it prints.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("chroot");
        command
            .arg(&self.0)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8");
        output(&mut command)
    }
}

/// What a command prints that must succeed.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let said: Vec<&str> = said.iter().flat_map(|said| said.lines().rev().take(20)).collect();
    ensure!(output.status.success(), "{command:?} failed: {}", said.join("\n"));
    Ok(String::from_utf8(output.stdout)?)
}
