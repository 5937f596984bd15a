//! Maturity: who sees what, who may speak for whom, and what of it counts.

use std::sync::{Arc, Mutex, OnceLock, RwLock};

use maturity::assessment::Assessment;
use maturity::evidence::EvidenceLimits;
use maturity::facts::{Entry, EntryKind, Placement, Targets};
use maturity::kpi::fold::Baseline;
use maturity::model::{Library, Model};
use maturity::organisation::{self, TierWeights};
use maturity::words::{EventId, Slug};
use serde_json::{Value, json};
use store::{Actor, MaturityWords, NewMaturityModel, Store, Timestamp};
use web::{Counted, Maturing, Maturity, MaturityError, ModelDocument, Said, SeesApp};

use super::world::{Who, World};

mod agreed;

/// A criterion of applications that robots prove with `pipeline-defined`.
const PIPELINE: &str = "PR-REL-1";

/// A criterion of applications for which a service owner vouches and a second person confirms.
const VOUCHED: &str = "TE-ARC-2";

/// Keeps an assessment in memory: what is said counts at once.
#[derive(Default)]
struct Keeper {
    assessment: OnceLock<Arc<RwLock<Assessment>>>,
    store: OnceLock<Store>,
    /// What the audit log was told.
    said: Mutex<Vec<Said>>,
}

impl Keeper {
    fn count(&self, kinds: Vec<EntryKind>) -> EventId {
        let store = self.store.get().unwrap();
        let mut assessment = self.assessment.get().unwrap().write().unwrap();
        let event = EventId(assessment.history().changes().len() as u64 + 1);
        for kind in kinds {
            let at = store.now().to_utc();
            let applied = assessment.apply(Entry { event, at, kind });
            assert_eq!(applied.refusal, None);
        }
        event
    }

    async fn say_it(&self, actor: Actor, said: Said) -> Result<EventId, MaturityError> {
        let words = MaturityWords {
            kind: said.kind,
            subject: said.subject.clone(),
            about: said.about.clone(),
            said: Vec::new(),
            record: said.record.clone(),
        };
        self.store.get().unwrap().say_maturity(&actor, words).await?;
        self.said.lock().unwrap().push(said.clone());
        Ok(self.count(said.entries))
    }
}

impl Maturing for Keeper {
    fn assessment(&self) -> Result<Arc<RwLock<Assessment>>, MaturityError> {
        let assessment = self.assessment.get().cloned();
        assessment.ok_or_else(|| MaturityError::NotYet("it is being read".to_owned()))
    }

    fn model(&self, documents: Vec<ModelDocument>, id: Option<Slug>) -> Maturity<'_, Model> {
        Box::pin(async move {
            let mut library = Library::shipped().unwrap();
            let unreadable =
                |error: maturity::model::ModelErrors| MaturityError::Model(vec![error.to_string()]);
            let mut last = None;
            for document in documents {
                last = Some(library.add(&document.file, &document.text).map_err(unreadable)?);
            }
            library.model(&id.or(last).unwrap()).map_err(unreadable)
        })
    }

    fn kpis(&self, sees: SeesApp) -> Maturity<'_, Counted> {
        let told = ["shop", "hidden"].map(|app| sees(&app.parse().unwrap()));
        Box::pin(async move {
            Ok(Counted {
                figures: vec![json!(told)],
                baseline: None,
            })
        })
    }

    fn freeze_baseline(&self, _: Actor, end: Timestamp, reason: String) -> Maturity<'_, Baseline> {
        let baseline = Baseline {
            frozen_at: end.to_utc(),
            reason,
            source: maturity::kpi::Source::RegistryProxy,
            weeks: Vec::new(),
            apps: [("hidden".parse().unwrap(), vec![1])].into(),
        };
        Box::pin(async move { Ok(baseline) })
    }

    fn say(&self, actor: Actor, said: Said) -> Maturity<'_, EventId> {
        Box::pin(self.say_it(actor, said))
    }

    fn apply_model(&self, actor: Actor, kept: NewMaturityModel, model: Model) -> Maturity<'_, EventId> {
        Box::pin(async move {
            self.store.get().unwrap().add_maturity_model(&actor, kept).await?;
            Ok(self.count(vec![EntryKind::Judged(Box::new(model))]))
        })
    }
}

/// `shop` of `team-shop` stands on `team/**`, `hidden` of `team-hidden` on `other/**`.
async fn world() -> (World, Arc<Keeper>) {
    let keeper = Arc::new(Keeper::default());
    let world = World::assessed_by(Arc::clone(&keeper) as _).await;
    let model = Arc::new(Model::cnmm().unwrap());
    let assessment = Assessment::new(model, EvidenceLimits::default());
    assert!(keeper.assessment.set(Arc::new(RwLock::new(assessment))).is_ok());
    assert!(keeper.store.set(world.store.clone()).is_ok());
    for (name, pattern) in [("shop", "team/**"), ("hidden", "other/**")] {
        let body =
            json!({ "name": name, "repositories": [pattern], "owner": format!("team-{name}"), "tier": 1 });
        world
            .ask(Who::Administrator, "PUT", "/applications", Some(&body))
            .await
            .expect(200);
        keeper.count(vec![EntryKind::Placed(Box::new(Placement {
            app: name.parse().unwrap(),
            team: Some(format!("team-{name}").parse().unwrap()),
            platform: None,
            tier: Some(1),
            targets: Targets::default(),
        }))]);
    }
    (world, keeper)
}

async fn get(world: &World, who: Who, path: &str) -> Value {
    world.ask(who, "GET", path, None).await.expect(200).json()
}

fn fact(subject: &str, fact: &str, at: &str) -> Value {
    json!({ "evidence": [{ "subject": subject, "fact": fact, "value": true, "observed_at": at }] })
}

fn now(world: &World) -> String {
    world.store.now().to_rfc3339()
}

async fn state_of(world: &World, criterion: &str) -> Value {
    let path = format!("/maturity/why?subject=app:shop&criterion={criterion}");
    get(world, Who::Puller, &path).await["state"].clone()
}

#[tokio::test]
async fn whoever_sees_none_of_an_application_is_told_nothing_of_it() {
    let (world, _) = world().await;
    for path in [
        "/maturity/scorecard?subject=app:hidden",
        "/maturity/scorecard?subject=app:ghost",
        "/maturity/scorecard?subject=team:team-hidden",
        "/maturity/team?name=team-hidden",
        "/maturity/next?subject=app:hidden",
        "/maturity/history?subject=app:hidden",
        "/maturity/why?subject=app:hidden&criterion=PR-REL-1",
    ] {
        world.ask(Who::Puller, "GET", path, None).await.expect(404);
    }
    let card = get(&world, Who::Puller, "/maturity/scorecard?subject=app:shop").await;
    assert_eq!(card["scorecard"]["team"], "team-shop");
    let of_all = |group: &Value| group["apps"]["apps"].as_u64().unwrap();
    let organisation = "/maturity/organisation";
    assert_eq!(of_all(&get(&world, Who::Administrator, organisation).await), 2);
    assert_eq!(of_all(&get(&world, Who::Puller, organisation).await), 1);
    assert_eq!(of_all(&get(&world, Who::Nobody, organisation).await), 0);
    let teams = get(&world, Who::Puller, "/maturity/heat-map").await["teams"].clone();
    assert_eq!(
        (teams.as_array().unwrap().len(), &teams[0]["team"]),
        (1, &json!("team-shop"))
    );
    let inbox = get(&world, Who::Nobody, "/maturity/inbox").await;
    let items = inbox["items"].as_array().unwrap();
    assert!(
        !items.is_empty()
            && items
                .iter()
                .all(|item| item["subject"] == "org:organisation" || item["subject"] == "platform:default")
    );
}

#[tokio::test]
async fn what_an_administrator_is_told_of_the_organisation_is_what_the_model_says() {
    let (world, keeper) = world().await;
    let assessment = keeper.assessment.get().unwrap();
    let weights = TierWeights::default();
    let wanted = organisation::whole(&assessment.read().unwrap(), &weights);
    let told = get(&world, Who::Administrator, "/maturity/organisation").await;
    assert_eq!(told, serde_json::to_value(wanted).unwrap());
    let wanted = organisation::heat_map(&assessment.read().unwrap(), &weights);
    let told = get(&world, Who::Administrator, "/maturity/heat-map").await;
    assert_eq!(told["teams"], serde_json::to_value(wanted).unwrap());
}

#[tokio::test]
async fn who_may_push_to_all_of_its_repositories_speaks_for_an_application() {
    let (world, keeper) = world().await;
    let at = now(&world);
    assert_eq!(state_of(&world, PIPELINE).await, "unknown");
    let push = fact("app:shop", "pipeline-defined", &at);
    world
        .ask(Who::Puller, "POST", "/evidence", Some(&push))
        .await
        .expect(403);
    let told = world
        .ask(Who::Robot, "POST", "/evidence", Some(&push))
        .await
        .expect(200)
        .json();
    assert_eq!(told["entries"], 1);
    assert_eq!(state_of(&world, PIPELINE).await, "met");
    let why = get(
        &world,
        Who::Puller,
        "/maturity/why?subject=app:shop&criterion=PR-REL-1",
    )
    .await;
    assert!(
        why["checks"][0]["evidence"][0]
            .as_str()
            .unwrap()
            .starts_with("robot/"),
        "{why}"
    );
    let said = keeper.said.lock().unwrap().clone();
    assert_eq!((said.len(), said[0].subject.as_str()), (1, "robot"));
    assert_eq!(said[0].about["subjects"], json!(["app:shop"]));
}

#[tokio::test]
async fn who_holds_all_of_a_teams_applications_speaks_for_the_team_and_for_nothing_larger() {
    let (world, _) = world().await;
    let at = now(&world);
    let (book, caller) = ("team:team-shop", Who::Robot);
    let refused = world
        .ask(
            caller,
            "POST",
            "/evidence",
            Some(&fact(book, "pipeline-defined", &at)),
        )
        .await
        .expect(400)
        .json();
    assert!(
        refused["errors"][0]
            .as_str()
            .unwrap()
            .contains("known of the app"),
        "{refused}"
    );
    for subject in [
        "app:hidden",
        "team:team-hidden",
        "org:organisation",
        "platform:default",
    ] {
        let push = fact(subject, "pipeline-defined", &at);
        let refused = world
            .ask(Who::Robot, "POST", "/evidence", Some(&push))
            .await
            .expect(403)
            .json();
        assert!(
            refused["errors"][0]
                .as_str()
                .unwrap()
                .contains("may not speak for"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_push_counts_as_a_whole_or_not_at_all() {
    let (world, keeper) = world().await;
    let at = now(&world);
    let mut push = fact("app:shop", "pipeline-defined", &at);
    let entries = push["evidence"].as_array_mut().unwrap();
    entries
        .push(json!({ "subject": "app:shop", "fact": "pipelin-defined", "value": true, "observed_at": at }));
    entries.push(json!({ "subject": "app:shop", "fact": "image-signed", "value": true, "observed_at": at }));
    entries.push(json!({ "subject": "app:shop", "fact": "gitops-managed", "value": true, "observed_at": "2126-01-01T00:00:00Z" }));
    let refused = world
        .ask(Who::Robot, "POST", "/evidence", Some(&push))
        .await
        .expect(400)
        .json();
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3);
    for (error, part) in errors.iter().zip([
        "did you mean `pipeline-defined`",
        "the registry itself",
        "in the future",
    ]) {
        assert!(error.as_str().unwrap().contains(part), "{error}");
    }
    assert_eq!(state_of(&world, PIPELINE).await, "unknown");
    world
        .ask(Who::Robot, "POST", "/evidence", Some(&json!({ "evidence": [] })))
        .await
        .expect(400);
    world
        .ask(Who::Robot, "POST", "/evidence", Some(&json!({ "facts": [] })))
        .await
        .expect(400);
    let many: Vec<Value> = (0..1_001)
        .map(|number| json!({ "subject": "app:shop", "fact": "chaos-run", "item": format!("i{number}"), "value": true, "observed_at": at }))
        .collect();
    let refused = world
        .ask(
            Who::Robot,
            "POST",
            "/evidence",
            Some(&json!({ "evidence": many })),
        )
        .await
        .expect(400);
    assert!(
        refused.text().contains("at most 1000 are read"),
        "{}",
        refused.text()
    );
    assert!(keeper.said.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_second_person_in_the_role_confirms_what_somebody_vouches_for() {
    let (world, _) = world().await;
    let new = json!({ "subject": "app:shop", "criterion": VOUCHED, "link": "https://wiki.example/slo" });
    let path = "/maturity/attestations";
    world.ask(Who::Pusher, "POST", path, Some(&new)).await.expect(403);
    world.ask(Who::Nobody, "POST", path, Some(&new)).await.expect(404);
    let kept = world
        .ask(Who::Owner, "POST", path, Some(&new))
        .await
        .expect(200)
        .json();
    let id = kept["attestation"]["id"].as_str().unwrap().to_owned();
    assert_ne!(state_of(&world, VOUCHED).await, "met");
    let inbox = get(&world, Who::Owner, "/maturity/inbox?mine=true").await;
    let waits = |item: &Value| item["attestation"] == id.as_str() && item["kind"] == "unconfirmed";
    assert!(inbox["items"].as_array().unwrap().iter().any(waits), "{inbox}");
    let confirm = format!("{path}/{id}/confirm");
    world
        .ask(Who::Owner, "POST", &confirm, Some(&json!({})))
        .await
        .expect(403);
    world
        .ask(Who::Pusher, "POST", &confirm, Some(&json!({})))
        .await
        .expect(403);
    world
        .ask(Who::Nobody, "POST", &confirm, Some(&json!({})))
        .await
        .expect(404);
    let role = json!({ "holders": ["pusher"] });
    world
        .ask(
            Who::Administrator,
            "PUT",
            "/maturity/roles/service-owner",
            Some(&role),
        )
        .await
        .expect(200);
    let confirmed = world
        .ask(Who::Pusher, "POST", &confirm, Some(&json!({})))
        .await
        .expect(200)
        .json();
    assert_eq!(confirmed["confirmed"]["by"], "pusher");
    assert_eq!(state_of(&world, VOUCHED).await, "met");
    world
        .ask(Who::Administrator, "POST", &confirm, Some(&json!({})))
        .await
        .expect(409);
    let listed = get(&world, Who::Puller, &format!("{path}?subject=app:shop")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert!(
        get(&world, Who::Nobody, path).await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_vouched_for_ends_by_its_day_by_revocation_and_goes_on_by_renewal() {
    let (world, _) = world().await;
    let path = "/maturity/attestations";
    let new = |from: &str, until: &str| json!({ "subject": "app:shop", "criterion": VOUCHED, "link": "https://wiki.example/slo", "from": from, "until": until });
    let at = now(&world);
    for (from, until) in [
        (at.as_str(), "2020-01-01T00:00:00Z"),
        (at.as_str(), "2126-01-01T00:00:00Z"),
        ("2100-01-01T00:00:00Z", "2100-02-01T00:00:00Z"),
    ] {
        world
            .ask(Who::Owner, "POST", path, Some(&new(from, until)))
            .await
            .expect(400);
    }
    let linkless = json!({ "subject": "app:shop", "criterion": VOUCHED, "link": "seen it" });
    world
        .ask(Who::Owner, "POST", path, Some(&linkless))
        .await
        .expect(400);
    let proven = json!({ "subject": "app:shop", "criterion": PIPELINE, "link": "https://x.example" });
    world
        .ask(Who::Owner, "POST", path, Some(&proven))
        .await
        .expect(400);
    let plain = json!({ "subject": "app:shop", "criterion": VOUCHED, "link": "https://wiki.example/slo" });
    let first = world
        .ask(Who::Owner, "POST", path, Some(&plain))
        .await
        .expect(200)
        .json();
    let id = first["attestation"]["id"].as_str().unwrap().to_owned();
    let renewal = json!({ "link": "https://wiki.example/slo2" });
    let renewed = world
        .ask(
            Who::Administrator,
            "POST",
            &format!("{path}/{id}/renew"),
            Some(&renewal),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(renewed["attestation"]["renews"], id.as_str());
    let revoke = format!("{path}/{id}/revoke");
    let why = json!({ "reason": "moved" });
    world
        .ask(Who::Owner, "POST", &revoke, Some(&json!({ "reason": " " })))
        .await
        .expect(400);
    world
        .ask(Who::Pusher, "POST", &revoke, Some(&why))
        .await
        .expect(403);
    let revoked = world
        .ask(Who::Owner, "POST", &revoke, Some(&why))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&revoked["revoked"]["by"], &revoked["revoked"]["reason"]),
        (&json!("owner"), &json!("moved"))
    );
    world
        .ask(Who::Owner, "POST", &format!("{path}/ghost/revoke"), Some(&why))
        .await
        .expect(404);
}
