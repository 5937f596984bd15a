//! What current releases of bases have, and since when their owners could have known.

use std::collections::BTreeMap;

use anyhow::Result;
use findings::FindingKind;
use oci::RepoName;
use policy::JudgedFinding;
use road::{
    base::BaseImage,
    debt::{Current, Debt, DebtState, Owed, settle},
    lineage::Release,
    names::BaseName,
};
use store::{Actor, RoadEntries, StoreError};
use time::OffsetDateTime;
use web::JudgingError;

use super::{ACTOR, Basis, RoadService};

/// Releases of one base that are current at the same time and looked at: the newest.
const RELEASES: usize = 32;

/// What looking at the releases of a base came to.
enum Looked {
    /// One is still being looked into.
    Waits,
    /// There is none.
    Empty,
    Found(Current),
}

impl RoadService {
    /// Holds what is owed against what was promised.
    pub(super) async fn measure_promises(&self, road: &RoadEntries, now: OffsetDateTime) -> Result<()> {
        // Before anything is read: what changes meanwhile is looked at again.
        let basis: Basis = (road.change, *self.store.rulings().borrow());
        let measured = self.seen().measured;
        if measured.is_some_and(|(at, next)| at == basis && next.is_none_or(|next| now < next)) {
            return Ok(());
        }
        let mut is_whole = true;
        let mut known = self.known_debts(road.change).await?;
        // What a base owed goes with it.
        known.retain(|name, _| road.bases.get(name).is_some());
        for base in road.bases.iter() {
            let owes_nothing = base.patch_within == road::base::Promise::default();
            if owes_nothing && !known.contains_key(&base.name) {
                continue;
            }
            let current = match self.current(road, base, basis).await? {
                Looked::Found(current) => current,
                Looked::Empty => continue,
                Looked::Waits => {
                    is_whole = false;
                    continue;
                }
            };
            let debts = known.entry(base.name.clone()).or_default();
            let changed = settle(base, debts, &current, now);
            if changed.is_empty() {
                continue;
            }
            match self
                .store
                .keep_debts(&Actor::system(ACTOR), changed.clone())
                .await
            {
                Ok(()) => {}
                // The others are measured all the same, and this one again once something has changed.
                Err(error @ StoreError::TooManyOwed { .. }) => {
                    tracing::warn!(base = %base.name, %error, "promises of a base could not be measured");
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            debts.retain(|debt| {
                changed
                    .iter()
                    .all(|other| other.vulnerability != debt.vulnerability)
            });
            debts.extend(changed);
        }
        let open = known
            .values()
            .flatten()
            .filter(|debt| debt.state == DebtState::Open);
        let next = open.map(|debt| debt.due_at).min();
        let mut seen = self.seen();
        seen.measured = is_whole.then_some((basis, next));
        seen.debts = Some((road.change, known));
        Ok(())
    }

    /// Taken out: whatever fails on the way has them read anew, and so has a change of bases, with which some may have gone.
    async fn known_debts(&self, change: u64) -> Result<BTreeMap<BaseName, Vec<Debt>>> {
        let kept = self.seen().debts.take();
        if let Some((_, known)) = kept.filter(|(at, _)| *at == change) {
            return Ok(known);
        }
        let mut known: BTreeMap<BaseName, Vec<Debt>> = BTreeMap::new();
        for debt in self.store.base_debts(None).await? {
            known.entry(debt.base.clone()).or_default().push(debt);
        }
        Ok(known)
    }

    /// As it was looked at by this basis.
    async fn current(&self, road: &RoadEntries, base: &BaseImage, basis: Basis) -> Result<Looked> {
        if let Some((at, current)) = self.seen().current.get(&base.name)
            && *at == basis
        {
            return Ok(current.clone().map_or(Looked::Empty, Looked::Found));
        }
        let current = match self.look_at(road, base).await? {
            Looked::Waits => return Ok(Looked::Waits),
            Looked::Empty => None,
            Looked::Found(current) => Some(current),
        };
        self.seen()
            .current
            .insert(base.name.clone(), (basis, current.clone()));
        Ok(current.map_or(Looked::Empty, Looked::Found))
    }

    async fn look_at(&self, road: &RoadEntries, base: &BaseImage) -> Result<Looked> {
        // Whoever only may push to a base fulfils no promise of its owner.
        let all = road.releases.of_base(&base.name);
        let all: Vec<&Release> = all.filter(|release| release.word.counts()).collect();
        let first = all.iter().map(|release| release.released_at).min();
        let mut current: Vec<&Release> = all
            .into_iter()
            .filter(|release| release.superseded.is_none())
            .collect();
        current.sort_by_key(|release| std::cmp::Reverse((release.released_at, release.digest)));
        let (Some(newest), Some(first)) = (current.first(), first) else {
            return Ok(Looked::Empty);
        };
        let mut owed = Vec::new();
        for release in current.iter().take(RELEASES) {
            match self.findings(&base.repository, release).await? {
                Some(findings) => owed.extend(findings.iter().filter_map(of_finding)),
                None => return Ok(Looked::Waits),
            }
        }
        Ok(Looked::Found(Current {
            owed,
            since: newest.released_at,
            release: newest.version.clone(),
            first,
        }))
    }

    /// Of one that was deleted, none.
    async fn findings(&self, repo: &RepoName, release: &Release) -> Result<Option<Vec<JudgedFinding>>> {
        // What they mean must be by what was asked for.
        self.knowledge.facts().await;
        match self.judging.findings(repo, &release.digest).await {
            Ok(findings) => Ok(Some(findings)),
            Err(JudgingError::Gone) => Ok(Some(Vec::new())),
            Err(JudgingError::Waits) => Ok(None),
            Err(error) => Err(anyhow::Error::new(error).context("findings of a release")),
        }
    }
}

/// What has no fix is owed by nobody.
fn of_finding(finding: &JudgedFinding) -> Option<Owed> {
    if finding.kind != FindingKind::Vulnerability || finding.fix.is_none() || finding.suppressed.is_some() {
        return None;
    }
    Some(Owed {
        vulnerability: finding.id.parse().ok()?,
        severity: finding.severity,
        known_at: finding.published.max(finding.fix_known_at)?,
    })
}
