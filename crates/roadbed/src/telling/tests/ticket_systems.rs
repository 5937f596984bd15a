//! One ticket per incident and application in Jira and `ServiceNow`: made, found again, brought up to date, closed, opened again.

use std::sync::MutexGuard;

use super::http_server::{Asked as Request, Piece, Reply, Server};
use super::*;

/// Tickets as another system keeps them: by its own name for them.
#[derive(Default)]
struct Tickets {
    all: BTreeMap<String, Value>,
    /// How many were ever made.
    made: usize,
    /// Moves by the names of transitions.
    moves: Vec<String>,
    /// Answers to requests that change something.
    fails: bool,
}

struct System {
    kept: Arc<Mutex<Tickets>>,
    server: Server,
}

impl System {
    async fn start(answer: fn(&mut Tickets, &Request) -> Reply) -> Self {
        let kept: Arc<Mutex<Tickets>> = Arc::default();
        let tickets = Arc::clone(&kept);
        let server = Server::start(move |asked| {
            let mut tickets = tickets.lock().unwrap();
            if tickets.fails && asked.method != "GET" {
                return Reply::status(503);
            }
            answer(&mut tickets, asked)
        })
        .await;
        Self { kept, server }
    }

    fn kept(&self) -> MutexGuard<'_, Tickets> {
        self.kept.lock().unwrap()
    }

    /// How often something was changed.
    fn changes(&self) -> usize {
        self.server
            .asked()
            .iter()
            .filter(|asked| asked.method != "GET")
            .count()
    }
}

fn json_of(asked: &Request) -> Value {
    serde_json::from_slice(&asked.body).unwrap()
}

fn jira(tickets: &mut Tickets, asked: &Request) -> Reply {
    let ok = |body: Value| Reply::status(200).body(body.to_string());
    let path = asked.path.split('?').next().unwrap();
    if path == "/rest/api/2/search" {
        let found = tickets.all.iter().find(|(_, issue)| {
            let label = issue["fields"]["labels"][1].as_str().unwrap();
            asked.path.contains(label) && asked.path.contains("SEC")
        });
        let issues: Vec<Value> = found.map(|(key, _)| json!({ "key": key })).into_iter().collect();
        return ok(json!({ "issues": issues }));
    }
    if path == "/rest/api/2/issue" {
        let body = json_of(asked);
        if body["fields"].get("duedate").is_some() {
            return Reply::status(400).body("{\"errors\":{\"duedate\":\"Field 'duedate' cannot be set.\"}}");
        }
        tickets.made += 1;
        let key = format!("SEC-{}", tickets.made);
        tickets.all.insert(key.clone(), body);
        return ok(json!({ "key": key }));
    }
    let mut words = path.trim_start_matches("/rest/api/2/issue/").split('/');
    let key = words.next().unwrap().to_owned();
    let Some(issue) = tickets.all.get_mut(&key) else {
        return Reply::status(404);
    };
    match (asked.method.as_str(), words.next()) {
        ("GET", Some("transitions")) => ok(json!({ "transitions": [
            { "id": "31", "name": "Done" }, { "id": "11", "name": "Reopen" },
        ] })),
        ("POST", Some("transitions")) => {
            let id = json_of(asked)["transition"]["id"].as_str().unwrap().to_owned();
            tickets.moves.push(format!("{key} {id}"));
            Reply::status(204)
        }
        _ => {
            let body = json_of(asked);
            if body["fields"].get("duedate").is_some() {
                return Reply::status(400).body("{\"errors\":{\"duedate\":\"no such field\"}}");
            }
            for (name, value) in body["fields"].as_object().unwrap() {
                issue["fields"][name] = value.clone();
            }
            Reply::status(204)
        }
    }
}

fn servicenow(tickets: &mut Tickets, asked: &Request) -> Reply {
    let ok = |body: Value| Reply::status(200).body(json!({ "result": body }).to_string());
    let path = asked.path.split('?').next().unwrap();
    match asked.method.as_str() {
        "GET" => {
            let found = tickets
                .all
                .iter()
                .find(|(_, ticket)| asked.path.contains(ticket["correlation_id"].as_str().unwrap()));
            ok(found.map(|(id, _)| json!({ "sys_id": id })).into_iter().collect())
        }
        "POST" => {
            tickets.made += 1;
            let id = format!("{:032}", tickets.made);
            tickets.all.insert(id.clone(), json_of(asked));
            ok(json!({ "sys_id": id }))
        }
        _ => {
            let Some(ticket) = tickets.all.get_mut(path.rsplit('/').next().unwrap()) else {
                return Reply::status(404);
            };
            for (name, value) in json_of(asked).as_object().unwrap() {
                ticket[name] = value.clone();
            }
            ok(json!({}))
        }
    }
}

async fn world(system: &System, kind: &str) -> World {
    let world = World::new(incident("Log4Shell", Severity::Critical, affected())).await;
    let settings = if kind == "jira" {
        json!({ "project": "SEC", "issue_type": "Task", "done_transition": "done", "reopen_transition": "Reopen" })
    } else {
        json!({ "close_code": "Solved (Permanently)" })
    };
    let sink = json!({ "name": kind, "kind": kind, "target": system.server.url(""), "tickets": settings });
    world.sink(&sink, Some("token")).await;
    world
}

#[tokio::test]
async fn jira_has_one_ticket_per_application_through_its_whole_life() {
    let system = System::start(jira).await;
    let world = world(&system, "jira").await;
    world.look().await;
    assert_eq!(system.kept().all.len(), 3);
    let before = system.changes();
    world.look().await;
    assert_eq!(
        system.changes(),
        before,
        "what says the same is not written again"
    );
    world.clock.advance(Duration::from_mins(5));
    world.see(vec![sighting("video", "media", false)]);
    world.look().await;
    let key = {
        let kept = system.kept();
        let mut all = kept.all.iter();
        let of_video =
            all.find(|(_, issue)| issue["fields"]["summary"].as_str().unwrap().contains("(video)"));
        let (key, issue) = of_video.unwrap();
        assert!(
            issue["fields"]["description"]
                .as_str()
                .unwrap()
                .contains("0 open, 1 settled")
        );
        assert_eq!(issue["fields"]["labels"][0], "roadbed");
        key.clone()
    };
    assert_eq!(system.kept().moves, [format!("{key} 31")]);
    world.clock.advance(Duration::from_mins(5));
    world.see(vec![sighting("video", "media", true)]);
    world.look().await;
    assert_eq!(system.kept().moves[1], format!("{key} 11"));
    // Somebody deletes it: there is a new one as soon as it should say something else.
    system.kept().all.remove(&key);
    world.supersede();
    world.look().await;
    let found = system
        .kept()
        .all
        .values()
        .any(|issue| issue["fields"]["summary"].as_str().unwrap().contains("(video)"));
    assert!(found, "{:?}", world.deliveries(DeliveryState::Pending).await);
    assert!(world.deliveries(DeliveryState::Dead).await.is_empty());
}

/// A ticket that was made while the answer got lost is found, not made again.
#[tokio::test]
async fn a_ticket_that_nobody_noted_is_found_by_its_key() {
    for (kind, answer) in [
        ("jira", jira as fn(&mut Tickets, &Request) -> Reply),
        ("servicenow", servicenow as fn(&mut Tickets, &Request) -> Reply),
    ] {
        let system = System::start(answer).await;
        let world = world(&system, kind).await;
        world.look().await;
        assert_eq!(system.kept().all.len(), 3, "{kind}");
        let sent = world.deliveries(DeliveryState::Sent).await;
        for message in &sent {
            let message: Message = serde_json::from_value(message.body.clone()).unwrap();
            for ticket in road::message::tickets(&message) {
                world
                    .service
                    .store
                    .forget_ticket(kind, &ticket.key)
                    .await
                    .unwrap();
            }
        }
        for delivery in &sent {
            world
                .service
                .store
                .retry_delivery(&store::Actor::operator("test"), delivery.id)
                .await
                .unwrap();
        }
        world.look().await;
        assert_eq!(system.kept().all.len(), 3, "{kind}");
        assert_eq!(world.deliveries(DeliveryState::Sent).await.len(), sent.len());
    }
}

#[tokio::test]
async fn servicenow_keeps_the_state_of_whoever_works_on_it() {
    let system = System::start(servicenow).await;
    let world = world(&system, "servicenow").await;
    world.look().await;
    let id = {
        let mut kept = system.kept();
        let mut all = kept.all.iter_mut();
        let (id, ticket) = all
            .find(|(_, ticket)| ticket["short_description"].as_str().unwrap().contains("(video)"))
            .unwrap();
        assert_eq!((&ticket["state"], &ticket["urgency"]), (&json!("1"), &json!("1")));
        ticket["state"] = json!("2");
        id.clone()
    };
    let state = || system.kept().all[&id]["state"].clone();
    world.supersede();
    world.look().await;
    let said = system.kept().all[&id]["description"].to_string();
    assert!(said.contains("2.16.0") && state() == "2", "{said}");
    world.see(vec![sighting("video", "media", false)]);
    world.look().await;
    assert_eq!(state(), "6");
    assert_eq!(system.kept().all[&id]["close_code"], "Solved (Permanently)");
    world.see(vec![sighting("video", "media", true)]);
    world.look().await;
    assert_eq!(state(), "1");
}

#[tokio::test]
async fn an_answer_without_end_is_left() {
    let world = World::new(incident("Log4Shell", Severity::Critical, affected())).await;
    let server =
        Server::start(|_| Reply::status(200).pieces(vec![Piece::Endless(vec![b'x'; 64 << 10])])).await;
    let sink = json!({ "name": "now", "kind": "servicenow", "target": server.url("") });
    world.sink(&sink, Some("token")).await;
    world.look().await;
    let pending = world.deliveries(DeliveryState::Pending).await;
    let error = pending[0].error.as_deref().unwrap();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
}

/// What is done before anybody was told makes no ticket, and a system that is down gets it all later.
#[tokio::test]
async fn a_system_that_is_down_gets_it_later_and_nothing_for_what_is_over() {
    let system = System::start(jira).await;
    let world = world(&system, "jira").await;
    system.kept().fails = true;
    world.look().await;
    assert!(system.kept().all.is_empty());
    world.clock.advance(Duration::from_secs(30));
    world.see(vec![sighting("video", "media", false)]);
    system.kept().fails = false;
    world.look().await;
    world.clock.advance(Duration::from_mins(1));
    world.look().await;
    let kept = system.kept();
    let titles: Vec<&str> = kept
        .all
        .values()
        .map(|issue| issue["fields"]["summary"].as_str().unwrap())
        .collect();
    assert_eq!(
        titles,
        ["log4shell: Log4Shell (cart)", "log4shell: Log4Shell (checkout)"]
    );
}
