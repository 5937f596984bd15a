//! Writing SPDX 2.3.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    OsRelease, PlacedPackage, ScanResult,
    harmless::harmless_json,
    sbom::{
        SbomOptions, TOOL,
        content_id::uuid_of,
        cyclonedx::{image_properties, os_properties, properties_beside},
        described::Described,
        licence,
        property::Property,
    },
};

const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";
const IMAGE_ID: &str = "SPDXRef-image";
const OS_ID: &str = "SPDXRef-os";
/// The format demands a time.
const NO_TIME: &str = "1970-01-01T00:00:00Z";
const NO_ASSERTION: &str = "NOASSERTION";

fn package_id(number: usize) -> String {
    format!("SPDXRef-package-{number}")
}

pub(in crate::sbom) fn write(result: &ScanResult, options: &SbomOptions) -> String {
    let mut writer = Writer::new(options);
    let mut packages = vec![writer.image(result)];
    let mut relationships = vec![relationship(DOCUMENT_ID, "DESCRIBES", IMAGE_ID)];
    if let Some(os) = &result.os {
        packages.push(writer.operating_system(os));
        relationships.push(relationship(IMAGE_ID, "CONTAINS", OS_ID));
    }
    for (number, placed) in result.packages.iter().enumerate() {
        packages.push(writer.package(number, placed, result));
        relationships.push(relationship(IMAGE_ID, "CONTAINS", &package_id(number)));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT_ID,
        "name": result.target.name,
        "creationInfo": { "created": writer.created, "creators": [writer.tool] },
        "packages": packages,
        "relationships": relationships,
    });
    if !writer.texts.is_empty() {
        document["hasExtractedLicensingInfos"] = writer.extracted();
    }
    let namespace = format!("https://roadbed.invalid/spdx/{}", uuid_of(&document));
    document["documentNamespace"] = json!(namespace);
    harmless_json(&format!("{document:#}"))
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// Anything that SPDX calls a package.
fn element(id: &str, name: &str, purpose: &str) -> Value {
    json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": NO_ASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": NO_ASSERTION,
        "licenseDeclared": NO_ASSERTION,
        "copyrightText": NO_ASSERTION,
        "primaryPackagePurpose": purpose,
    })
}

/// What packages share.
struct Writer {
    tool: String,
    created: String,
    /// Licences that SPDX does not list, with the numbers of their ids.
    texts: HashMap<String, usize>,
}

impl Writer {
    fn new(options: &SbomOptions) -> Self {
        let version = match options.tool_version.as_str() {
            "" => String::new(),
            version => format!("-{version}"),
        };
        Self {
            tool: format!("Tool: {TOOL}{version}"),
            created: options.created_text().unwrap_or_else(|| NO_TIME.to_owned()),
            texts: HashMap::new(),
        }
    }

    fn image(&self, result: &ScanResult) -> Value {
        let mut image = element(IMAGE_ID, &result.target.name, "CONTAINER");
        if let Some(digest) = &result.target.digest {
            image["versionInfo"] = json!(digest);
            image["checksums"] = json!([{
                "algorithm": digest.algorithm().as_str().to_ascii_uppercase(),
                "checksumValue": digest.hex(),
            }]);
        }
        self.annotate(&mut image, &image_properties(result));
        image
    }

    fn operating_system(&self, os: &OsRelease) -> Value {
        let mut element = element(OS_ID, &os.id, "OPERATING_SYSTEM");
        if !os.version.is_empty() {
            element["versionInfo"] = json!(os.version);
        }
        self.annotate(&mut element, &os_properties(os));
        element
    }

    fn package(&mut self, number: usize, placed: &PlacedPackage, result: &ScanResult) -> Value {
        let package = &placed.package;
        let purl = package.purl(result.os.as_ref()).to_string();
        let (declared, read_licences) = self.declared(&package.licences);
        let described = Described {
            name: package.name.clone(),
            version: package.version.clone(),
            purl: Some(purl.clone()),
            licences: read_licences,
            ..Described::default()
        };
        let purpose = if package.is_root { "APPLICATION" } else { "LIBRARY" };
        let mut element = element(&package_id(number), &package.name, purpose);
        element["licenseDeclared"] = json!(declared);
        element["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }]);
        if !package.version.is_empty() {
            element["versionInfo"] = json!(package.version);
        }
        if !placed.path.is_empty() {
            let layer = placed.layer.map(|layer| format!(" in layer {layer}"));
            let layer = layer.unwrap_or_default();
            element["sourceInfo"] = json!(format!("found at {}{layer}", placed.full_path()));
        }
        self.annotate(&mut element, &properties_beside(placed, &described));
        element
    }

    fn annotate(&self, element: &mut Value, properties: &[Property]) {
        if properties.is_empty() {
            return;
        }
        let annotation = |(name, value): &Property| {
            json!({
                "annotationDate": self.created,
                "annotationType": "OTHER",
                "annotator": self.tool,
                "comment": format!("{name}={value}"),
            })
        };
        element["annotations"] = properties.iter().map(annotation).collect();
    }

    /// The expression, and the licences that a reader makes of it.
    fn declared(&mut self, licences: &[String]) -> (String, Vec<String>) {
        let mut parts: Vec<String> = licences.iter().map(|text| self.expression(text)).collect();
        if parts.is_empty() {
            return (NO_ASSERTION.to_owned(), Vec::new());
        }
        if parts.len() == 1 {
            return (parts.remove(0), licences.to_vec());
        }
        for part in &mut parts {
            if licence::is_compound(part) {
                *part = format!("({part})");
            }
        }
        let joined = parts.join(" AND ");
        (joined.clone(), vec![joined])
    }

    fn expression(&mut self, text: &str) -> String {
        if licence::is_expression(text) {
            return text.to_owned();
        }
        let next = self.texts.len();
        let number = self.texts.entry(text.to_owned()).or_insert(next);
        format!("LicenseRef-{number}")
    }

    fn extracted(&self) -> Value {
        let mut texts: Vec<(&String, &usize)> = self.texts.iter().collect();
        texts.sort_unstable_by_key(|(_, number)| **number);
        let info = |(text, number): (&String, &usize)| {
            json!({
                "licenseId": format!("LicenseRef-{number}"),
                "extractedText": text,
                "name": text,
            })
        };
        texts.into_iter().map(info).collect()
    }
}
