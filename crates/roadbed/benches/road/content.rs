//! Releases of a base, and applications on it.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use oci::{Algorithm, Digest};
use serde_json::{Value, json};

/// Packages of the base.
const PACKAGES: usize = 300;

/// Files of each layer of the base.
const FILES: usize = 400;

/// An image that can be pushed.
#[derive(Clone)]
pub(crate) struct Pushed {
    pub(crate) digest: Digest,
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
}

/// A layer: packed, and what it is unpacked.
#[derive(Clone)]
struct Layer {
    packed: Vec<u8>,
    diff_id: Digest,
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn layer(files: &[(String, Vec<u8>)]) -> Layer {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_slice())
            .expect("memory can be written");
    }
    let tar = tar.into_inner().expect("memory can be written");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).expect("memory can be written");
    Layer {
        packed: encoder.finish().expect("memory can be written"),
        diff_id: sha256(&tar),
    }
}

/// The list of packages of a release; with those of an application.
fn status(release: u8, own: &[String]) -> Vec<u8> {
    let mut text = String::new();
    for package in 0..PACKAGES {
        // A tenth is patched.
        let patch = if package % 10 == 0 { release } else { 1 };
        stanza(&mut text, &format!("lib{package}"), &format!("1.0-{patch}"));
    }
    for package in own {
        stanza(&mut text, package, "7.88-1");
    }
    text.into_bytes()
}

fn stanza(text: &mut String, package: &str, version: &str) {
    let _ = write!(
        text,
        "Package: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nDescription: x\n\n"
    );
}

const ROOT: &str = "root:x:0:0:root:/root:/bin/sh\n";

fn layers_of(release: u8) -> Vec<Layer> {
    let system = [
        (
            "etc/os-release".to_owned(),
            b"ID=debian\nVERSION_ID=\"12\"\n".to_vec(),
        ),
        ("etc/passwd".to_owned(), ROOT.as_bytes().to_vec()),
        ("var/lib/dpkg/status".to_owned(), status(release, &[])),
    ];
    let files = |layer: usize| -> Vec<(String, Vec<u8>)> {
        let file = |number: usize| {
            let patch = if number.is_multiple_of(10) { release } else { 1 };
            (
                format!("usr/lib/{layer}/file{number}"),
                format!("{layer} {number} {patch}").into_bytes(),
            )
        };
        (0..FILES).map(file).collect()
    };
    let mut layers = vec![layer(&system)];
    layers.extend((1..5).map(|number| layer(&files(number))));
    layers
}

/// A release of the base: five layers.
pub(crate) fn release(number: u8) -> Pushed {
    image(
        &layers_of(number),
        &json!({ "Cmd": ["/base"], "Env": [format!("RELEASE={number}")] }),
    )
}

/// An application on the first release, of three layers; every second one has installed packages and added a user.
pub(crate) fn application(number: usize) -> Pushed {
    static BASE: std::sync::OnceLock<Vec<Layer>> = std::sync::OnceLock::new();
    let mut layers = BASE.get_or_init(|| layers_of(1)).clone();
    let file = |name: &str| (format!("app/{name}"), format!("{name} of {number}").into_bytes());
    layers.push(layer(&[file("main"), file("settings")]));
    if number.is_multiple_of(2) {
        layers.push(layer(&[file("library")]));
    } else {
        let users = format!("{ROOT}app{number}:x:1000:1000::/app:/bin/sh\n").into_bytes();
        let own = ["curl".to_owned(), format!("tool{number}")];
        layers.push(layer(&[
            ("etc/passwd".to_owned(), users),
            ("var/lib/dpkg/status".to_owned(), status(1, &own)),
            ("usr/bin/curl".to_owned(), b"curl".to_vec()),
        ]));
    }
    layers.push(layer(&[file("assets")]));
    image(
        &layers,
        &json!({ "Cmd": ["/app/main"], "User": "1000", "Env": ["RELEASE=1", "APP=1"] }),
    )
}

fn image(layers: &[Layer], settings: &Value) -> Pushed {
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": settings,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = config.to_string().into_bytes();
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() });
    let described: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(oci::media_type::OCI_LAYER_GZIP, &layer.packed))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": descriptor(oci::media_type::OCI_IMAGE_CONFIG, &config), "layers": described,
    });
    let manifest = manifest.to_string().into_bytes();
    let mut blobs: Vec<(Digest, Vec<u8>)> = layers
        .iter()
        .map(|layer| (sha256(&layer.packed), layer.packed.clone()))
        .collect();
    blobs.push((sha256(&config), config));
    Pushed {
        digest: sha256(&manifest),
        manifest,
        blobs,
    }
}
