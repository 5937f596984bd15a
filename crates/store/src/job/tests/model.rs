//! Random interleavings of all that enqueues, claims, renews, loses and ends jobs, against a model in memory (ADR 0034).
//!
//! Every operation is one transaction of the one writer, so a sequence of operations is an interleaving of workers. Workers die
//! without a word, come back when their lease is over (zombies), and the process stops and starts. The model says who holds what,
//! how often it was tried and lost, and which job comes next; at the end everything that was caused was worked on afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::testing::dice::{Dice, sabotage, stories};

const SUBJECTS: u64 = 6;
const OPERATIONS: u32 = 400;

/// Stories of one test; which ones follows from where it begins.
const STORIES: u64 = 6;

const LEASE_SECONDS: u64 = 60;

/// What is known of a job that is not done.
#[derive(Debug, Clone)]
struct Expected {
    priority: JobPriority,
    ready_at: i64,
    lease_until: i64,
    /// Which claim has it.
    holder: Option<u32>,
    attempts: u32,
    losses: u32,
    /// Caused again since it was claimed.
    again: bool,
}

/// A job in somebody's hands, rightly or not.
struct InHand {
    job: Job,
    claim: u32,
}

struct Story {
    kit: Kit,
    dice: Dice,
    jobs: BTreeMap<String, Expected>,
    hands: Vec<InHand>,
    claims: u32,
    /// When each subject was caused last, and when the work began that was done last: by the number of the operation.
    caused: BTreeMap<String, u32>,
    done: BTreeMap<String, u32>,
    began: BTreeMap<u32, u32>,
    operation: u32,
}

impl Story {
    async fn step(&mut self) {
        self.operation += 1;
        match self.dice.roll(100) {
            0..22 => self.enqueue().await,
            22..47 => self.claim().await,
            47..62 => self.advance(),
            62..70 => self.renew().await,
            70..84 => self.finish().await,
            84..90 => self.give_back().await,
            90..93 => self.give_up().await,
            // Without a word; the job stays in hand, and may be brought back when it is somebody else's.
            93..96 => {}
            96..98 => self.release(false).await,
            _ => self.release(true).await,
        }
    }

    fn now(&self) -> i64 {
        self.kit.store.now().micros()
    }

    fn advance(&mut self) {
        let seconds = self.dice.roll(2 * LEASE_SECONDS) + 1;
        self.kit.advance(Duration::from_secs(seconds));
    }

    async fn enqueue(&mut self) {
        let subject = format!("s{}", self.dice.roll(SUBJECTS));
        let priority = match self.dice.roll(3) {
            0 => JobPriority::Asked,
            1 => JobPriority::Push,
            _ => JobPriority::Backfill,
        };
        let asked = self.kit.store.request_job(JobKind::Judge, &subject, priority);
        asked.await.unwrap();
        let now = self.now();
        self.caused.insert(subject.clone(), self.operation);
        let job = self.jobs.entry(subject).or_insert(Expected {
            priority,
            ready_at: now,
            lease_until: 0,
            holder: None,
            attempts: 0,
            losses: 0,
            again: false,
        });
        job.priority = job.priority.min(priority);
        job.attempts = 0;
        job.again = job.holder.is_some();
        if i64::from(job.losses) < SUSPECT {
            job.ready_at = job.ready_at.min(now);
        }
    }

    /// Those that may be claimed now, best first.
    fn ready(&self) -> Vec<(JobPriority, i64, String)> {
        let now = self.now();
        let suspect_runs = self
            .jobs
            .values()
            .any(|job| job.lease_until > now && i64::from(job.losses) > SUSPECT);
        let may = |job: &Expected| {
            let is_free = job.ready_at <= now && job.lease_until <= now;
            is_free && (i64::from(job.losses) < SUSPECT || !suspect_runs)
        };
        let ready = self.jobs.iter().filter(|(_, job)| may(job));
        let mut ready: Vec<_> = ready
            .map(|(subject, job)| (job.priority, job.ready_at, subject.clone()))
            .collect();
        ready.sort();
        ready
    }

    async fn claim(&mut self) {
        let ready = self.ready();
        let lease = Duration::from_secs(LEASE_SECONDS);
        let claimed = self
            .kit
            .store
            .claim_job(JobKind::Judge, "w", lease)
            .await
            .unwrap();
        let Some(job) = claimed else {
            assert!(ready.is_empty(), "{ready:?} were ready, and nobody got one");
            return;
        };
        let expected = self.jobs.get(&job.subject);
        let expected = expected
            .unwrap_or_else(|| panic!("{} was done", job.subject))
            .clone();
        let now = self.now();
        assert!(
            expected.lease_until <= now,
            "{} is somebody else's until {}, now is {now}",
            job.subject,
            expected.lease_until
        );
        let best = ready
            .first()
            .unwrap_or_else(|| panic!("{} was not ready", job.subject));
        assert_eq!(
            (expected.priority, expected.ready_at),
            (best.0, best.1),
            "{} came before {best:?}",
            job.subject
        );
        assert_eq!(
            (job.attempts, job.losses),
            (expected.attempts + 1, expected.losses + 1),
            "{}",
            job.subject
        );
        self.claims += 1;
        let lease_until = self.kit.store.now().plus(lease).micros();
        let held = Expected {
            lease_until,
            holder: Some(self.claims),
            attempts: job.attempts,
            losses: job.losses,
            again: false,
            ..expected
        };
        self.jobs.insert(job.subject.clone(), held);
        self.began.insert(self.claims, self.operation);
        let claim = self.claims;
        self.hands.push(InHand { job, claim });
    }

    fn any_hand(&mut self) -> Option<usize> {
        let count = self.hands.len() as u64;
        (count > 0).then(|| usize::try_from(self.dice.roll(count)).unwrap())
    }

    /// The job, if whoever has it in hand has it by right.
    fn held(&mut self, place: usize) -> Option<&mut Expected> {
        let InHand { job, claim } = &self.hands[place];
        let (subject, claim) = (job.subject.clone(), *claim);
        self.jobs
            .get_mut(&subject)
            .filter(|job| job.holder == Some(claim))
    }

    async fn renew(&mut self) {
        let Some(place) = self.any_hand() else { return };
        let lease = Duration::from_secs(LEASE_SECONDS);
        let renewed = self
            .kit
            .store
            .renew_job(&self.hands[place].job, lease)
            .await
            .unwrap();
        let until = self.kit.store.now().plus(lease).micros();
        let held = self.held(place);
        assert_eq!(renewed, held.is_some(), "a lease is renewed by who has it");
        if let Some(job) = held {
            job.lease_until = until;
        }
    }

    async fn finish(&mut self) {
        let Some(place) = self.any_hand() else { return };
        finish(&self.kit, &self.hands[place].job).await;
        let InHand { job, claim } = &self.hands[place];
        let (subject, claim) = (job.subject.clone(), *claim);
        let Some(held) = self.held(place) else { return };
        let is_over = !held.again;
        if is_over {
            self.jobs.remove(&subject);
        } else {
            (held.lease_until, held.holder, held.losses, held.again) = (0, None, 0, false);
        }
        self.done.insert(subject, self.began[&claim]);
        self.hands.swap_remove(place);
    }

    async fn give_back(&mut self) {
        let Some(place) = self.any_hand() else { return };
        let wait = Duration::from_secs(self.dice.roll(3) * LEASE_SECONDS);
        let given = self
            .kit
            .store
            .return_job(&self.hands[place].job, wait, Some("it failed"));
        given.await.unwrap();
        let ready = self.kit.store.now().plus(wait).micros();
        if let Some(held) = self.held(place) {
            (held.lease_until, held.holder, held.losses, held.again) = (0, None, 0, false);
            held.ready_at = ready;
        }
        self.hands.swap_remove(place);
    }

    async fn give_up(&mut self) {
        let Some(place) = self.any_hand() else { return };
        let again = Duration::from_secs(LEASE_SECONDS);
        let given = self.kit.store.give_up_job(&self.hands[place].job, again);
        given.await.unwrap();
        let ready = self.kit.store.now().plus(again).micros();
        if let Some(held) = self.held(place) {
            (held.lease_until, held.holder, held.attempts, held.again) = (0, None, 0, false);
            held.losses = u32::try_from(SUSPECT).unwrap();
            held.priority = JobPriority::Backfill;
            held.ready_at = ready;
        }
        self.hands.swap_remove(place);
    }

    /// The process starts after a crash, or stops in good order; whoever had jobs is gone, and may turn up all the same.
    async fn release(&mut self, in_order: bool) {
        if in_order {
            self.kit.store.give_back_jobs().await.unwrap();
        } else {
            self.kit.store.release_jobs().await.unwrap();
        }
        for job in self.jobs.values_mut().filter(|job| job.lease_until > 0) {
            (job.lease_until, job.holder, job.again) = (0, None, false);
            if in_order {
                job.attempts = job.attempts.saturating_sub(1);
                job.losses = job.losses.saturating_sub(1);
            }
        }
    }

    /// Everything that is left is worked on, by one who never fails.
    async fn drain(&mut self) {
        self.hands.clear();
        for _ in 0..4 * SUBJECTS {
            self.operation += 1;
            self.kit.advance(Duration::from_secs(4 * LEASE_SECONDS));
            self.claim().await;
            if !self.hands.is_empty() {
                self.dice = Dice::new(1);
                self.finish().await;
            }
        }
        let left = self.kit.store.job_counts(JobKind::Judge).await.unwrap();
        assert_eq!(left, JobCounts::default(), "{:?}", self.jobs);
        for (subject, caused) in &self.caused {
            let began = self.done.get(subject);
            assert!(
                began.is_some_and(|began| began > caused),
                "{subject} was caused at {caused}, and worked on at {began:?}"
            );
        }
    }
}

/// Tells the story of a seed. `sabotage` is a statement that falsifies rows every now and then.
async fn tell(seed: u64, sabotage: Option<&'static str>) {
    let mut story = Story {
        kit: Kit::new().await,
        dice: Dice::new(seed),
        jobs: BTreeMap::new(),
        hands: Vec::new(),
        claims: 0,
        caused: BTreeMap::new(),
        done: BTreeMap::new(),
        began: BTreeMap::new(),
        operation: 0,
    };
    for _ in 0..OPERATIONS {
        story.step().await;
        if let Some(sql) = sabotage {
            let falsify = story
                .kit
                .store
                .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await }));
            let _: Result<u64, StoreError> = falsify.await;
        }
    }
    story.drain().await;
}

stories! {
    no_job_is_lost_and_none_has_two_workers_1: 100;
    no_job_is_lost_and_none_has_two_workers_2: 200;
    no_job_is_lost_and_none_has_two_workers_3: 300;
    no_job_is_lost_and_none_has_two_workers_4: 400;
}

sabotage! {
    the_model_notices_when_leases_do_not_hold: "UPDATE job SET lease_until = 0";
    the_model_notices_when_leases_never_end: "UPDATE job SET lease_until = lease_until * 2 WHERE lease_until > 0";
    the_model_notices_when_nobody_is_asked_who_has_it: "UPDATE job SET worker = 'somebody' WHERE lease_until > 0";
    the_model_notices_when_what_is_worked_on_is_lost: "DELETE FROM job WHERE lease_until > 0";
    the_model_notices_when_losses_are_not_counted: "UPDATE job SET losses = 0";
    the_model_notices_when_nothing_waits_its_time: "UPDATE job SET ready_at = 0";
    the_model_notices_when_what_was_caused_again_is_forgotten: "UPDATE job SET attempts = 1 WHERE attempts = 0 AND lease_until > 0";
}
