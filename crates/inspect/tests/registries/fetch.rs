//! Gets files and packages, through the ordinary clients, with bounds.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that one command may take.
const MAX_SECONDS: &str = "240";

/// How often something is made before it cannot be had: registries are away for moments.
const TRIES: usize = 2;

/// A directory of what was fetched before, or what `make` puts into a new one.
pub(super) fn kept(name: &str, make: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registries");
    let place = root.join(name);
    if place.is_dir() {
        return Some(place);
    }
    fs::create_dir_all(&root).unwrap();
    for _ in 0..TRIES {
        let making = tempfile::tempdir_in(&root).unwrap();
        if make(making.path()) {
            // Another test may have been faster; then its result is as good.
            let _ = fs::rename(making.path(), &place);
            return Some(place);
        }
    }
    skip(&format!("{name} cannot be had here"));
    None
}

/// Says past the capture of the test runner that a test did not run; `./test` counts these lines. With `CI=true` it is a failure.
pub(super) fn skip(why: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!is_ci, "with CI=true a skip is a failure: {why}");
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", thread.name().unwrap_or("a test"));
    // Not `eprintln!`: the runner would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Runs a command in a directory; whether it succeeded.
pub(super) fn run(directory: &Path, command: &[&str]) -> bool {
    let status = Command::new("timeout")
        .arg(MAX_SECONDS)
        .args(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// What a command prints.
pub(super) fn output(directory: &Path, command: &[&str]) -> String {
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(directory)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A jar of Maven: group, artifact, version.
pub(super) fn jar(group: &str, artifact: &str, version: &str) -> Option<PathBuf> {
    let of = format!("-Dartifact={group}:{artifact}:{version}");
    kept(&format!("{artifact}-{version}"), |directory| {
        run(
            directory,
            &["mvn", "-q", "-B", "dependency:copy", &of, "-DoutputDirectory=."],
        )
    })
}

/// A package of npm, unpacked.
pub(super) fn npm(name: &str, version: &str) -> Option<PathBuf> {
    let of = format!("{name}@{version}");
    kept(&of, |directory| {
        run(directory, &["npm", "pack", "--silent", &of])
            && run(
                directory,
                &["tar", "xzf", &format!("{name}-{version}.tgz"), "--no-same-owner"],
            )
            && fs::create_dir_all(directory.join("node_modules")).is_ok()
            && fs::rename(
                directory.join("package"),
                directory.join("node_modules").join(name),
            )
            .is_ok()
    })
}

/// A package of Python, unpacked.
pub(super) fn pypi(name: &str, version: &str) -> Option<PathBuf> {
    let of = format!("{name}=={version}");
    kept(&of, |directory| {
        run(
            directory,
            &["python3", "-m", "pip", "download", "--no-deps", "-q", &of],
        ) && run(
            directory,
            &[
                "sh",
                "-c",
                "for file in *; do case $file in *.whl) python3 -m zipfile -e \"$file\" .;; *) tar xzf \"$file\" --no-same-owner;; esac; done",
            ],
        )
    })
}
