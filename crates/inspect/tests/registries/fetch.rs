//! Gets files and packages, through the ordinary clients, with bounds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that one command may take.
const MAX_SECONDS: &str = "240";

/// A directory of what was fetched before, or what `make` puts into a new one.
pub(super) fn kept(name: &str, make: impl FnOnce(&Path) -> bool) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registries");
    let place = root.join(name);
    if place.is_dir() {
        return Some(place);
    }
    fs::create_dir_all(&root).unwrap();
    let making = tempfile::tempdir_in(&root).unwrap();
    if !make(making.path()) {
        println!("skipped: {name} cannot be had here");
        return None;
    }
    // Another test may have been faster; then its result is as good.
    let _ = fs::rename(making.path(), &place);
    Some(place)
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
