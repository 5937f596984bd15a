//! Core metadata (`PyPA`, "Core metadata specifications") and conda's records.

use findings::{Confidence, Package};
use serde::Deserialize;

use super::package;
use crate::FileError;
use crate::packages::gather::{Items, Text, json, lines};

/// Reads the headers before the first empty line; the description behind it may say anything.
pub(super) fn headers(text: &str) -> Option<Package> {
    let mut name = None;
    let mut version = None;
    let mut expression = None;
    let mut licence = None;
    let mut classifiers = Vec::new();
    let headers = lines(text)
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with([' ', '\t']))
        .filter_map(|line| line.split_once(':'));
    for (key, value) in headers {
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            "name" => _ = name.get_or_insert(value),
            "version" => _ = version.get_or_insert(value),
            "license-expression" => expression = Some(value.to_owned()),
            "license" if value != "UNKNOWN" && !value.is_empty() => licence = Some(value.to_owned()),
            "classifier" => classifiers.extend(classified(value)),
            _ => {}
        }
    }
    let mut found = package(name?, version?);
    found.licences = match expression.or(licence) {
        Some(stated) => vec![stated],
        None => classifiers,
    };
    Some(found)
}

/// The last part of `License :: OSI Approved :: MIT License`.
fn classified(classifier: &str) -> Option<String> {
    let licence = classifier.strip_prefix("License ::")?.rsplit("::").next()?.trim();
    (licence != "OSI Approved").then(|| licence.to_owned())
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(default)]
    license: Text,
    #[serde(default)]
    files: Items<Text>,
}

/// Reads a record of conda, which installs other things than Python's too: only those with Python's files are its.
pub(super) fn conda(text: &str) -> Result<Option<Package>, FileError> {
    let record: Record = json(text)?;
    if !record
        .files
        .0
        .iter()
        .any(|file| file.as_str().contains("site-packages/"))
    {
        return Ok(None);
    }
    let mut found = package(record.name.as_str(), record.version.as_str());
    found.confidence = Confidence::Medium;
    found.licences.extend(record.license.0);
    Ok(Some(found))
}
