//! What is wrong with images, by accident or on purpose.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::cli::person::Person;
use crate::cli::scan::fixture::{Layout, MANIFEST, digest, layer, path, tar};
use crate::cli::scan::person;

#[test]
fn a_layout_that_is_not_whole_is_refused() {
    let person = person();
    let layout = person.home().join("layout");
    let blob = layout.join(path(&digest(&layer())));
    fs::write(&blob, "other bytes").unwrap();
    person.run(["scan", "layout"]).breaks("have another digest");
    fs::remove_file(&blob).unwrap();
    person
        .run(["scan", "layout"])
        .breaks("is missing: copy the image again");

    let outside = person.home().join("outside");
    fs::write(&outside, layer()).unwrap();
    symlink(&outside, &blob).unwrap();
    person.run(["scan", "layout"]).breaks("leads out of the layout");
    fs::remove_file(&blob).unwrap();

    let pipe = std::process::Command::new("mkfifo").arg(&blob).status();
    if pipe.is_ok_and(|status| status.success()) {
        person.run(["scan", "layout"]).breaks("is no file");
    }
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    let person = person();
    let blob = person.home().join("layout").join(path(&digest(&layer())));
    let moved = person.home().join("layout/elsewhere");
    fs::rename(&blob, &moved).unwrap();
    symlink(&moved, &blob).unwrap();
    person.run(["scan", "layout"]).ok();
}

#[test]
fn an_index_that_lies_is_refused() {
    let person = person();
    let index = person.home().join("layout/index.json");
    let with = |manifests: serde_json::Value| {
        fs::write(
            &index,
            json!({ "schemaVersion": 2, "manifests": manifests }).to_string(),
        )
        .unwrap();
        person.run(["scan", "layout"])
    };
    let descriptor = |digest: &str| json!({ "mediaType": MANIFEST, "digest": digest, "size": 1 });
    with(json!([descriptor("sha256:../../../../etc/passwd")])).breaks("index.json cannot be read");
    with(json!([])).breaks("there is no image in index.json");
    with(json!([descriptor(&digest(b"gone"))])).breaks("is missing");
    with(json!([descriptor(&digest(b"a")), descriptor(&digest(b"b"))])).breaks("there are several images");
    person
        .run(["scan", "layout:v9"])
        .breaks("there is no such image in index.json");
    let many: Vec<_> = (0..2_000).map(|_| descriptor(&digest(b"a"))).collect();
    with(json!(many)).breaks("index.json cannot be read");
    fs::write(&index, vec![b' '; 5 << 20]).unwrap();
    person.run(["scan", "layout"]).breaks("index.json cannot be read");
}

#[test]
fn an_index_that_holds_itself_ends() {
    let person = Person::new();
    let mut layout = Layout::default();
    let mut inner = layout.image();
    for _ in 0..6 {
        inner = layout.index(&[inner]);
    }
    layout.manifests.push(inner);
    layout.write(&person.home().join("deep"));
    person.run(["scan", "deep"]).breaks("nested more than");
}

#[test]
fn an_archive_that_lies_is_refused() {
    let person = Person::new();
    let list = |layer: &str| json!([{ "Config": "c.json", "RepoTags": null, "Layers": [layer] }]).to_string();
    let scan = |files: &[(&str, &[u8])]| {
        fs::write(person.home().join("a.tar"), tar(files)).unwrap();
        person.run(["scan", "a.tar"])
    };
    scan(&[("x", b"y")]).breaks("neither index.json nor manifest.json");
    let lists = list("../../etc/passwd");
    scan(&[("c.json", b"{}"), ("manifest.json", lists.as_bytes())]).breaks("is missing in the archive");
    let twice = list("c.json");
    scan(&[("manifest.json", twice.as_bytes()), ("manifest.json", b"[]")]).breaks("is in it twice");
    scan(&[("manifest.json", b"[]")]).breaks("there is no image in manifest.json");
}

#[test]
fn what_is_nothing_says_what_it_could_be() {
    let person = Person::new();
    person.run(["scan", "./nothing"]).breaks("does not exist");
    person
        .run(["scan", "No Image"])
        .breaks("is no file, no directory and no image such as");
    person.write("text", "words");
    person
        .run(["scan", "text"])
        .breaks("neither an archive of `docker save` nor an SBOM");
    person.write("other.json", "{}");
    person
        .run(["scan", "other.json"])
        .breaks("cannot read other.json");
    person
        .run(["scan", "text", "--data", "x", "--advisories", "y"])
        .misused("cannot be used with");
    person.run(["scan", "team/app:v1"]).breaks("no registry is named");
}
