//! What is found in the image is what its tools list.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    debian,
    found::{self, argument, names, packages, scan},
    layout::TAG,
    lists,
};
use crate::harness::{
    admin,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    unable::{self, Program},
};

const SKOPEO: Program = Program {
    name: "skopeo",
    package: "skopeo",
};

/// How long a debug build may look into the image.
const PATIENCE: Duration = Duration::from_mins(3);

fn scanned(directory: &Path) -> Value {
    let layout = format!("{}:{TAG}", argument(&directory.join("layout")));
    scan(&[&layout])
}

#[test]
fn every_package_that_the_tools_list_is_found_and_no_other() {
    let Some(directory) = debian::image() else { return };
    let result = scanned(&directory);
    assert_eq!(result["os"]["id"], "debian");
    assert_eq!(result["os"]["version"], "12");
    assert_eq!(result["layers"].as_array().unwrap().len(), 4);
    are_those_of_dpkg(&result, &lists::read(&directory, "dpkg"));

    let python = packages(&result, "python");
    assert_eq!(names(&python), lists::of_pip(&lists::read(&directory, "pip")));
    for expected in ["django 2.2", "pyyaml 5.3"] {
        assert!(names(&python).contains(&expected.to_owned()), "{python:?}");
    }
    let go = packages(&result, "go");
    assert_eq!(names(&go), lists::of_go(&lists::read(&directory, "go")));
    assert_eq!(go.len(), 5, "{go:?}");
    let rust = packages(&result, "rust");
    assert_eq!(names(&rust), lists::of_cargo(&lists::read(&directory, "rust")));
    assert_eq!(names(&rust), ["itoa 1.0.0", "shop 0.3.0", "smallvec 1.6.0"]);

    let node = packages(&result, "npm");
    let (own, others): (Vec<_>, Vec<_>) = node.iter().partition(|found| found.owned_by.is_none());
    assert_eq!(names(own), lists::of_npm(&lists::read(&directory, "npm")));
    let mut shipped: Vec<String> = lists::read(&directory, "nodejs")
        .lines()
        .map(str::to_owned)
        .collect();
    shipped.sort_unstable();
    assert_eq!(names(others), shipped);
    let kinds = ["dpkg", "python", "go", "rust", "npm"];
    let known: usize = kinds.iter().map(|kind| packages(&result, kind).len()).sum();
    assert_eq!(
        known,
        result["packages"].as_array().unwrap().len(),
        "there is another kind"
    );
}

/// Names, versions, architectures and sources.
fn are_those_of_dpkg(result: &Value, listed: &str) {
    let all = result["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> = all
        .iter()
        .filter(|package| package["kind"] == "dpkg")
        .map(|package| {
            let source = &package["source"];
            let words = [
                &package["name"],
                &package["version"],
                &package["arch"],
                &source["name"],
                &source["version"],
            ];
            words.map(text).join(" ")
        })
        .collect();
    let mut expected: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(expected.len() > 80, "{expected:?}");
    assert_eq!(found, expected);
}

#[test]
fn what_a_package_of_the_distribution_owns_is_marked_so() {
    let Some(directory) = debian::image() else { return };
    let result = scanned(&directory);
    let owners: BTreeMap<String, String> = lists::of_owners(&lists::read(&directory, "owners"))
        .into_iter()
        .collect();
    for kind in ["python", "npm"] {
        let found = packages(&result, kind);
        for one in &found {
            assert_eq!(one.owned_by.as_ref(), owners.get(&one.path), "{one:?}");
        }
        let owned = found.iter().filter(|one| one.owned_by.is_some()).count();
        assert!(owned >= 4 && owned < found.len(), "{found:#?}");
    }
    let of = |name: &str| {
        let python = packages(&result, "python");
        let found = python.into_iter().find(|found| found.name == name).unwrap();
        found.owned_by
    };
    assert_eq!(of("requests").as_deref(), Some("python3-requests"));
    assert_eq!(of("django"), None);
}

#[tokio::test]
async fn the_registry_says_the_same_of_it() {
    let Some(directory) = debian::image() else { return };
    let skopeo = match SKOPEO.find() {
        Ok(skopeo) => skopeo,
        Err(unable) => return unable::report(&unable),
    };
    let server = Server::start().await;
    let reader = admin::user(&server, "reader", "team/*", &["pull"]).await.unwrap();
    let mut copy = Command::new(skopeo);
    copy.args([
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
    ])
    .args(["--dest-creds", &format!("{ADMIN}:{ADMIN_PASSWORD}")])
    .arg(format!("oci:{}:{TAG}", argument(&directory.join("layout"))))
    .arg(format!("docker://{}/team/app:v1", server.address()));
    debian::output(&mut copy).unwrap();

    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = reader.get("/v2/team/app/manifests/v1").send().await.unwrap();
        if asked.status != 503 {
            asked.expect(&[200]).unwrap();
            break;
        }
        assert!(Instant::now() < deadline, "it was not decided in {PATIENCE:?}");
    }
    let mut ask = server.command();
    ask.env("ROADBED_URL", server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let mut stored = found::run(&mut ask, &["team/app:v1"]);
    for layer in stored["layers"].as_array_mut().unwrap() {
        // Only whoever knows bases can say.
        layer.as_object_mut().unwrap().remove("origin");
    }
    let offline = scanned(&directory);
    for part in ["os", "layers"] {
        assert_eq!(stored[part], offline[part]);
    }
    let mut known = stored["packages"].clone();
    let mut unasked = offline["packages"].clone();
    for packages in [&mut known, &mut unasked] {
        for package in packages.as_array_mut().unwrap() {
            // Only whoever has advisories can say.
            package.as_object_mut().unwrap().remove("coverage");
        }
    }
    assert_eq!(known, unasked);
    assert_eq!(stored["files"], offline["files"]);
}
