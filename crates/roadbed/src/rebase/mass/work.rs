//! What images that cannot follow ask of their owners, and when that is over.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context as _, Result};
use findings::harmless;
use oci::{Digest, Manifest, ManifestKind, RepoName, Tag};
use road::fleet::ImageKey;
use road::names::BaseName;
use road::rebase::SafetyClass;
use road::work::{Asks, MAX_FINDINGS, MAX_REASONS, Named, Problem, Reason, Task, WorkState, in_own};
use store::{RoadEntries, Store, StoredWork};
use web::wire::{FindingEntry, ImagePlan, PlanEntry, ReleaseEntry};

use crate::fleet::FleetService;
use crate::judge::stored_limits;

/// Longest reason for which a repository does not take an image, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// What the image of a tag asks of its owner, that is to go to a release; `None`: it can follow. Of an index it is the image that stands
/// most against it.
pub(super) fn task_of(plan: &PlanEntry, release: &Digest, road: &RoadEntries) -> Option<Task> {
    let image = plan.images.iter().max_by_key(|image| image.class)?;
    let asks = match image.class? {
        SafetyClass::A | SafetyClass::B => return None,
        SafetyClass::C => Asks::Rebuild,
        SafetyClass::D => Asks::Vendor,
    };
    Some(Task {
        reasons: reasons(image),
        more_reasons: image.more_obstacles + image.obstacles.len().saturating_sub(MAX_REASONS) as u64,
        ..asked((plan, image), asks, release, road)?
    })
}

/// What the image of a tag asks of its owner that can follow, and whose repository does not take what was made of it.
pub(super) fn let_in(plan: &PlanEntry, release: &Digest, road: &RoadEntries, why: &str) -> Option<Task> {
    let image = plan.images.iter().max_by_key(|image| image.class)?;
    let reason = Reason {
        text: policy::yaml::one_line(why, MAX_REASON_BYTES),
        step: None,
    };
    Some(Task {
        reasons: vec![reason],
        ..asked((plan, image), Asks::LetIn, release, road)?
    })
}

/// The same without reasons.
fn asked(
    (plan, image): (&PlanEntry, &ImagePlan),
    asks: Asks,
    release: &Digest,
    road: &RoadEntries,
) -> Option<Task> {
    let goes = |image: &&ImagePlan| image.to.as_ref().is_some_and(|to| to.digest == *release);
    let going = plan.images.iter().find(goes)?;
    let base = road.bases.get(&image.base)?;
    let fixes: Vec<Problem> = image.findings.gone.iter().map(problem).collect();
    let gone: u64 = image.findings.gone_by_severity.values().sum();
    Some(Task {
        asks,
        base_repository: base.repository.clone(),
        from: named(&going.from),
        to: named(going.to.as_ref()?),
        reasons: Vec::new(),
        more_reasons: 0,
        more_fixes: gone.saturating_sub(fixes.len().min(MAX_FINDINGS) as u64),
        fixes: fixes.into_iter().take(MAX_FINDINGS).collect(),
        remains: image.remains.iter().take(MAX_FINDINGS).map(problem).collect(),
    })
}

fn named(release: &ReleaseEntry) -> Named {
    Named {
        digest: release.digest,
        version: release.version.clone(),
    }
}

fn reasons(image: &ImagePlan) -> Vec<Reason> {
    let reason = |obstacle: &web::wire::ObstacleEntry| Reason {
        text: obstacle.text.clone(),
        step: obstacle.step.clone(),
    };
    image.obstacles.iter().take(MAX_REASONS).map(reason).collect()
}

fn problem(finding: &FindingEntry) -> Problem {
    let harmless = |text: &str| harmless(text).into_owned();
    Problem {
        id: harmless(&finding.id),
        package: harmless(&finding.package),
        version: harmless(&finding.version),
        severity: finding.severity,
    }
}

/// What goes from the base and stays in the image's own layers, in words.
pub(super) fn remains_of(plan: &PlanEntry) -> String {
    let all: BTreeSet<String> = plan
        .images
        .iter()
        .flat_map(|image| image.remains.iter().map(|finding| in_own(&problem(finding))))
        .collect();
    let all: Vec<String> = all.into_iter().take(MAX_FINDINGS).collect();
    all.join(", ")
}

/// The tags that work is about.
pub(super) type Watched = HashSet<(RepoName, Tag)>;

pub(super) fn watched(open: &[StoredWork]) -> Watched {
    let key = |work: &StoredWork| (work.work.repository.clone(), work.work.tag.clone());
    open.iter().map(key).collect()
}

/// Where tags stand that work is about: on which releases that count, and of which bases on ones that do not.
#[derive(Debug, Default)]
pub(super) struct Stands {
    pub(super) on: HashMap<(RepoName, Tag), BTreeSet<Digest>>,
    pub(super) behind: HashSet<(RepoName, Tag, BaseName)>,
}

/// Closes what is over by where tags stand now.
pub(super) async fn settle(
    store: &Store,
    fleet: &FleetService,
    open: Vec<StoredWork>,
    stands: &Stands,
) -> Result<()> {
    let mut closed = Vec::new();
    for of in open {
        let state = match verdict(&of, stands) {
            Verdict::Open => continue,
            Verdict::Over(state) => state,
            Verdict::Elsewhere(now) => {
                if !is_known(store, fleet, &of.work.repository, &now).await? {
                    continue;
                }
                WorkState::Left
            }
        };
        closed.push((of.id, state));
    }
    Ok(store.close_work(closed).await?)
}

/// Closes what asks for a release that images do not follow to any more, or of a base whose images do not follow any more.
pub(super) async fn supersede(store: &Store, road: &RoadEntries) -> Result<()> {
    let mut targets: BTreeMap<BaseName, Vec<Digest>> = BTreeMap::new();
    let mut closed = Vec::new();
    for of in store.work(true).await? {
        let base = &of.work.base;
        let targets = targets
            .entry(base.clone())
            .or_insert_with(|| followed(road, base));
        if !targets.contains(&of.work.task.to.digest) {
            closed.push((of.id, WorkState::Superseded));
        }
    }
    Ok(store.close_work(closed).await?)
}

/// The releases of a base that images follow to; none where the catalogue does not let them.
fn followed(road: &RoadEntries, base: &BaseName) -> Vec<Digest> {
    let rebase = road.bases.get(base).and_then(|base| base.rebase.as_ref());
    if rebase.is_some_and(|rebase| rebase.safe) {
        super::targets(road, base)
    } else {
        Vec::new()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    Over(WorkState),
    /// It names an image that stands on no release of the base, or was not looked into yet.
    Elsewhere(Digest),
}

fn verdict(of: &StoredWork, stands: &Stands) -> Verdict {
    let work = &of.work;
    let Some(now) = of.named else {
        return Verdict::Over(WorkState::Gone);
    };
    if now == of.digest {
        return Verdict::Open;
    }
    let named = (work.repository.clone(), work.tag.clone());
    if stands
        .behind
        .contains(&(named.0.clone(), named.1.clone(), work.base.clone()))
    {
        return Verdict::Open;
    }
    match stands.on.get(&named) {
        Some(on) if on.contains(&work.task.to.digest) => Verdict::Over(WorkState::Done),
        _ => Verdict::Elsewhere(now),
    }
}

/// Whether all that runs of what a tag names was looked into.
async fn is_known(store: &Store, fleet: &FleetService, repo: &RepoName, digest: &Digest) -> Result<bool> {
    let Some(stored) = store.manifest_to_judge(repo, digest).await? else {
        return Ok(false);
    };
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits())
        .context("a manifest that was stored cannot be read")?;
    let images: Vec<Digest> = match manifest.kind {
        ManifestKind::Image => vec![*digest],
        ManifestKind::Index => manifest.manifests.iter().map(|child| child.digest).collect(),
    };
    let key = |digest: &Digest| ImageKey {
        repository: repo.to_string(),
        digest: *digest,
    };
    Ok(!images.iter().any(|image| fleet.waits(&key(image)))
        && images.iter().any(|image| fleet.has(&key(image))))
}
