//! Debian: without its security updates, with them, and what recipes do on it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, bail};

use super::{
    super::debian::output,
    debs::{Archive, sources},
    room::{Room, Step, mounted, run},
};

pub(super) const RELEASE: &str = "bookworm";

/// What the images' own list of sources says, the same in both releases.
const SOURCES: &str = "deb http://deb.debian.org/debian bookworm main\n";

/// A line per package: name, version.
const LISTED: [&str; 4] = [
    "dpkg-query",
    "--show",
    "--showformat",
    "${db:Status-Abbrev} ${Package} ${Version}\\n",
];

/// Makes a base.
pub(super) fn bootstrap(root: &Path, with_updates: bool) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .args(["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
        .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        .arg(RELEASE)
        .arg(root);
    command.args(sources(RELEASE, with_updates).lines());
    output(&mut command)?;
    Ok(fs::write(root.join("etc/apt/sources.list"), SOURCES)?)
}

/// apt of this machine, working on the root with what this machine can fetch.
fn apt(room: &Room<'_>, archive: &Archive, words: &[&str]) -> Result<()> {
    static FETCHING: Mutex<()> = Mutex::new(());
    let directory = room.root.display().to_string();
    let place = [
        format!("Dir={directory}"),
        format!("DPkg::Chroot-Directory={directory}"),
    ];
    let settings = archive.settings();
    let options = place.iter().flat_map(|value| ["--option", value]);
    let options: Vec<&str> = options.chain(settings.iter().map(String::as_str)).collect();
    let apt = |more: &[&str]| {
        let words = [&["apt-get", "--quiet", "--yes"], &options[..], more, words].concat();
        let mut command = mounted(&room.root, &words);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        output(&mut command).map(drop)
    };
    let shared = archive.packages().display().to_string();
    let cache = format!("{directory}/var/cache/apt/archives");
    {
        // Two that fetch one package into one place disturb each other.
        let _guard = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
        apt(&[
            "--download-only",
            "--option",
            &format!("Dir::Cache::archives={shared}"),
        ])?;
        // As links: machines that are images themselves have apt throw its packages away.
        let link = "mkdir -p \"$1\" && cp --link --no-clobber \"$0\"/*.deb \"$1\"";
        output(Command::new("sh").args(["-ec", link, &shared, &cache]))?;
    }
    apt(&["--no-download"])?;
    let clean = "rm -rf \"$0\"/var/cache/apt/archives/*.deb \"$0\"/var/lib/apt/lists/*";
    output(Command::new("sh").args(["-ec", clean, &directory])).map(drop)
}

/// Carries out a step; `archives` are without and with the updates.
pub(super) fn carry_out(room: &Room<'_>, step: &Step, archives: &[Archive; 2]) -> Result<()> {
    match step {
        Step::Apt(packages) => apt(room, &archives[0], &[&["install"], *packages].concat()),
        Step::Upgrade => apt(room, &archives[1], &["upgrade"]),
        Step::Apk(_) | Step::Debs(_) => bail!("{step:?} is no step on Debian"),
        other => room.carry_out(other),
    }
}

/// What dpkg lists in a root.
pub(super) fn packages(root: &Path) -> Result<String> {
    run(root, &LISTED)
}
