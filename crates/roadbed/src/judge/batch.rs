//! Many judgements that nobody waits for, such as those that an import asks for: claimed together, read together, kept together.
//!
//! Each comes to what it would come to alone ([`together`](super::together)); only what is read and written of them is read and written
//! in few statements, so that pushes wait for one transaction and not for each. What cannot be read with others is judged by itself.
//! Whoever waits for a judgement waits for the end of one batch, which is bounded in time.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use oci::{Digest, RepoName};
use store::{Finished, Job, Verdicts};

use super::{
    Done, Judge, Knowledge,
    image::{self, Together},
    parse, standing,
    together::Decided,
};
use crate::jobs;

/// Fewest judgements that are claimed at once.
const FEWEST: usize = 16;

/// How many judgements are claimed at once. What there is no time for was read for nothing, so as many are claimed as there was time for
/// before, and twice as many once there is time for all.
pub(super) struct Size {
    most: usize,
    now: AtomicUsize,
}

impl Size {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            most,
            now: AtomicUsize::new(most),
        }
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn note(&self, judged: usize, left: usize) {
        let next = if left > 0 {
            judged
        } else {
            judged.max(self.now() / 2) * 2
        };
        self.now.store(next.max(FEWEST).min(self.most), Ordering::Relaxed);
    }
}

/// An image whose judgement was asked for.
struct Asked {
    job: Job,
    image: (RepoName, Digest),
}

/// Images by whether they can be judged together.
#[derive(Default)]
struct Sorted {
    alone: VecDeque<Asked>,
    many: VecDeque<(Asked, Together)>,
}

/// Images that were judged together, those that failed, and those that there was no time for.
#[derive(Default)]
struct Judged {
    done: Vec<(Asked, Together, (Verdicts, Vec<String>))>,
    failed: Vec<(Asked, anyhow::Error)>,
    left: Vec<Asked>,
}

impl Judge {
    /// Judges the images of jobs that were claimed together.
    pub(super) async fn batch(&self, jobs: Vec<Job>) -> Result<()> {
        let Some(first) = jobs.first().cloned() else {
            return Ok(());
        };
        let judged =
            jobs::while_all_leased(&self.store, &first, self.pace.lease, self.judge_some(jobs)).await;
        let Some(judged) = judged else { return Ok(()) };
        Ok(self.store.finish_judgements(judged?).await?)
    }

    async fn judge_some(&self, jobs: Vec<Job>) -> Result<Vec<Finished>> {
        let claimed = jobs.len();
        let mut asked = Vec::with_capacity(claimed);
        for job in jobs {
            match parse(&job.subject) {
                Some(image) => asked.push(Asked { job, image }),
                None => self.store.drop_job(&job).await?,
            }
        }
        let Sorted { mut alone, many } = self.sort(asked).await;
        let (began, mut finished) = (Instant::now(), Vec::new());
        let longest = self.knowledge.limits().batch_time;
        // Half of the time, so that neither kind keeps the other one waiting for ever.
        while let Some(Asked { job, image }) = alone.pop_front() {
            finished.extend(self.judge_one(job, image.0, image.1).await?);
            if began.elapsed() >= longest / 2 {
                break;
            }
        }
        let judged = self.judge_many(many, (began, longest)).await?;
        for (asked, error) in judged.failed {
            let (repo, digest) = &asked.image;
            self.failed(&asked.job, (repo, digest), &error).await?;
        }
        for (asked, image, decided) in judged.done {
            finished.extend(self.note(asked, &image, decided).await?);
        }
        let left: Vec<Job> = alone
            .into_iter()
            .chain(judged.left)
            .map(|asked| asked.job)
            .collect();
        self.claimed.note(claimed - left.len(), left.len());
        if !left.is_empty() {
            self.store.give_back_claimed(&left).await?;
        }
        Ok(finished)
    }

    /// Reads what there is of all images.
    async fn sort(&self, asked: Vec<Asked>) -> Sorted {
        let images: Vec<_> = asked.iter().map(|asked| asked.image.clone()).collect();
        let limits = self.knowledge.limits();
        let gathered = image::gather_many(&self.store, &self.evidence, limits, &images).await;
        let gathered = gathered.unwrap_or_else(|error| {
            // It is told of the image that it is about when that is judged by itself.
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "images could not be read together, they are read one by one"
            );
            images.iter().map(|_| None).collect()
        });
        let mut sorted = Sorted::default();
        for (asked, gathered) in asked.into_iter().zip(gathered) {
            match gathered {
                Some(image) => sorted.many.push_back((asked, image)),
                None => sorted.alone.push_back(asked),
            }
        }
        sorted
    }

    async fn judge_many(
        &self,
        many: VecDeque<(Asked, Together)>,
        (began, longest): (Instant, Duration),
    ) -> Result<Judged> {
        if many.is_empty() {
            return Ok(Judged::default());
        }
        let facts = Knowledge::facts(&self.knowledge).await;
        // Matching and conditions compute; a thread that serves connections must not.
        let judged = tokio::task::spawn_blocking(move || {
            let mut decided = Decided::by(&facts);
            let mut verdicts = Vec::with_capacity(many.len());
            for (_, image) in &many {
                verdicts.push(decided.verdicts(&image.ready));
                if began.elapsed() >= longest {
                    break;
                }
            }
            drop(decided);
            let (mut judged, mut verdicts) = (Judged::default(), verdicts.into_iter());
            for (asked, image) in many {
                match verdicts.next() {
                    Some(Ok(decided)) => judged.done.push((asked, image, decided)),
                    Some(Err(error)) => judged.failed.push((asked, error)),
                    None => judged.left.push(asked),
                }
            }
            judged
        });
        judged.await.context("the judgements were lost")
    }

    /// What follows from an image beside its decision.
    async fn note(
        &self,
        asked: Asked,
        image: &Together,
        (verdicts, signed_by): (Verdicts, Vec<String>),
    ) -> Result<Option<Finished>> {
        let (repo, digest) = asked.image;
        let noted = async {
            self.sboms.request_known(&self.store, image).await?;
            match standing::note_of(&image.ready, &signed_by) {
                Some(note) if image.is_of_base || note.words.is_some() => {
                    Ok(self.store.note_image(&repo, &digest, note).await?)
                }
                _ => anyhow::Ok(()),
            }
        };
        if let Err(error) = noted.await {
            self.failed(&asked.job, (&repo, &digest), &error).await?;
            return Ok(None);
        }
        Ok(Some(Finished {
            job: asked.job,
            repo,
            digest,
            verdicts,
        }))
    }

    /// What is to be kept of it; what there is else to do with its job is done.
    async fn judge_one(&self, job: Job, repo: RepoName, digest: Digest) -> Result<Option<Finished>> {
        match self.judge(&repo, &digest).await {
            Ok(Done::Decided(verdicts)) => Ok(Some(Finished {
                job,
                repo,
                digest,
                verdicts,
            })),
            Ok(Done::Waits | Done::Gone) => {
                self.store.drop_job(&job).await?;
                Ok(None)
            }
            Err(error) => {
                self.failed(&job, (&repo, &digest), &error).await?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
