//! Packages of Debian as files, by apt of this machine with a state of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::super::debian::output;

/// Where this machine has its packages from.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";

/// Where Debian and its security updates are had from.
pub(crate) fn mirrors() -> [String; 2] {
    let sources = fs::read_to_string(SOURCES).unwrap_or_default();
    let named: Vec<&str> = sources
        .lines()
        .filter_map(|line| line.strip_prefix("URIs: "))
        .collect();
    let is_security = |uri: &&&str| uri.contains("security");
    let security = named.iter().find(is_security).copied();
    let plain = named.iter().find(|uri| !is_security(uri)).copied();
    [
        plain.unwrap_or("http://deb.debian.org/debian").to_owned(),
        security
            .unwrap_or("http://deb.debian.org/debian-security")
            .to_owned(),
    ]
}

/// The lines of a list of sources for a release, with its security updates or without.
pub(crate) fn sources(release: &str, with_updates: bool) -> String {
    let [plain, security] = mirrors();
    let mut lines = format!("deb {plain} {release} main\n");
    if with_updates {
        lines =
            format!("{lines}deb {plain} {release}-updates main\ndeb {security} {release}-security main\n");
    }
    lines
}

/// A release and what apt knows of it.
pub(crate) struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// Fetches the lists of a release into a directory.
    pub(crate) fn of(directory: PathBuf, release: &str, with_updates: bool) -> Result<Self> {
        for part in ["state/lists/partial", "archives/partial"] {
            fs::create_dir_all(directory.join(part))?;
        }
        fs::write(directory.join("sources.list"), sources(release, with_updates))?;
        fs::write(directory.join("status"), "")?;
        let archive = Self { directory };
        output(archive.apt().arg("update"))?;
        Ok(archive)
    }

    /// One whose lists were fetched before.
    pub(crate) fn known(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Where packages lie that were fetched.
    pub(crate) fn packages(&self) -> PathBuf {
        self.directory.join("archives")
    }

    /// The settings that make any apt use these lists.
    pub(crate) fn settings(&self) -> Vec<String> {
        let values = [
            format!("Dir::Etc::sourcelist={}", self.path("sources.list")),
            "Dir::Etc::sourceparts=/nowhere".to_owned(),
            format!("Dir::State::lists={}", self.path("state/lists")),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Install-Recommends=false".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ];
        let pairs = values.into_iter();
        pairs.flat_map(|value| ["--option".to_owned(), value]).collect()
    }

    /// apt without any system below it.
    fn apt(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["--quiet", "--yes"]).args(self.settings());
        command
            .arg("--option")
            .arg(format!("Dir::State::status={}", self.path("status")));
        command
    }

    /// The file of each package, fetched.
    pub(crate) fn files(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in names {
            let place = self.directory.join("files").join(name);
            fs::create_dir_all(&place)?;
            output(self.apt().args(["download", name]).current_dir(&place))?;
            let found = fs::read_dir(&place)?.next().context("nothing came")??;
            ensure!(found.path().extension().is_some_and(|kind| kind == "deb"));
            files.push(found.path());
        }
        Ok(files)
    }
}

/// Unpacks a package; what it says of itself.
pub(crate) fn unpack(file: &Path, root: &Path) -> Result<String> {
    fs::create_dir_all(root)?;
    let mut dpkg = Command::new("dpkg-deb");
    output(dpkg.arg("--extract").arg(file).arg(root))?;
    output(Command::new("dpkg-deb").arg("--field").arg(file))
}

/// One field of what a package says of itself.
pub(crate) fn field<'a>(control: &'a str, name: &str) -> &'a str {
    let lines = control.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next().unwrap_or_default()
}
