use std::collections::BTreeMap;

use oci::Algorithm;
use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::application::{Applications, Source, Statement};
use crate::message::{About, MAX_ACTIONS, Message, Told, Why, cloud_event, tickets};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn digest(text: &str) -> Digest {
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

fn task() -> Task {
    let named = |version: &str| Named {
        digest: digest(version),
        version: version.to_owned(),
    };
    let problem = |id: &str, severity: Severity| Problem {
        id: id.to_owned(),
        package: "openssl".to_owned(),
        version: "3.0".to_owned(),
        severity,
    };
    Task {
        asks: Asks::Rebuild,
        base_repository: "base/java".parse().unwrap(),
        from: named("17.0.9"),
        to: named("17.0.10"),
        reasons: vec![Reason {
            text: "the application deletes `etc/motd` of the base".to_owned(),
            step: Some("RUN rm /etc/motd".to_owned()),
        }],
        more_reasons: 0,
        fixes: vec![
            problem("CVE-1", Severity::Critical),
            problem("CVE-2", Severity::Low),
        ],
        more_fixes: 3,
        remains: vec![problem("CVE-1", Severity::Critical)],
    }
}

fn work(repository: &str, tag: &str, state: WorkState) -> Work {
    Work {
        base: "java".parse().unwrap(),
        repository: repository.parse().unwrap(),
        tag: tag.parse().unwrap(),
        task: task(),
        state,
    }
}

/// `cart` and `checkout` are of one owner, `lost` is nobody's.
fn applications() -> Applications {
    let statement = |name: &str| Statement {
        repositories: vec![format!("team/{name}").parse().unwrap()],
        owner: Some("shop".parse().unwrap()),
        contacts: vec!["shop@shop.example".parse().unwrap()],
        ..Statement::new(name.parse().unwrap(), Source::Declared, "test")
    };
    Applications::build(vec![statement("cart"), statement("checkout")]).unwrap()
}

fn told(all: &[Work]) -> Vec<Message> {
    messages(
        all,
        &applications(),
        Host::of_url("https://registry.example:5000/x").as_ref(),
        NOW,
    )
}

#[test]
fn the_line_to_change_names_tag_and_digest() {
    let mut task = task();
    let new = format!("FROM base/java:17.0.10@{}", digest("17.0.10"));
    assert_eq!(task.lines(None), ("FROM base/java:17.0.9".to_owned(), new));
    // What is no tag is called by its digest.
    task.from.version = "of yesterday".to_owned();
    let host = Host::of_url("http://localhost:5000").unwrap();
    let (old, new) = task.lines(Some(&host));
    assert_eq!(old, format!("FROM localhost:5000/base/java@{}", digest("17.0.9")));
    assert!(new.starts_with("FROM localhost:5000/base/java:17.0.10@sha256:"));
    assert_eq!(Host::of_url("/roadbed"), None);
}

#[test]
fn there_is_one_message_for_each_owner_and_release() {
    use WorkState::{Done, Open};
    let all = [
        work("team/cart", "v1", Open),
        work("team/cart", "v2", Open),
        work("team/checkout", "v1", Done),
        work("team/lost", "v1", Open),
    ];
    let messages = told(&all);
    let owners: Vec<Option<String>> = messages
        .iter()
        .map(|message| message.owner.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(owners, [None, Some("group:shop".to_owned())]);
    let shop = &messages[1];
    assert_eq!(
        (shop.about, shop.why, shop.severity),
        (About::Work, Why::Affected, Severity::Critical)
    );
    assert_eq!(shop.contacts.len(), 1);
    let parts: BTreeMap<&str, (usize, usize)> = shop
        .parts
        .iter()
        .map(|part| (part.subject.as_str(), (part.open, part.settled)))
        .collect();
    assert_eq!(parts, BTreeMap::from([("cart", (2, 0)), ("checkout", (0, 1))]));
    assert_eq!(
        shop.parts[0].actions.len(),
        1,
        "what is the same to do is said once"
    );
    assert_eq!(shop.parts[0].actions[0].lines, ["team/cart:v1", "team/cart:v2"]);
}

#[test]
fn it_is_told_in_words_and_over_once_nothing_is_open() {
    let open = told(&[work("team/cart", "v1", WorkState::Open)]).remove(0);
    let event = cloud_event(&open, "https://registry.example");
    assert_eq!(event["type"], "dev.roadbed.road.work.v1");
    assert_eq!(event["data"]["about"], "work");
    let remedy = &event["data"]["parts"][0]["actions"][0]["remedy"];
    assert_eq!(remedy["do"], "build-again");
    assert_eq!(remedy["from"], "FROM registry.example:5000/base/java:17.0.9");
    assert_eq!(remedy["fixes"], json!(["CVE-1", "CVE-2", "3 more"]));
    assert_eq!(remedy["remains"], json!(["CVE-1 in openssl 3.0"]));
    let ticket = tickets(&open).remove(0);
    assert!(!ticket.is_done);
    assert_eq!(ticket.summary, "base java 17.0.10: take it (cart)");
    let action = &ticket.actions[0];
    assert!(
        action.contains("because the application deletes `etc/motd` of the base (by `RUN rm /etc/motd`)"),
        "{action}"
    );
    assert!(
        action.contains("still affected by its own CVE-1 in openssl 3.0"),
        "{action}"
    );

    let done = told(&[work("team/cart", "v1", WorkState::Done)]).remove(0);
    assert_eq!(done.why, Why::Done);
    let after = tickets(&done).remove(0);
    assert!(after.is_done);
    assert_eq!(after.key, ticket.key, "the same ticket is closed");
    assert!(Told::of(&done).is_news(Some(&Told::of(&open))));
}

#[test]
fn what_a_newer_release_asks_for_is_not_called_done() {
    let over = told(&[
        work("team/cart", "v1", WorkState::Superseded),
        work("team/cart", "v2", WorkState::Done),
    ]);
    let event = cloud_event(&over[0], "https://registry.example");
    let part = &event["data"]["parts"][0];
    assert_eq!((&part["settled"], &part["superseded"]), (&json!(1), &json!(1)));
    let ticket = tickets(&over[0]).remove(0);
    assert_eq!(
        ticket.standing,
        "cart: 0 open, 1 settled, 1 asked for anew by a newer release, or no more"
    );
}

#[test]
fn what_is_to_be_done_is_named_in_part_and_counted() {
    let of = |number: usize| {
        let mut of = work("team/cart", &format!("v{number}"), WorkState::Open);
        of.task.reasons[0].text = number.to_string();
        of
    };
    let all: Vec<Work> = (0..MAX_ACTIONS + 2).map(of).collect();
    let message = told(&all).remove(0);
    let part = &message.parts[0];
    assert_eq!(
        (part.open, part.actions.len(), part.more_actions),
        (52, MAX_ACTIONS, 2)
    );
    let ticket = tickets(&message).remove(0);
    assert_eq!(ticket.actions.last().unwrap(), "and 2 more things to do");
}

#[test]
fn what_names_no_source_is_decided_about() {
    let mut of = work("team/cart", "v1", WorkState::Open);
    of.task.asks = Asks::Vendor;
    let ticket = tickets(&told(&[of])[0]).remove(0);
    let action = &ticket.actions[0];
    assert!(
        action.contains("waive it until a date, ask for a statement (VEX), or take it out"),
        "{action}"
    );
    assert!(!action.contains("FROM "), "{action}");
}

#[test]
fn what_its_repository_does_not_take_is_asked_to_be_let_in() {
    let mut of = work("team/cart", "v1", WorkState::Open);
    of.task.asks = Asks::LetIn;
    of.task.reasons = vec![Reason {
        text: "the quota of team/cart is used up".to_owned(),
        step: None,
    }];
    let message = told(&[of]).remove(0);
    let event = cloud_event(&message, "https://registry.example");
    let remedy = &event["data"]["parts"][0]["actions"][0]["remedy"];
    assert_eq!(remedy["do"], "let-in");
    let action = &tickets(&message).remove(0).actions[0];
    assert!(
        action.contains("let it in: it can follow to release 17.0.10")
            && action.contains("the quota of team/cart"),
        "{action}"
    );
    assert!(!action.contains("FROM "), "{action}");
}

#[test]
fn the_step_of_a_layer_is_found_where_the_history_is_whole() {
    let config = json!({ "history": [
        { "created_by": "/bin/sh -c #(nop) ADD file:1 in / " },
        { "created_by": "ENV A=1", "empty_layer": true },
        { "created_by": "RUN /bin/sh -c rm /etc/motd # buildkit" },
        { "created_by": "/bin/sh -c apt-get install -y curl" },
        { "created_by": "COPY app /srv # buildkit" },
    ]});
    let config = config.to_string();
    let step = |layer: usize| Steps::of(config.as_bytes(), 4)?.step(layer);
    assert_eq!(step(0).unwrap(), "ADD file:1 in /");
    assert_eq!(step(1).unwrap(), "RUN rm /etc/motd");
    assert_eq!(step(2).unwrap(), "RUN apt-get install -y curl");
    assert_eq!(step(3).unwrap(), "COPY app /srv");
    assert_eq!(step(4), None);
    assert!(
        Steps::of(config.as_bytes(), 5).is_none(),
        "a history of another image"
    );
    assert_eq!(Steps::of(b"{}", 0).and_then(|steps| steps.step(0)), None);
    assert!(Steps::of(b"no json", 1).is_none());
}

#[test]
fn build_arguments_are_no_part_of_a_step() {
    let step = |created_by: &str| {
        let config = json!({ "history": [{ "created_by": created_by }] }).to_string();
        Steps::of(config.as_bytes(), 1)?.step(0)
    };
    let made = Some("RUN make all".to_owned());
    assert_eq!(step("|1 TOKEN=abc /bin/sh -c make all"), made);
    assert_eq!(step("RUN |1 TOKEN=abc /bin/sh -c make all # buildkit"), made);
    assert_eq!(
        step("RUN |2 A=/bin/sh -c abc TOKEN=x y /bin/sh -c make all # buildkit"),
        made
    );
    assert_eq!(step("RUN |1 TOKEN=abc /bin/bash -c make all # buildkit"), None);
    assert_eq!(step("|1 TOKEN=abc"), None);
}
