//! Manifests that must not be taken. Each gets its code and a message that says what to do, and changes nothing.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::witness::Witness;
use crate::harness::{
    content::{Algorithm, sha256_hex},
    manifest::{CONFIG, DOCKER_IMAGE, DOCKER_LIST, Document, Draft, IMAGE, INDEX, LAYER_GZIP},
    server::Server,
    tally::Tally,
};

/// The largest manifest that must be taken, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// Nesting of indexes that is refused, whatever the cap: nobody nests so deep.
const DEEP: usize = 40;

/// Children of an index, and layers of an image, that are refused.
const WIDE: usize = 5_000;

/// What an attacker would rather send.
const LAYERS_OF_A_BOMB: usize = 100_000;

/// A manifest, and the answers that it may get.
struct Bad {
    name: String,
    content_type: String,
    bytes: Vec<u8>,
    statuses: &'static [u16],
    codes: &'static [&'static str],
}

impl Bad {
    fn invalid(name: impl Into<String>, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let (content_type, codes) = (content_type.to_owned(), &["MANIFEST_INVALID"]);
        Self {
            name: name.into(),
            content_type,
            bytes: bytes.into(),
            statuses: &[400],
            codes,
        }
    }

    fn draft(name: impl Into<String>, draft: Draft) -> Self {
        let document = draft.finish();
        Self::invalid(name, &document.media_type, document.bytes)
    }

    /// 413: more than is read at all.
    fn too_large(mut self) -> Self {
        self.statuses = &[413];
        self.codes = &["SIZE_INVALID", "MANIFEST_INVALID"];
        self
    }

    fn answered(mut self, statuses: &'static [u16], codes: &'static [&'static str]) -> Self {
        self.statuses = statuses;
        self.codes = codes;
        self
    }
}

/// Pushes it by tag and by digest; neither is there afterwards.
async fn refused(witness: &Witness, bad: &Bad) -> Result<()> {
    let digest = Algorithm::Sha256.digest(&bad.bytes);
    // A tag of its own, so that one row that is taken by mistake does not spoil the others.
    let tag = format!(
        "bad-{}",
        sha256_hex(format!("{} {}", bad.name, bad.content_type).as_bytes())
    );
    for reference in [&tag, &digest] {
        let request = witness
            .client
            .put(witness.path(&format!("manifests/{reference}")));
        let request = request
            .header("content-type", &bad.content_type)
            .body(bad.bytes.clone());
        let answer = request.send().await?.expect_one_error(bad.statuses, bad.codes)?;
        ensure!(
            answer.error_message()?.len() > 15,
            "the message tells nothing: {}",
            answer.summary()
        );
        witness
            .client
            .check_no_manifest(&witness.repository, &tag)
            .await?;
        witness
            .client
            .check_no_manifest(&witness.repository, &digest)
            .await?;
    }
    witness.unharmed().await
}

/// The known image's own fields, to be spoilt.
fn good(witness: &Witness) -> (Value, Vec<Value>) {
    (
        witness.blobs[0].descriptor(CONFIG),
        vec![witness.blobs[1].descriptor(LAYER_GZIP)],
    )
}

fn not_json() -> Vec<Bad> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_annotations = format!(
        r#"{{"schemaVersion":2,"config":{}1{}}}"#,
        r#"{"a":"#.repeat(10_000),
        "}".repeat(10_000)
    );
    let texts: [(&str, Vec<u8>); 13] = [
        ("nothing", Vec::new()),
        ("text", b"hello".to_vec()),
        ("a number", b"42".to_vec()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("half an object", br#"{"schemaVersion":2,"#.to_vec()),
        (
            "an object and more",
            br#"{"schemaVersion":2,"manifests":[]} {}"#.to_vec(),
        ),
        (
            "not UTF-8",
            b"{\"schemaVersion\":2,\"manifests\":[],\"a\":\"\xff\xfe\"}".to_vec(),
        ),
        ("zeros", vec![0; 1000]),
        ("a deep list", deep.into_bytes()),
        ("a deep object", deep_annotations.into_bytes()),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"schemaVersion\":2,\"manifests\":[]}".to_vec(),
        ),
    ];
    texts
        .into_iter()
        .flat_map(|(name, bytes)| [IMAGE, INDEX].map(|kind| Bad::invalid(name, kind, bytes.clone())))
        .collect()
}

fn contradictions(witness: &Witness) -> Vec<Bad> {
    let (config, layers) = good(witness);
    // Not the witness's own bytes, which are there already.
    let image = || Draft::image(config.clone(), layers.clone()).annotation("org.example", "contradiction");
    let bytes = |draft: Draft| draft.finish().bytes.to_vec();
    vec![
        Bad::invalid("an image called an index", INDEX, bytes(image())),
        Bad::invalid("an index called an image", IMAGE, bytes(Draft::index(Vec::new()))),
        Bad::invalid("an OCI image called Docker's", DOCKER_IMAGE, bytes(image())),
        Bad::invalid(
            "a Docker list called an index",
            INDEX,
            bytes(Draft::index(Vec::new()).media_type(DOCKER_LIST)),
        ),
        Bad::invalid(
            "an unknown media type",
            "application/vnd.example.manifest+json",
            bytes(image()),
        ),
        Bad::invalid("text/html", "text/html", bytes(image())),
        Bad::invalid("no media type", "nonsense", bytes(image())),
        Bad::invalid(
            "Docker's schema 1",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"signatures":[]}"#
                .to_vec(),
        ),
        Bad::draft(
            "an image that is an index too",
            image().field("manifests", json!([])),
        ),
        Bad::draft(
            "an index that is an image too",
            Draft::index(Vec::new())
                .field("config", config.clone())
                .field("layers", json!([])),
        ),
        Bad::draft("schema version 1", image().field("schemaVersion", 1)),
        Bad::draft("schema version as text", image().field("schemaVersion", "2")),
    ]
}

fn broken_fields(witness: &Witness) -> Vec<Bad> {
    let (config, layers) = good(witness);
    let image = || Draft::image(config.clone(), layers.clone());
    let spoilt = |field: &str, value: Value| {
        let mut descriptor = config.clone();
        descriptor[field] = value;
        Bad::draft(
            format!("config.{field}"),
            Draft::image(descriptor, layers.clone()),
        )
    };
    let nameless = json!({ "mediaType": CONFIG, "size": witness.blobs[0].bytes.len() });
    let mut bad = vec![
        Bad::draft("no config", image().without("config")),
        Bad::draft("no manifests", Draft::index(Vec::new()).without("manifests")),
        Bad::draft("layers that are an object", image().field("layers", json!({}))),
        Bad::draft("layers that hold null", image().field("layers", json!([null]))),
        Bad::draft("a config that is null", image().field("config", Value::Null)),
        Bad::draft(
            "a config without a digest",
            Draft::image(nameless, layers.clone()),
        ),
        Bad::draft(
            "annotations that are a list",
            image().field("annotations", json!([])),
        ),
        Bad::draft(
            "annotations that are numbers",
            image().field("annotations", json!({ "a": 1 })),
        ),
        spoilt("size", json!(-1)),
        spoilt("size", json!("12")),
        spoilt("size", json!(1.5)),
        spoilt("mediaType", json!("")),
        spoilt("mediaType", json!(7)),
        Bad::invalid(
            "a key that comes twice",
            INDEX,
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"manifests":[]}}"#),
        ),
    ];
    for digest in ["", "latest", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        bad.push(spoilt("digest", json!(digest)).answered(&[400], &["MANIFEST_INVALID", "DIGEST_INVALID"]));
    }
    // The blob is there, but not of this size: who pulls by it would wait for bytes that never come.
    bad.push(spoilt("size", json!(1)).answered(&[400], &["SIZE_INVALID", "MANIFEST_INVALID"]));
    bad
}

fn wide(witness: &Witness) -> Vec<Bad> {
    let (config, layers) = good(witness);
    let child = witness.document.descriptor();
    let image = |count: usize| Draft::image(config.clone(), vec![layers[0].clone(); count]);
    let short = r#"{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"#;
    let bomb = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{}{}]}}"#,
        short.repeat(LAYERS_OF_A_BOMB - 1),
        short.trim_end_matches(','),
    );
    // As many as fit into what is read.
    let fits = bomb.len().min(LARGEST - 1000) / short.len() - 10;
    let fitting = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{}{}]}}"#,
        short.repeat(fits),
        short.trim_end_matches(','),
    );
    vec![
        Bad::draft(format!("{WIDE} layers"), image(WIDE)),
        Bad::draft(format!("{WIDE} children"), Draft::index(vec![child; WIDE])),
        Bad::invalid(format!("{LAYERS_OF_A_BOMB} layers"), IMAGE, bomb).too_large(),
        Bad::invalid(format!("{fits} layers within 4 MiB"), IMAGE, fitting),
    ]
}

fn large(witness: &Witness) -> Vec<Bad> {
    let (config, layers) = good(witness);
    let filled = |length: usize| {
        let empty = Draft::image(config.clone(), layers.clone())
            .annotation("fill", "")
            .finish()
            .bytes
            .len();
        let draft =
            Draft::image(config.clone(), layers.clone()).annotation("fill", &"x".repeat(length - empty));
        draft.finish().bytes.to_vec()
    };
    vec![
        Bad::invalid("one byte over 4 MiB", IMAGE, filled(LARGEST + 1)).too_large(),
        Bad::invalid("16 MiB", IMAGE, filled(4 * LARGEST)).too_large(),
    ]
}

fn missing(witness: &Witness) -> Vec<Bad> {
    let (config, layers) = good(witness);
    let unknown =
        json!({ "mediaType": LAYER_GZIP, "size": 3, "digest": Algorithm::Sha256.digest(b"unknown layer") });
    let child =
        json!({ "mediaType": IMAGE, "size": 3, "digest": Algorithm::Sha256.digest(b"unknown child") });
    let unknown_512 =
        json!({ "mediaType": LAYER_GZIP, "size": 3, "digest": Algorithm::Sha512.digest(b"unknown layer") });
    let manifest_as_blob = json!({ "mediaType": LAYER_GZIP, "size": witness.document.bytes.len(), "digest": witness.document.digest });
    let blob_as_child = json!({ "mediaType": IMAGE, "size": witness.blobs[0].bytes.len(), "digest": witness.blobs[0].digest });
    let bad = vec![
        Bad::draft(
            "an unknown layer",
            Draft::image(config.clone(), vec![layers[0].clone(), unknown.clone()]),
        ),
        Bad::draft(
            "an unknown layer of sha512",
            Draft::image(config.clone(), vec![unknown_512]),
        ),
        Bad::draft("an unknown config", Draft::image(unknown, layers.clone())),
        Bad::draft(
            "a manifest as a layer",
            Draft::image(config, vec![manifest_as_blob]),
        ),
        Bad::draft(
            "an unknown child",
            Draft::index(vec![witness.document.descriptor(), child]),
        ),
        Bad::draft("a blob as a child", Draft::index(vec![blob_as_child])),
    ];
    bad.into_iter()
        .map(|bad| bad.answered(&[404, 400], &["MANIFEST_BLOB_UNKNOWN"]))
        .collect()
}

async fn run(name: &str, make: fn(&Witness) -> Vec<Bad>) {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/manifests").await;
    let mut tally = Tally::new(format!("bad manifests: {name}"));
    for bad in make(&witness) {
        tally.record(
            format!("{} as {}", bad.name, bad.content_type),
            refused(&witness, &bad).await,
        );
    }
    tally.finish(&server);
}

#[tokio::test]
async fn not_json_at_all() {
    run("not JSON", |_| not_json()).await;
}

#[tokio::test]
async fn contradicting_themselves() {
    run("contradictions", contradictions).await;
}

#[tokio::test]
async fn with_broken_fields() {
    run("broken fields", broken_fields).await;
}

#[tokio::test]
async fn too_wide_or_too_large() {
    run("wide", wide).await;
    run("large", large).await;
}

#[tokio::test]
async fn naming_what_is_missing() {
    run("missing blobs", missing).await;
}

/// Nesting: good to some depth, refused at the cap, and nothing of the refused part is there.
#[tokio::test]
async fn nested_too_deep() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/nested").await;
    let mut tally = Tally::new("bad manifests: nested");
    let outcome = nest(&witness).await;
    tally.check(
        format!("a cap between 2 and {DEEP} levels: {outcome:?}"),
        outcome.is_ok_and(|depth| (2..DEEP).contains(&depth)),
    );
    tally.record(
        "the image",
        witness
            .client
            .check_manifest(&witness.repository, "witness", &witness.document)
            .await,
    );
    tally.finish(&server);
}

/// Wraps the image into index after index until the server says no; returns how many it took.
async fn nest(witness: &Witness) -> Result<usize> {
    let mut inner: Document = witness.document.clone();
    for depth in 0..DEEP {
        let outer = Draft::index(vec![inner.descriptor()]).finish();
        let answer = witness
            .client
            .push_manifest(&witness.repository, &outer.digest, &outer)
            .await?;
        if answer.status != 201 {
            answer.expect_error(400, "MANIFEST_INVALID")?;
            witness
                .client
                .check_no_manifest(&witness.repository, &outer.digest)
                .await?;
            witness
                .client
                .check_manifest(&witness.repository, &inner.digest, &inner)
                .await?;
            return Ok(depth);
        }
        inner = outer;
    }
    Err(anyhow::anyhow!("{DEEP} levels were taken"))
}

/// A digest in the path that is not the body's, however it is spelt.
#[tokio::test]
async fn under_a_wrong_digest() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/digests").await;
    let mut tally = Tally::new("bad manifests: wrong digests");
    let changed = [witness.document.bytes.as_ref(), b"  "].concat();
    for algorithm in Algorithm::ALL {
        let promised = algorithm.digest(b"something else");
        for reference in [promised.as_str(), &witness.document.digest] {
            let outcome = wrong_digest(&witness, reference, &changed)
                .await
                .with_context(|| reference.to_owned());
            tally.record(format!("{} in the path", algorithm.name()), outcome);
        }
    }
    for reference in [
        "sha256:baddigeststring",
        "sha256:",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:ABC",
    ] {
        let request = witness
            .client
            .put(witness.path(&format!("manifests/{reference}")));
        let answer = request
            .header("content-type", IMAGE)
            .body(witness.document.bytes.clone())
            .send()
            .await;
        let codes = ["DIGEST_INVALID", "MANIFEST_INVALID"];
        tally.record(
            reference,
            answer
                .and_then(|answer| answer.expect_one_error(&[400], &codes))
                .map(drop),
        );
    }
    tally.record("the image", witness.unharmed().await);
    tally.finish(&server);
}

async fn wrong_digest(witness: &Witness, reference: &str, bytes: &[u8]) -> Result<()> {
    let request = witness
        .client
        .put(witness.path(&format!("manifests/{reference}")));
    let answer = request
        .header("content-type", IMAGE)
        .body(bytes.to_vec())
        .send()
        .await?;
    answer.expect_error(400, "DIGEST_INVALID")?;
    witness
        .client
        .check_no_manifest(&witness.repository, &Algorithm::Sha256.digest(bytes))
        .await?;
    witness.unharmed().await
}
