//! The brake: measured before anything is refused, held beyond its bound, released by a person, and never forgotten.

use std::collections::BTreeMap;

use policy::Share;

use super::*;
use crate::testing::Kit;
use crate::{PullClass, PullNote, Reasons, Verdicts};

const BRAKE: Brake = Brake {
    share: Share::basis_points(1_000),
    floor: 1,
};

/// Images of one repository that were pulled, each with what it is refused for.
struct Fleet {
    kit: Kit,
    root: access::SystemPermit,
    ci: access::Caller,
    repo: RepoName,
    images: BTreeMap<String, Digest>,
}

fn judgement(outcome: Outcome, generation: u64) -> Judgement {
    Judgement {
        outcome,
        line: format!("{outcome:?}"),
        body: Reasons::of(format!("{outcome:?}")),
        policy: "sha256:policy".to_owned(),
        evidence: "facts".to_owned(),
        generation,
        review_at: None,
        waives: false,
    }
}

impl Fleet {
    /// So many images, all in use and served.
    async fn new(size: usize) -> Self {
        let kit = Kit::new().await;
        let ci = kit.all("ci").await;
        let repo: RepoName = "team/app".parse().unwrap();
        let mut images = BTreeMap::new();
        for number in 0..size {
            let name = format!("i{number:02}");
            let digest = kit.push_image(&ci, "team/app", &name, &[&name]).await;
            images.insert(name, digest);
        }
        let root = kit.administrator("root").await;
        let mut fleet = Self {
            kit,
            root,
            ci,
            repo,
            images,
        };
        fleet.pull_all().await;
        fleet.judge(&[], 1).await;
        fleet
    }

    async fn pull_all(&mut self) {
        for digest in self.images.values() {
            self.kit.store.note_pull(PullNote {
                repo: self.repo.clone(),
                digest: *digest,
                principal: None,
                class: PullClass::Node,
                at: self.kit.store.now(),
            });
        }
        // Closing writes what is queued.
        self.kit.restart().await;
    }

    /// Has all images judged anew; `refused` are the names of those that would be refused.
    async fn judge(&self, refused: &[&str], generation: u64) {
        self.kit
            .store
            .request_judgements(crate::Which::All, JobPriority::Backfill)
            .await
            .unwrap();
        self.work(refused, generation).await;
    }

    /// Does all judgements that are asked for.
    async fn work(&self, refused: &[&str], generation: u64) {
        while self.work_once(refused, generation).await {}
    }

    async fn work_once(&self, refused: &[&str], generation: u64) -> bool {
        let store = &self.kit.store;
        let lease = Duration::from_mins(1);
        let Some(job) = store.claim_job(JobKind::Judge, "w", lease).await.unwrap() else {
            return false;
        };
        let (_, digest) = job.subject.split_once('@').unwrap();
        let digest: Digest = digest.parse().unwrap();
        let is_refused = refused.iter().any(|name| self.images[*name] == digest);
        let outcome = if is_refused {
            Outcome::Refuse
        } else {
            Outcome::Allow
        };
        let held = is_refused.then(|| judgement(Outcome::Warn, generation));
        let judgements = vec![(Point::Pull, judgement(outcome, generation))];
        let verdicts = Verdicts {
            judgements,
            held,
            seen: None,
        };
        store
            .finish_judgement(&job, &self.repo, &digest, verdicts)
            .await
            .unwrap();
        true
    }

    async fn settle(&self) -> Settling {
        let since = self.kit.store.now().minus(WINDOW * 30);
        self.kit.store.settle_brake(BRAKE, since).await.unwrap()
    }

    /// Settles, and does what follows from that.
    async fn settled(&self, refused: &[&str], generation: u64) -> (bool, u64, u64) {
        let Settling::Settled(settled) = self.settle().await else {
            panic!("nothing is settled")
        };
        self.work(refused, generation).await;
        (settled.is_held, settled.turned, settled.in_use)
    }

    async fn outcomes(&self, outcome: Outcome) -> Vec<&str> {
        let mut found = Vec::new();
        for (name, digest) in &self.images {
            let decision = self
                .kit
                .store
                .decision(&self.repo, digest, Point::Pull)
                .await
                .unwrap();
            if decision.is_some_and(|decision| decision.outcome == outcome) {
                found.push(name.as_str());
            }
        }
        found
    }

    async fn held(&self) -> Vec<HeldChange> {
        self.kit.store.held_changes(&self.root, 10).await.unwrap()
    }

    async fn approve(&self, change: u64) -> Option<u64> {
        let actor = Actor::administrator(&self.root, "test");
        let approved = self.kit.store.approve_change(&self.root, change, &actor);
        approved.await.unwrap()
    }
}

#[tokio::test]
async fn nothing_is_refused_before_all_is_measured() {
    let fleet = Fleet::new(20).await;
    let refused = ["i00", "i01"];
    fleet
        .kit
        .store
        .request_judgements(crate::Which::All, JobPriority::Backfill)
        .await
        .unwrap();
    assert!(fleet.work_once(&refused, 2).await);
    assert!(fleet.outcomes(Outcome::Refuse).await.is_empty(), "only noted");
    assert_eq!(fleet.outcomes(Outcome::Warn).await, ["i00"]);
    assert_eq!(fleet.settle().await, Settling::Measuring);
    fleet.work(&refused, 2).await;
    assert!(fleet.outcomes(Outcome::Refuse).await.is_empty());
    assert_eq!(fleet.settled(&refused, 2).await, (false, 2, 20), "a tenth goes");
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, refused);
    assert_eq!(fleet.settle().await, Settling::Nothing);
    assert!(fleet.held().await.is_empty());
}

#[tokio::test]
async fn judgements_that_never_end_are_waited_for_so_long() {
    let fleet = Fleet::new(20).await;
    let store = &fleet.kit.store;
    store
        .request_judgements(crate::Which::All, JobPriority::Backfill)
        .await
        .unwrap();
    assert!(fleet.work_once(&["i00"], 2).await);
    fleet.kit.advance(LONGEST);
    assert_eq!(fleet.settle().await, Settling::Measuring);
    fleet.kit.advance(Duration::from_secs(1));
    assert!(matches!(fleet.settle().await, Settling::Settled(_)));
}

#[tokio::test]
async fn more_is_held_until_a_person_approves_it_and_over_a_restart() {
    let mut fleet = Fleet::new(20).await;
    let refused = ["i00", "i01", "i02"];
    fleet.judge(&refused, 2).await;
    fleet.kit.restart().await;
    assert_eq!(fleet.settled(&refused, 2).await, (true, 3, 20));
    fleet.kit.restart().await;
    fleet.judge(&refused, 2).await;
    assert_eq!(fleet.settle().await, Settling::Nothing, "nothing new");
    assert_eq!(fleet.outcomes(Outcome::Warn).await, refused);
    let held = fleet.held().await;
    assert_eq!((held.len(), held[0].images, held[0].listed.len()), (1, 3, 3));
    assert_eq!(held[0].causes[0].cause, "advisories of generation 2");

    assert_eq!(fleet.approve(held[0].id + 1).await, None);
    assert_eq!(fleet.approve(held[0].id).await, Some(3));
    assert_eq!(fleet.approve(held[0].id).await, None, "once");
    fleet.work(&refused, 2).await;
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, refused);
    fleet.judge(&refused, 3).await;
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, refused, "and they stay so");
    for (kind, subject) in [(EventKind::PolicyHold, 3), (EventKind::PolicyApprove, 3)] {
        let filter = crate::EventFilter {
            kind: Some(kind),
            ..crate::EventFilter::default()
        };
        let events = fleet
            .kit
            .store
            .events(&fleet.root, &filter, None, 10)
            .await
            .unwrap();
        assert_eq!(events.items.len(), 1, "{kind:?}");
        let body = &events.items[0].body;
        assert_eq!(body["turned"].as_u64().or(body["images"].as_u64()), Some(subject));
    }
}

#[tokio::test]
async fn what_comes_while_something_is_held_is_held_too_and_approved_by_itself() {
    let fleet = Fleet::new(20).await;
    let (first, both) = (["i00", "i01", "i02"], ["i00", "i01", "i02", "i03"]);
    fleet.judge(&first, 2).await;
    assert_eq!(fleet.settled(&first, 2).await, (true, 3, 20));
    fleet.judge(&both, 3).await;
    assert_eq!(fleet.settled(&both, 3).await, (true, 1, 20));
    let held = fleet.held().await;
    assert_eq!(held.iter().map(|held| held.images).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(fleet.approve(held[1].id).await, Some(3));
    fleet.work(&both, 3).await;
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, first);
    assert_eq!(fleet.outcomes(Outcome::Warn).await, ["i03"]);
    // What is no longer to be refused is no longer held.
    fleet.judge(&first, 4).await;
    assert!(fleet.held().await.is_empty());
    assert_eq!(fleet.outcomes(Outcome::Warn).await.len(), 0);
}

#[tokio::test]
async fn many_small_changes_are_a_large_one() {
    let fleet = Fleet::new(20).await;
    fleet.judge(&["i00"], 2).await;
    assert_eq!(fleet.settled(&["i00"], 2).await, (false, 1, 20));
    fleet.judge(&["i00", "i01"], 3).await;
    assert_eq!(fleet.settled(&["i00", "i01"], 3).await, (false, 1, 20));
    let three = ["i00", "i01", "i02"];
    fleet.judge(&three, 4).await;
    assert_eq!(
        fleet.settled(&three, 4).await,
        (true, 1, 20),
        "three of twenty in a day"
    );
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, ["i00", "i01"]);
}

/// A waiver that is set, taken back and set again turns one image, however often.
#[tokio::test]
async fn an_image_that_turns_twice_a_day_counts_once() {
    let fleet = Fleet::new(20).await;
    fleet.judge(&["i00"], 2).await;
    assert_eq!(fleet.settled(&["i00"], 2).await, (false, 1, 20));
    fleet.judge(&[], 3).await;
    let two = ["i00", "i01"];
    fleet.judge(&two, 4).await;
    assert_eq!(fleet.settled(&two, 4).await, (false, 2, 20), "two of twenty");
    fleet.judge(&["i01"], 5).await;
    fleet.judge(&two, 6).await;
    assert_eq!(fleet.settled(&two, 6).await, (false, 1, 20), "and no more");
    let three = ["i00", "i01", "i02"];
    fleet.judge(&three, 7).await;
    assert_eq!(fleet.settled(&three, 7).await, (true, 1, 20));
}

#[tokio::test]
async fn a_day_later_small_changes_go_again() {
    let fleet = Fleet::new(20).await;
    fleet.judge(&["i00", "i01"], 2).await;
    assert_eq!(fleet.settled(&["i00", "i01"], 2).await, (false, 2, 20));
    fleet.kit.advance(WINDOW + Duration::from_secs(1));
    let three = ["i00", "i01", "i02"];
    fleet.judge(&three, 3).await;
    assert_eq!(fleet.settled(&three, 3).await, (false, 1, 20));
    assert_eq!(fleet.outcomes(Outcome::Refuse).await, three);
}

#[tokio::test]
async fn one_image_of_few_goes_and_two_do_not() {
    let fleet = Fleet::new(3).await;
    fleet.judge(&["i00"], 2).await;
    assert_eq!(fleet.settled(&["i00"], 2).await, (false, 1, 3));
    let fleet = Fleet::new(3).await;
    fleet.judge(&["i00", "i01"], 2).await;
    assert_eq!(fleet.settled(&["i00", "i01"], 2).await, (true, 2, 3));
    assert_eq!(fleet.held().await[0].images, 2);
    let permit = fleet.kit.delete(&fleet.ci, "team/app");
    for name in ["i00", "i01"] {
        fleet
            .kit
            .store
            .delete_manifest(&permit, &fleet.images[name])
            .await
            .unwrap();
    }
    assert!(fleet.held().await.is_empty(), "gone with their images");
}

/// Two that work on one database: what one notes the other one settles.
#[tokio::test]
async fn judgements_under_way_are_waited_for_whoever_makes_them() {
    let fleet = Fleet::new(4).await;
    let store = &fleet.kit.store;
    store
        .request_judgements(crate::Which::All, JobPriority::Backfill)
        .await
        .unwrap();
    let elsewhere = store
        .claim_job(JobKind::Judge, "another process", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let (_, digest) = elsewhere.subject.split_once('@').unwrap();
    let theirs = fleet
        .images
        .iter()
        .find(|(_, known)| known.to_string() == digest)
        .unwrap();
    let ours = fleet
        .images
        .keys()
        .find(|name| *name != theirs.0)
        .unwrap()
        .as_str();
    fleet.work(&[ours], 2).await;
    assert_eq!(fleet.settle().await, Settling::Measuring);
    let judgements = vec![(Point::Pull, judgement(Outcome::Refuse, 2))];
    let held = Some(judgement(Outcome::Warn, 2));
    let verdicts = Verdicts {
        judgements,
        held,
        seen: None,
    };
    store
        .finish_judgement(&elsewhere, &fleet.repo, theirs.1, verdicts)
        .await
        .unwrap();
    let refused = [ours, theirs.0.as_str()];
    assert_eq!(fleet.settled(&refused, 2).await, (true, 2, 4), "two together");
}
