use serde_json::{Value, json};

use super::*;
use crate::message::Why;

fn sink(body: &Value) -> SinkSpec {
    serde_json::from_value(body.clone()).unwrap()
}

fn with(mut body: Value, more: &Value) -> SinkSpec {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    sink(&body)
}

fn webhook() -> Value {
    json!({ "name": "hook", "kind": "webhook", "target": "https://hooks.example/x?y=1" })
}

fn mail() -> Value {
    json!({ "name": "mail", "kind": "smtp", "target": "smtps://mail.example", "from": "roadbed@shop.example" })
}

fn jira() -> Value {
    json!({
        "name": "jira", "kind": "jira", "target": "https://shop.atlassian.net",
        "tickets": { "project": "SEC", "issue_type": "Task" },
    })
}

#[test]
fn what_can_be_told_is_taken() {
    for body in [webhook(), mail(), jira()] {
        let sink = sink(&body);
        sink.check().unwrap();
        assert!(sink.enabled && sink.incidents, "{body}");
        let again: SinkSpec = serde_json::from_value(serde_json::to_value(&sink).unwrap()).unwrap();
        assert_eq!(again, sink);
    }
}

#[rustfmt::skip]
#[test]
fn a_webhook_that_cannot_be_told_is_refused_with_what_to_write() {
    for (more, says) in [
        (json!({ "target": "hooks.example" }), "is a URL such as"),
        (json!({ "target": "ftp://hooks.example" }), "is a URL such as"),
        (json!({ "target": "https://" }), "is a URL such as"),
        (json!({ "target": "https://a b" }), "is a URL such as"),
        (json!({ "target": "https://x\r\nHost: y" }), "is a URL such as"),
        (json!({ "target": "https://ann:pw@x" }), "leave user and password out"),
        (json!({ "target": format!("https://{}", "x".repeat(MAX_TARGET_BYTES)) }), "at most 2000"),
        (json!({ "user": "ann" }), "no use for a user"),
        (json!({ "incidents": false }), "something to be told of"),
        (json!({ "schedule": { "digest_minute": 540 } }), "they are for people"),
        (json!({ "to": ["a@b.example"] }), "no use for addresses"),
        (json!({ "tickets": { "project": "SEC" } }), "settings of Jira"),
        (json!({ "owners": vec!["x"; MAX_SINK_OWNERS + 1] }), "at most 200"),
        (json!({ "events": vec!["*"; MAX_EVENT_PATTERNS + 1] }), "at most 100"),
    ] {
        let error = with(webhook(), &more).check().unwrap_err().to_string();
        assert!(error.contains(says), "{more}: {error}");
    }
}

#[rustfmt::skip]
#[test]
fn what_else_cannot_be_told_is_refused_too() {
    let many = vec!["a@b.example"; MAX_SINK_ADDRESSES + 1];
    for (body, more, says) in [
        (mail(), json!({ "target": "mail.example" }), "smtps://host"),
        (mail(), json!({ "target": "smtps://mail.example/x" }), "smtps://host"),
        (mail(), json!({ "from": "#java" }), "no mail address"),
        (mail(), json!({ "to": ["a@b.example", "x"] }), "`x` is no mail address"),
        (mail(), json!({ "to": many }), "at most 50"),
        (mail(), json!({ "plain_text": true, "user": "ann" }), "never sent"),
        (mail(), json!({ "events": ["tag.*"] }), "a webhook gets them"),
        (mail(), json!({ "schedule": { "digest_minute": 1_440 } }), "minute 1440"),
        (mail(), json!({ "user": "a\r\nb" }), "more than one line"),
        (jira(), json!({ "tickets": { "project": "SEC" } }), "needs a project and a type"),
        (jira(), json!({ "user": "a:b" }), "no colon"),
        (jira(), json!({ "user": "x".repeat(201) }), "at most 200"),
    ] {
        let error = with(body, &more).check().unwrap_err().to_string();
        assert!(error.contains(says), "{more}: {error}");
    }
}

#[test]
fn kinds_of_events_are_words_with_dots() {
    for (pattern, kind, is_meant) in [
        ("tag.set", "tag.set", true),
        ("tag.set", "tag.delete", false),
        ("tag.*", "tag.delete", true),
        ("tag.*", "tags.x", false),
        ("*", "in-use.set", true),
    ] {
        let pattern: EventPattern = pattern.parse().unwrap();
        assert_eq!(pattern.matches(kind), is_meant, "{pattern} {kind}");
    }
    for text in [
        "",
        ".",
        "tag.",
        "Tag.set",
        "tag*",
        "**",
        "a b",
        "tag.set\n",
        &"x".repeat(65),
    ] {
        assert!(text.parse::<EventPattern>().is_err(), "{text:?}");
    }
}

#[test]
fn a_sink_is_told_what_it_asked_for() {
    let message = crate::message::tests::all(crate::incident::tests::T0)[1].clone();
    assert_eq!(message.owner.as_ref().unwrap().to_string(), "group:own");
    let wants = |more: Value, message: &Message| with(webhook(), &more).wants(message);
    assert!(wants(json!({}), &message));
    assert!(wants(
        json!({ "owners": ["own"], "at_least": "critical" }),
        &message
    ));
    assert!(!wants(json!({ "owners": ["other"] }), &message));
    assert!(!wants(json!({ "enabled": false }), &message));
    assert!(!wants(json!({ "incidents": false, "events": ["*"] }), &message));
    let milder = Message {
        severity: Severity::High,
        ..message.clone()
    };
    assert!(!wants(json!({ "at_least": "critical" }), &milder));
    let done = Message {
        severity: Severity::Unknown,
        why: Why::Done,
        ..message.clone()
    };
    assert!(wants(json!({ "at_least": "critical" }), &done));
    let nobodys = Message {
        owner: None,
        ..message
    };
    assert!(!wants(json!({ "owners": ["own"] }), &nobodys));
    assert!(with(webhook(), &json!({ "events": ["tag.*"] })).wants_event("tag.set"));
    assert!(!with(webhook(), &json!({})).wants_event("tag.set"));
}
