//! Tests of manifests: what is legal, what is refused and why, and every limit exceeded.

mod limits;

use serde_json::{Value, json};

use super::*;
use crate::media_type::{
    DOCKER_FOREIGN_LAYER_GZIP, OCI_EMPTY, OCI_FOREIGN_LAYER_GZIP, OCI_IMAGE_CONFIG, OCI_LAYER_GZIP,
};
use crate::{Algorithm, Digest, ErrorCode};

fn digest(of: &str) -> Digest {
    Digest::of(Algorithm::Sha256, of.as_bytes())
}

fn descriptor(media_type: &str, of: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(of).to_string(), "size": of.len()})
}

fn image_json() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": descriptor(OCI_IMAGE_CONFIG, "config"),
        "layers": [descriptor(OCI_LAYER_GZIP, "one"), descriptor(OCI_LAYER_GZIP, "two")],
    })
}

fn index_json() -> Value {
    let mut child = descriptor(OCI_IMAGE_MANIFEST, "child");
    child["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": [child]})
}

fn parse_as(value: &Value, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    let content_type = content_type.map(|text| text.parse().unwrap());
    Manifest::parse(
        value.to_string().as_bytes(),
        content_type.as_ref(),
        &ManifestLimits::default(),
    )
}

fn parse(value: &Value) -> Result<Manifest, ManifestError> {
    parse_as(value, None)
}

fn parse_text(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), None, &ManifestLimits::default())
}

/// `base` with the fields of `more` on top.
fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("an object")
    };
    base.as_object_mut().unwrap().extend(more);
    base
}

#[test]
fn an_image() {
    let manifest = parse(&image_json()).unwrap();
    assert_eq!(manifest.kind, ManifestKind::Image);
    assert_eq!(manifest.media_type, OCI_IMAGE_MANIFEST);
    assert_eq!(manifest.artifact_type.as_deref(), Some(OCI_IMAGE_CONFIG));
    assert_eq!(manifest.declared_artifact_type, None);
    assert_eq!(manifest.config.as_ref().unwrap().size, 6);
    let blobs: Vec<Digest> = manifest.blobs().map(|blob| blob.digest).collect();
    assert_eq!(blobs, [digest("config"), digest("one"), digest("two")]);
}

#[test]
fn an_index() {
    let manifest = parse(&index_json()).unwrap();
    assert_eq!(manifest.kind, ManifestKind::Index);
    assert_eq!(manifest.artifact_type, None);
    assert_eq!(manifest.blobs().count(), 0);
    assert_eq!(
        manifest.manifests[0].platform.as_ref().unwrap().to_string(),
        "linux/arm64/v8"
    );
}

#[test]
fn an_artifact_with_a_subject() {
    let json = with(
        image_json(),
        json!({
            "artifactType": "application/vnd.example.sbom",
            "config": descriptor(OCI_EMPTY, "{}"),
            "subject": descriptor(OCI_IMAGE_MANIFEST, "missing is fine"),
            "annotations": {"org.example.key": "two\nlines", "": ""},
        }),
    );
    let manifest = parse(&json).unwrap();
    assert_eq!(
        manifest.artifact_type.as_deref(),
        Some("application/vnd.example.sbom")
    );
    assert_eq!(manifest.declared_artifact_type, manifest.artifact_type);
    assert_eq!(manifest.subject.unwrap().digest, digest("missing is fine"));
    assert_eq!(manifest.annotations["org.example.key"], "two\nlines");
}

#[test]
fn what_else_is_legal() {
    let empty_index = with(index_json(), json!({"manifests": []}));
    assert!(parse(&empty_index).unwrap().manifests.is_empty());
    let null_index = with(index_json(), json!({"manifests": null}));
    assert!(parse(&null_index).unwrap().manifests.is_empty());
    for layers in [json!([]), Value::Null] {
        assert!(
            parse(&with(image_json(), json!({"layers": layers})))
                .unwrap()
                .layers
                .is_empty()
        );
    }
    let artifact_index = with(
        index_json(),
        json!({"artifactType": "application/vnd.example", "config": null}),
    );
    assert_eq!(
        parse(&artifact_index).unwrap().artifact_type.as_deref(),
        Some("application/vnd.example")
    );
    let custom = with(
        image_json(),
        json!({"org.example": {"deep": [{"er": [1, -2, 3.5, null, true, "x"]}]}}),
    );
    assert_eq!(parse(&custom).unwrap().layers.len(), 2);
    let embedded = with(
        descriptor("application/vnd.unknown.config+json", "x"),
        json!({"data": "eA==", "more": 1}),
    );
    let embedded = parse(&with(image_json(), json!({"config": embedded})))
        .unwrap()
        .config
        .unwrap();
    assert!(embedded.data);
    let bare = with(
        descriptor("text/plain; charset=utf-8", ""),
        json!({
            "data": null, "urls": null, "annotations": null, "platform": null, "artifactType": "",
        }),
    );
    let bare = parse(&with(image_json(), json!({"config": bare})))
        .unwrap()
        .config
        .unwrap();
    assert_eq!(
        bare,
        Descriptor::new("text/plain".parse().unwrap(), digest(""), 0)
    );
    let sha512 =
        json!({"mediaType": OCI_EMPTY, "digest": Digest::of(Algorithm::Sha512, b"{}"), "size": i64::MAX});
    let sha512 = parse(&with(image_json(), json!({"config": sha512})))
        .unwrap()
        .config
        .unwrap();
    assert_eq!(
        (sha512.digest.algorithm(), sha512.size),
        (Algorithm::Sha512, i64::MAX.unsigned_abs())
    );
}

#[test]
fn docker_types() {
    let image = with(image_json(), json!({"mediaType": DOCKER_MANIFEST}));
    assert_eq!(
        parse_as(&image, Some(DOCKER_MANIFEST)).unwrap().kind,
        ManifestKind::Image
    );
    let list = with(index_json(), json!({"mediaType": DOCKER_MANIFEST_LIST}));
    assert_eq!(parse(&list).unwrap().kind, ManifestKind::Index);
}

#[test]
fn foreign_layers_are_not_blobs() {
    let layers =
        [OCI_FOREIGN_LAYER_GZIP, OCI_LAYER_GZIP, DOCKER_FOREIGN_LAYER_GZIP].map(|of| descriptor(of, of));
    let manifest = parse(&with(image_json(), json!({"layers": layers}))).unwrap();
    let blobs: Vec<Digest> = manifest.blobs().map(|blob| blob.digest).collect();
    assert_eq!(blobs, [digest("config"), digest(OCI_LAYER_GZIP)]);
    assert_eq!(manifest.layers.len(), 3);
}

#[test]
fn media_type_is_decided_by_header_then_body_then_fields() {
    let without = |mut json: Value| {
        json.as_object_mut().unwrap().remove("mediaType");
        json
    };
    assert_eq!(
        parse_as(&without(image_json()), Some(DOCKER_MANIFEST))
            .unwrap()
            .media_type,
        DOCKER_MANIFEST
    );
    assert_eq!(
        parse(&without(image_json())).unwrap().media_type,
        OCI_IMAGE_MANIFEST
    );
    assert_eq!(parse(&without(index_json())).unwrap().media_type, OCI_IMAGE_INDEX);
    assert_eq!(
        parse_as(&image_json(), Some(OCI_IMAGE_MANIFEST))
            .unwrap()
            .media_type,
        OCI_IMAGE_MANIFEST
    );
    for (json, content_type) in [
        (image_json(), OCI_IMAGE_INDEX),
        (image_json(), DOCKER_MANIFEST),
        (index_json(), OCI_IMAGE_MANIFEST),
        (index_json(), DOCKER_MANIFEST_LIST),
    ] {
        let error = parse_as(&json, Some(content_type)).unwrap_err();
        assert!(
            matches!(error, ManifestError::MediaTypeMismatch { .. }),
            "{error}"
        );
    }
    for content_type in [
        "application/json",
        "application/octet-stream",
        "application/vnd.oci.artifact.manifest.v1+json",
    ] {
        let error = parse_as(&image_json(), Some(content_type)).unwrap_err();
        assert!(
            matches!(error, ManifestError::UnsupportedMediaType { .. }),
            "{error}"
        );
    }
    let own = with(image_json(), json!({"mediaType": "application/json"}));
    assert!(matches!(
        parse(&own),
        Err(ManifestError::UnsupportedMediaType { .. })
    ));
    assert_eq!(
        parse_as(&json!({}), Some(crate::media_type::DOCKER_SCHEMA1_SIGNED)),
        Err(ManifestError::Schema1)
    );
}

/// CVE-2021-41190 and its relatives: bodies that two readers would understand in two ways.
#[test]
fn confusion_is_refused() {
    let both = with(image_json(), json!({"manifests": []}));
    assert_eq!(parse(&both), Err(ManifestError::Ambiguous));
    assert_eq!(
        parse(&with(index_json(), json!({"layers": []}))),
        Err(ManifestError::Ambiguous)
    );
    assert_eq!(
        parse(&with(index_json(), json!({"config": {}}))),
        Err(ManifestError::Missing { field: "mediaType" })
    );
    let layers_only = with(index_json(), json!({"manifests": null, "layers": []}));
    assert!(matches!(
        parse(&layers_only),
        Err(ManifestError::Misplaced { field: "layers", .. })
    ));
    let manifests_only = with(
        image_json(),
        json!({"manifests": [], "config": null, "layers": null}),
    );
    assert!(matches!(
        parse(&manifests_only),
        Err(ManifestError::Misplaced {
            field: "manifests",
            ..
        })
    ));
    for (json, key) in [
        (with(image_json(), json!({"Layers": []})), "Layers"),
        (with(image_json(), json!({"MANIFESTS": []})), "MANIFESTS"),
        (with(image_json(), json!({"layer\u{17f}": []})), "layer\u{17f}"),
        (
            with(
                image_json(),
                json!({"config": with(descriptor(OCI_EMPTY, ""), json!({"Digest": ""}))}),
            ),
            "Digest",
        ),
    ] {
        let error = parse(&json).unwrap_err();
        assert!(
            matches!(&error, ManifestError::AmbiguousKey { key: found, .. } if found == key),
            "{error}"
        );
    }
}

#[test]
fn duplicate_keys_are_refused_everywhere() {
    let image = image_json().to_string();
    let inside = |more: &str| format!("{},{more}}}", &image[..image.len() - 1]);
    for (text, key) in [
        (inside(r#""schemaVersion":2"#), "schemaVersion"),
        (inside(r#""layers":[]"#), "layers"),
        (inside(r#""x":1,"x":1"#), "x"),
        (inside(r#""x":{"y":1,"y":1}"#), "y"),
        (inside(r#""x":[{"y":1,"\u0079":1}]"#), "y"),
        (inside(r#""annotations":{"a":"","a":""}"#), "a"),
        (image.replace(r#""size":6"#, r#""size":6,"size":7"#), "size"),
    ] {
        assert_eq!(
            parse_text(&text),
            Err(ManifestError::DuplicateKey { key: key.to_owned() }),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_manifest() {
    for text in [
        "",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{",
        "{}x",
        "\u{feff}{}",
        "nonsense",
        "{\"schemaVersion\":\"2\"}",
        "{'a':1}",
    ] {
        assert!(
            matches!(parse_text(text), Err(ManifestError::Json { .. })),
            "{text}"
        );
    }
    assert!(matches!(
        Manifest::parse(b"{\"x\":\"\xff\"}", None, &ManifestLimits::default()),
        Err(ManifestError::Json { .. })
    ));
    assert_eq!(
        parse_text("{}"),
        Err(ManifestError::SchemaVersion { found: None })
    );
    assert_eq!(
        parse_text(r#"{"schemaVersion":3}"#),
        Err(ManifestError::SchemaVersion { found: Some(3) })
    );
    assert_eq!(
        parse_text(r#"{"schemaVersion":1,"fsLayers":[]}"#),
        Err(ManifestError::Schema1)
    );
    assert_eq!(
        parse_text(r#"{"schemaVersion":2}"#),
        Err(ManifestError::Unrecognised)
    );
    assert_eq!(
        parse(&with(image_json(), json!({"config": null}))),
        Err(ManifestError::Missing { field: "config" })
    );
    let childless = json!({"schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX});
    assert_eq!(
        parse(&childless),
        Err(ManifestError::Missing { field: "manifests" })
    );
    let position = parse_text("{\n  \"layers\": 7}").unwrap_err();
    assert_eq!(
        position.to_string(),
        "manifest cannot be read at line 2, column 13: invalid type: integer `7`, expected an array of layers"
    );
}

#[test]
fn bad_descriptors() {
    let refused = |more: Value| {
        let config = with(descriptor(OCI_EMPTY, "x"), more);
        parse(&with(image_json(), json!({"config": config}))).unwrap_err()
    };
    for field in ["mediaType", "digest", "size"] {
        assert_eq!(refused(json!({field: null})), ManifestError::Missing { field });
    }
    for size in [
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!(u64::MAX),
        json!(1u64 << 63),
    ] {
        assert_eq!(refused(json!({"size": size})), ManifestError::Size);
    }
    assert!(matches!(
        refused(json!({"size": "1"})),
        ManifestError::Json { .. }
    ));
    for bad in [
        "sha256:00",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "../../etc/passwd",
        "",
    ] {
        let error = refused(json!({"digest": bad}));
        assert!(matches!(error, ManifestError::Digest { .. }), "{error}");
        assert_eq!(error.code(), ErrorCode::DigestInvalid);
    }
    assert!(matches!(
        refused(json!({"mediaType": ""})),
        ManifestError::MediaType { .. }
    ));
    assert!(matches!(
        refused(json!({"urls": [1]})),
        ManifestError::Json { .. }
    ));
    assert!(matches!(
        refused(json!({"annotations": {"a": 1}})),
        ManifestError::Json { .. }
    ));
    assert!(matches!(
        refused(json!({"annotations": {"a": null}})),
        ManifestError::Json { .. }
    ));
    assert_eq!(
        refused(json!({"urls": ["a\nb"]})),
        ManifestError::ControlCharacter { field: "urls" }
    );
    assert_eq!(
        refused(json!({"artifactType": "a\u{7f}"})),
        ManifestError::ControlCharacter {
            field: "artifactType"
        }
    );
    let os = refused(json!({"platform": {"os": "li\0nux"}}));
    assert_eq!(os, ManifestError::ControlCharacter { field: "os" });
}
