//! `copy`: what arrives is what was there, nothing is sent twice, and what is wrong is not copied.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cli::person::Person;
use crate::cli::scan::fixture::{CONFIG, LAYER, Layout, MANIFEST, digest, path};
use crate::harness::server::{ADMIN, ADMIN_PASSWORD, Server};

mod hostile;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Blobs of the layout: two configurations and two layers, the configuration of the signature is one of its own.
const BLOBS: u64 = 5;

/// An index of two platforms under the tag `v1`, with a signature beside it.
fn write_layout(root: &Path) -> Layout {
    let mut layout = Layout::default();
    let children = ["amd64", "arm64"].map(|architecture| {
        let config = json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = layout.blob(CONFIG, config.to_string().into_bytes());
        let layer = layout.blob(LAYER, format!("layer of {architecture}").into_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut child = layout.blob(MANIFEST, manifest.to_string().into_bytes());
        child["platform"] = json!({ "architecture": architecture, "os": "linux" });
        child
    });
    let index = layout.index(&children);
    let empty = layout.blob("application/vnd.example.signature", b"{}".to_vec());
    let signature = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.signature",
        "config": empty, "layers": [], "subject": index,
    });
    let signature = layout.blob(MANIFEST, signature.to_string().into_bytes());
    let mut tagged = index;
    tagged["annotations"] = json!({ REF_NAME: "v1" });
    layout.manifests = vec![tagged, signature];
    layout.write(root);
    layout
}

fn place(server: &Server, repository: &str) -> String {
    format!("docker://{}/{repository}", server.address())
}

/// Somebody who may pull and push everywhere.
fn copier() -> Person {
    Person::new()
        .with("ROADBED_SRC_USER", ADMIN)
        .with("ROADBED_SRC_PASSWORD", ADMIN_PASSWORD)
        .with("ROADBED_DST_USER", ADMIN)
        .with("ROADBED_DST_PASSWORD", ADMIN_PASSWORD)
}

fn copied(person: &Person, arguments: &[&str]) -> Value {
    let arguments = [&["copy", "--output", "json"], arguments].concat();
    person.run_all(&arguments).ok().json()
}

/// Name and bytes of every blob of a layout.
fn blobs(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(root.join("blobs/sha256")).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn an_image_goes_through_registries_and_comes_back_the_same() {
    let server = Server::start().await;
    let person = copier();
    write_layout(&person.home().join("layout"));
    let (first, second) = (place(&server, "team/app"), place(&server, "team/other"));

    let sent = copied(&person, &["oci:layout:v1", &first, "--referrers"]);
    assert_eq!(sent["blobs_sent"], BLOBS, "{sent:#}");
    assert_eq!(sent["manifests"], 4, "{sent:#}");
    assert_eq!(sent["images"][0]["destination"], format!("{first}:v1"));
    let again = copied(&person, &["oci:layout", &first, "--referrers"]);
    assert_eq!(
        (&again["blobs_sent"], &again["blobs_there"]),
        (&json!(0), &json!(BLOBS))
    );

    let linked = copied(
        &person,
        &[&format!("{first}:v1"), &format!("{second}:v2"), "--referrers"],
    );
    assert_eq!(linked["blobs_linked"], BLOBS, "{linked:#}");
    let back = copied(&person, &[&format!("{second}:v2"), "oci:out", "--referrers"]);
    assert_eq!(back["blobs_sent"], BLOBS, "{back:#}");
    assert_eq!(
        blobs(&person.home().join("out")),
        blobs(&person.home().join("layout"))
    );
    let index = fs::read_to_string(person.home().join("out/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{index:#}");
    assert_eq!(listed[1]["annotations"][REF_NAME], "v2", "{index:#}");
    assert_eq!(listed[0]["artifactType"], "application/vnd.example.signature");

    let table = person.run_all(&["copy", "oci:out:v2", &first]).ok();
    table
        .says("oci:out:v2 -> ")
        .says(":v2 (sha256:")
        .says("0 blobs sent");
}

#[tokio::test]
async fn what_is_wanted_of_an_image_is_copied() {
    let server = Server::start().await;
    let person = copier();
    write_layout(&person.home().join("layout"));
    let to = place(&server, "team/app");
    let one = copied(&person, &["oci:layout:v1", &to, "--platform", "linux/arm64"]);
    assert_eq!((&one["blobs_sent"], &one["manifests"]), (&json!(2), &json!(1)));
    person
        .run_all(&["copy", "oci:layout:v1", &to, "--platform", "linux/riscv64"])
        .fails("linux/arm64");

    copied(&person, &["oci:layout:v1", &format!("{to}:v2")]);
    let all = copied(&person, &[&to, "oci:all", "--all-tags"]);
    assert_eq!(all["images"].as_array().unwrap().len(), 2, "{all:#}");
    assert_eq!(blobs(&person.home().join("all")).len(), 4 + 3);
    let digest = all["images"][0]["digest"].as_str().unwrap();
    let by_digest = copied(&person, &[&format!("{to}@{digest}"), "oci:one"]);
    assert_eq!(by_digest["images"][0]["destination"], format!("oci:one@{digest}"));
    person
        .run_all(&["copy", "oci:one", &place(&server, "team/third")])
        .ok();
}

#[tokio::test]
async fn wrong_bytes_do_not_arrive() {
    let server = Server::start().await;
    let person = copier();
    let root = person.home().join("layout");
    let layout = write_layout(&root);
    let (layer, bytes) = &layout.blobs[1];
    let mut changed = bytes.clone();
    changed[0] ^= 1;
    let longer = [bytes.as_slice(), b"x"].concat();
    let to = place(&server, "team/app");
    for (bytes, reason) in [
        (changed.as_slice(), "another digest"),
        (&bytes[1..], "1 bytes less"),
        (longer.as_slice(), "more bytes"),
    ] {
        fs::write(root.join(path(layer)), bytes).unwrap();
        for to in [to.as_str(), "oci:out"] {
            person.run_all(&["copy", "oci:layout:v1", to]).fails(reason);
        }
        assert!(!person.home().join("out").join(path(layer)).exists());
        assert!(!person.home().join("out/index.json").exists());
    }
    server.admin().check_no_manifest("team/app", "v1").await.unwrap();
    server.admin().check_no_blob("team/app", layer).await.unwrap();
    fs::remove_file(root.join(path(layer))).unwrap();
    person
        .run_all(&["copy", "oci:layout:v1", &to])
        .fails("is missing");
    // What was wrong is put right, and the rest is not sent again.
    fs::write(root.join(path(layer)), bytes).unwrap();
    let sent = copied(&person, &["oci:layout:v1", &to]);
    assert!(sent["blobs_there"].as_u64().unwrap() >= 1, "{sent:#}");
    assert_eq!(digest(bytes), *layer);
}

#[tokio::test]
async fn what_lies_at_the_destination_is_not_believed() {
    let person = Person::new();
    let layout = write_layout(&person.home().join("layout"));
    copied(&person, &["oci:layout:v1", "oci:out"]);
    let (layer, bytes) = &layout.blobs[1];
    let path = person.home().join("out").join(path(layer));
    let changed = vec![b'x'; bytes.len()];
    fs::write(&path, &changed).unwrap();
    let again = copied(&person, &["oci:layout:v1", "oci:out"]);
    assert_eq!(again["blobs_sent"], 1, "{again:#}");
    assert_eq!(&fs::read(&path).unwrap(), bytes);

    let outside = person.home().join("outside");
    fs::write(&outside, bytes).unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    person
        .run_all(&["copy", "oci:layout:v1", "oci:out"])
        .fails("is a link and no file: remove it and begin again");
    assert_eq!(&fs::read(&outside).unwrap(), bytes);
}

#[tokio::test]
async fn sign_ins_that_others_keep_are_used() {
    let server = Server::start().await;
    let to = place(&server, "team/app");
    let pair = STANDARD.encode(format!("{ADMIN}:{ADMIN_PASSWORD}"));
    let auths = json!({ "auths": { server.address().to_string(): { "auth": pair } } }).to_string();
    for (file, variable, value) in [
        (".config/containers/auth.json", "", ""),
        (".docker/config.json", "", ""),
        ("kept/config.json", "DOCKER_CONFIG", "kept"),
        ("kept/auth.json", "REGISTRY_AUTH_FILE", "kept/auth.json"),
        ("run/containers/auth.json", "XDG_RUNTIME_DIR", "run"),
    ] {
        let mut person = Person::new();
        if !variable.is_empty() {
            let value = person.home().join(value).display().to_string();
            person = person.with(variable, &value);
        }
        write_layout(&person.home().join("layout"));
        person
            .run_all(&["copy", "oci:layout:v1", &to])
            .fails("ROADBED_DST_PASSWORD");
        person.write(file, &auths);
        copied(&person, &["oci:layout:v1", &to]);
    }
}

#[tokio::test]
async fn who_may_not_is_told_what_to_do() {
    let server = Server::start().await;
    let person = Person::new();
    write_layout(&person.home().join("layout"));
    let to = place(&server, "team/app");
    person
        .run_all(&["copy", "oci:layout:v1", &to])
        .fails("ROADBED_DST_PASSWORD");
    person
        .run_all(&["copy", &to, "oci:out"])
        .fails("ROADBED_SRC_PASSWORD");
    person
        .run_all(&["copy", "oci:layout:v1", &to, "--dst-user", "ann"])
        .fails("--dst-user is set without ROADBED_DST_PASSWORD");
    // The registry of --url is told what every other command tells it.
    let admin = Person::administrator(&server);
    write_layout(&admin.home().join("layout"));
    copied(&admin, &["oci:layout:v1", &to]);

    admin
        .run_all(&["copy", &format!("{to}:v9"), "oci:out"])
        .fails("there is no docker://");
    admin
        .run_all(&["copy", &to, "oci:out", "--all-tags", "--insecure"])
        .fails("--ca-cert");
    admin
        .run_all(&["copy", &format!("{to}:v1"), "oci:out", "--all-tags"])
        .fails("leave out :TAG");
    let wrong = format!("oci:out@sha256:{}", "a".repeat(64));
    admin.run_all(&["copy", &to, &wrong]).fails("name a tag");
    admin.run_all(&["copy", "alpine", "oci:out"]).misused("docker://");
    admin.run_all(&["copy", "oci:nowhere", &to]).fails("nowhere");
}
