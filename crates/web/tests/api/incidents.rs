//! Incidents: how many are asked about at a time, and what a list tells of those that somebody may not see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use road::incident::{Coverage, Deadlines, Incident, Opening};
use road::names::IncidentId;
use serde_json::{Value, json};
use store::{Actor, IncidentAppend, Timestamp};
use tokio::sync::Semaphore;
use web::{Following, IncidentChange, IncidentOpening, Incidents, IncidentsError, MayPull, Sight};

use super::world::{Who, World};

/// Keeps incidents in memory, and answers once it may.
struct Keeper {
    may: Semaphore,
    kept: Mutex<BTreeMap<IncidentId, Arc<Incident>>>,
}

impl Keeper {
    fn with(answers: usize) -> Arc<Self> {
        Arc::new(Self {
            may: Semaphore::new(answers),
            kept: Mutex::default(),
        })
    }

    /// An incident about the tag `prod` of a repository.
    async fn open(&self, world: &World, id: &str, repository: &str) {
        let line = json!({
            "line": { "repository": repository, "reference": "prod" }, "digest": format!("sha256:{}", "0".repeat(64)),
            "affected_by": ["CVE-1"], "cohort": "own-road", "owner": null,
        });
        let vulnerability = json!({ "id": "CVE-1", "severity": "high", "fixed_in": [] });
        let opening = Opening {
            id: id.parse().unwrap(),
            title: id.to_owned(),
            vulnerabilities: vec![serde_json::from_value(vulnerability).unwrap()],
            deadlines: Deadlines::default(),
            coverage: Coverage::default(),
            affected: vec![serde_json::from_value(line).unwrap()],
            targets: Vec::new(),
        };
        let now = i128::from(world.store.now().micros()) * 1_000;
        let now = time::OffsetDateTime::from_unix_timestamp_nanos(now).unwrap();
        let (incident, events) = Incident::open(opening, "test", now).unwrap();
        let append = IncidentAppend {
            id: incident.id().clone(),
            after: 0,
            events,
            settled_at: None,
        };
        let operator = Actor::operator("test");
        world.store.open_incident(&operator, append).await.unwrap();
        let mut kept = self.kept.lock().unwrap();
        kept.insert(incident.id().clone(), Arc::new(incident));
    }
}

impl Incidents for Keeper {
    fn open(&self, _: Actor, _: IncidentOpening) -> Following<'_, Arc<Incident>> {
        Box::pin(async move {
            self.may.acquire().await.unwrap().forget();
            Err(IncidentsError::Conflict("no".to_owned()))
        })
    }

    fn at(
        &self,
        id: IncidentId,
        _: Option<Timestamp>,
        sight: Option<Sight>,
    ) -> Following<'_, Option<Arc<Incident>>> {
        Box::pin(async move {
            self.may.acquire().await.unwrap().forget();
            let found = self.kept.lock().unwrap().get(&id).cloned();
            Ok(found.map(|incident| match sight {
                None => incident,
                Some(sight) => {
                    let incident = Incident::clone(&incident);
                    Arc::new(incident.only(|repo| (sight.may_pull)(repo), sight.coverage))
                }
            }))
        })
    }

    fn sight(&self, may_pull: MayPull) -> Following<'_, Sight> {
        Box::pin(async move {
            Ok(Sight {
                may_pull,
                coverage: Coverage::default(),
            })
        })
    }

    fn change(&self, _: Actor, _: IncidentId, _: IncidentChange) -> Following<'_, Arc<Incident>> {
        Box::pin(async move {
            self.may.acquire().await.unwrap().forget();
            Err(IncidentsError::Conflict("no".to_owned()))
        })
    }
}

async fn list(world: &World, who: Who, query: &str) -> (Vec<String>, Option<String>) {
    let answer = world.ask(who, "GET", &format!("/incidents?{query}"), None).await;
    let page = answer.expect(200).json();
    let items = page["items"].as_array().unwrap().iter();
    let ids = items.map(|item| item["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["next"].as_str().map(str::to_owned))
}

/// Whether there is an incident of some name is nobody's to know who sees nothing of it.
#[tokio::test]
async fn a_cursor_tells_nothing_of_what_is_hidden() {
    let keeper = Keeper::with(1_000);
    let world = World::kept_by(Arc::clone(&keeper) as Arc<dyn Incidents>).await;
    for (id, repository) in [
        ("oldest", "team/app"),
        ("hidden", "secret/app"),
        ("newest", "team/app"),
    ] {
        keeper.open(&world, id, repository).await;
        world.later(60);
    }
    let (first, next) = list(&world, Who::Puller, "limit=1").await;
    assert_eq!(first, ["newest"]);
    let next = next.unwrap();
    assert!(next.bytes().all(|byte| byte.is_ascii_digit()), "{next}");
    let (second, next) = list(&world, Who::Puller, &format!("limit=1&after={next}")).await;
    assert_eq!((second, next), (vec!["oldest".to_owned()], None));
    let (all, _) = list(&world, Who::Administrator, "").await;
    assert_eq!(all, ["newest", "hidden", "oldest"]);
    // A name is no cursor, whether or not there is such an incident.
    let ask = |cursor: &'static str| world.ask(Who::Puller, "GET", cursor, None);
    let mut answers = Vec::new();
    for cursor in [
        "/incidents?after=hidden",
        "/incidents?after=nothing",
        "/incidents?after=oldest",
    ] {
        answers.push(ask(cursor).await.expect(400).text());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // A new one comes in front, and a page that is read goes on where it was.
    keeper.open(&world, "later", "team/app").await;
    let (rest, _) = list(&world, Who::Puller, "after=1").await;
    assert_eq!(rest, ["oldest"]);
    for beyond in ["after=0", "after=-7"] {
        assert_eq!(list(&world, Who::Puller, beyond).await.0, Vec::<String>::new());
    }
    assert_eq!(list(&world, Who::Puller, "after=999").await.0.len(), 3);
}

/// Half a million lines are gone through for each of them: one caller must not hold all places, and no route is without.
#[tokio::test]
async fn every_route_about_incidents_takes_a_place_among_the_questions() {
    let keeper = Keeper::with(0);
    let world = World::kept_by(Arc::clone(&keeper) as Arc<dyn Incidents>).await;
    keeper.open(&world, "i", "team/app").await;
    let soon = "2026-12-01T00:00:00Z";
    let relief = json!({ "lines": ["team/app:prod"], "until": soon, "reason": "x" });
    let end = json!({ "lines": ["team/app:prod"], "reason": "x" });
    let cves = json!({ "vulnerabilities": ["CVE-1"] });
    let routes: Vec<(&str, &str, Option<Value>)> = vec![
        ("GET", "/incidents", None),
        ("GET", "/incidents/i", None),
        ("GET", "/incidents/i/lines", None),
        ("GET", "/incidents/i/report", None),
        ("POST", "/incidents", Some(cves.clone())),
        ("POST", "/incidents/i/vulnerabilities", Some(cves)),
        ("POST", "/incidents/i/mitigations", Some(relief.clone())),
        ("POST", "/incidents/i/mitigations/end", Some(end.clone())),
        ("POST", "/incidents/i/waivers", Some(relief)),
        ("POST", "/incidents/i/waivers/end", Some(end)),
        ("POST", "/incidents/i/close", Some(json!({}))),
    ];
    // Four wait for ever; what else there is of this caller is turned away at once.
    let mut waiting: FuturesUnordered<_> = (0..4)
        .map(|_| world.ask(Who::Administrator, "GET", "/incidents/i", None))
        .collect();
    for (method, path, body) in &routes {
        let fifth = world.ask(Who::Administrator, method, path, body.as_ref());
        let answer = tokio::select! {
            biased;
            _ = waiting.next() => panic!("it was answered"),
            answer = fifth => answer,
        };
        let answer = answer.expect(429);
        assert!(answer.headers.contains_key("retry-after"), "{method} {path}");
    }
    // Somebody else has places left, until their four are taken as well.
    let mut others: FuturesUnordered<_> = (0..5)
        .map(|_| world.ask(Who::Puller, "GET", "/incidents/i", None))
        .collect();
    others.next().await.unwrap().expect(429);
    keeper.may.add_permits(100);
    while let Some(answer) = others.next().await {
        answer.expect(200);
    }
    while let Some(answer) = waiting.next().await {
        answer.expect(200);
    }
}
