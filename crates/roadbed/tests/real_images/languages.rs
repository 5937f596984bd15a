//! What pip and npm install.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use super::debian::{Root, output};

/// Packages of Python with all that they need, as the index has them.
const PYTHON: [&str; 4] = ["django==2.2.0", "pyyaml==5.3", "sqlparse==0.4.4", "pytz==2024.1"];

/// What an application states. What is needed to develop it is not installed, but is in the lockfile.
const APPLICATION: &str = r#"{
  "name": "shop", "version": "1.0.0",
  "dependencies": { "lodash": "4.17.4", "minimist": "0.0.8", "mkdirp": "0.5.5" },
  "devDependencies": { "inherits": "2.0.4" }
}"#;

const NPM: [&str; 4] = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"];

/// Where the application lies.
const PLACE: &str = "srv/app";

/// Installs all of it.
pub(super) fn install(root: &Root) -> Result<()> {
    // The machine fetches, the image installs: the image knows nothing of how this machine reaches the index.
    let wheels = root.0.join("tmp/wheels");
    fs::create_dir_all(&wheels)?;
    let mut download = Command::new("python3");
    download
        .args(["-m", "pip", "download", "-q", "--no-deps"])
        .args(PYTHON);
    output(download.current_dir(&wheels))?;
    let offline = [
        "pip3",
        "install",
        "--break-system-packages",
        "--no-index",
        "--no-build-isolation",
        "--find-links",
        "/tmp/wheels",
    ];
    root.run(&[&offline, &PYTHON[..2]].concat())?;

    let application = root.0.join(PLACE);
    fs::create_dir_all(&application)?;
    fs::write(application.join("package.json"), APPLICATION)?;
    npm(root, &[&["install"], &NPM[..]].concat()).map(drop)
}

/// Takes one of each away.
pub(super) fn remove(root: &Root) -> Result<()> {
    root.run(&["pip3", "uninstall", "--break-system-packages", "--yes", "pytz"])?;
    npm(root, &[&["uninstall"], &NPM[..], &["mkdirp"]].concat()).map(drop)
}

/// Writes what the two list.
pub(super) fn list(root: &Root, lists: &Path) -> Result<()> {
    fs::write(lists.join("pip"), root.run(&["pip3", "list", "--format=json"])?)?;
    let listed = npm(root, &["ls", "--all", "--parseable", "--long", "--omit=dev"])?;
    fs::write(lists.join("npm"), listed)?;
    // npm does not speak of the modules of the distribution, wherefore they are asked.
    let script = "import glob, json\n\
        for path in glob.glob('/usr/share/nodejs/[!@]*/package.json') + glob.glob('/usr/share/nodejs/@*/*/package.json'):\n\
        \x20   package = json.load(open(path)); print(package['name'], package['version'])";
    fs::write(lists.join("nodejs"), root.run(&["python3", "-c", script])?)?;
    Ok(())
}

fn npm(root: &Root, arguments: &[&str]) -> Result<String> {
    output(
        Command::new("npm")
            .args(arguments)
            .current_dir(root.0.join(PLACE)),
    )
}
