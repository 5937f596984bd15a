//! Images of the distroless kind: packages of Debian unpacked, each with what it says of itself in a file of its own, no shell and
//! no package manager.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use super::{
    Shape,
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

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
    nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
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

/// Recipes; what must work are the words of a command, and what it prints.
pub(super) const SHAPES: [Shape; 9] = {
    use Step::{Copy, Debs, Text};
    [
        Shape::follows("static go", &[Copy("hello-go", "app")], "/app"),
        Shape::follows("dynamic c with its library", &[Copy("libgreeting.so.1", "usr/lib/x86_64-linux-gnu/libgreeting.so.1"), Copy("hello-c", "app/hello")], "/app/hello"),
        Shape::follows("c++", &[Copy("hello-cpp", "app/hello")], "/app/hello"),
        Shape::follows("libssl of the base", &[Copy("tls", "app/tls")], "/app/tls"),
        Shape::follows("python of a stage", &[Debs(&["libexpat1", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal"]),
            Text("app/main.py", 0o644, "import json; print(json.dumps(6 * 7))\n")], "/usr/bin/python3.11 /app/main.py"),
        Shape::follows("curl of a stage", &[Debs(&["curl", "libcurl4", "libnghttp2-14", "libidn2-0", "librtmp1", "libssh2-1", "libpsl5",
            "libgssapi-krb5-2", "libldap-2.5-0", "libzstd1", "libbrotli1", "libunistring2", "libgnutls30", "libhogweed6", "libnettle8", "libgmp10",
            "libkrb5-3", "libk5crypto3", "libcom-err2", "libkrb5support0", "libsasl2-2", "libp11-kit0", "libtasn1-6", "libkeyutils1", "libffi8"])],
            "/usr/bin/curl --version"),
        Shape::follows("busybox for looking around", &[Debs(&["busybox-static"])], "/bin/busybox sh -c true"),
        Shape::follows("site with settings", &[Text("etc/localtime.name", 0o644, "Europe/Berlin\n"), Text("srv/www/index.html", 0o644, "hello\n"),
            Copy("hello-go", "usr/bin/serve"), Text("etc/ssl/certs/shop.pem", 0o644, "-----BEGIN CERTIFICATE-----\n")], "/usr/bin/serve"),
        Shape::refused("its own libcrypto", &[Copy("own-libcrypto.so.3", "usr/lib/x86_64-linux-gnu/libcrypto.so.3")],
            &["the application has its own `usr/lib/x86_64-linux-gnu/libcrypto.so.3`, which the new base changes"]),
    ]
};
