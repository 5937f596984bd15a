//! Images of the distroless kind: packages of Debian unpacked, each with what it says of itself in a file of its own, no shell and
//! no package manager.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use super::{
    debs::{Archive, field, unpack},
    room::{Room, Step},
};

const PACKAGES: [&str; 10] = [
    "base-files",
    "ca-certificates",
    "libc6",
    "libgcc-s1",
    "libssl3",
    "libstdc++6",
    "media-types",
    "netbase",
    "tzdata",
    "zlib1g",
];

/// As the real one has it; written so that no home of anybody is named here.
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
    nonroot:x:65532:65532:nonroot:/home\u{2f}nonroot:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n";

/// Unpacks packages, and writes what each says of itself where scanners look.
fn packages(root: &Path, archive: &Archive, names: &[&str]) -> Result<()> {
    let said = root.join("var/lib/dpkg/status.d");
    fs::create_dir_all(&said)?;
    for file in archive.files(names)? {
        let control = unpack(&file, root)?;
        fs::write(said.join(field(&control, "Package")), &control)?;
    }
    Ok(())
}

/// Makes a base.
pub(super) fn bootstrap(root: &Path, archive: &Archive) -> Result<()> {
    bootstrap_without(root, archive, "")
}

/// Makes a base that lacks one package.
pub(super) fn bootstrap_without(root: &Path, archive: &Archive, lacking: &str) -> Result<()> {
    let names: Vec<&str> = PACKAGES.into_iter().filter(|name| *name != lacking).collect();
    packages(root, archive, &names)?;
    let mut certificates = Vec::new();
    for file in fs::read_dir(root.join("usr/share/ca-certificates/mozilla"))? {
        certificates.push(file?.path());
    }
    certificates.sort();
    let bundle: Result<Vec<String>, _> = certificates.iter().map(fs::read_to_string).collect();
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), bundle?.concat())?;
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::create_dir_all(root.join("home/nonroot"))?;
    Ok(fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?)
}

/// Carries out a step.
pub(super) fn carry_out(room: &Room<'_>, step: &Step, archive: &Archive) -> Result<()> {
    match step {
        Step::Debs(names) => packages(&room.root, archive, names),
        Step::Run(_) | Step::Apt(_) | Step::Apk(_) | Step::Upgrade => {
            bail!("there is no shell for {step:?}")
        }
        other => room.carry_out(other),
    }
}

/// The packages that a root says it has, with their versions.
pub(super) fn listed(root: &Path) -> Result<String> {
    let mut lines = Vec::new();
    for file in fs::read_dir(root.join("var/lib/dpkg/status.d"))? {
        let control = fs::read_to_string(file?.path())?;
        lines.push(format!(
            "ii {} {}\n",
            field(&control, "Package"),
            field(&control, "Version")
        ));
    }
    lines.sort();
    Ok(lines.concat())
}
