//! What all sections share: the binaries, a directory on the measured disk, a certificate.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    options::{Options, Scale},
    tls::Certificate,
};

/// The peer, from Debian's package of the same name.
pub(crate) const PEER_BINARY: &str = "docker-registry";

/// What else has to be there, with Debian's packages.
const TOOLS: [(&str, &str); 3] = [(PEER_BINARY, "docker-registry"), ("wrk", "wrk"), ("curl", "curl")];

/// Names of directories; the id of their process follows.
const PREFIX: &str = "roadbed-bench-";

/// The surroundings of a run. Everything it wrote goes with the value.
#[derive(Debug)]
pub(crate) struct Bench {
    /// How much is measured.
    pub(crate) scale: Scale,
    /// Whether figures mean anything.
    pub(crate) quick: bool,
    /// The binary that is measured.
    pub(crate) roadbed: PathBuf,
    /// Rules for malware beside our own.
    pub(crate) yara_rules: Option<PathBuf>,
    /// Advisories.
    pub(crate) advisories: Option<PathBuf>,
    /// Other scanners.
    pub(crate) trivy: Option<PathBuf>,
    /// Other scanners.
    pub(crate) syft: Option<PathBuf>,
    /// For both servers.
    pub(crate) certificate: Certificate,
    /// The core that load generators are held to: the last one.
    pub(crate) load_core: usize,
    directory: TempDir,
}

impl Bench {
    /// Looks whether everything needed is there.
    pub(crate) fn prepare(options: &Options) -> Result<Self> {
        for (tool, package) in TOOLS {
            ensure!(
                on_path(tool),
                "{tool} is missing: install Debian's package {package}"
            );
        }
        let parent = options
            .dir
            .clone()
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
        remove_leftovers(&parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = TempDir::with_prefix_in(prefix, &parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        let roadbed = options
            .roadbed
            .clone()
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_roadbed")));
        Ok(Self {
            scale: options.scale(),
            quick: options.quick,
            roadbed: roadbed
                .canonicalize()
                .with_context(|| format!("no binary {}", roadbed.display()))?,
            yara_rules: options.yara_rules.clone(),
            advisories: options.advisories.clone(),
            trivy: options.trivy.clone(),
            syft: options.syft.clone(),
            certificate: Certificate::make(directory.path())?,
            load_core: std::thread::available_parallelism()?.get() - 1,
            directory,
        })
    }

    /// A new directory for one section.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        Ok(TempDir::new_in(self.directory.path())?)
    }

    /// Waits until everything written to the disk is there, so that one server's leftovers do not burden the other.
    pub(crate) fn settle(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.directory.path())?)?)
    }
}

/// What runs left that were killed before they could clean up: many GB.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The file `name` on the search path.
fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_file(&directory.join(name)))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
