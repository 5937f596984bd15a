//! Manifests of every kind that the specifications allow.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::content::{Algorithm, Blob};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
pub(crate) const FOREIGN_LAYER_GZIP: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
pub(crate) const EMPTY_JSON: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A manifest that is ready to be pushed.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// The digest under which it is pushed.
    pub(crate) digest: String,
    /// Its `Content-Type`.
    pub(crate) media_type: String,
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Tags that name it.
    pub(crate) tags: Vec<String>,
    /// The digest of its subject.
    pub(crate) subject: Option<String>,
    /// What a list of referrers tells of it beside digest, size and media type.
    pub(crate) artifact_type: Option<String>,
    /// Its annotations.
    pub(crate) annotations: Map<String, Value>,
}

impl Document {
    /// Any bytes as a manifest, good or bad.
    pub(crate) fn of_bytes(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: Algorithm::Sha256.digest(&bytes),
            media_type: media_type.to_owned(),
            bytes,
            tags: Vec::new(),
            subject: None,
            artifact_type: None,
            annotations: Map::new(),
        }
    }

    /// What an index or a subject field writes to name it.
    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    /// The same with a platform.
    pub(crate) fn descriptor_for(&self, architecture: &str) -> Value {
        let mut descriptor = self.descriptor();
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor
    }
}

/// A manifest being written.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    media_type: String,
    fields: Map<String, Value>,
    tags: Vec<String>,
    algorithm: Algorithm,
    pretty: bool,
}

impl Draft {
    /// An OCI image manifest.
    pub(crate) fn image(config: Value, layers: Vec<Value>) -> Self {
        Self::new(IMAGE).field("config", config).field("layers", layers)
    }

    /// An OCI index.
    pub(crate) fn index(manifests: Vec<Value>) -> Self {
        Self::new(INDEX).field("manifests", manifests)
    }

    fn new(media_type: &str) -> Self {
        let draft = Self {
            media_type: media_type.to_owned(),
            fields: Map::new(),
            tags: Vec::new(),
            algorithm: Algorithm::Sha256,
            pretty: false,
        };
        draft.field("schemaVersion", 2).field("mediaType", media_type)
    }

    /// Sets any field, also one that no specification knows.
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a field out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.remove(name);
        self
    }

    /// Another media type of the same shape (Docker's).
    pub(crate) fn media_type(mut self, media_type: &str) -> Self {
        media_type.clone_into(&mut self.media_type);
        self.field("mediaType", media_type)
    }

    /// What kind of artifact it is.
    pub(crate) fn artifact_type(self, artifact_type: &str) -> Self {
        self.field("artifactType", artifact_type)
    }

    /// What it refers to.
    pub(crate) fn subject(self, descriptor: Value) -> Self {
        self.field("subject", descriptor)
    }

    /// One annotation more.
    pub(crate) fn annotation(mut self, name: &str, value: &str) -> Self {
        let annotations = self.fields.entry("annotations").or_insert_with(|| json!({}));
        annotations[name] = json!(value);
        self
    }

    /// One tag more.
    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// Hashed with this.
    pub(crate) fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Written over many lines with a line feed at the end: bytes that no serialiser of ours would make.
    pub(crate) fn pretty(mut self) -> Self {
        self.pretty = true;
        self
    }

    /// The finished manifest.
    pub(crate) fn finish(self) -> Document {
        let mut bytes = if self.pretty {
            serde_json::to_vec_pretty(&self.fields)
        } else {
            serde_json::to_vec(&self.fields)
        }
        .expect("JSON values can be written");
        if self.pretty {
            bytes.push(b'\n');
        }
        // Distribution specification, "Listing Referrers": the manifest's own type, else an image's config media type.
        let own = self
            .fields
            .get("artifactType")
            .or_else(|| self.fields.get("config")?.get("mediaType"));
        Document {
            digest: self.algorithm.digest(&bytes),
            media_type: self.media_type,
            bytes: bytes.into(),
            tags: self.tags,
            subject: self
                .fields
                .get("subject")
                .and_then(|subject| Some(subject["digest"].as_str()?.to_owned())),
            artifact_type: own.and_then(Value::as_str).map(str::to_owned),
            annotations: self
                .fields
                .get("annotations")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// The smallest image: one config, one layer, distinct per seed.
pub(crate) fn small_image(seed: &str) -> (Vec<Blob>, Document) {
    let config = config_blob(Algorithm::Sha256, seed, "amd64");
    let layer = Blob::noise(Algorithm::Sha256, seed, 1024);
    let document = Draft::image(config.descriptor(CONFIG), vec![layer.descriptor(LAYER_GZIP)]).finish();
    (vec![config, layer], document)
}

/// An image's config for a platform.
pub(crate) fn config_blob(algorithm: Algorithm, seed: &str, architecture: &str) -> Blob {
    let config = json!({
        "os": "linux", "architecture": architecture, "author": seed,
        "rootfs": { "type": "layers", "diff_ids": [algorithm.digest(seed.as_bytes())] },
    });
    Blob::new(algorithm, config.to_string())
}
