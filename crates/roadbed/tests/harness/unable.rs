//! What a test needs of the machine, and what is said when it is not there.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Where Debian's packages put programs. Looked through before `PATH`, which may name another build of the same program.
pub(crate) const PACKAGE_DIRECTORIES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// A program and the package of Debian that holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Why a client cannot be tested here.
#[derive(Debug)]
pub(crate) enum Unable {
    /// It is not installed.
    Missing(Program),
    /// It is installed, but this machine cannot run it.
    Impossible(String),
}

impl Program {
    /// Where it is.
    pub(crate) fn find(self) -> Result<PathBuf, Unable> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = PACKAGE_DIRECTORIES
            .iter()
            .map(PathBuf::from)
            .chain(std::env::split_paths(&path));
        let mut candidates = directories.map(|directory| directory.join(self.name));
        candidates
            .find(|candidate| candidate.is_file())
            .ok_or(Unable::Missing(self))
    }
}

/// A program that no package of Debian holds: `ci/tools.sh` builds it, below Cargo's directory.
pub(crate) fn tool(name: &'static str) -> Result<PathBuf, Unable> {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("tools/bin")
        .join(name);
    if built.is_file() {
        return Ok(built);
    }
    let package = "none; ci/tools.sh builds it";
    Program { name, package }.find()
}

/// Says past the capture of the test runner that a test did not run; `./test` counts these lines. With `CI=true` a missing
/// program is a failure.
pub(crate) fn report(unable: &Unable) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = match unable {
        Unable::Missing(Program { name, package }) => {
            let why = format!("{name} is not installed (apt-get install {package})");
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "with CI=true a skip is a failure: {why}"
            );
            format!("SKIPPED: {test}: {why}\n")
        }
        Unable::Impossible(why) => format!("NOT POSSIBLE: {test}: {why}\n"),
    };
    // Not `eprintln!`: the runner would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
