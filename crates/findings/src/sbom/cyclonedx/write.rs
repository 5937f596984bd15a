//! Writing `CycloneDX` 1.6.

use serde_json::{Map, Value, json};

use super::vulnerability::vulnerabilities;
use crate::{
    OsRelease, PackageKind, PlacedPackage, ScanResult,
    harmless::harmless_json,
    sbom::{
        SbomOptions, TOOL,
        content_id::uuid_of,
        described::{Described, Understood},
        licence,
        property::{Property, Said, properties_of},
    },
};

const IMAGE_REF: &str = "image";
const OS_REF: &str = "os";

/// The `bom-ref` of a package.
pub(super) fn package_ref(number: usize) -> String {
    format!("package-{number}")
}

pub(in crate::sbom) fn write(result: &ScanResult, options: &SbomOptions) -> String {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put(
        "$schema",
        json!("http://cyclonedx.org/schema/bom-1.6.schema.json"),
    );
    put("bomFormat", json!("CycloneDX"));
    put("specVersion", json!("1.6"));
    put("version", json!(1));
    put("metadata", metadata(result, options));
    put("components", components(result));
    put("dependencies", dependencies(result));
    if options.with_vulnerabilities {
        put("vulnerabilities", vulnerabilities(result));
    }
    let mut document = Value::Object(document);
    let serial_number = format!("urn:uuid:{}", uuid_of(&document));
    document["serialNumber"] = json!(serial_number);
    harmless_json(&format!("{document:#}"))
}

fn metadata(result: &ScanResult, options: &SbomOptions) -> Value {
    let mut tool = json!({ "type": "application", "name": TOOL });
    if !options.tool_version.is_empty() {
        tool["version"] = json!(options.tool_version);
    }
    let mut metadata = json!({ "tools": { "components": [tool] }, "component": image(result) });
    if let Some(created) = options.created_text() {
        metadata["timestamp"] = json!(created);
    }
    metadata
}

fn image(result: &ScanResult) -> Value {
    let target = &result.target;
    let mut image = json!({ "type": "container", "bom-ref": IMAGE_REF, "name": target.name });
    if let Some(digest) = &target.digest {
        image["version"] = json!(digest);
    }
    let properties = properties_json(&image_properties(result));
    if properties.as_array().is_some_and(|list| !list.is_empty()) {
        image["properties"] = properties;
    }
    image
}

/// Platform and layers, for SPDX too.
pub(in crate::sbom) fn image_properties(result: &ScanResult) -> Vec<Property> {
    let mut said = Said::default();
    if let Some(platform) = &result.target.platform {
        said.push("platform", platform);
    }
    if !result.layers.is_empty() {
        said.push("layers", &result.layers.len().to_string());
    }
    for (number, layer) in result.layers.iter().enumerate() {
        let mut push = |name: &str, value: &str| said.push(&format!("layer-{number}-{name}"), value);
        if let Some(digest) = &layer.digest {
            push("digest", &digest.to_string());
        }
        if let Some(diff_id) = &layer.diff_id {
            push("diff-id", &diff_id.to_string());
        }
        if !layer.created_by.is_empty() {
            push("created-by", &layer.created_by);
        }
    }
    said.0
}

fn components(result: &ScanResult) -> Value {
    let os = result.os.as_ref().map(operating_system);
    let packages = result
        .packages
        .iter()
        .enumerate()
        .map(|(number, placed)| component(number, placed, result));
    os.into_iter().chain(packages).collect()
}

fn operating_system(os: &OsRelease) -> Value {
    let mut component = json!({ "type": "operating-system", "bom-ref": OS_REF, "name": os.id });
    if !os.version.is_empty() {
        component["version"] = json!(os.version);
    }
    component["properties"] = properties_json(&os_properties(os));
    component
}

/// What name and version leave out, for SPDX too.
pub(in crate::sbom) fn os_properties(os: &OsRelease) -> Vec<Property> {
    let mut said = Said::default();
    said.push("os-id", &os.id);
    if !os.codename.is_empty() {
        said.push("os-codename", &os.codename);
    }
    if !os.name.is_empty() {
        said.push("os-name", &os.name);
    }
    said.push_all("os-like", &os.like);
    said.0
}

fn component(number: usize, placed: &PlacedPackage, result: &ScanResult) -> Value {
    let package = &placed.package;
    let group = package
        .name
        .split_once(':')
        .filter(|_| package.kind == PackageKind::Java);
    let described = Described {
        name: group.map_or(package.name.as_str(), |(_, name)| name).to_owned(),
        group: group.map(|(group, _)| group.to_owned()),
        version: package.version.clone(),
        purl: Some(package.purl(result.os.as_ref()).to_string()),
        licences: package.licences.clone(),
        ..Described::default()
    };
    let mut component = json!({
        "type": if package.is_root { "application" } else { "library" },
        "bom-ref": package_ref(number),
        "name": described.name,
        "purl": described.purl,
    });
    if let Some(group) = &described.group {
        component["group"] = json!(group);
    }
    if !package.version.is_empty() {
        component["version"] = json!(package.version);
    }
    if !package.licences.is_empty() {
        component["licenses"] = licences(&package.licences);
    }
    let properties = properties_beside(placed, &described);
    if !properties.is_empty() {
        component["properties"] = properties_json(&properties);
    }
    if !placed.path.is_empty() {
        component["evidence"] = evidence(placed, result);
    }
    component
}

/// What a reader would not understand from the rest, for SPDX too.
pub(in crate::sbom) fn properties_beside(placed: &PlacedPackage, described: &Described) -> Vec<Property> {
    if let Understood::Package(read, _) = described.understand() {
        return properties_of(placed, &read, true);
    }
    let with_kind = Described {
        properties: vec![(
            "roadbed:kind".to_owned(),
            placed.package.kind.purl_type().to_owned(),
        )],
        ..described.clone()
    };
    match with_kind.understand() {
        Understood::Package(read, _) => properties_of(placed, &read, false),
        _ => Vec::new(),
    }
}

/// One expression stands alone; licences beside each other are ids or names.
fn licences(texts: &[String]) -> Value {
    if let [only] = texts
        && !licence::is_id(only)
        && licence::is_expression(only)
    {
        return json!([{ "expression": only }]);
    }
    let licence = |text: &String| {
        let key = if licence::is_id(text) { "id" } else { "name" };
        json!({ "license": { key: text } })
    };
    texts.iter().map(licence).collect()
}

fn evidence(placed: &PlacedPackage, result: &ScanResult) -> Value {
    let mut occurrence = json!({ "location": placed.full_path() });
    if let Some(layer) = placed.layer {
        let digest = result.layers.get(layer).and_then(|layer| layer.digest);
        let digest = digest.map(|digest| format!(" {digest}")).unwrap_or_default();
        occurrence["additionalContext"] = json!(format!("layer {layer}{digest}"));
    }
    json!({ "occurrences": [occurrence] })
}

fn properties_json(properties: &[Property]) -> Value {
    properties
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn dependencies(result: &ScanResult) -> Value {
    let os = result.os.iter().map(|_| OS_REF.to_owned());
    let packages = (0..result.packages.len()).map(package_ref);
    let all: Vec<String> = os.chain(packages).collect();
    json!([{ "ref": IMAGE_REF, "dependsOn": all }])
}
