//! What a Helm chart says about the images that it runs.

use serde::{Deserialize, Serialize};

/// The facts of a chart: of a layer that is a chart's archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartFacts {
    /// By its `Chart.yaml`.
    pub name: String,
    /// By its `Chart.yaml`.
    pub version: String,
    /// Version of what it runs, by its `Chart.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Images that it names, by reference and place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ChartImage>,
    /// How many more it names.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_images: u64,
    /// Where it may name images that are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<ChartUnknown>,
    /// How many more such places there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_unknown: u64,
}

/// An image that a chart names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChartImage {
    /// With its registry, and tag or digest: `docker.io/library/nginx:1.27`.
    pub reference: String,
    /// The file, relative to the chart.
    pub path: String,
    /// Where in the file: `controller.image`, or the number of the document and the path in it.
    pub place: String,
    /// Whether the tag is the chart's `appVersion`, because nothing else is said: so most templates have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_tag_assumed: bool,
}

/// A place that may name images, which cannot be known without rendering the chart, or were not looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChartUnknown {
    /// The file, relative to the chart.
    pub path: String,
    /// Why.
    pub why: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
