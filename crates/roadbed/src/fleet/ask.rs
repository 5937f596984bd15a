//! Questions: from what somebody typed to counts, owners and a page of images.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use oci::RepoName;
use road::{
    fleet::{Answer, ImageKey, Moment, Scope},
    question::Question,
};
use store::{Point, RoadEntries, Timestamp};
use web::{
    AffectedQuestion, Answering, Asking, AskingError, MayPull,
    wire::{AffectedBy, AffectedCounts, AffectedCoverage, AffectedReport},
};

use super::{
    FleetService, State, absent,
    headline::headline,
    owners::{self, Whose},
    rows,
    search::Searched,
    then::Said,
};

/// Places that a page lists; of images behind that only the first one. A page of 1,000 images with all of their places would be as
/// many as 100,000.
const PAGE_PLACES: usize = 10_000;

/// Answers for the API.
pub(crate) struct Questions(pub(crate) Arc<FleetService>);

/// A question with all that is needed to answer it from memory.
struct Ready {
    question: Question,
    at: Option<Timestamp>,
    after: Option<ImageKey>,
    limit: usize,
    may_pull: MayPull,
    /// Whose repositories are.
    road: Arc<RoadEntries>,
    /// Of questions about a vulnerability.
    said: Option<Said>,
    /// Of questions about a file.
    searched: Option<Searched>,
    /// What of the answer is not as of the moment, or not known of it.
    notes: Vec<String>,
    /// Images that were there then may not be known.
    lost_images: bool,
}

/// The repositories that whoever asks may pull from, with whose they are.
pub(super) type Known = BTreeMap<String, Option<Whose>>;

impl Asking for Questions {
    fn affected(&self, question: AffectedQuestion) -> Answering<'_> {
        Box::pin(async move { self.answer(question).await })
    }

    fn is_expensive(&self, question: &str, as_of: Option<Timestamp>) -> bool {
        as_of.is_some() || matches!(question.parse(), Ok(Question::File(_)))
    }
}

impl Questions {
    async fn answer(&self, asked: AffectedQuestion) -> Result<AffectedReport, AskingError> {
        let question: Question = asked.text.parse().map_err(malformed)?;
        let after = asked.after.as_deref().map(cursor).transpose()?;
        let said = match question {
            Question::Vulnerability(_) => Some(self.0.said(asked.as_of).await.map_err(failed)?),
            _ => None,
        };
        let searched = match &question {
            Question::File(digest) => {
                let scope = (Arc::clone(&asked.may_pull), asked.as_of);
                Some(self.0.search(*digest, scope).await.map_err(failed)?)
            }
            _ => None,
        };
        let road = self.0.store.road().await.map_err(|error| failed(error.into()))?;
        let mut notes: Vec<String> = said.iter().flat_map(|said| said.notes().to_vec()).collect();
        let mut lost_images = false;
        if let Some(at) = asked.as_of {
            let lost = self.0.lost_since(at).await.map_err(failed)?;
            lost_images = lost.is_some();
            notes.extend(lost);
        }
        let ready = Ready {
            notes,
            lost_images,
            question,
            road,
            at: asked.as_of,
            after,
            limit: asked.limit,
            may_pull: asked.may_pull,
            said,
            searched,
        };
        let service = Arc::clone(&self.0);
        // It computes; a thread that serves connections must not.
        let answered = tokio::task::spawn_blocking(move || service.assemble(&ready)).await;
        let mut report = answered.context("the question was lost").map_err(failed)??;
        self.add_decisions(&mut report).await?;
        Ok(report)
    }

    /// What was decided of the images on the page, and by whose word what was asked about does not count.
    async fn add_decisions(&self, report: &mut AffectedReport) -> Result<(), AskingError> {
        let ids = report
            .vulnerability
            .as_ref()
            .map(|known| known.aliases.as_slice());
        let ids = ids.unwrap_or_default();
        for image in &mut report.items {
            let Ok(repo) = image.repository.parse::<RepoName>() else {
                continue;
            };
            let decided = self.0.store.decision(&repo, &image.digest, Point::Pull).await;
            if let Some(decided) = decided.map_err(|error| failed(error.into()))? {
                rows::word(decided.outcome).clone_into(&mut image.decision);
                let kept = rows::kept_waived(&self.0.store, (&repo, &image.digest), &decided).await;
                image.waived = rows::waived(&kept.map_err(|error| failed(error.into()))?, ids);
            }
        }
        Ok(())
    }
}

impl FleetService {
    fn assemble(&self, ready: &Ready) -> Result<AffectedReport, AskingError> {
        let state = self.read();
        let fleet = &state.fleet;
        let at = ready.at.map(|at| Moment(at.micros()));
        let mut known = Known::new();
        let scope = fleet.scope(|name| may(name, ready, &mut known), at);
        let mut answer = Self::find(&state, ready, &scope)?;
        let vulnerability = ready
            .said
            .as_ref()
            .map(|said| said_of(&ready.question, said, &answer));
        // What was waived at a moment is not known.
        if let Some(known) = vulnerability.as_ref().filter(|_| at.is_none()) {
            let ids = known.aliases.iter().chain([&known.id]);
            let excused = fleet.excuse(&mut answer, ids.map(String::as_str));
            excused.map_err(|error| failed(error.into()))?;
        }
        let is_of_class = matches!(ready.question, Question::Class(_));
        let counts = counted(&answer, is_of_class);
        let (coverage, unseen) = self.coverage(&state, &scope, &known, ready);
        // Of what was there once it is not known whether all of it is kept.
        if let (Question::Package(package), 0, None) = (&ready.question, total(counts), at) {
            let facts = self.knowledge.present();
            let absent = absent::unknown_package(package, (fleet, &scope), facts.as_deref(), &coverage);
            absent.map_or(Ok(()), Err)?;
        }
        let page = fleet.page(&answer, ready.after.as_ref(), ready.limit);
        // The lock is held: nothing can have changed since.
        let page = page.map_err(|error| failed(error.into()))?;
        let groups = owners::groups(fleet, &answer, &known, ready.said.is_some());
        let groups = groups.map_err(|error| failed(error.into()))?;
        let items = page.rows.iter().map(|row| {
            let mut image = rows::image(
                fleet,
                row,
                known.get(&row.key.repository).and_then(Option::as_ref),
                is_of_class,
            );
            if let Some(searched) = &ready.searched {
                searched.add_places(fleet, &row.key, &mut image);
            }
            image
        });
        let mut items: Vec<_> = items.collect();
        rows::keep_places(&mut items, PAGE_PLACES);
        Ok(AffectedReport {
            question: ready.question.to_string(),
            kind: kind(&ready.question).to_owned(),
            headline: headline(
                &ready.question,
                vulnerability.as_ref(),
                counts,
                (&coverage, unseen),
            ),
            as_of: ready.at.map(Into::into),
            as_of_notes: ready.notes.clone(),
            generation: ready.said.as_ref().map(Said::generation),
            counts,
            coverage,
            more_owners: groups.more,
            owners: groups.listed,
            items,
            next: page.next.map(|key| format!("{}@{}", key.repository, key.digest)),
            vulnerability,
        })
    }

    fn find(state: &State, ready: &Ready, scope: &Scope) -> Result<Answer, AskingError> {
        let fleet = &state.fleet;
        match (&ready.question, &ready.said, &ready.searched) {
            (Question::Package(package), ..) => Ok(fleet.by_package(package, scope)),
            (Question::Class(class), ..) => Ok(fleet.by_class(class, scope)),
            (Question::File(_), _, Some(searched)) => Ok(searched.answer(fleet, scope)),
            (Question::Vulnerability(id), Some(said), _) => fleet
                .by_vulnerability(id, &said.knowledge(), scope)
                .ok_or_else(|| unknown(id, ready.at)),
            (Question::Vulnerability(_) | Question::File(_), ..) => {
                Err(failed(anyhow::anyhow!("a question came without what it needs")))
            }
        }
    }

    /// How much was looked at, and of how many images something is not known: not scannable, waiting or without an owner.
    fn coverage(
        &self,
        state: &State,
        scope: &Scope,
        known: &Known,
        ready: &Ready,
    ) -> (AffectedCoverage, u64) {
        let fleet = &state.fleet;
        let at = ready.at.map(|at| Moment(at.micros()));
        let looked = fleet.coverage(scope);
        let is_ownerless = |name: &str| {
            known
                .get(name)
                .is_some_and(|whose| !owners::has_owner(whose.as_ref()))
        };
        let ownerless = fleet.coverage(&fleet.scope(is_ownerless, at));
        // What was there at a moment was looked into since, or is not known.
        let waits = |name: &String| {
            ready.at.is_none() && name.parse().is_ok_and(|repo: RepoName| (ready.may_pull)(&repo))
        };
        let waiting = state.waiting.iter().filter(|(name, _)| waits(name));
        let waiting: u64 = waiting.map(|(_, digests)| digests.len() as u64).sum();
        let coverage = AffectedCoverage {
            images: looked.images + waiting,
            not_scannable: looked.not_scannable,
            without_os: looked.without_os,
            waiting,
            without_owner: ownerless.images,
            lost_images: ready.lost_images,
            indexed_percent: self.progress.percent(),
            layers_searched: ready.searched.as_ref().map(|searched| searched.looked_at),
            layers: ready.searched.as_ref().map(|searched| searched.all),
        };
        let owned_but_unseen = looked.not_scannable - ownerless.not_scannable;
        (coverage, ownerless.images + owned_but_unseen + waiting)
    }
}

fn counted(answer: &Answer, is_of_class: bool) -> AffectedCounts {
    let counts = answer.counts();
    AffectedCounts {
        affected: counts.affected,
        mitigated: counts.mitigated,
        uncertain: counts.uncertain,
        not_affected: counts.not_affected,
        waived: counts.waived,
        lower_layer: counts.hidden,
        class_seen: is_of_class.then_some(counts.seen),
    }
}

/// Images that have it, or may, wherever.
fn total(counts: AffectedCounts) -> u64 {
    counts.affected + counts.mitigated + counts.uncertain + counts.lower_layer
}

/// Whether a repository may be pulled from; if so it is noted with whose it is.
fn may(name: &str, ready: &Ready, known: &mut Known) -> bool {
    let Ok(repo) = name.parse::<RepoName>() else {
        return false;
    };
    let may = (ready.may_pull)(&repo);
    if may {
        known.insert(name.to_owned(), Whose::of(&repo, &ready.road));
    }
    may
}

fn kind(question: &Question) -> &'static str {
    match question {
        Question::Vulnerability(_) => "vulnerability",
        Question::Package(_) => "package",
        Question::File(_) => "file",
        Question::Class(_) => "class",
    }
}

/// What the advisories say of a vulnerability, and of the worst finding.
fn said_of(question: &Question, said: &Said, answer: &Answer) -> AffectedBy {
    let id = question.to_string();
    let worst = answer.findings().max_by_key(|finding| finding.severity);
    let mut aliases: Vec<String> = answer
        .findings()
        .flat_map(|finding| finding.aliases.iter().map(ToString::to_string))
        .collect();
    aliases.push(id.clone());
    aliases.sort_unstable();
    aliases.dedup();
    let index = said.knowledge().index;
    let title = index.vulnerability(&id).and_then(|known| {
        let mut advisories = index.advisories_of(known);
        advisories.find_map(|advisory| (!advisory.summary.is_empty()).then(|| advisory.summary.to_string()))
    });
    AffectedBy {
        id: worst.map_or(id, |finding| finding.id.to_string()),
        title: worst.map(|finding| finding.title.to_string()).or(title),
        severity: worst.map(|finding| finding.severity),
        kev: answer.findings().any(|finding| finding.kev.is_some()),
        epss: worst
            .and_then(|finding| finding.epss)
            .map(|score| score.probability),
        fixes: answer.fixes().into_iter().map(str::to_owned).collect(),
        aliases,
    }
}

/// An image as `next` names it.
fn cursor(text: &str) -> Result<ImageKey, AskingError> {
    let parts = text.split_once('@');
    let key = parts.and_then(|(repository, digest)| {
        Some(ImageKey {
            repository: repository.to_owned(),
            digest: digest.parse().ok()?,
        })
    });
    key.ok_or_else(|| {
        AskingError::Malformed("the cursor is not one of ours: send `next` as it came".to_owned())
    })
}

fn unknown(id: &str, at: Option<Timestamp>) -> AskingError {
    let then = at
        .map(|at| format!(" as of {}", at.to_rfc3339()))
        .unwrap_or_default();
    AskingError::Unknown(format!(
        "no advisory that was imported here{then} knows {id}: whether images have it cannot be told by it; import advisories \
         (roadbed advisories sync), or ask about the package, like log4j-core@<2.15.0"
    ))
}

fn malformed(error: road::question::QuestionError) -> AskingError {
    let error = anyhow::Error::from(error);
    AskingError::Malformed(format!("{error:#}"))
}

fn failed(error: anyhow::Error) -> AskingError {
    AskingError::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_image_behind_which_to_go_on() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let key = cursor(&format!("team/app@{digest}")).unwrap();
        assert_eq!(
            (key.repository.as_str(), key.digest.to_string().as_str()),
            ("team/app", digest)
        );
        assert!(cursor("team/app").is_err() && cursor("team/app@1").is_err());
    }
}
