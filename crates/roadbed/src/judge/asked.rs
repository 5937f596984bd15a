//! Judging on demand, for the API: what another policy would change, what a finding rests on. Nothing of it is kept.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    pin::Pin,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use findings::{ScanResult, advisory::Touched};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepoName};
use policy::{Change, JudgedFinding, LiftGuard, Outcome, Policy};
use store::{Importer, Store};
use tokio::sync::{Semaphore, SemaphorePermit};
use web::{
    Judging, JudgingError, ReportOf, Weighed,
    wire::{ImageLineage, ImportDocument, PreviewCount, PreviewEntry, PreviewReport, UnpushedImage},
};

use super::{
    Evidence, Facts, Knowledge,
    image::{self, Gatherer, Image, NotReady},
    room, standing, stored, subject_of, unpushed,
};

/// Images that are listed at a time.
pub(super) const PAGE: usize = 500;

/// Images that a preview judges at the same time: pulls and pushes go on beside it.
pub(super) const AT_ONCE: usize = 2;

/// Reports that are made at the same time; more wait for as long as the API lets a request take.
const REPORTS_AT_ONCE: usize = 2;

/// Judges on demand by what a server knows.
pub(crate) struct Asked {
    pub(super) store: Store,
    pub(super) knowledge: Arc<Knowledge>,
    holders: Box<dyn Holders>,
    /// What was read for those who asked before; of its own, so that they do not push out what the judge needs.
    evidence: Evidence,
    reports: Semaphore,
    /// How much of what is refused an import may let pass.
    pub(super) lift_guard: LiftGuard,
}

/// Images as `repository@digest`, on their way. `None`: that cannot be told now.
pub(crate) type Holding<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<String>>>> + Send + 'a>>;

/// Who knows which images hold what.
pub(crate) trait Holders: Send + Sync {
    /// The images that hold a package that is touched.
    fn holding(&self, touched: Touched) -> Holding<'_>;
}

/// Where there is no index of the fleet: any image may hold what is touched.
pub(crate) struct Nobody;

impl Holders for Nobody {
    fn holding(&self, _: Touched) -> Holding<'_> {
        Box::pin(async { Ok(None) })
    }
}

/// Images that may be judged otherwise; `None`: any may.
pub(super) struct Touching(pub(super) Option<HashMap<RepoName, HashSet<Digest>>>);

impl Touching {
    /// By their names. Where one cannot be read, it may be any.
    fn of(names: &[String]) -> Self {
        let mut images: HashMap<RepoName, HashSet<Digest>> = HashMap::new();
        for name in names {
            let Some((repo, digest)) = super::parse(name) else {
                return Self(None);
            };
            images.entry(repo).or_default().insert(digest);
        }
        Self(Some(images))
    }

    pub(super) fn has(&self, repo: &RepoName, digest: &Digest) -> bool {
        let images = self.0.as_ref();
        images.is_none_or(|images| images.get(repo).is_some_and(|digests| digests.contains(digest)))
    }
}

/// What became of one image under two policies.
pub(super) enum Compared {
    Gone,
    Waits,
    /// Nothing that runs: a signature, an SBOM.
    NoImage,
    Same,
    Otherwise(Box<Change>),
}

impl From<NotReady> for Compared {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Waits => Self::Waits,
            NotReady::Gone => Self::Gone,
        }
    }
}

impl Asked {
    /// Over a store, what is known, and who knows which images hold what.
    pub(crate) fn new(
        store: Store,
        knowledge: Arc<Knowledge>,
        holders: Box<dyn Holders>,
        lift_guard: LiftGuard,
    ) -> Arc<Self> {
        Arc::new(Self {
            lift_guard,
            holders,
            evidence: knowledge.evidence(),
            reports: Semaphore::new(REPORTS_AT_ONCE),
            store,
            knowledge,
        })
    }

    /// The images that hold what is touched.
    pub(super) async fn holding(&self, touched: Touched) -> Result<Touching> {
        let images = self.holders.holding(touched).await?;
        Ok(images.map_or(Touching(None), |images| Touching::of(&images)))
    }

    pub(super) fn gatherer<'a>(&'a self, evidence: &'a Evidence) -> Gatherer<'a> {
        Gatherer {
            store: &self.store,
            evidence,
            signatures: self.knowledge.limits().signatures,
        }
    }

    async fn compare_all(&self, after: Policy, most: usize) -> Result<PreviewReport> {
        let evidence = self.knowledge.evidence_aside();
        let (facts, after) = (self.knowledge.facts().await, Arc::new(after));
        let mut tally = Tally::new(most);
        let mut seen = 0;
        loop {
            let page = self.store.images_after(seen, PAGE).await?;
            let Some((last, ..)) = page.last() else {
                return Ok(tally.into_report(after.digest()));
            };
            seen = *last;
            let compared = page
                .into_iter()
                .map(|(_, repo, digest)| self.compare(&evidence, repo, digest, &facts, &after));
            let mut compared = stream::iter(compared).buffer_unordered(AT_ONCE);
            while let Some(compared) = compared.try_next().await? {
                tally.count(compared);
            }
        }
    }

    async fn compare(
        &self,
        evidence: &Evidence,
        repo: RepoName,
        digest: Digest,
        facts: &Arc<Facts>,
        after: &Arc<Policy>,
    ) -> Result<Compared> {
        let ready = match self.gatherer(evidence).gather(&repo, &digest).await?.ready() {
            Ok(ready) => ready,
            Err(why) => return Ok(why.into()),
        };
        let (facts, after) = (Arc::clone(facts), Arc::clone(after));
        let changes = tokio::task::spawn_blocking(move || {
            let subject = subject_of(&ready.about, &ready.gathered, &facts)?;
            if subject.image.not_applicable {
                return Ok(None);
            }
            let subjects = std::slice::from_ref(&subject);
            let point = policy::Point::Pull;
            Ok::<_, anyhow::Error>(Some(policy::preview(
                &facts.policy,
                &after,
                &facts.waivers,
                subjects,
                point,
                ready.now,
            )))
        })
        .await
        .context("the judgement was lost")??;
        let Some(changes) = changes else {
            return Ok(Compared::NoImage);
        };
        let change = changes.into_iter().next();
        Ok(change.map_or(Compared::Same, |change| Compared::Otherwise(Box::new(change))))
    }

    /// One of the few places of those for whom something is computed.
    async fn place(&self) -> Result<SemaphorePermit<'_>, JudgingError> {
        self.reports.acquire().await.map_err(|error| failed(error.into()))
    }

    async fn all_findings(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Vec<JudgedFinding>, JudgingError> {
        let _place = self.place().await?;
        let evidence = self.knowledge.evidence();
        let facts = self.knowledge.facts().await;
        findings_of(&self.store, (&evidence, &self.knowledge), facts, (repo, digest)).await
    }
}

impl Asked {
    async fn standing(&self, repo: &RepoName, digest: &Digest) -> Result<ImageLineage, JudgingError> {
        let _place = self.place().await?;
        let gathered = self.gatherer(&self.evidence).gather(repo, digest).await;
        let ready = gathered.map_err(failed)?.ready()?;
        let facts = self.knowledge.facts().await;
        let road = self.store.road().await.map_err(|error| failed(error.into()))?;
        let made = tokio::task::spawn_blocking(move || standing::lineage_of(&ready, &facts, &road)).await;
        made.context("what it stands on was lost")
            .and_then(|made| made)
            .map_err(failed)
    }
}

impl Judging for Asked {
    fn preview(&self, after: Policy, most: usize) -> web::Asked<'_, PreviewReport> {
        Box::pin(async move { self.compare_all(after, most).await.map_err(failed) })
    }

    fn preview_advisories(
        &self,
        documents: Vec<ImportDocument>,
        most: usize,
    ) -> web::Asked<'_, PreviewReport> {
        Box::pin(async move { self.foresee(documents, most).await.map_err(failed) })
    }

    fn weigh<'a>(&'a self, import: &'a mut Importer) -> web::Asked<'a, Weighed> {
        Box::pin(async move { self.weigh_import(import).await.map_err(room::too_much_or_failed) })
    }

    fn findings<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest) -> web::Asked<'a, Vec<JudgedFinding>> {
        Box::pin(self.all_findings(repo, digest))
    }

    fn lineage<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest) -> web::Asked<'a, ImageLineage> {
        Box::pin(self.standing(repo, digest))
    }

    fn report(&self, of: ReportOf) -> web::Asked<'_, ScanResult> {
        Box::pin(async move {
            let _place = self.place().await?;
            let facts = self.knowledge.facts().await;
            stored::report(self.gatherer(&self.evidence), facts, of).await
        })
    }

    fn judge_unpushed(
        &self,
        repo: RepoName,
        pusher: Option<String>,
        image: UnpushedImage,
    ) -> web::Asked<'_, ScanResult> {
        Box::pin(async move {
            let _place = self.place().await?;
            let facts = self.knowledge.facts().await;
            let now = super::moment(self.store.now()).map_err(failed)?;
            unpushed::judge(
                repo,
                pusher,
                image,
                facts,
                (now, self.knowledge.limits().signatures),
            )
            .await
        })
    }

    fn judge_sbom(&self, repo: RepoName, pusher: Option<String>, sbom: String) -> web::Asked<'_, ScanResult> {
        Box::pin(async move {
            let _place = self.place().await?;
            let facts = self.knowledge.facts().await;
            let now = super::moment(self.store.now()).map_err(failed)?;
            unpushed::judge_sbom(repo, pusher, sbom, facts, now).await
        })
    }
}

pub(super) fn failed(error: anyhow::Error) -> JudgingError {
    // What it was stays known: whoever tries again asks for it.
    JudgingError::Failed(error.reallocate_into_boxed_dyn_error_without_backtrace())
}

/// All that is found in an image by these facts, without waivers.
pub(crate) async fn findings_of(
    store: &Store,
    (evidence, knowledge): (&Evidence, &Knowledge),
    facts: Arc<Facts>,
    (repo, digest): (&RepoName, &Digest),
) -> Result<Vec<JudgedFinding>, JudgingError> {
    let limits = knowledge.limits().signatures;
    let gathered = image::gather(store, evidence, limits, repo, digest).await;
    let ready = match gathered.map_err(failed)? {
        Image::Ready(ready) => ready,
        Image::Waits => return Err(JudgingError::Waits),
        Image::Gone => return Err(JudgingError::Gone),
    };
    let subject =
        tokio::task::spawn_blocking(move || subject_of(&ready.about, &ready.gathered, &facts)).await;
    let subject = subject.context("the judgement was lost").and_then(|made| made);
    Ok(subject.map_err(failed)?.findings)
}

/// Counts all changes and keeps the worst.
pub(super) struct Tally {
    most: usize,
    images: u64,
    waiting: u64,
    /// Images, and those in use, by what becomes of them.
    counts: BTreeMap<(Reverse<Outcome>, Outcome), (u64, u64)>,
    worst: Vec<PreviewEntry>,
}

impl Tally {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            images: 0,
            waiting: 0,
            counts: BTreeMap::new(),
            worst: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, compared: Compared) {
        match compared {
            Compared::Gone | Compared::NoImage => return,
            Compared::Waits => {
                self.waiting += 1;
                return;
            }
            Compared::Same => {}
            Compared::Otherwise(change) => self.add(*change),
        }
        self.images += 1;
    }

    fn add(&mut self, change: Change) {
        let counted = self
            .counts
            .entry((Reverse(change.after), change.before))
            .or_default();
        counted.0 += 1;
        counted.1 += u64::from(change.in_use);
        self.worst.push(PreviewEntry {
            repository: change.repo,
            digest: change.digest,
            in_use: change.in_use,
            before: change.before,
            after: change.after,
            text: change.text,
        });
        if self.worst.len() >= self.most.saturating_mul(2) {
            self.keep_worst();
        }
    }

    fn keep_worst(&mut self) {
        self.worst.sort_by(|left, right| {
            let order = |entry: &PreviewEntry| (Reverse((entry.after, entry.in_use)), entry.before);
            order(left)
                .cmp(&order(right))
                .then_with(|| left.repository.as_str().cmp(right.repository.as_str()))
                .then_with(|| left.digest.bytes().cmp(right.digest.bytes()))
        });
        self.worst.truncate(self.most);
    }

    pub(super) fn into_report(mut self, policy_digest: Digest) -> PreviewReport {
        self.keep_worst();
        let counts = self.counts.into_iter();
        PreviewReport {
            policy_digest,
            images: self.images,
            waiting: self.waiting,
            untouched: 0,
            refusals: Vec::new(),
            counts: counts
                .map(|((Reverse(after), before), (images, in_use))| PreviewCount {
                    before,
                    after,
                    images,
                    in_use,
                })
                .collect(),
            changes: self.worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    fn change(repo: &str, after: Outcome, in_use: bool) -> Compared {
        Compared::Otherwise(Box::new(Change {
            repo: repo.parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, repo.as_bytes()),
            in_use,
            before: Outcome::Allow,
            after,
            reasons: Vec::new(),
            text: String::new(),
        }))
    }

    #[test]
    fn all_are_counted_and_the_worst_are_kept() {
        let mut tally = Tally::new(2);
        for number in 0..50 {
            tally.count(change(&format!("warned/a{number:02}"), Outcome::Warn, true));
        }
        tally.count(change("refused", Outcome::Refuse, false));
        tally.count(Compared::Waits);
        tally.count(Compared::Same);
        tally.count(Compared::Gone);
        tally.count(Compared::NoImage);
        let report = tally.into_report(Digest::of(Algorithm::Sha256, b"policy"));
        assert_eq!((report.images, report.waiting), (52, 1));
        let counted: Vec<_> = report
            .counts
            .iter()
            .map(|count| (count.after, count.images, count.in_use))
            .collect();
        assert_eq!(counted, [(Outcome::Refuse, 1, 0), (Outcome::Warn, 50, 50)]);
        let kept: Vec<_> = report
            .changes
            .iter()
            .map(|entry| entry.repository.as_str())
            .collect();
        assert_eq!(kept, ["refused", "warned/a00"]);
    }
}
