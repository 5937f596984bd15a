//! What applications bring with them: programs, libraries and archives, built on this machine.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::super::debian::output;

const GO: &str = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello from go\") }\n";
const LIBRARY: &str = "const char *greeting(void) { return \"hello from a library\"; }\n";
const PROGRAM: &str =
    "#include <stdio.h>\nconst char *greeting(void);\nint main(void) { puts(greeting()); return 0; }\n";
const CPP: &str = "#include <iostream>\n#include <string>\nint main() { std::string s(\"hello from c++\"); std::cout << s << std::endl; }\n";
/// Asks the base's library which version it is.
const TLS: &str = "#include <stdio.h>\nconst char *OpenSSL_version(int);\nint main(void) { puts(OpenSSL_version(0)); return 0; }\n";
const JAVA: &str = "public class Hello { public static void main(String[] a) { System.out.println(\"hello from java\"); } }\n";
const MANIFEST: &str = r#"{ "name": "shop", "version": "1.0.0", "dependencies": { "express": "4.18.2" } }"#;
const CONTROL: &str = "Package: shop-tool\nVersion: 1.2-3\nArchitecture: amd64\nMaintainer: shop <shop@example.org>\n\
    Depends: libc6 (>= 2.30)\nDescription: a tool\n";

fn sh(directory: &Path, script: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(directory);
    command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    command.env("GOFLAGS", "-buildvcs=false -mod=mod");
    output(&mut command).map(drop)
}

/// Makes all of it in a directory.
pub(super) fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (name, text) in [
        ("go.mod", "module example.org/hello\n\ngo 1.18\n"),
        ("main.go", GO),
        ("greeting.c", LIBRARY),
        ("main.c", PROGRAM),
        ("main.cpp", CPP),
        ("tls.c", TLS),
        ("Hello.java", JAVA),
        ("control", CONTROL),
    ] {
        fs::write(directory.join(name), text)?;
    }
    sh(directory, "go build -o hello-go main.go")?;
    sh(
        directory,
        "cc -shared -fPIC -Wl,-soname,libgreeting.so.1 -o libgreeting.so.1 greeting.c
         cc -o hello-c main.c libgreeting.so.1
         c++ -o hello-cpp main.cpp
         cc -o tls tls.c -l:libcrypto.so.3
         cc -shared -fPIC -Wl,-soname,libcrypto.so.3 -o own-libcrypto.so.3 greeting.c
         javac --release 17 Hello.java
         jar --create --file app.jar --main-class Hello Hello.class",
    )?;
    sh(
        directory,
        "mkdir -p deb/DEBIAN deb/usr/bin deb/etc/shop wheels app
         cp control deb/DEBIAN/control
         cp tls deb/usr/bin/shop-tool
         echo on > deb/etc/shop/tool.conf
         echo /etc/shop/tool.conf > deb/DEBIAN/conffiles
         dpkg-deb --build --root-owner-group deb shop-tool.deb
         openssl req -x509 -newkey rsa:2048 -nodes -subj '/CN=Shop Root' -days 3650 -keyout /dev/null -out shop.crt",
    )?;
    fs::write(directory.join("app/package.json"), MANIFEST)?;
    fs::write(
        directory.join("app/main.js"),
        "require('express')(); console.log('hello from node');\n",
    )?;
    sh(
        &directory.join("app"),
        "npm install --ignore-scripts --no-audit --no-fund --silent",
    )?;
    // The machine fetches, the image installs.
    sh(
        &directory.join("wheels"),
        "python3 -m pip download -q --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 flask==3.0.3",
    )
    .context("wheels")
}
