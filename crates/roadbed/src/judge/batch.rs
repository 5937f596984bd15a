//! Many judgements that nobody waits for, such as those that an import asks for: claimed together, kept together.
//!
//! Each is made as if it were alone; only what is written is written in one transaction, which pushes wait for once and not for each.
//! Whoever waits for a judgement waits for the end of one batch, which is bounded in time.

use std::time::{Duration, Instant};

use anyhow::Result;
use oci::{Digest, RepoName};
use store::{Finished, Job};

use super::{Done, Judge, parse};
use crate::jobs;

/// Judgements that are claimed together.
pub(super) const MOST: usize = 64;

/// Longest time of a batch but for its last judgement. What was not begun by then is given back.
const LONGEST: Duration = Duration::from_millis(250);

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
        let mut finished = Vec::with_capacity(jobs.len());
        let (began, mut jobs) = (Instant::now(), jobs.into_iter());
        while began.elapsed() < LONGEST {
            let Some(job) = jobs.next() else { break };
            let Some((repo, digest)) = parse(&job.subject) else {
                self.store.drop_job(&job).await?;
                continue;
            };
            finished.extend(self.judge_one(job, repo, digest).await?);
        }
        let left: Vec<Job> = jobs.collect();
        if !left.is_empty() {
            self.store.give_back_claimed(&left).await?;
        }
        Ok(finished)
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
