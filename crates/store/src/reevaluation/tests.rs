//! What an import touches is durable until it was asked for, and what is right by it is said once for all.

use std::time::Duration;

use oci::{Digest, RepoName};

use super::*;
use crate::decision::{Finished, Judgement, Outcome, Point, Reasons};
use crate::testing::Kit;
use crate::{AdvisoryDocument, AdvisoryRow, EventFilter, Importer};

const LEASE: Duration = Duration::from_mins(1);

fn judgement(body: &str, generation: u64) -> Judgement {
    Judgement {
        outcome: Outcome::Warn,
        line: body.to_owned(),
        body: Reasons::of(body.to_owned()),
        policy: "sha256:policy".to_owned(),
        evidence: "facts".to_owned(),
        generation,
        review_at: None,
        waives: false,
    }
}

/// Images of one repository.
struct Fleet {
    kit: Kit,
    repo: RepoName,
    images: Vec<Digest>,
}

impl Fleet {
    async fn new(size: usize) -> Self {
        let kit = Kit::new().await;
        let ci = kit.all("ci").await;
        let mut images = Vec::new();
        for number in 0..size {
            let name = format!("i{number}");
            images.push(kit.push_image(&ci, "team/app", &name, &[&name]).await);
        }
        let repo = "team/app".parse().unwrap();
        Self { kit, repo, images }
    }

    fn subject(&self, number: usize) -> String {
        format!("{}@{}", self.repo, self.images[number])
    }

    /// Does all jobs; answers how many images were judged.
    async fn judge(&self, body: &str, generation: u64) -> usize {
        let mut judged = 0;
        loop {
            let claimed = self.kit.store.claim_jobs(JobKind::Judge, "w", LEASE, 10);
            let jobs = claimed.await.unwrap();
            if jobs.is_empty() {
                return judged;
            }
            judged += jobs.len();
            let finished = jobs.into_iter().map(|job| {
                let (_, digest) = job.subject.split_once('@').unwrap();
                Finished {
                    digest: digest.parse().unwrap(),
                    repo: self.repo.clone(),
                    verdicts: vec![(Point::Pull, judgement(body, generation))].into(),
                    job,
                }
            });
            self.kit
                .store
                .finish_judgements(finished.collect())
                .await
                .unwrap();
        }
    }

    async fn decision(&self, number: usize) -> (String, u64, u64) {
        let store = &self.kit.store;
        let found = store
            .decision_with_text(&self.repo, &self.images[number], Point::Pull)
            .await;
        let (found, text) = found.unwrap().unwrap();
        let by = store
            .confirmed_by(&self.subject(number), found.generation)
            .await
            .unwrap();
        (text.to_string(), found.generation, by)
    }

    async fn events(&self, kind: EventKind) -> Vec<crate::Event> {
        let root = self.kit.administrator("root").await;
        let filter = EventFilter {
            kind: Some(kind),
            ..EventFilter::default()
        };
        self.kit
            .store
            .events(&root, &filter, None, 100)
            .await
            .unwrap()
            .items
    }
}

fn row(id: &str, state: &str) -> AdvisoryRow {
    AdvisoryRow {
        id: id.to_owned(),
        modified: state.to_owned(),
        body: state.as_bytes().to_vec(),
    }
}

async fn import(kit: &Kit, rows: &[AdvisoryRow], documents: Vec<AdvisoryDocument>) -> u64 {
    let import = kit.store.begin_import().await.unwrap();
    kit.store.import_advisories(&import, rows).await.unwrap();
    let actor = Kit::operator();
    let finished = kit
        .store
        .finish_import(import, "test", json!({}), documents, &actor);
    finished.await.unwrap()
}

fn confirmation(generation: u64) -> Confirmed {
    Confirmed {
        generation,
        ..Confirmed::default()
    }
}

#[tokio::test]
async fn what_changed_between_generations_is_told_with_what_it_was() {
    let kit = Kit::new().await;
    import(&kit, &[row("A-1", "one"), row("B-1", "one")], Vec::new()).await;
    import(&kit, &[row("A-1", "two")], Vec::new()).await;
    import(&kit, &[row("A-1", "three"), row("C-1", "three")], Vec::new()).await;
    let changed = |since, after: &'static str| {
        let store = kit.store.clone();
        async move {
            let rows = store.changed_advisories((since, 3), after, 10).await.unwrap();
            let short = |row: ChangedAdvisory| {
                (
                    row.after.id,
                    row.before.map(|row| row.modified),
                    row.after.modified,
                )
            };
            rows.into_iter().map(short).collect::<Vec<_>>()
        }
    };
    let line = |id: &str, before: Option<&str>, after: &str| {
        (id.to_owned(), before.map(str::to_owned), after.to_owned())
    };
    // Two imports between look like one.
    let both = [line("A-1", Some("one"), "three"), line("C-1", None, "three")];
    assert_eq!(changed(1, "").await, both);
    assert_eq!(changed(1, "A-1").await, both[1..]);
    assert!(changed(3, "").await.is_empty());
    assert_eq!(kit.store.count_changed(1, 3).await.unwrap(), 2);
    let then = kit.store.advisories_as_of(2, &["A-1", "C-1"]).await.unwrap();
    assert_eq!(then, [row("A-1", "two")]);
}

fn kev(cves: &[&str]) -> AdvisoryDocument {
    let entries: Vec<_> = cves
        .iter()
        .map(|cve| json!({ "cveID": cve, "dateAdded": "2026-01-01" }))
        .collect();
    AdvisoryDocument {
        kind: "kev".to_owned(),
        name: "kev".to_owned(),
        body: json!({ "catalogVersion": "1", "vulnerabilities": entries })
            .to_string()
            .into_bytes(),
    }
}

fn epss(lines: &str) -> AdvisoryDocument {
    AdvisoryDocument {
        kind: "epss".to_owned(),
        name: "epss".to_owned(),
        body: lines.as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn what_catalogues_change_is_kept_until_it_was_asked_for() {
    let mut kit = Kit::new().await;
    import(
        &kit,
        &[],
        vec![kev(&["CVE-2026-1000"]), epss("CVE-2026-1000,0.01,0.1\n")],
    )
    .await;
    kit.store.confirm_generation(confirmation(1)).await.unwrap();
    assert_eq!(kit.store.touches(0).await.unwrap(), Touches::default());
    import(&kit, &[], vec![kev(&["CVE-2026-1000", "CVE-2026-2000"])]).await;
    import(
        &kit,
        &[],
        vec![epss("CVE-2026-1000,0.02,0.1\nCVE-2026-3000,0.7,0.9\n")],
    )
    .await;
    // Whoever is killed in between finds it again.
    kit.restart().await;
    let touches = kit.store.touches(1).await.unwrap();
    let names = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(&touches.catalogues.kev), ["CVE-2026-2000"]);
    assert_eq!(
        names(&touches.catalogues.epss),
        ["CVE-2026-1000", "CVE-2026-3000"]
    );
    assert_eq!(names(&touches.catalogues.epss_severity), ["CVE-2026-3000"]);
    assert!(!touches.everything);
    let vex = AdvisoryDocument {
        kind: "vex".to_owned(),
        name: "vendor.json".to_owned(),
        body: b"{}".to_vec(),
    };
    import(&kit, &[], vec![vex]).await;
    assert!(kit.store.touches(1).await.unwrap().everything);
    kit.store.confirm_generation(confirmation(4)).await.unwrap();
    assert_eq!(kit.store.touches(1).await.unwrap(), Touches::default());
}

#[tokio::test]
async fn images_that_are_not_touched_are_right_by_a_number_and_have_no_row_written() {
    let fleet = Fleet::new(3).await;
    let store = &fleet.kit.store;
    import(&fleet.kit, &[row("A-1", "one")], Vec::new()).await;
    assert_eq!(fleet.judge("old", 1).await, 3);
    store.confirm_generation(confirmation(1)).await.unwrap();
    import(&fleet.kit, &[row("A-1", "two")], Vec::new()).await;
    // One image is touched; until it is judged its old decision is in force, and is only right by the old generation.
    store.request_judgements_of(&[fleet.subject(1)], 2).await.unwrap();
    store.confirm_generation(confirmation(2)).await.unwrap();
    assert_eq!(fleet.decision(0).await, ("old".to_owned(), 1, 2));
    assert_eq!(fleet.decision(1).await, ("old".to_owned(), 1, 1));
    assert_eq!(fleet.judge("new", 2).await, 1);
    assert_eq!(fleet.decision(0).await, ("old".to_owned(), 1, 2));
    assert_eq!(fleet.decision(1).await, ("new".to_owned(), 2, 2));
    // What comes to the same is not written either.
    import(&fleet.kit, &[row("A-1", "three")], Vec::new()).await;
    store.request_judgements_of(&[fleet.subject(1)], 3).await.unwrap();
    store.confirm_generation(confirmation(3)).await.unwrap();
    assert_eq!(fleet.judge("new", 3).await, 1);
    assert_eq!(fleet.decision(1).await, ("new".to_owned(), 2, 3));
    assert_eq!(fleet.events(EventKind::Decide).await.len(), 4);
}

#[tokio::test]
async fn what_was_judged_by_the_old_while_the_new_was_asked_for_is_judged_again() {
    let fleet = Fleet::new(2).await;
    let store = &fleet.kit.store;
    import(&fleet.kit, &[row("A-1", "one")], Vec::new()).await;
    let claimed = store.claim_jobs(JobKind::Judge, "slow", LEASE, 10).await.unwrap();
    assert_eq!(claimed.len(), 1, "pushes are judged one by one");
    store.confirm_generation(confirmation(1)).await.unwrap();
    let digest = claimed[0].subject.split_once('@').unwrap().1.parse().unwrap();
    let verdicts = vec![(Point::Pull, judgement("late", 0))].into();
    let finished = store.finish_judgement(&claimed[0], &fleet.repo, &digest, verdicts);
    finished.await.unwrap();
    // It stands until then.
    let found = store
        .decision_with_text(&fleet.repo, &digest, Point::Pull)
        .await
        .unwrap();
    assert_eq!(&*found.unwrap().1, "late");
    assert_eq!(fleet.judge("new", 1).await, 2);
    assert_eq!(fleet.judge("new", 1).await, 0);
    let found = store
        .decision_with_text(&fleet.repo, &digest, Point::Pull)
        .await
        .unwrap();
    assert_eq!(&*found.unwrap().1, "new");
}

#[tokio::test]
async fn jobs_of_a_batch_that_were_lost_or_asked_for_again_are_not_taken_off() {
    let fleet = Fleet::new(3).await;
    let store = &fleet.kit.store;
    assert_eq!(fleet.judge("first", 0).await, 3);
    assert_eq!(store.request_all_judgements(5).await.unwrap(), 3);
    let jobs = store.claim_jobs(JobKind::Judge, "w", LEASE, 10).await.unwrap();
    assert_eq!(jobs.len(), 3);
    assert!(store.renew_jobs(&jobs[0], LEASE).await.unwrap());
    // One is asked for once more meanwhile, one is given back.
    let again = [jobs[0].subject.clone()];
    store.request_judgements_of(&again, 6).await.unwrap();
    store
        .give_back_claimed(std::slice::from_ref(&jobs[1]))
        .await
        .unwrap();
    let finished = jobs.into_iter().map(|job| Finished {
        digest: job.subject.split_once('@').unwrap().1.parse().unwrap(),
        repo: fleet.repo.clone(),
        verdicts: vec![(Point::Pull, judgement("second", 5))].into(),
        job,
    });
    store.finish_judgements(finished.collect()).await.unwrap();
    assert_eq!(store.job_counts(JobKind::Judge).await.unwrap().waiting, 2);
    assert_eq!(fleet.events(EventKind::Decide).await.len(), 5);
    assert_eq!(fleet.judge("second", 6).await, 2);
}

#[tokio::test]
async fn a_generation_is_confirmed_and_told_of_once() {
    let fleet = Fleet::new(1).await;
    let news = AdvisoryNews {
        kind: EventKind::AdvisoryAffects,
        vulnerability: "CVE-2026-1".to_owned(),
        body: json!({ "images": 1 }),
    };
    let confirmed = Confirmed {
        generation: 4,
        news: vec![news],
        ..Confirmed::default()
    };
    for _ in 0..2 {
        fleet
            .kit
            .store
            .confirm_generation(confirmed.clone())
            .await
            .unwrap();
    }
    fleet.kit.store.confirm_generation(confirmation(3)).await.unwrap();
    assert_eq!(fleet.kit.store.reevaluation().await.unwrap().confirmed, 4);
    let told = fleet.events(EventKind::AdvisoryAffects).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].subject, "CVE-2026-1");
}

#[tokio::test]
async fn what_is_about_all_images_is_counted_with_the_change() {
    let mut fleet = Fleet::new(1).await;
    let asked = |kit: &Kit| {
        let store = kit.store.clone();
        async move { store.reevaluation().await.unwrap() }
    };
    assert_eq!(asked(&fleet.kit).await, Reevaluation::default());
    let store = &fleet.kit.store;
    store
        .set_policy("version: 1", "sha256:x", &Kit::operator())
        .await
        .unwrap();
    fleet.kit.restart().await;
    let known = asked(&fleet.kit).await;
    assert_eq!((known.asked, known.answered), (1, 0));
    fleet.kit.store.answer_asked(1).await.unwrap();
    fleet.kit.store.answer_asked(0).await.unwrap();
    assert_eq!(asked(&fleet.kit).await.answered, 1);
}

#[tokio::test]
async fn a_real_catalogue_that_is_imported_is_compared_with_the_one_before() {
    let kit = Kit::new().await;
    for cves in [&["CVE-2026-1000"][..], &["CVE-2026-1000", "CVE-2026-2000"]] {
        let mut importer = Importer::begin(&kit.store).await.unwrap();
        let document = kev(cves);
        importer.add("kev.json", &document.body).await.unwrap();
        importer.finish("test", &Kit::operator()).await.unwrap();
    }
    let touches = kit.store.touches(1).await.unwrap();
    assert_eq!(
        touches.catalogues.kev.iter().collect::<Vec<_>>(),
        ["CVE-2026-2000"]
    );
}
