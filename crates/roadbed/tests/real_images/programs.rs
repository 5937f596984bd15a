//! Programs of Go and of Rust.

use std::{ffi::OsString, fs, path::Path, process::Command};

use anyhow::Result;

use super::debian::{Root, output};

const GO_MODULE: &str = "\
module example.org/shop

go 1.18

require (
\tgithub.com/google/uuid v1.3.0
\tgithub.com/pkg/errors v0.8.0
\tgolang.org/x/text v0.3.6
)

replace github.com/pkg/errors => github.com/pkg/errors v0.9.1
";

const GO_MAIN: &str = "\
package main

import (
\t\"fmt\"

\t\"github.com/google/uuid\"
\t\"github.com/pkg/errors\"
\t\"golang.org/x/text/language\"
)

func main() { fmt.Println(uuid.Nil, language.English, errors.New(\"no\")) }
";

/// What only takes part in the build is no part of the program.
const RUST_MANIFEST: &str = "\
[package]
name = \"shop\"
version = \"0.3.0\"
edition = \"2021\"

[dependencies]
itoa = \"=1.0.0\"
smallvec = \"=1.6.0\"

[build-dependencies]
autocfg = \"=1.1.0\"

[workspace]
";

const RUST_MAIN: &str = "\
fn main() {
    let numbers: smallvec::SmallVec<[u8; 4]> = smallvec::smallvec![1, 2];
    println!(\"{}\", itoa::Buffer::new().format(numbers.len()));
}
";

/// Where programs lie.
const PLACE: &str = "opt/bin";

/// Builds both into the image.
pub(super) fn build(directory: &Path, root: &Root, auditable: &Path) -> Result<()> {
    let bin = root.0.join(PLACE);
    fs::create_dir_all(&bin)?;
    let module = directory.join("go");
    fs::create_dir(&module)?;
    fs::write(module.join("go.mod"), GO_MODULE)?;
    fs::write(module.join("main.go"), GO_MAIN)?;
    let mut build = go();
    build.args(["build", "-mod=mod", "-buildvcs=false", "-o"]);
    output(build.arg(bin.join("go-shop")).arg(".").current_dir(&module))?;

    let package = directory.join("rust");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("Cargo.toml"), RUST_MANIFEST)?;
    fs::write(package.join("build.rs"), "fn main() { autocfg::new(); }\n")?;
    fs::write(package.join("src/main.rs"), RUST_MAIN)?;
    let mut build = cargo();
    build.env("PATH", path_with(auditable));
    output(build.args(["auditable", "build"]).current_dir(&package))?;
    fs::copy(package.join("target/debug/shop"), bin.join("rust-shop"))?;
    Ok(())
}

/// Writes what their makers say is in them.
pub(super) fn list(directory: &Path, root: &Root, lists: &Path) -> Result<()> {
    let program = root.0.join(PLACE).join("go-shop");
    fs::write(
        lists.join("go"),
        output(go().args(["version", "-m"]).arg(program))?,
    )?;
    let mut tree = cargo();
    tree.args(["tree", "--edges", "normal", "--prefix", "none"]);
    fs::write(
        lists.join("rust"),
        output(tree.current_dir(directory.join("rust")))?,
    )?;
    Ok(())
}

fn go() -> Command {
    let mut command = Command::new("go");
    command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    command
}

/// Cargo without what the one that runs this test told it.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    for name in [
        "CARGO_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    command
}

/// The search path with the directory of a program in front.
fn path_with(program: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = program.parent().map(Path::to_owned);
    std::env::join_paths(first.into_iter().chain(std::env::split_paths(&path))).unwrap_or(path)
}
