//! Images to scan, made of few bytes.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What `Log4Shell`'s advisory says, as far as a matcher needs it.
pub(crate) fn advisory() -> String {
    json!({
        "id": "GHSA-jfh8-c2jp-5v3q",
        "aliases": ["CVE-2021-44228"],
        "summary": "Remote code injection in Log4j",
        "modified": "2024-01-01T00:00:00Z",
        "published": "2021-12-10T00:00:00Z",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "Maven", "name": "org.apache.logging.log4j:log4j-core" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "2.13.0" }, { "fixed": "2.15.0" }] }],
        }],
        "database_specific": { "severity": "CRITICAL" },
    })
    .to_string()
}

/// The KEV catalogue with that one.
pub(crate) fn kev() -> String {
    json!({
        "title": "catalogue", "catalogVersion": "1", "dateReleased": "2024-01-01T00:00:00Z", "count": 1,
        "vulnerabilities": [{
            "cveID": "CVE-2021-44228", "vendorProject": "Apache", "product": "Log4j2",
            "vulnerabilityName": "Log4Shell", "dateAdded": "2021-12-10", "shortDescription": "",
            "requiredAction": "", "dueDate": "2021-12-24", "knownRansomwareCampaignUse": "Known", "notes": "",
        }],
    })
    .to_string()
}

/// `log4j-core` 2.14.1, of which nothing was taken out.
pub(crate) fn jar() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, text) in [
        (
            "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
            "groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n",
        ),
        (
            "org/apache/logging/log4j/core/lookup/JndiLookup.class",
            "\u{0}class",
        ),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A tar of files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The layer with the jar.
pub(crate) fn layer() -> Vec<u8> {
    tar(&[("app/log4j-core-2.14.1.jar", &jar())])
}

/// The configuration of an image of one layer.
pub(crate) fn config(layer: &[u8]) -> Vec<u8> {
    json!({
        "architecture": "amd64", "os": "linux", "config": { "User": "app" },
        "rootfs": { "type": "layers", "diff_ids": [digest(layer)] },
        "history": [{ "created_by": "COPY app /app" }],
    })
    .to_string()
    .into_bytes()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An OCI layout on its way into a directory.
#[derive(Default)]
pub(crate) struct Layout {
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
    pub(crate) manifests: Vec<Value>,
}

impl Layout {
    /// With the image, under a tag.
    pub(crate) fn log4j() -> Self {
        let mut layout = Self::default();
        let image = layout.image();
        let mut descriptor = image;
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
        layout.manifests.push(descriptor);
        layout
    }

    /// Puts the image in and says its descriptor.
    pub(crate) fn image(&mut self) -> Value {
        let layer = layer();
        let config = self.blob(CONFIG, config(&layer));
        let layer = self.blob(LAYER, layer);
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        self.blob(MANIFEST, manifest.to_string().into_bytes())
    }

    /// Puts an index in and says its descriptor.
    pub(crate) fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.blob(INDEX, index.to_string().into_bytes())
    }

    pub(crate) fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let descriptor = json!({ "mediaType": media_type, "digest": digest(&bytes), "size": bytes.len() });
        self.blobs.push((digest(&bytes), bytes));
        descriptor
    }

    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let index = json!({ "schemaVersion": 2, "manifests": self.manifests });
        let mut files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        files.extend(
            self.blobs
                .iter()
                .map(|(digest, bytes)| (path(digest), bytes.clone())),
        );
        files
    }

    pub(crate) fn write(&self, root: &Path) {
        fs::create_dir_all(root.join("blobs/sha256")).unwrap();
        for (name, bytes) in self.files() {
            fs::write(root.join(name), bytes).unwrap();
        }
    }
}

/// Where a layout keeps a blob.
pub(crate) fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}
