//! Who counts the figures of `maturity::kpi` from stored facts.

use std::pin::Pin;
use std::sync::{Arc, RwLock};

use anyhow::Result;
use maturity::{
    assessment::Assessment,
    kpi::fold::{Baseline, BaselineError},
    words::SubjectName,
};
use time::OffsetDateTime;

/// Something that is being counted.
pub(crate) type Counting<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What is to be counted.
#[derive(Clone)]
pub(crate) struct FiguresAsked {
    /// As of when.
    pub(crate) now: OffsetDateTime,
    /// Which applications count: no others are in any figure, and none is named.
    pub(crate) sees: Arc<dyn Fn(&SubjectName) -> bool + Send + Sync>,
    /// What figures are compared with.
    pub(crate) baseline: Option<Baseline>,
    /// Where everybody stands and stood.
    pub(crate) assessment: Arc<RwLock<Assessment>>,
}

/// Counts the figures. Each is a [`maturity::kpi::Kpi`] with numerator, denominator, coverage, source and definition, or why there is none;
/// it computes on threads that serve nobody.
pub(crate) trait Figures: Send + Sync {
    /// All figures, as JSON, in the order in which they are shown.
    fn figures(&self, asked: FiguresAsked) -> Counting<'_, Vec<serde_json::Value>>;

    /// The 12 full weeks before a moment, of all applications, to compare with from now on.
    fn freeze(
        &self,
        now: OffsetDateTime,
        end: OffsetDateTime,
        reason: String,
    ) -> Counting<'_, Result<Baseline, BaselineError>>;
}
