//! Roots that rpm filled, with its databases where distributions keep them.
//!
//! Debian's rpm writes databases of `SQLite`. The other kinds are tested beside their reader.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    debian::output,
    found::{argument, names, packages, scan},
};
use crate::harness::unable::{self, Program, Unable};

const RPM: Program = Program {
    name: "rpm",
    package: "rpm",
};
const RPMBUILD: Program = Program {
    name: "rpmbuild",
    package: "rpm",
};

/// Three packages: one with an epoch, one with something of Python's in it.
const SPEC: &str = "\
Name: shop
Version: 1.2~rc1
Release: 3.el9
Epoch: 4
Summary: s
License: MIT
BuildArch: noarch
%description
d
%install
mkdir -p %{buildroot}/usr/share/shop %{buildroot}/usr/lib/python3.9/site-packages/urllib3-1.26.5.dist-info
echo text > %{buildroot}/usr/share/shop/text
echo more > %{buildroot}/usr/share/shop/more
printf 'Metadata-Version: 2.1\\nName: urllib3\\nVersion: 1.26.5\\n' \\
    > %{buildroot}/usr/lib/python3.9/site-packages/urllib3-1.26.5.dist-info/METADATA
%files
/usr/share/shop/text
%package more
Summary: s
Version: 7
Epoch: 0
%description more
d
%files more
/usr/share/shop/more
%package -n python3-urllib3
Summary: s
Version: 1.26.5
Epoch: 0
%description -n python3-urllib3
d
%files -n python3-urllib3
/usr/lib/python3.9/site-packages/urllib3-1.26.5.dist-info
";

/// Where the database lies, and whose root it is.
const ROOTS: [(&str, &str); 2] = [
    ("/var/lib/rpm", "ID=\"rhel\"\nVERSION_ID=\"9.3\"\n"),
    ("/usr/lib/sysimage/rpm", "ID=fedora\nVERSION_ID=40\n"),
];

fn ready() -> Result<(), Unable> {
    RPM.find()?;
    RPMBUILD.find()?;
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Unable::Impossible(
        "filling a root with rpm needs root".to_owned(),
    ))
}

fn built(directory: &Path) -> Vec<PathBuf> {
    let spec = directory.join("shop.spec");
    fs::write(&spec, SPEC).unwrap();
    let mut build = Command::new("rpmbuild");
    build
        .args(["-bb", "--nodeps", "--define"])
        .arg(format!("_topdir {}", directory.display()));
    output(build.arg(&spec)).unwrap();
    let files = fs::read_dir(directory.join("RPMS/noarch")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// A command for the database of a root.
fn rpm(root: &Path, database: &str) -> Command {
    let mut command = Command::new("rpm");
    command
        .args(["--define", "_db_backend sqlite"])
        .arg("--root")
        .arg(root)
        .args(["--dbpath", database]);
    command
}

#[test]
fn roots_have_what_rpm_lists() {
    if let Err(unable) = ready() {
        return unable::report(&unable);
    }
    let directory = tempfile::tempdir().unwrap();
    let files = built(directory.path());
    for (number, (database, release)) in ROOTS.into_iter().enumerate() {
        let root = directory.path().join(format!("root-{number}"));
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join(&database[1..])).unwrap();
        fs::write(root.join("etc/os-release"), release).unwrap();
        output(rpm(&root, database).arg("--initdb")).unwrap();
        output(
            rpm(&root, database)
                .args(["-i", "--nodeps", "--noscripts", "--ignoreos"])
                .args(&files),
        )
        .unwrap();
        let format = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\n";
        let listed = output(rpm(&root, database).args(["-qa", "--qf", format])).unwrap();
        let mut listed: Vec<&str> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed.len(), 3, "{listed:?}");

        let result = scan(&[&argument(&root)]);
        assert_eq!(names(&packages(&result, "rpm")), listed, "{database}");
        let python = packages(&result, "python");
        assert_eq!(names(&python), ["urllib3 1.26.5"]);
        assert_eq!(python[0].owned_by.as_deref(), Some("python3-urllib3"));
        let all = result["packages"].as_array().unwrap().len();
        assert_eq!(all, 4, "{result:#}");
        assert!(
            release.contains(result["os"]["id"].as_str().unwrap()),
            "{result:#}"
        );
    }
}
