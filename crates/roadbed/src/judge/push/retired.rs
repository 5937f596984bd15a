//! Bases that are retired refuse new images on them, once their notice is over.

use oci::{Digest, RepoName};
use road::base::{BaseImage, Lifecycle};
use store::RoadEntries;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// The last moment that there is.
const LAST: OffsetDateTime = PrimitiveDateTime::MAX.assume_utc();

/// What is asked of pushes by the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoadAtPush {
    /// Whether images on retired bases are refused at all.
    pub(crate) refuse_retired: bool,
    /// How long after it was retired a base takes new images, where it says nothing itself.
    pub(crate) notice: Duration,
}

impl RoadAtPush {
    /// Whether any base refuses by now: then layers must be looked at.
    pub(crate) fn is_asked(&self, road: &RoadEntries, now: OffsetDateTime) -> bool {
        let mut bases = road.bases.iter();
        self.refuse_retired && bases.any(|base| self.refuses_from(road, base).is_some_and(|from| from <= now))
    }

    /// From when a base takes no new images. `None`: it is not retired.
    fn refuses_from(&self, road: &RoadEntries, base: &BaseImage) -> Option<OffsetDateTime> {
        if base.lifecycle != Lifecycle::Retired {
            return None;
        }
        let since = *road.retired.get(&base.name)?;
        let own = base
            .retire_notice
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let notice = own.map_or(self.notice, Duration::seconds);
        // Longer than the calendar is no end of it.
        Some(since.checked_add(notice).unwrap_or(LAST))
    }

    /// Why an image with these layers is refused; nothing: it is not. What stands on a base that is on the road is that base's to
    /// answer for, whatever lies below; a live exemption counts.
    pub(crate) fn refusal(
        &self,
        road: &RoadEntries,
        repo: &RepoName,
        diff_ids: &[Option<Digest>],
        now: OffsetDateTime,
    ) -> Option<String> {
        let lineage = road.releases.lineage(diff_ids);
        let refused_from = |base: &BaseImage| self.refuses_from(road, base).filter(|from| *from <= now);
        let mut stack = lineage.stack.iter().rev();
        // What the declared signer of a base has not signed answers for nothing below it.
        let base = stack.find_map(|standing| {
            let base = road.bases.get(&standing.base)?;
            (standing.word.counts() || refused_from(base).is_some()).then_some(base)
        })?;
        let from = refused_from(base)?;
        // Whoever owns the base may still patch it.
        if base.repository == *repo || is_exempt(road, repo, now) {
            return None;
        }
        let since = road.retired.get(&base.name).copied().unwrap_or(from);
        let instead = match base.replaced_by.as_ref().and_then(|by| road.bases.get(by)) {
            Some(by) => format!("build it on {} ({})", by.name, by.repository),
            None => format!("ask {} what to build it on", base.owner),
        };
        Some(format!(
            "the image stands on base {}, which was retired on {} and takes no new images since {}: {instead}, or ask for an exemption",
            base.name,
            since.date(),
            from.date()
        ))
    }
}

/// Whether the application of the repository need not follow the road. Whoever pushes can say of an image which application it is;
/// only what somebody else says counts here.
pub(super) fn is_exempt(road: &RoadEntries, repo: &RepoName, now: OffsetDateTime) -> bool {
    let application = road.applications.owner_of(repo).vouched();
    application.is_some_and(|application| road.paving.exemption(&application.name, now).is_some())
}

#[cfg(test)]
mod tests;
