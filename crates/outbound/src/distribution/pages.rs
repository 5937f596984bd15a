//! Pages of lists, as registries send them. Pure, and fed by strangers.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The list where nothing refers to a manifest.
pub(super) const NOTHING: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

#[derive(Deserialize)]
struct TagPage {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ReferrerPage {
    #[serde(default)]
    manifests: Option<Vec<Box<RawValue>>>,
}

/// The tags of a page, whatever they look like; `None` for what is no page.
pub(super) fn tags_in(body: &[u8]) -> Option<Vec<String>> {
    let page: TagPage = serde_json::from_slice(body).ok()?;
    Some(page.tags.unwrap_or_default())
}

/// The descriptors of a page, each as it was sent; `None` for what is no page.
pub(super) fn referrers_in(body: &[u8]) -> Option<Vec<Box<RawValue>>> {
    let page: ReferrerPage = serde_json::from_slice(body).ok()?;
    page.manifests
}

/// One index of the descriptors of all pages, each as it was sent.
pub(super) fn together(pages: &[Box<RawValue>]) -> String {
    let descriptors: Vec<&str> = pages.iter().map(|descriptor| descriptor.get()).collect();
    let start = NOTHING.trim_end_matches("]}");
    format!("{start}{}]}}", descriptors.join(","))
}
