//! From facts to findings: what was found in an image, which advisories speak of it, and how that is written down.
//!
//! A layer is looked into once; what is in it is a [`LayerReport`], made of [`Unit`]s (one parsed piece of evidence each) by
//! path. An [`ImageReport`] is the overlay of the reports of its layers, as a container runtime would stack them. Advisories
//! in OSV's form are matched against the packages of the units, by the version order of their ecosystem.
//!
//! The crate is pure: no bytes of images, no clock, no network, no file system. `inspect` makes the facts, `policy` judges
//! the findings, `store` keeps both.
//!
//! # What is here
//!
//! - [`Ecosystem`] and [`version`]: whose rule orders two versions, and how.
//! - [`Package`], [`Purl`], [`Unit`]: what was installed, by whose word.
//! - [`LayerReport`], [`Listing`], [`ImageReport`]: facts by path, and their overlay.
//! - [`advisory`]: OSV, KEV, EPSS and `OpenVEX` as they are read, and the matcher.
//! - [`ImageConfig`], [`configuration`]: how an image is made.
//! - [`ScanResult`], [`sbom`], [`output`]: all that a scan knows, and how it is written down.
//! - [`Finding`], [`Severity`]: one problem in one image.
//!
//! Read first: `package.rs`, then `layer_report.rs`, then `image_report.rs`.

#[cfg(test)]
extern crate self as findings;

pub mod advisory;
mod base16;
mod chart;
pub mod configuration;
mod ecosystem;
mod end_of_life;
mod finding;
mod harmless;
mod image_config;
mod image_report;
mod layer_report;
mod linkage;
mod listing;
pub mod output;
mod package;
mod purl;
mod rebase_facts;
pub mod sbom;
mod scan_result;
mod unit;
pub mod version;

pub use chart::{ChartFacts, ChartImage, ChartUnknown};
pub use ecosystem::{Ecosystem, EcosystemError, Release};
pub use end_of_life::end_of_life;
pub use finding::{Finding, FindingKind, Severity};
pub use harmless::harmless;
pub use image_config::{CONFIG_BYTES, ImageConfig, ImageConfigError, ReadConfig, Step, without_arguments};
pub use image_report::{ImageReport, Overlay, PresentFinding, PresentUnit};
pub use layer_report::{
    ByteFinding, ByteFindingKind, Compression, FoundUnit, LayerReport, MALFORMED, NO_CLAMD, NotScannable,
    Oddity, SCHEMA, memory_of_json,
};
pub use linkage::Linkage;
pub use listing::{Listing, ListingEntry, ListingError};
pub use package::{Confidence, OsRelease, Package, PackageKind, Source};
pub use purl::{ParsedPurl, Purl, PurlError};
pub use rebase_facts::{Deflated, KEPT_FILE_BYTES, KEPT_FILES, KeptFile, RebaseFacts};
pub use scan_result::{
    DecisionText, LayerOrigin, OriginCounts, PlacedByteFinding, PlacedPackage, ScanResult, ScanTarget,
    ScannedBase, ScannedLayer, SeverityCounts, Standing,
};
pub use unit::{Unit, UnitKind};
