//! Reading SPDX.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{
    advisory::Bounded,
    sbom::{
        Sbom, SbomError,
        described::{Described, Gathering},
        foreign,
        kept::{Kept, Text, Wire},
        limits::COMPONENTS,
        property::{PREFIX, Properties, Property},
    },
};

const VERSIONS: [&str; 2] = ["SPDX-2.2", "SPDX-2.3"];
/// What documents say where they say nothing.
const NOTHING: [&str; 2] = ["NOASSERTION", "NONE"];

#[derive(Deserialize)]
struct WireDocument {
    #[serde(default)]
    packages: Bounded<WirePackage, COMPONENTS>,
    #[serde(rename = "hasExtractedLicensingInfos", default)]
    texts: Kept<WireText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePackage {
    name: Text,
    #[serde(default)]
    version_info: Text,
    #[serde(default)]
    license_declared: Text,
    #[serde(default)]
    primary_package_purpose: Text,
    #[serde(default)]
    source_info: Text,
    #[serde(default)]
    external_refs: Kept<WireReference>,
    #[serde(default)]
    annotations: Kept<WireAnnotation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReference {
    #[serde(default)]
    reference_type: Text,
    #[serde(default)]
    reference_locator: Text,
}

impl Wire for WireReference {
    type Kept = String;

    fn keep(self) -> Option<String> {
        let is_purl = self.reference_type.0.as_deref() == Some("purl");
        self.reference_locator.0.filter(|_| is_purl)
    }
}

#[derive(Deserialize)]
struct WireAnnotation {
    #[serde(default)]
    comment: Text,
}

impl Wire for WireAnnotation {
    type Kept = Property;

    fn keep(self) -> Option<Property> {
        let comment = self.comment.0?;
        let (name, value) = comment.split_once('=')?;
        name.starts_with(PREFIX)
            .then(|| (name.to_owned(), value.to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireText {
    #[serde(default)]
    license_id: Text,
    #[serde(default)]
    extracted_text: Text,
}

impl Wire for WireText {
    type Kept = (String, String);

    fn keep(self) -> Option<(String, String)> {
        self.license_id.0.zip(self.extracted_text.0)
    }
}

pub(in crate::sbom) fn read(version: &str, bytes: &[u8]) -> Result<Sbom, SbomError> {
    if !VERSIONS.contains(&version) {
        return Err(SbomError::version("SPDX", version));
    }
    let document: WireDocument = serde_json::from_slice(bytes).map_err(SbomError::Malformed)?;
    let texts: HashMap<String, String> = document.texts.0.into_iter().collect();
    let mut gathering = Gathering::default();
    for package in document.packages.0 {
        add(package, &texts, &mut gathering);
    }
    Ok(gathering.finish())
}

fn add(package: WirePackage, texts: &HashMap<String, String>, gathering: &mut Gathering) {
    let Some(name) = package.name.0 else {
        gathering.add_broken("it has no name".to_owned());
        return;
    };
    let version = package.version_info.0.unwrap_or_default();
    let properties = Properties(&package.annotations.0);
    match package.primary_package_purpose.0.as_deref() {
        Some("OPERATING-SYSTEM" | "OPERATING_SYSTEM") => {
            gathering.set_os(foreign::os_of(&name, &version, properties));
            return;
        }
        Some("CONTAINER") => {
            gathering.set_subject(&name, properties);
            return;
        }
        _ => {}
    }
    gathering.add(&Described {
        name,
        group: None,
        version,
        purl: package.external_refs.0.into_iter().next(),
        licences: licences(package.license_declared.0, texts),
        properties: package.annotations.0,
        source_info: package.source_info.0,
    });
}

/// One expression; an id that the document explains stands for the text.
fn licences(declared: Option<String>, texts: &HashMap<String, String>) -> Vec<String> {
    let declared = declared.filter(|declared| !NOTHING.contains(&declared.as_str()));
    let explained = |declared: String| texts.get(&declared).cloned().unwrap_or(declared);
    declared.map(explained).into_iter().collect()
}
