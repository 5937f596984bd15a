//! The assessment over a real store: what counts, what a start makes of it, and what others are told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use maturity::{
    evidence::{Evidence, Observation, Source, Trust, Value},
    facts::{EntryKind, Targets},
    history::Change,
    kpi::fold::{Baseline, BaselineError},
    rule::State,
    signal::Fact,
    words::{CriterionId, Subject},
};
use road::application::{Source as By, Statement};
use serde_json::json;
use store::{
    Actor, EventKind, LogLine, ManualClock, NewMaturityModel, Store, StoreConfig, StoreLimits, Timestamp,
};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use web::{Maturing as _, Said};

use super::{
    MaturityService,
    collector::{Asked, Collected, Collector},
    entries,
    figures::{Counting, Figures, FiguresAsked},
    follow,
};

/// When everything begins.
const START: Timestamp = Timestamp(1_795_336_380_000_000);

const PATIENCE: Duration = Duration::from_secs(30);

/// A criterion of applications that `pipeline-defined` proves.
const PIPELINE: &str = "PR-REL-1";

/// Sees `pipeline-defined` of the application that an event names, `manifests-in-git` of everybody at night, and fails where asked.
#[derive(Default)]
struct Watcher {
    nights: Mutex<Vec<String>>,
}

fn seen(
    asked: Asked,
    observed_at: OffsetDateTime,
    fact: Fact,
    value: bool,
    id: &str,
) -> maturity::facts::Entry {
    let evidence = Evidence {
        subject: app(),
        fact,
        item: None,
        seen: Observation {
            id: id.parse().unwrap(),
            value: Value::Flag(value),
            observed_at,
            valid_until: None,
            source: Source {
                name: "watcher".into(),
                trust: Trust::Registry,
            },
            events: Vec::new(),
        },
    };
    entries::of(asked, EntryKind::Seen(Box::new(evidence)))
}

impl Collector for Watcher {
    fn name(&self) -> &'static str {
        "watcher"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            match event.subject.as_str() {
                "good" => Ok(vec![seen(
                    asked,
                    asked.at,
                    Fact::PipelineDefined,
                    true,
                    &format!("w/{}", event.seq),
                )]),
                "bad" => Ok(vec![seen(
                    asked,
                    asked.at,
                    Fact::PipelineDefined,
                    false,
                    &format!("w/{}", event.seq),
                )]),
                "broken" => Err(anyhow::anyhow!("nobody can read this")),
                _ => Ok(Vec::new()),
            }
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        let mut nights = self.nights.lock().unwrap_or_else(PoisonError::into_inner);
        nights.push(subject.to_string());
        let entries = if *subject == app() {
            vec![seen(
                asked,
                START.to_utc(),
                Fact::ManifestsInGit,
                true,
                "w/manifests",
            )]
        } else {
            Vec::new()
        };
        Box::pin(async move { Ok(entries) })
    }
}

struct NoFigures;

impl Figures for NoFigures {
    fn figures(&self, asked: FiguresAsked) -> Counting<'_, Vec<serde_json::Value>> {
        let of = asked.baseline.map_or(0, |baseline| baseline.apps.len());
        let sees = (asked.sees)(&app().name);
        Box::pin(async move { Ok(vec![json!({ "of": of, "sees": sees })]) })
    }

    fn freeze(
        &self,
        now: OffsetDateTime,
        end: OffsetDateTime,
        reason: String,
    ) -> Counting<'_, Result<Baseline, BaselineError>> {
        let baseline = Baseline {
            frozen_at: now,
            reason,
            source: maturity::kpi::Source::RegistryProxy,
            weeks: Vec::new(),
            apps: [
                ("shop/checkout".parse().unwrap(), vec![1]),
                ("other".parse().unwrap(), vec![2]),
            ]
            .into(),
        };
        Box::pin(async move {
            Ok(if end > now {
                Err(BaselineError::NotOver)
            } else {
                Ok(baseline)
            })
        })
    }
}

struct Kit {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Store,
    watcher: Arc<Watcher>,
    service: Arc<MaturityService>,
    following: JoinHandle<()>,
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn app() -> Subject {
    "app:shop/checkout".parse().unwrap()
}

fn criterion(id: &str) -> CriterionId {
    id.parse().unwrap()
}

async fn open(dir: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Store {
    let config = StoreConfig {
        data_dir: dir.path().to_owned(),
        touches_blobs: false,
        limits: StoreLimits::default(),
    };
    Store::open(config, Arc::clone(clock) as _).await.unwrap()
}

fn start(store: &Store, watcher: &Arc<Watcher>) -> (Arc<MaturityService>, JoinHandle<()>) {
    let collectors = vec![Arc::clone(watcher) as Arc<dyn Collector>];
    let service = MaturityService::of(store.clone(), collectors, Some(Arc::new(NoFigures)));
    let following = tokio::spawn(follow(Arc::clone(&service)));
    (service, following)
}

impl Kit {
    /// One application, `shop/checkout` of `payments`.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(START));
        let store = open(&dir, &clock).await;
        let watcher = Arc::new(Watcher::default());
        let statement = Statement {
            owner: Some("payments".parse().unwrap()),
            tier: Some(1),
            ..Statement::new("shop/checkout".parse().unwrap(), By::Declared, "test")
        };
        store
            .set_application(&Actor::operator("test"), &statement)
            .await
            .unwrap();
        let (service, following) = start(&store, &watcher);
        let kit = Self {
            dir,
            clock,
            store,
            watcher,
            service,
            following,
        };
        kit.happen("nothing").await;
        kit
    }

    /// Closes everything and starts anew.
    async fn restart(&mut self) {
        self.following.abort();
        self.store.clone().close().await.unwrap();
        self.store = open(&self.dir, &self.clock).await;
        (self.service, self.following) = start(&self.store, &self.watcher);
        self.until(|kit| kit.service.assessment().is_ok()).await;
    }

    async fn until(&self, is: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < deadline, "it does not come to it");
            self.service.asked.notify_one();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Something happens, and counts.
    async fn happen(&self, subject: &str) {
        let operator = Actor::operator("test");
        self.store
            .note_setting(&operator, subject, json!({}))
            .await
            .unwrap();
        let last = self
            .store
            .log_lines(0, 100_000)
            .await
            .unwrap()
            .last()
            .unwrap()
            .seq;
        self.until(|kit| *kit.service.counted.borrow() >= last).await;
    }

    async fn say(&self, kinds: Vec<EntryKind>) {
        let said = Said {
            kind: EventKind::EvidencePush,
            subject: "robot".to_owned(),
            about: json!({}),
            entries: kinds,
            record: None,
        };
        self.service.say(Actor::operator("test"), said).await.unwrap();
    }

    fn state(&self, id: &str) -> State {
        let assessment = self.service.assessment().unwrap();
        let assessment = assessment.read().unwrap();
        assessment.state(&app(), &criterion(id)).unwrap()
    }

    fn changes(&self) -> Vec<Change> {
        let assessment = self.service.assessment().unwrap();
        let assessment = assessment.read().unwrap();
        assessment.history().changes().to_vec()
    }

    async fn told(&self, kind: EventKind) -> Vec<LogLine> {
        let lines = self.store.log_lines(0, 100_000).await.unwrap();
        lines
            .into_iter()
            .filter(|line| line.kind == kind.name())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_counts_and_a_start_knows_the_same() {
    let mut kit = Kit::new().await;
    assert_eq!(kit.state(PIPELINE), State::Unknown);
    kit.happen("good").await;
    assert_eq!(kit.state(PIPELINE), State::Met);
    let before = kit.changes();
    let stored = kit.store.maturity_changes(0, 100_000).await.unwrap();
    let stored: Vec<Change> = stored
        .iter()
        .map(|(_, change)| entries::change(change).unwrap())
        .collect();
    assert_eq!(stored, before);
    let entries = kit.store.maturity_entries(0, 100_000).await.unwrap().len();
    kit.restart().await;
    assert_eq!(kit.state(PIPELINE), State::Met);
    assert_eq!(kit.changes(), before);
    kit.happen("nothing").await;
    assert_eq!(
        kit.store.maturity_entries(0, 100_000).await.unwrap().len(),
        entries
    );
    let placement = kit
        .service
        .assessment()
        .unwrap()
        .read()
        .unwrap()
        .facts()
        .placement(&app().name)
        .cloned();
    let placement = placement.unwrap();
    assert_eq!(
        (placement.team.unwrap().as_str(), placement.tier),
        ("payments", Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_night_asks_about_everybody_once_a_day() {
    let kit = Kit::new().await;
    kit.happen("nothing").await;
    assert_eq!(kit.told(EventKind::MaturityEvaluate).await.len(), 1);
    let asked = kit.watcher.nights.lock().unwrap().clone();
    assert_eq!(
        asked,
        [
            "app:shop/checkout",
            "org:organisation",
            "platform:default",
            "team:payments"
        ]
    );
    assert_eq!(kit.state("TE-REL-1"), State::Met);
    let entries = kit.store.maturity_entries(0, 100_000).await.unwrap().len();
    kit.clock.advance(Duration::from_hours(24));
    kit.happen("nothing").await;
    assert_eq!(kit.told(EventKind::MaturityEvaluate).await.len(), 2);
    assert_eq!(kit.watcher.nights.lock().unwrap().len(), 8);
    // What is seen again under its id is known.
    assert_eq!(
        kit.store.maturity_entries(0, 100_000).await.unwrap().len(),
        entries
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fall_is_told_and_a_collector_that_fails_holds_up_nobody() {
    let kit = Kit::new().await;
    kit.happen("good").await;
    let level = |kit: &Kit| {
        let assessment = kit.service.assessment().unwrap();
        let assessment = assessment.read().unwrap();
        let card = assessment.scorecard(&app()).unwrap();
        card.topics
            .iter()
            .find(|topic| topic.topic.to_string() == "process/release")
            .unwrap()
            .level
    };
    assert_eq!(level(&kit), Some(1));
    kit.happen("broken").await;
    kit.happen("bad").await;
    assert_eq!(kit.state(PIPELINE), State::NotMet);
    assert_eq!(level(&kit), Some(0));
    kit.happen("nothing").await;
    let falls = kit.told(EventKind::MaturityFall).await;
    let fall = falls
        .iter()
        .find(|fall| fall.body["topic"] == "process/release")
        .unwrap();
    assert_eq!(
        (fall.subject.as_str(), &fall.body["team"]),
        ("app:shop/checkout", &json!("payments"))
    );
    assert_eq!(
        (&fall.body["from"], &fall.body["to"], &fall.body["because"]),
        (&json!(1), &json!(0), &json!(PIPELINE))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_counts_before_it_is_answered_and_survives_a_move() {
    let mut kit = Kit::new().await;
    let placed = {
        let assessment = kit.service.assessment().unwrap();
        let assessment = assessment.read().unwrap();
        let mut placement = assessment.facts().placement(&app().name).unwrap().clone();
        placement.targets = Targets {
            categories: [("technology".parse().unwrap(), 3)].into(),
            ..Targets::default()
        };
        placement
    };
    kit.say(vec![EntryKind::Placed(Box::new(placed))]).await;
    let moved = Statement {
        owner: Some("checkout".parse().unwrap()),
        ..Statement::new("shop/checkout".parse().unwrap(), By::Declared, "test")
    };
    kit.store
        .set_application(&Actor::operator("test"), &moved)
        .await
        .unwrap();
    kit.happen("nothing").await;
    for _ in 0..2 {
        let assessment = kit.service.assessment().unwrap();
        let placement = assessment
            .read()
            .unwrap()
            .facts()
            .placement(&app().name)
            .cloned()
            .unwrap();
        assert_eq!(placement.team.unwrap().as_str(), "checkout");
        assert_eq!(placement.targets.categories.len(), 1);
        kit.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_counts_for_nothing() {
    let mut kit = Kit::new().await;
    let future = Asked {
        event: maturity::words::EventId(1),
        at: kit.store.now().to_utc() + time::Duration::DAY,
    };
    let entry = seen(future, future.at, Fact::PipelineDefined, true, "w/future");
    kit.say(vec![entry.kind]).await;
    assert_eq!(kit.state(PIPELINE), State::Unknown);
    kit.restart().await;
    assert_eq!(kit.state(PIPELINE), State::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_counts_when_its_time_comes() {
    let mut kit = Kit::new().await;
    let model = kit
        .service
        .model(Vec::new(), Some("cncf-platform".parse().unwrap()))
        .await
        .unwrap();
    let later = kit.store.now().plus(Duration::from_hours(1));
    let kept = NewMaturityModel {
        name: "cncf-platform".to_owned(),
        rule_version: model.rule_version().to_string(),
        documents: "[]".to_owned(),
        reason: "ours".to_owned(),
        enable_from: later,
        said: Vec::new(),
    };
    kit.service
        .apply_model(Actor::operator("test"), kept, model)
        .await
        .unwrap();
    let judges = |kit: &Kit| {
        kit.service
            .assessment()
            .unwrap()
            .read()
            .unwrap()
            .model()
            .id()
            .to_string()
    };
    assert_eq!(judges(&kit), "cnmm");
    kit.restart().await;
    assert_eq!(judges(&kit), "cnmm");
    kit.clock.advance(Duration::from_hours(2));
    kit.until(|kit| judges(kit) == "cncf-platform").await;
    kit.restart().await;
    assert_eq!(judges(&kit), "cncf-platform");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_is_kept_and_shown_as_far_as_it_is_seen() {
    let mut kit = Kit::new().await;
    let operator = || Actor::operator("test");
    let end = kit.store.now();
    let early = kit
        .service
        .freeze_baseline(operator(), end.plus(Duration::from_hours(1)), "x".to_owned());
    assert!(early.await.is_err());
    kit.service
        .freeze_baseline(operator(), end, "before the road".to_owned())
        .await
        .unwrap();
    assert_eq!(kit.told(EventKind::BaselineSet).await[0].body["applications"], 2);
    kit.restart().await;
    let mine = app().name;
    let counted = kit.service.kpis(Arc::new(move |app| *app == mine)).await.unwrap();
    assert_eq!(counted.figures, [json!({ "of": 1, "sees": true })]);
    assert_eq!(counted.baseline.unwrap().reason, "before the road");
}
