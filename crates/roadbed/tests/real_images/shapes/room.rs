//! A root directory in which programs of it run, and the layers that come of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::super::{debian::output, tree::Tree};

/// Binds what every container has, in a mount namespace of its own, where it goes with the command.
const MOUNTS: &str = "set -e\nroot=\"$1\"; shift\nmkdir -p \"$root/dev\" \"$root/proc\"\n\
    mount --bind /dev \"$root/dev\"\nmount --bind /proc \"$root/proc\"\nexec \"$@\"";

/// What one step of a recipe does; most are a line of a Dockerfile.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// `RUN apt-get install --no-install-recommends … && rm -rf /var/lib/apt/lists/*`.
    Apt(&'static [&'static str]),
    /// `RUN apt-get upgrade`, with the security updates.
    Upgrade,
    /// `RUN apk add …`.
    Apk(&'static [&'static str]),
    /// `COPY --from=…` of a stage in which packages of Debian were unpacked, with what they say of themselves for scanners.
    Debs(&'static [&'static str]),
    /// `RUN …`.
    Run(&'static str),
    /// `COPY`: what was made, and where to.
    Copy(&'static str, &'static str),
    /// `COPY` of a short text, with its mode.
    Text(&'static str, u32, &'static str),
}

/// A root that is worked on.
pub(super) struct Room<'a> {
    pub(super) root: PathBuf,
    /// Where things lie that recipes copy.
    pub(super) material: &'a Path,
}

/// A command on this machine with the root's `dev` and `proc` mounted.
pub(super) fn mounted(root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", MOUNTS, "sh"])
        .arg(root)
        .args(words);
    command
}

/// Runs a program of the root in it; what it prints.
pub(super) fn run(root: &Path, words: &[&str]) -> Result<String> {
    let place = root.to_str().context("a path of letters")?;
    let mut command = mounted(root, &[&["chroot", place], words].concat());
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive");
    output(&mut command)
}

impl Room<'_> {
    /// Carries out a step that is the same on every base.
    pub(super) fn carry_out(&self, step: &Step) -> Result<()> {
        match step {
            Step::Run(script) => run(&self.root, &["sh", "-ec", script]).map(drop),
            Step::Copy(from, to) => {
                let to = self.root.join(to);
                fs::create_dir_all(to.parent().context("it lies somewhere")?)?;
                let mut copy = Command::new("cp");
                copy.args(["--archive", "--no-target-directory"]);
                output(copy.arg(self.material.join(from)).arg(to)).map(drop)
            }
            Step::Text(path, mode, text) => {
                use std::os::unix::fs::PermissionsExt as _;
                let path = self.root.join(path);
                fs::create_dir_all(path.parent().context("it lies somewhere")?)?;
                fs::write(&path, text)?;
                Ok(fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?)
            }
            other => anyhow::bail!("{other:?} is no step on this base"),
        }
    }
}

/// Makes the layers of a recipe, `0.tar` and so on, each of one step on a copy of the base, which is left as it is then.
pub(super) fn layers(
    place: &Path,
    base: &Path,
    material: &Path,
    steps: &[Step],
    carry_out: impl Fn(&Room<'_>, &Step) -> Result<()>,
) -> Result<PathBuf> {
    let room = Room {
        root: place.join("root"),
        material,
    };
    output(Command::new("cp").arg("--archive").arg(base).arg(&room.root))?;
    let mut tree = Tree::new(&room.root);
    tree.mark()?;
    for (at, step) in steps.iter().enumerate() {
        carry_out(&room, step).with_context(|| format!("{step:?}"))?;
        fs::write(place.join(format!("{at}.tar")), tree.layer()?)?;
    }
    Ok(room.root)
}
