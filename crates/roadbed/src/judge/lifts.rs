//! What an import of advisories would let pass that is refused, found out before it counts.
//!
//! What it brings lies in the store under the number of the next generation, which nobody reads yet. The images that are refused
//! now and hold what it touches are judged with it and without it, at the same moment: what a waiver or a day of grace changes
//! meanwhile is not counted. By whatever it lifts a refusal, it counts: taken back, another range, another severity, a catalogue
//! that lists it no more, a trusted author's VEX.

use std::{cmp::Reverse, collections::BTreeMap, collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use findings::advisory::{AdvisoryIndex, Changed, Delta, Epss, Kev, Touched, VexDocument};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepoName};
use policy::{Decision, Effect, Outcome};
use store::{AdvisoryDocument, Importer, LIFTS_NAMED, LiftedCause, Lifts, StagedImport};
use web::Weighed;

use super::{
    Evidence, Facts,
    asked::{AT_ONCE, Asked, PAGE, Touching},
    fixes::Fixes,
    image::Image,
    knowledge,
};

/// What would be known, and what may be judged otherwise by it.
struct Staged {
    before: Arc<Facts>,
    after: Facts,
    touched: Touching,
}

/// What was counted so far.
#[derive(Default)]
struct Count {
    lifts: Lifts,
    causes: BTreeMap<String, u64>,
}

impl Asked {
    /// Weighs what came so far.
    pub(super) async fn weigh_import(&self, import: &mut Importer) -> Result<Weighed> {
        let staged = import.staged().await?;
        if self.store.refused_images_after(0, 1).await?.is_empty() {
            // What is weighed below is looked up in an index of it.
            self.check_room(import.size(), &staged).await?;
            return Ok(Weighed::default());
        }
        let staged = Arc::new(self.with_staged(staged).await?);
        let evidence = self.knowledge.evidence_aside();
        let (mut count, mut seen) = (Count::default(), 0);
        loop {
            let page = self.store.refused_images_after(seen, PAGE).await?;
            let Some((last, ..)) = page.last() else {
                break;
            };
            seen = *last;
            // However long it takes, nobody else is to begin an import meanwhile.
            import.go_on()?;
            count.lifts.refused += page.len() as u64;
            let asked = page
                .into_iter()
                .filter(|(_, repo, digest)| staged.touched.has(repo, digest));
            let judged = asked.map(|(_, repo, digest)| self.lifted(&evidence, repo, digest, &staged));
            let mut judged = stream::iter(judged).buffer_unordered(AT_ONCE);
            while let Some(lifted) = judged.try_next().await? {
                count.take(lifted);
            }
        }
        let mut lifts = count.into_lifts();
        lifts.lately = self.store.lifted_lately().await?;
        let guard = self.lift_guard;
        let (lifted, refused) = (lifts.lifted + lifts.lately, lifts.refused + lifts.lately);
        Ok(Weighed {
            is_too_much: lifts.lifted > 0 && guard.holds(lifted, refused),
            lifts,
        })
    }

    async fn with_staged(&self, staged: StagedImport) -> Result<Staged> {
        let before = self.knowledge.facts().await;
        let store = &self.store;
        let (changed, index) = self.index_with(&before, &staged).await?;
        // What a fix under another id would count as: its moment is asked like everything else that is new.
        let fixes = match &changed {
            Some(changed) => {
                let ids = changed.iter().map(|one| one.after.id.clone()).collect();
                let fixes = before.fixes.updated(store, &ids, Some(staged.generation));
                fixes.await?
            }
            None => Fixes::staged(store, staged.generation).await?,
        };
        let (known, documents) = (Arc::clone(&before), staged.documents);
        let computed = tokio::task::spawn_blocking(move || {
            let mut after = Facts {
                index: Arc::new(index),
                kev: known.kev.clone(),
                epss: known.epss.clone(),
                fixes: Arc::new(fixes),
                policy: known.policy.clone(),
                waivers: known.waivers.clone(),
                signers: Arc::clone(&known.signers),
                vex: known.vex.clone(),
                ..Facts::nothing()
            };
            let others = replace(&mut after, &documents);
            let touched = match (changed, others) {
                (Some(changed), Some(others)) => {
                    let delta = Delta::of(changed)?;
                    Some(delta.touched(&after.index, others.iter().map(String::as_str)))
                }
                _ => None,
            };
            Ok::<_, anyhow::Error>((after, touched))
        });
        let (after, touched) = computed.await.context("the index was lost")??;
        Ok(Staged {
            touched: self.holding_any(touched).await?,
            before,
            after,
        })
    }

    /// What changes, unless that is too much to be told one by one, and what would be known.
    pub(super) async fn index_with(
        &self,
        before: &Arc<Facts>,
        staged: &StagedImport,
    ) -> Result<(Option<Vec<Changed>>, AdvisoryIndex)> {
        let (store, generation) = (&self.store, staged.generation);
        let most = self.knowledge.limits().updated;
        let changed = knowledge::changed_by(store, before, generation, most).await?;
        let index = match &changed {
            Some(changed) => knowledge::index_after(store, before, generation, changed.clone()).await?,
            None => knowledge::index_of(store, generation).await?,
        };
        Ok((changed, index))
    }

    async fn holding_any(&self, touched: Option<Touched>) -> Result<Touching> {
        match touched {
            Some(touched) => self.holding(touched).await,
            None => Ok(Touching(None)),
        }
    }

    /// For what an image is refused now and would not be; `None`: it would be all the same.
    async fn lifted(
        &self,
        evidence: &Evidence,
        repo: RepoName,
        digest: Digest,
        staged: &Arc<Staged>,
    ) -> Result<Option<(String, BTreeSet<String>)>> {
        let gathered = self.gatherer(evidence).gather(&repo, &digest).await?;
        // What is not looked into yet is refused by nobody's advisories.
        let Image::Ready(ready) = gathered else {
            return Ok(None);
        };
        let staged = Arc::clone(staged);
        let judged = tokio::task::spawn_blocking(move || {
            let (before, _) = ready.decide_pull(&staged.before)?;
            if before.outcome != Outcome::Refuse {
                return Ok(None);
            }
            let (after, _) = ready.decide_pull(&staged.after)?;
            if after.outcome == Outcome::Refuse {
                return Ok(None);
            }
            Ok::<_, anyhow::Error>(Some((format!("{repo}@{digest}"), refused_for(&before))))
        });
        judged.await.context("the judgement was lost")?
    }
}

impl Count {
    fn take(&mut self, lifted: Option<(String, BTreeSet<String>)>) {
        let Some((image, causes)) = lifted else {
            return;
        };
        self.lifts.lifted += 1;
        if self.lifts.images.len() < LIFTS_NAMED {
            self.lifts.images.push(image);
        }
        for cause in causes {
            *self.causes.entry(cause).or_default() += 1;
        }
    }

    fn into_lifts(self) -> Lifts {
        let mut causes: Vec<LiftedCause> = self
            .causes
            .into_iter()
            .map(|(id, images)| LiftedCause { id, images })
            .collect();
        causes.sort_by(|a, b| {
            Reverse(a.images)
                .cmp(&Reverse(b.images))
                .then_with(|| a.id.cmp(&b.id))
        });
        causes.truncate(LIFTS_NAMED);
        let mut lifts = self.lifts;
        lifts.images.sort();
        lifts.causes = causes;
        lifts
    }
}

/// What refuses it: the findings that are named, or the rule.
fn refused_for(decision: &Decision) -> BTreeSet<String> {
    let refusing = decision
        .reasons
        .iter()
        .filter(|reason| reason.effect == Effect::Refuse);
    let named = refusing.flat_map(|reason| {
        let findings = reason.findings.iter().cloned();
        let rule = reason
            .findings
            .is_empty()
            .then(|| format!("rule {}", reason.rule));
        findings.chain(rule).collect::<Vec<_>>()
    });
    named.collect()
}

/// Puts documents in the place of those that are known, and answers which vulnerabilities read otherwise by it; `None`: any may.
fn replace(after: &mut Facts, documents: &[AdvisoryDocument]) -> Option<Vec<String>> {
    let (mut others, mut is_any) = (Vec::new(), false);
    for document in documents {
        match document.kind.as_str() {
            "kev" => match Kev::read(&document.body) {
                Ok(kev) => {
                    let was = after.kev.take().unwrap_or_default();
                    others.extend(kev.changed_since(&was).into_iter().map(str::to_owned));
                    after.kev = Some(kev);
                }
                Err(_) => is_any = true,
            },
            "epss" => match Epss::read(&document.body) {
                Ok(epss) => {
                    let was = after.epss.take().unwrap_or_default();
                    others.extend(epss.changed_since(&was).into_iter().map(|(id, _)| id));
                    after.epss = Some(epss);
                }
                Err(_) => is_any = true,
            },
            _ => {
                is_any = true;
                let Ok(vex) = VexDocument::read(&document.body) else {
                    continue;
                };
                let mut signers = after.signers.iter();
                if signers.any(|signer| signer.spec().author.as_ref() == Some(&vex.author)) {
                    after.vex.push(vex);
                }
            }
        }
    }
    (!is_any).then_some(others)
}
