//! What the API asks of whoever judges images. The program that serves it puts that in.

use std::error::Error;
use std::pin::Pin;

use findings::ScanResult;
use oci::{Digest, RepoName};
use policy::{JudgedFinding, Policy};
use store::Importer;
use thiserror::Error;

use crate::advisories::ImportDocument;
use crate::lineage::ImageLineage;
use crate::previews::PreviewReport;
use crate::problem::{ApiError, Kind};
use crate::reports::{ReportOf, UnpushedImage};
use crate::weighing::Weighed;

/// An answer that is on its way.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, JudgingError>> + Send + 'a>>;

/// Judges images on demand. Nothing of it is kept.
pub trait Judging: Send + Sync {
    /// What another policy would make of all images; the worst `most` changes and the numbers of all.
    fn preview(&self, after: Policy, most: usize) -> Asked<'_, PreviewReport>;

    /// What would become of all images if these documents were imported; the worst `most` changes and the numbers of all.
    fn preview_advisories(&self, documents: Vec<ImportDocument>, most: usize) -> Asked<'_, PreviewReport>;

    /// What an import on its way would let pass that is refused. It stays unseen.
    fn weigh<'a>(&'a self, import: &'a mut Importer) -> Asked<'a, Weighed>;

    /// All findings of an image as rules see them.
    fn findings<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest) -> Asked<'a, Vec<JudgedFinding>>;

    /// What an image stands on, and whose its findings are.
    fn lineage<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest) -> Asked<'a, ImageLineage>;

    /// All that is known of an image, without a decision.
    fn report(&self, of: ReportOf) -> Asked<'_, ScanResult>;

    /// What would become of an image that somebody pushed to a repository, by what they say was found in it.
    fn judge_unpushed(
        &self,
        repo: RepoName,
        pusher: Option<String>,
        image: UnpushedImage,
    ) -> Asked<'_, ScanResult>;

    /// What would become of an image with this SBOM, as far as an SBOM tells.
    fn judge_sbom(&self, repo: RepoName, pusher: Option<String>, sbom: String) -> Asked<'_, ScanResult>;
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum JudgingError {
    /// There is no such image.
    #[error("there is no such image")]
    Gone,
    /// Not all of it was looked into yet.
    #[error("the image is still being looked into")]
    Waits,
    /// What was asked for cannot be.
    #[error("{0}")]
    Malformed(String),
    /// It failed.
    #[error("the image could not be judged")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl From<JudgingError> for ApiError {
    fn from(error: JudgingError) -> Self {
        match &error {
            JudgingError::Gone => Self::new(Kind::NotFound, error),
            JudgingError::Waits => Self::retry_after(Kind::Unavailable, error, RETRY_AFTER_SECONDS),
            JudgingError::Malformed(_) => Self::malformed(error),
            JudgingError::Failed(_) => Self::internal(&error),
        }
    }
}

/// When it is worth asking again for what is being looked into.
const RETRY_AFTER_SECONDS: u64 = 2;

/// The problem of a registry that judges nothing.
pub(crate) fn switched_off() -> ApiError {
    ApiError::new(
        Kind::Conflict,
        "this registry looks into no images (scan.enabled is false), so there is nothing to judge",
    )
}
