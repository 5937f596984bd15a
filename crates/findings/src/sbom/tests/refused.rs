//! What is too much, or no SBOM.

use serde_json::json;

use super::*;
use crate::sbom::limits::{COMPONENTS, DEPTH, ITEMS, LAYERS, TEXT_BYTES};

fn read(text: &str) -> Result<Sbom, SbomError> {
    Sbom::read(text.as_bytes())
}

fn why(text: &str) -> String {
    match read(text).unwrap_err() {
        SbomError::Malformed(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn cyclonedx(components: &str) -> String {
    format!("{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"components\":{components}}}")
}

#[test]
fn what_is_no_sbom() {
    for text in [
        "",
        "[]",
        "{}",
        "null",
        "{\"bomFormat\":\"Other\"}",
        "{\"bomFormat\":1}",
        "\u{0}",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(why("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.1\\u001b\"}").contains("1.1\\u{1b}"));
    assert!(why("{\"spdxVersion\":\"SPDX-3.0\"}").contains("SPDX-3.0"));
    let large = " ".repeat(limits::DOCUMENT_BYTES + 1);
    assert!(matches!(read(&large), Err(SbomError::TooLarge { .. })));
}

#[test]
fn more_components_than_there_may_be() {
    let list = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    assert!(read(&cyclonedx(&list(COMPONENTS))).is_ok());
    assert!(why(&cyclonedx(&list(COMPONENTS + 1))).contains("components"));
    // Those inside others count too.
    let half = list(COMPONENTS / 2);
    assert!(
        why(&cyclonedx(&format!(
            "[{{\"components\":{half}}},{{\"components\":{half}}}]"
        )))
        .contains("components")
    );
    let packages = "{\"name\":\"\"},".repeat(COMPONENTS);
    let spdx = format!("{{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[{packages}{{\"name\":\"\"}}]}}");
    assert!(why(&spdx).contains("more than"));
}

#[test]
fn components_deeper_than_they_may_be() {
    let nested = |depth: usize| {
        let open = "[{\"components\":".repeat(depth);
        cyclonedx(&format!("{open}[]{}", "}]".repeat(depth)))
    };
    assert!(read(&nested(DEPTH)).is_ok());
    assert!(why(&nested(DEPTH + 1)).contains("deep"));
    assert!(read(&nested(100_000)).is_err());
    assert!(read(&cyclonedx(&"[".repeat(100_000))).is_err());
}

#[test]
fn more_items_than_there_may_be() {
    let items = format!("[{}{{}}]", "{},".repeat(ITEMS));
    for member in ["properties", "licenses"] {
        assert!(why(&cyclonedx(&format!("[{{\"{member}\":{items}}}]"))).contains("more than"));
    }
}

#[test]
fn a_component_that_cannot_be_read_is_told_of() {
    let long = "a".repeat(TEXT_BYTES + 1);
    let document = json!([
        { "type": "library", "name": long, "purl": "pkg:npm/a@1" },
        { "type": "library", "name": "b", "purl": "no purl" },
        { "type": "library", "name": "c", "purl": "pkg:github/a/b@1" },
        { "type": "library", "name": "d", "purl": "pkg:x\u{1b}/a/b@1" },
        { "type": "file", "name": "e" },
        { "type": "library", "name": "f", "version": 7, "purl": "pkg:npm/f", "licenses": null, "properties": [{}] },
        { "type": "container", "name": "g", "purl": "pkg:oci/g@1" },
    ]);
    let sbom = read(&cyclonedx(&document.to_string())).unwrap();
    assert_eq!(sbom.packages.len(), 1);
    assert_eq!(
        sbom.unknowns,
        [
            "3 components could not be read, the first: it has no name",
            "1 packages of types that are not known here: github"
        ]
    );
}

#[test]
fn layers_are_not_believed() {
    let image = |count: &str| {
        let document = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6",
            "metadata": { "component": { "type": "container", "name": "a", "properties": [
                { "name": "roadbed:layers", "value": count },
                { "name": "roadbed:layer-0-created-by", "value": "step" },
                { "name": "roadbed:layer-7-created-by", "value": "step" },
                { "name": "roadbed:layer-1-digest", "value": "no digest" },
            ] } },
            "components": [{ "type": "library", "name": "a", "purl": "pkg:npm/a@1",
                "properties": [{ "name": "roadbed:layer", "value": "18446744073709551615" }] }],
        });
        read(&document.to_string()).unwrap()
    };
    assert_eq!(image(&usize::MAX.to_string()).layers.len(), 4);
    let two = image("2");
    assert_eq!(two.layers.len(), 2);
    assert_eq!(two.layers[0].created_by, "step");
    assert_eq!(two.packages[0].layer, None);
    const { assert!(LAYERS < usize::MAX) };
}
