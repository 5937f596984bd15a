//! What advisories would change if they were imported.
//!
//! They are laid over those that are known, in memory and in an index of its own, as an import would do it; the images that hold what
//! they touch are judged by both. Nothing is written.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use findings::advisory::{
    Advisory, AdvisoryIndex, CatalogueChange, Changed, DocumentKind, Epss, Kev, recognise,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, RepoName};
use policy::{Change, Outcome};
use web::wire::{ImportDocument, PreviewReport};

use super::{
    Facts,
    asked::{AT_ONCE, Asked, Compared, PAGE, Tally, Touching},
    knowledge, moment, touched,
};

/// Refusals that are repeated in the answer.
const REFUSALS: usize = 20;

/// Documents as they were read.
#[derive(Default)]
struct Given {
    advisories: BTreeMap<String, Advisory>,
    kev: Option<Kev>,
    epss: Option<Epss>,
    refusals: Vec<String>,
}

/// What is known with and without them.
struct Foreseen {
    before: Arc<Facts>,
    after: Arc<Facts>,
    touched: Touching,
    refusals: Vec<String>,
}

impl Given {
    fn read(documents: &[ImportDocument]) -> Self {
        let mut given = Self::default();
        for document in documents {
            if let Err(why) = given.take(document)
                && given.refusals.len() < REFUSALS
            {
                given.refusals.push(format!("{}: {why}", document.name));
            }
        }
        given
    }

    fn take(&mut self, document: &ImportDocument) -> Result<(), String> {
        let bytes = document.text.as_bytes();
        let said = |error: findings::advisory::AdvisoryError| error.to_string();
        match recognise(&document.name, bytes) {
            Some(DocumentKind::Osv) => {
                let advisory = Advisory::read(bytes, store::home_of(&document.name)).map_err(said)?;
                self.advisories.insert(advisory.id.clone(), advisory);
            }
            Some(DocumentKind::Kev) => self.kev = Some(Kev::read(bytes).map_err(said)?),
            Some(DocumentKind::Epss) => self.epss = Some(Epss::read(bytes).map_err(said)?),
            _ => return Err("it is no OSV advisory, KEV catalogue or EPSS list".to_owned()),
        }
        Ok(())
    }
}

impl Asked {
    pub(super) async fn foresee(&self, documents: Vec<ImportDocument>, most: usize) -> Result<PreviewReport> {
        let foreseen = Arc::new(self.with(documents).await?);
        let evidence = self.knowledge.evidence_aside();
        let mut tally = Tally::new(most);
        let (mut seen, mut untouched) = (0, 0);
        loop {
            let page = self.store.images_after(seen, PAGE).await?;
            let Some((last, ..)) = page.last() else {
                let mut report = tally.into_report(foreseen.before.policy.digest());
                report.untouched = untouched;
                report.refusals.clone_from(&foreseen.refusals);
                return Ok(report);
            };
            seen = *last;
            let (asked, others): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|(_, repo, digest)| foreseen.touched.has(repo, digest));
            untouched += others.len() as u64;
            let compared = asked
                .into_iter()
                .map(|(_, repo, digest)| self.compare_foreseen(&evidence, repo, digest, &foreseen));
            let mut compared = stream::iter(compared).buffer_unordered(AT_ONCE);
            while let Some(compared) = compared.try_next().await? {
                tally.count(compared);
            }
        }
    }

    async fn with(&self, documents: Vec<ImportDocument>) -> Result<Foreseen> {
        let before = self.knowledge.facts().await;
        let mut advisories = knowledge::advisories_of(&self.store, before.generation).await?;
        let (known, now) = (Arc::clone(&before), moment(self.store.now())?);
        let computed = tokio::task::spawn_blocking(move || {
            let given = Given::read(&documents);
            let mut changed = Vec::new();
            for (id, after) in given.advisories {
                let was = advisories.insert(id, after.clone());
                changed.push(Changed { before: was, after });
            }
            let index = AdvisoryIndex::build(advisories.into_values())?;
            let mut catalogues = CatalogueChange::default();
            if let Some(kev) = &given.kev {
                let was = known.kev.clone().unwrap_or_default();
                catalogues = catalogues.and(CatalogueChange::of_kev(&was, kev));
            }
            if let Some(epss) = &given.epss {
                let was = known.epss.clone().unwrap_or_default();
                catalogues = catalogues.and(CatalogueChange::of_epss(&was, epss));
            }
            let fixes = known.fixes.foreseen(&changed, now)?;
            let touched = touched::touched(changed, &catalogues, &index, known.reads_epss)?;
            let after = Facts {
                index: Arc::new(index),
                kev: given.kev.or_else(|| known.kev.clone()),
                epss: given.epss.or_else(|| known.epss.clone()),
                fixes: Arc::new(fixes),
                policy: known.policy.clone(),
                waivers: known.waivers.clone(),
                signers: Arc::clone(&known.signers),
                vex: known.vex.clone(),
                ..Facts::nothing()
            };
            Ok::<_, anyhow::Error>((touched, after, given.refusals))
        });
        let (touched, after, refusals) = computed.await.context("the index was lost")??;
        Ok(Foreseen {
            touched: self.holding(touched).await?,
            before,
            after: Arc::new(after),
            refusals,
        })
    }

    async fn compare_foreseen(
        &self,
        evidence: &super::Evidence,
        repo: RepoName,
        digest: Digest,
        foreseen: &Arc<Foreseen>,
    ) -> Result<Compared> {
        let ready = match self.gatherer(evidence).gather(&repo, &digest).await?.ready() {
            Ok(ready) => ready,
            Err(why) => return Ok(why.into()),
        };
        let foreseen = Arc::clone(foreseen);
        let change = tokio::task::spawn_blocking(move || {
            let (before, _) = ready.decide_pull(&foreseen.before)?;
            if before.outcome == Outcome::NotApplicable {
                return Ok(None);
            }
            let (after, in_use) = ready.decide_pull(&foreseen.after)?;
            let is_otherwise = before.outcome != after.outcome;
            Ok::<_, anyhow::Error>(Some(is_otherwise.then(|| Change {
                repo,
                digest,
                in_use,
                before: before.outcome,
                after: after.outcome,
                text: after.refusal_or_warning(),
                reasons: after.reasons,
            })))
        });
        let change = change.await.context("the judgement was lost")??;
        let Some(change) = change else {
            return Ok(Compared::NoImage);
        };
        Ok(change.map_or(Compared::Same, |change| Compared::Otherwise(Box::new(change))))
    }
}
