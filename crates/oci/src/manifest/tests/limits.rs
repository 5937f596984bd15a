//! Every limit, met and exceeded.

use super::*;

fn too_many(what: &'static str, limit: usize) -> Result<Manifest, ManifestError> {
    Err(ManifestError::TooMany { what, limit })
}

#[test]
fn bytes() {
    let limits = ManifestLimits::default();
    let fill = |to: usize| {
        let mut text = image_json().to_string();
        text.extend(std::iter::repeat_n(' ', to - text.len()));
        text
    };
    assert!(parse_text(&fill(limits.bytes)).is_ok());
    let error = parse_text(&fill(limits.bytes + 1)).unwrap_err();
    assert_eq!(
        error,
        ManifestError::TooLarge {
            bytes: limits.bytes + 1,
            limit: limits.bytes
        }
    );
    assert_eq!(error.code(), ErrorCode::SizeInvalid);
}

/// The conformance program's large manifest.
#[test]
fn annotations_may_fill_the_manifest() {
    let annotations: serde_json::Map<String, Value> = (0..390)
        .map(|n| (format!("large-annotation-{n}"), json!("A".repeat(10_000))))
        .collect();
    let manifest = parse(&with(image_json(), json!({"annotations": annotations}))).unwrap();
    assert_eq!(manifest.annotations.len(), 390);
}

#[test]
fn layers_and_children() {
    for (count, fits) in [(1_000, true), (1_001, false)] {
        let layers = vec![descriptor(OCI_LAYER_GZIP, "layer"); count];
        let result = parse(&with(image_json(), json!({"layers": layers})));
        assert_eq!(result.is_ok(), fits);
        assert!(fits || result == too_many("layers", 1_000));
        let manifests = vec![descriptor(OCI_IMAGE_MANIFEST, "child"); count];
        let result = parse(&with(index_json(), json!({"manifests": manifests})));
        assert_eq!(result.is_ok(), fits);
        assert!(fits || result == too_many("manifests", 1_000));
    }
}

/// What comes after the last layer that is allowed is not even looked at: it need not be JSON.
#[test]
fn counting_stops_at_the_cap() {
    let layer = descriptor(OCI_LAYER_GZIP, "layer").to_string();
    let head = vec![layer; 1_000].join(",");
    let text = format!(r#"{{"schemaVersion":2,"layers":[{head},THIS IS NOT JSON"#);
    assert_eq!(parse_text(&text), too_many("layers", 1_000));
}

#[test]
fn a_hundred_thousand_layers() {
    let limits = ManifestLimits {
        bytes: usize::MAX,
        ..ManifestLimits::default()
    };
    let text = format!(
        r#"{{"layers":[{}]}}"#,
        vec![descriptor(OCI_LAYER_GZIP, "x").to_string(); 100_000].join(",")
    );
    assert_eq!(
        Manifest::parse(text.as_bytes(), None, &limits),
        too_many("layers", 1_000)
    );
    let hollow = format!(r#"{{"layers":[{}]}}"#, vec!["{}"; 100_000].join(","));
    assert_eq!(
        parse_text(&hollow),
        Err(ManifestError::Missing { field: "mediaType" })
    );
}

#[test]
fn annotations_are_counted_over_the_whole_manifest() {
    let some = |from: usize, count: usize| -> Value {
        (from..from + count)
            .map(|n| (n.to_string(), json!("")))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let spread = |own: usize| {
        let config = with(descriptor(OCI_EMPTY, "x"), json!({"annotations": some(0, 5_000)}));
        parse(&with(
            image_json(),
            json!({"config": config, "annotations": some(0, own)}),
        ))
    };
    assert!(spread(5_000).is_ok());
    assert_eq!(spread(5_001), too_many("annotations", 10_000));
}

#[test]
fn custom_fields() {
    let fields = |count: usize| {
        let inner: serde_json::Map<String, Value> = (1..count).map(|n| (n.to_string(), json!(0))).collect();
        parse(&with(image_json(), json!({"x": [inner]})))
    };
    assert!(fields(10_000).is_ok());
    assert_eq!(fields(10_001), too_many("custom fields", 10_000));
}

#[test]
fn texts_and_lists_of_a_descriptor() {
    let limits = ManifestLimits::default();
    let parse = |more: Value| {
        let child = with(descriptor(OCI_IMAGE_MANIFEST, "x"), more);
        parse(&with(index_json(), json!({"manifests": [child]})))
    };
    let text = |bytes: usize| "x".repeat(bytes);
    let too_long = |field, bytes, limit| Err(ManifestError::TooLong { field, bytes, limit });
    assert!(parse(json!({"urls": vec![text(8_192); 32], "artifactType": text(255)})).is_ok());
    assert_eq!(
        parse(json!({"urls": vec![""; 33]})),
        too_many("urls", limits.urls)
    );
    assert_eq!(
        parse(json!({"urls": [text(8_193)]})),
        too_long("urls", 8_193, limits.url_bytes)
    );
    assert_eq!(
        parse(json!({"artifactType": text(256)})),
        too_long("artifactType", 256, limits.text_bytes)
    );
    for field in ["architecture", "os", "os.version", "variant"] {
        assert!(parse(json!({"platform": {field: text(255)}})).is_ok());
        assert_eq!(
            parse(json!({"platform": {field: text(256)}})),
            too_long(field, 256, limits.text_bytes)
        );
    }
    assert!(parse(json!({"platform": {"os.features": vec![text(255); 64]}})).is_ok());
    let features = parse(json!({"platform": {"os.features": vec![""; 65]}}));
    assert_eq!(features, too_many("os.features", limits.features));
    let feature = parse(json!({"platform": {"os.features": [text(256)]}}));
    assert_eq!(feature, too_long("os.features", 256, limits.text_bytes));
}

#[test]
fn depth() {
    let nested = |levels: usize| {
        let text = image_json().to_string();
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        parse_text(&format!("{},\"x\":{deep}}}", &text[..text.len() - 1]))
    };
    assert!(nested(31).is_ok());
    assert_eq!(nested(32), Err(ManifestError::TooDeep { limit: 32 }));
    assert_eq!(nested(2_000_000), Err(ManifestError::TooDeep { limit: 32 }));
    let objects = format!(r#"{{"a":{}"#, r#"{"a":"#.repeat(100_000));
    assert_eq!(parse_text(&objects), Err(ManifestError::TooDeep { limit: 32 }));
    for field in [
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "artifactType",
    ] {
        let text = format!(r#"{{"{field}":{}"#, "[".repeat(1_000_000));
        assert!(
            matches!(parse_text(&text), Err(ManifestError::Json { .. })),
            "{field}"
        );
    }
}
