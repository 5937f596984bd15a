//! What is written for containerd.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::process::run;

const MIRROR: &str = "http://127.0.0.1:5080";

fn install(home: &Path, more: &[&str]) -> Result<(bool, String)> {
    let directory = home.join("certs.d").to_string_lossy().into_owned();
    let config = home.join("config.toml").to_string_lossy().into_owned();
    let arguments = [
        "mirror",
        "install",
        "--containerd-dir",
        &directory,
        "--containerd-config",
        &config,
        "--mirror",
        MIRROR,
        "--namespace",
        "docker.io",
        "--namespace",
        "registry.example:5000",
    ];
    run(home, &[&arguments[..], more].concat())
}

const CENTRE: [&str; 2] = ["--centre", "https://registry.example:5000"];

fn hosts(home: &Path, namespace: &str) -> Option<String> {
    fs::read_to_string(home.join("certs.d").join(namespace).join("hosts.toml")).ok()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn it_is_written_once_and_taken_away_again() -> Result<()> {
    let home = tempfile::tempdir()?;
    let home = home.path();
    let (done, said) = install(home, &["--dry-run", CENTRE[0], CENTRE[1]])?;
    ensure!(
        done && said.contains("would be written") && said.contains("+ server"),
        "{said}"
    );
    ensure!(hosts(home, "docker.io").is_none(), "it was only shown");
    let (done, said) = install(home, &[])?;
    ensure!(
        !done && said.contains("--mirror-only"),
        "whom nodes ask then is said: {said}"
    );

    let (done, said) = install(home, &CENTRE)?;
    ensure!(
        done && said.contains("config_path"),
        "it warns of containerd: {said}"
    );
    let written = hosts(home, "docker.io").unwrap_or_default();
    ensure!(
        written.contains("server = \"http://127.0.0.1:5080\""),
        "{written}"
    );
    ensure!(!written.contains("registry-1.docker.io"), "{written}");
    let directory = home.join("certs.d").join("docker.io");
    ensure!(names(&directory) == ["hosts.toml"], "{:?}", names(&directory));
    let stamp = fs::metadata(directory.join("hosts.toml"))?.modified()?;
    let (done, said) = install(home, &CENTRE)?;
    ensure!(done && said.matches("unchanged").count() == 2, "{said}");
    ensure!(
        fs::metadata(directory.join("hosts.toml"))?.modified()? == stamp,
        "not touched"
    );
    let (done, _) = install(home, &["--mirror-only", "--fallback-upstream"])?;
    let written = hosts(home, "docker.io").unwrap_or_default();
    ensure!(
        done && written.contains("registry-1.docker.io"),
        "our own is changed: {written}"
    );

    let (done, said) = install(home, &["--uninstall"])?;
    ensure!(done && said.contains("removed"), "{said}");
    ensure!(names(&home.join("certs.d")).is_empty(), "nothing is left");
    let (done, said) = install(home, &["--uninstall"])?;
    ensure!(done && said.contains("unchanged"), "{said}");
    Ok(())
}

#[test]
fn what_somebody_else_has_written_stays_theirs() -> Result<()> {
    let home = tempfile::tempdir()?;
    let home = home.path();
    let directory = home.join("certs.d").join("docker.io");
    fs::create_dir_all(&directory)?;
    let theirs = "server = \"https://other.example\"\n";
    fs::write(directory.join("hosts.toml"), theirs)?;
    fs::write(
        home.join("config.toml"),
        format!(
            "[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = {:?}\n",
            home.join("certs.d")
        ),
    )?;
    let (done, said) = install(home, &CENTRE)?;
    ensure!(!done && said.contains("--force"), "{said}");
    ensure!(
        said.contains("- server = \\\"https://other.example\\\"") || said.contains("other.example"),
        "{said}"
    );
    ensure!(hosts(home, "docker.io").as_deref() == Some(theirs), "untouched");
    ensure!(
        hosts(home, "registry.example:5000").is_none(),
        "nothing at all was done"
    );

    let (done, said) = install(home, &[CENTRE[0], CENTRE[1], "--force"])?;
    ensure!(done && !said.contains("warning"), "{said}");
    ensure!(
        hosts(home, "docker.io").is_some_and(|text| text.contains(MIRROR)),
        "ours"
    );
    let kept = directory.join("hosts.toml.before-roadbed");
    ensure!(fs::read_to_string(&kept)? == theirs, "theirs is kept");
    // Somebody changes ours: that is theirs again, and the one that is kept is not to be lost.
    let changed = format!("{}# mine\n", hosts(home, "docker.io").unwrap_or_default());
    fs::write(directory.join("hosts.toml"), &changed)?;
    let (done, _) = install(home, &CENTRE)?;
    ensure!(
        !done && hosts(home, "docker.io").as_ref() == Some(&changed),
        "untouched"
    );
    let (done, said) = install(home, &[CENTRE[0], CENTRE[1], "--force"])?;
    ensure!(!done && said.contains("move it away"), "{said}");
    let (done, _) = install(home, &["--uninstall"])?;
    ensure!(
        done && hosts(home, "docker.io").as_ref() == Some(&changed),
        "not ours to remove"
    );

    fs::write(directory.join("hosts.toml"), changed.trim_end_matches("# mine\n"))?;
    let (done, said) = install(home, &["--uninstall"])?;
    ensure!(done && said.contains("put back"), "{said}");
    ensure!(
        hosts(home, "docker.io").as_deref() == Some(theirs),
        "as it was before"
    );
    ensure!(names(&directory) == ["hosts.toml"], "{:?}", names(&directory));
    Ok(())
}

#[test]
fn names_that_lead_elsewhere_are_refused() -> Result<()> {
    let home = tempfile::tempdir()?;
    for hostile in [
        "../../etc",
        "docker.io/../../x",
        "/etc",
        "..",
        "a\nb.example",
        "_default",
        "127.0.0.1:5080",
    ] {
        let (done, said) = install(home.path(), &[CENTRE[0], CENTRE[1], "--namespace", hostile])?;
        ensure!(!done, "{hostile}: {said}");
        ensure!(
            names(home.path()).iter().all(|name| name != "certs.d"),
            "{hostile}"
        );
    }
    for url in [
        "127.0.0.1:5080",
        "ftp://a.example",
        "http://a.example/\"]\nx",
        "http://a\"b.example",
    ] {
        let arguments = [
            "mirror",
            "install",
            "--mirror",
            url,
            "--mirror-only",
            "--namespace",
            "docker.io",
        ];
        let (done, said) = run(home.path(), &arguments)?;
        ensure!(!done, "{url}: {said}");
    }
    Ok(())
}
