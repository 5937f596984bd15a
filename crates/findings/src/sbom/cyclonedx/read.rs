//! Reading `CycloneDX`.

use serde::Deserialize;

use super::component::{Components, Single, WireComponent};
use crate::{
    ScannedLayer,
    sbom::{
        Sbom, SbomError,
        described::{Described, Gathering},
        foreign,
        kept::Text,
        limits::LAYERS,
        property::Properties,
    },
};

const VERSIONS: [&str; 5] = ["1.2", "1.3", "1.4", "1.5", "1.6"];

#[derive(Deserialize)]
struct WireDocument {
    #[serde(rename = "specVersion", default)]
    spec_version: Text,
    #[serde(default)]
    metadata: Option<WireMetadata>,
    #[serde(default)]
    components: Components,
}

#[derive(Deserialize)]
struct WireMetadata {
    #[serde(default)]
    component: Option<Single>,
}

pub(in crate::sbom) fn read(bytes: &[u8]) -> Result<Sbom, SbomError> {
    let document: WireDocument = serde_json::from_slice(bytes).map_err(SbomError::Malformed)?;
    let version = document.spec_version.0.unwrap_or_default();
    if !VERSIONS.contains(&version.as_str()) {
        return Err(SbomError::version("CycloneDX", &version));
    }
    let mut gathering = Gathering::default();
    let about = document.metadata.and_then(|metadata| metadata.component);
    let mut about = about.map(|single| single.0).unwrap_or_default().into_iter();
    if let Some(subject) = about.next() {
        let properties = Properties(&subject.properties.0);
        gathering.set_subject(subject.name.0.as_deref().unwrap_or_default(), properties);
    }
    for component in about.chain(document.components.0) {
        add(component, &mut gathering);
    }
    Ok(gathering.finish())
}

fn add(component: WireComponent, gathering: &mut Gathering) {
    let version = component.version.0.unwrap_or_default();
    let Some(name) = component.name.0 else {
        gathering.add_broken("it has no name".to_owned());
        return;
    };
    if component.component_type.0.as_deref() == Some("operating-system") {
        gathering.set_os(foreign::os_of(
            &name,
            &version,
            Properties(&component.properties.0),
        ));
        return;
    }
    gathering.add(&Described {
        name,
        group: component.group.0,
        version,
        purl: component.purl.0,
        licences: component.licences.0,
        properties: component.properties.0,
        source_info: None,
    });
}

/// The layers that the properties of an image say, for SPDX too.
pub(in crate::sbom) fn layers_of(properties: Properties<'_>) -> Vec<ScannedLayer> {
    let mut layers = Vec::new();
    let count = properties.first("layers").and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or_default();
    // No more than could be said of: each has one property at least.
    layers.resize(count.min(LAYERS).min(properties.0.len()), ScannedLayer::default());
    for (name, value) in properties.0 {
        let Some((number, what)) = name
            .strip_prefix("roadbed:layer-")
            .and_then(|rest| rest.split_once('-'))
        else {
            continue;
        };
        let number = number.parse::<usize>().ok();
        let Some(layer) = number.and_then(|number| layers.get_mut(number)) else {
            continue;
        };
        match what {
            "digest" => layer.digest = value.parse().ok(),
            "diff-id" => layer.diff_id = value.parse().ok(),
            "created-by" => layer.created_by.clone_from(value),
            _ => {}
        }
    }
    layers
}
