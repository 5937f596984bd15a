//! What is pushed: every shape of content that the specifications call legal.

use serde_json::{Value, json};

use crate::harness::{
    content::{Algorithm, Blob, noise},
    manifest::{
        CONFIG, DOCKER_CONFIG, DOCKER_IMAGE, DOCKER_LAYER, DOCKER_LIST, Document, Draft, EMPTY_JSON,
        FOREIGN_LAYER, FOREIGN_LAYER_GZIP, INDEX, LAYER, LAYER_GZIP, config_blob,
    },
};

/// An artifact's type, not known to any specification.
pub(crate) const KIND_ONE: &str = "application/vnd.example.roadbed.one.v1";
/// Another one, with a suffix: `+` must survive a query string.
pub(crate) const KIND_TWO: &str = "application/vnd.example.roadbed.two.v1+json";

/// The annotations of the large manifest: with their names a little under 4 MiB in all.
const LARGE_ANNOTATIONS: usize = 390;
const LARGE_ANNOTATION_BYTES: usize = 10_000;

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edition {
    /// 1.1.
    V1_1,
    /// The main branch: cancelling, digest headers, several tags in one PUT.
    Main,
}

impl Edition {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::Main => "main",
        }
    }
}

/// Content that belongs together.
#[derive(Debug)]
pub(crate) struct DataSet {
    /// Its name, also that of its repository.
    pub(crate) name: &'static str,
    /// Blobs, each once.
    pub(crate) blobs: Vec<Blob>,
    /// Manifests, children before parents and subjects before those that refer to them.
    pub(crate) manifests: Vec<Document>,
    /// Tags go with the PUT to the digest (end-7b) instead of a PUT each.
    pub(crate) tag_parameters: bool,
}

/// Collects a data set's blobs.
struct Maker {
    name: &'static str,
    algorithm: Algorithm,
    blobs: Vec<Blob>,
    manifests: Vec<Document>,
}

impl Maker {
    fn new(name: &'static str) -> Self {
        Self::hashed(name, Algorithm::Sha256)
    }

    fn hashed(name: &'static str, algorithm: Algorithm) -> Self {
        Self {
            name,
            algorithm,
            blobs: Vec::new(),
            manifests: Vec::new(),
        }
    }

    fn blob(&mut self, media_type: &str, blob: Blob) -> Value {
        let descriptor = blob.descriptor(media_type);
        if self.blobs.iter().all(|known| known.digest != blob.digest) {
            self.blobs.push(blob);
        }
        descriptor
    }

    /// A layer that no other data set has.
    fn layer(&mut self, media_type: &str) -> Value {
        let seed = format!("{} {}", self.name, self.blobs.len());
        self.blob(
            media_type,
            Blob::noise(self.algorithm, &seed, 700 + self.blobs.len()),
        )
    }

    /// A config that every data set shares: it is pushed and deleted again and again.
    fn config(&mut self, architecture: &str) -> Value {
        self.blob(CONFIG, config_blob(self.algorithm, "everyone", architecture))
    }

    fn empty(&mut self) -> Value {
        self.blob(EMPTY_JSON, Blob::empty_json(self.algorithm))
    }

    fn image(&mut self, architecture: &str) -> Draft {
        let layers = vec![self.layer(LAYER_GZIP), self.layer(LAYER_GZIP)];
        Draft::image(self.config(architecture), layers).algorithm(self.algorithm)
    }

    fn artifact(&mut self, kind: &str) -> Draft {
        let layer = self.layer(kind);
        Draft::image(self.empty(), vec![layer])
            .artifact_type(kind)
            .algorithm(self.algorithm)
    }

    fn add(&mut self, draft: Draft) -> Document {
        let document = draft.finish();
        self.manifests.push(document.clone());
        document
    }

    /// An index of one image per architecture; each child may be changed on its way.
    fn index(&mut self, change: impl Fn(Draft) -> Draft) -> Draft {
        let children = ["amd64", "arm64"].map(|architecture| {
            let draft = change(self.image(architecture));
            self.add(draft).descriptor_for(architecture)
        });
        Draft::index(children.to_vec()).algorithm(self.algorithm)
    }

    fn finish(self) -> DataSet {
        DataSet {
            name: self.name,
            blobs: self.blobs,
            manifests: self.manifests,
            tag_parameters: false,
        }
    }
}

/// Every data set of an edition.
pub(crate) fn all(edition: Edition) -> Vec<DataSet> {
    let mut sets = vec![
        image(),
        image_uncompressed(),
        large_manifest(),
        index(),
        nested_index(),
        empty_index(),
        artifact(),
        artifact_index(),
        artifact_without_layers(),
        artifacts_with_subject(),
        index_with_subject(),
        missing_subject(),
        data_field(),
        foreign_layers(),
        custom_fields(),
        no_layers(),
        docker(),
        sha512(),
    ];
    if edition == Edition::Main {
        sets.push(tag_parameters("tag-parameters-sha256", Algorithm::Sha256));
        sets.push(tag_parameters("tag-parameters-sha512", Algorithm::Sha512));
    }
    sets
}

fn image() -> DataSet {
    let mut maker = Maker::new("image");
    let draft = maker.image("amd64").tag("latest");
    maker.add(draft);
    maker.finish()
}

fn image_uncompressed() -> DataSet {
    let mut maker = Maker::new("image-uncompressed");
    let layers = vec![maker.layer(LAYER), maker.layer(LAYER)];
    let draft = Draft::image(maker.config("amd64"), layers)
        .tag("uncompressed")
        .tag("also");
    maker.add(draft);
    maker.finish()
}

fn large_manifest() -> DataSet {
    let mut maker = Maker::new("large-manifest");
    let mut draft = maker.image("amd64").tag("large");
    let value = "A".repeat(LARGE_ANNOTATION_BYTES);
    for number in 0..LARGE_ANNOTATIONS {
        draft = draft.annotation(&format!("large-annotation-{number}"), &value);
    }
    let document = maker.add(draft);
    assert!(
        (3_900_000..4 * 1024 * 1024).contains(&document.bytes.len()),
        "{} bytes",
        document.bytes.len()
    );
    maker.finish()
}

fn index() -> DataSet {
    let mut maker = Maker::new("index");
    let draft = maker.index(|child| child).tag("index");
    maker.add(draft);
    maker.finish()
}

fn nested_index() -> DataSet {
    let mut maker = Maker::new("nested-index");
    let mut inner = Vec::new();
    for _ in 0..2 {
        let draft = maker.index(|child| child);
        inner.push(maker.add(draft).descriptor());
    }
    maker.add(Draft::index(inner).tag("index-of-indexes"));
    maker.finish()
}

fn empty_index() -> DataSet {
    let mut maker = Maker::new("empty-index");
    maker.add(Draft::index(Vec::new()).tag("nothing"));
    maker.finish()
}

fn artifact() -> DataSet {
    let mut maker = Maker::new("artifact");
    let draft = maker.artifact(KIND_ONE).tag("artifact");
    maker.add(draft);
    maker.finish()
}

fn artifact_index() -> DataSet {
    let mut maker = Maker::new("artifact-index");
    let children = (0..2).map(|_| maker.artifact(KIND_ONE)).collect::<Vec<_>>();
    let children = children
        .into_iter()
        .map(|child| maker.add(child).descriptor())
        .collect();
    maker.add(Draft::index(children).artifact_type(KIND_ONE).tag("artifacts"));
    maker.finish()
}

/// Image specification, "Guidelines for Artifact Usage": the empty object stands for the config and for the one layer.
fn artifact_without_layers() -> DataSet {
    let mut maker = Maker::new("artifact-without-layers");
    let empty = maker.empty();
    maker.add(
        Draft::image(empty.clone(), vec![empty])
            .artifact_type(KIND_ONE)
            .tag("hollow"),
    );
    maker.finish()
}

fn artifacts_with_subject() -> DataSet {
    let mut maker = Maker::new("artifacts-with-subject");
    let draft = maker.image("amd64").tag("image");
    let subject = maker.add(draft).descriptor();
    // Without a type of its own: lists call it by its config's media type.
    let draft = maker.image("amd64").subject(subject.clone());
    maker.add(draft);
    for (kind, tag) in [(KIND_ONE, "one"), (KIND_TWO, "two")] {
        let draft = maker.artifact(kind).subject(subject.clone()).tag(tag);
        maker.add(
            draft
                .annotation("org.example.kind", kind)
                .annotation("org.example.text", "ein Prüfstück"),
        );
    }
    maker.finish()
}

fn index_with_subject() -> DataSet {
    let mut maker = Maker::new("index-with-subject");
    let draft = maker.index(|child| child).tag("index");
    let subject = maker.add(draft).descriptor();
    let children = (0..2).map(|number| {
        let draft = maker.artifact(KIND_ONE).subject(subject.clone());
        maker
            .add(draft.annotation("org.example.number", &number.to_string()))
            .descriptor()
    });
    let children = children.collect();
    maker.add(
        Draft::index(children)
            .artifact_type(KIND_ONE)
            .subject(subject.clone())
            .annotation("org.example", "all")
            .tag("artifacts"),
    );
    // An index has no config to lend it a type.
    maker.add(Draft::index(Vec::new()).subject(subject));
    maker.finish()
}

fn missing_subject() -> DataSet {
    let mut maker = Maker::new("missing-subject");
    let missing =
        json!({ "mediaType": INDEX, "size": 123, "digest": Algorithm::Sha256.digest(b"never pushed") });
    let draft = maker
        .artifact(KIND_ONE)
        .subject(missing)
        .annotation("org.example", "early")
        .tag("early");
    maker.add(draft);
    maker.finish()
}

fn data_field() -> DataSet {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut maker = Maker::new("data-field");
    let with_data = |mut descriptor: Value, bytes: &[u8]| {
        descriptor["data"] = json!(STANDARD.encode(bytes));
        descriptor
    };
    let config = maker.config("amd64");
    let config = with_data(config, &config_blob(Algorithm::Sha256, "everyone", "amd64").bytes);
    let bytes = noise("data field", 300);
    let layer = maker.blob(LAYER, Blob::new(Algorithm::Sha256, bytes.clone()));
    let layer = with_data(layer, &bytes);
    maker.add(Draft::image(config, vec![layer]).tag("data"));
    maker.finish()
}

/// Layers that a registry need not hold: their blobs are never pushed.
fn foreign_layers() -> DataSet {
    let mut maker = Maker::new("foreign-layers");
    let foreign = |media_type: &str| {
        let digest = Algorithm::Sha256.digest(media_type.as_bytes());
        json!({ "mediaType": media_type, "digest": digest, "size": 123_456, "urls": [format!("https://store.example.com/{digest}")] })
    };
    let layers = vec![
        foreign(FOREIGN_LAYER_GZIP),
        foreign(FOREIGN_LAYER),
        maker.layer(LAYER_GZIP),
    ];
    let draft = Draft::image(maker.config("amd64"), layers).tag("foreign");
    maker.add(draft);
    maker.finish()
}

/// Fields that no specification knows, in bytes that no serialiser of ours would write.
fn custom_fields() -> DataSet {
    let mut maker = Maker::new("custom-fields");
    let strange = |draft: Draft| {
        draft
            .field(
                "org.example.custom",
                json!({ "number": 1.50e1, "text": "ü\u{1f680}" }),
            )
            .pretty()
    };
    let config =
        json!({ "os": "linux", "architecture": "amd64", "org.example.custom": [null, true] }).to_string();
    let config = maker.blob(CONFIG, Blob::new(Algorithm::Sha256, config));
    let layer = maker.layer(LAYER_GZIP);
    let image = maker.add(strange(Draft::image(config, vec![layer])));
    let mut child = image.descriptor_for("amd64");
    child["org.example.custom"] = json!("in a descriptor");
    maker.add(strange(Draft::index(vec![child])).tag("custom"));
    maker.finish()
}

fn no_layers() -> DataSet {
    let mut maker = Maker::new("no-layers");
    let config = maker.config("amd64");
    maker.add(Draft::image(config.clone(), Vec::new()).tag("flat"));
    // What Go programs write for a list that they never made.
    maker.add(
        Draft::image(config, Vec::new())
            .field("layers", Value::Null)
            .tag("null"),
    );
    maker.finish()
}

/// What Docker has pushed for years: schema 2 images and a manifest list.
fn docker() -> DataSet {
    let mut maker = Maker::new("docker");
    let config = config_blob(Algorithm::Sha256, "docker", "amd64");
    let config = maker.blob(DOCKER_CONFIG, config);
    let layer = maker.layer(DOCKER_LAYER);
    let image = maker.add(
        Draft::image(config, vec![layer])
            .media_type(DOCKER_IMAGE)
            .pretty()
            .tag("image"),
    );
    maker.add(
        Draft::index(vec![image.descriptor_for("amd64")])
            .media_type(DOCKER_LIST)
            .tag("list"),
    );
    maker.finish()
}

/// Pushed by digest only: a tag alone cannot say which algorithm is meant.
fn sha512() -> DataSet {
    let mut maker = Maker::hashed("sha512", Algorithm::Sha512);
    let draft = maker.index(|child| child);
    maker.add(draft);
    maker.finish()
}

fn tag_parameters(name: &'static str, algorithm: Algorithm) -> DataSet {
    let mut maker = Maker::hashed(name, algorithm);
    let draft = maker
        .index(|child| child)
        .tag("index")
        .tag("Second_Tag")
        .tag("v1.0.0-rc.1");
    maker.add(draft);
    let mut set = maker.finish();
    for (number, document) in set.manifests.iter_mut().enumerate() {
        document.tags.push(format!("manifest-{number}"));
    }
    set.tag_parameters = true;
    set
}
