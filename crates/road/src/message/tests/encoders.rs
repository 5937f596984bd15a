//! Each format, with names that would like to be more than names.

use super::*;
use crate::incident::Remedy;
use serde_json::Value;

const EVIL: &str = "a<!here> @channel\r\nBcc: x@evil.example [~admin] {html}<b>*x*|[code]=1+1 \u{202e}ä";

fn evil() -> Message {
    let mut message = all(T0).remove(1);
    message.title = EVIL.into();
    message.targets = vec![EVIL.into()];
    message.parts[0].actions[0].remedy = Remedy::Vendor { image: EVIL.into() };
    message
}

/// All texts in a payload.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(map) => map.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

fn text_of(value: &Value) -> String {
    let mut found = Vec::new();
    texts(value, &mut found);
    found.join("\n")
}

#[test]
fn cloud_events_are_of_the_specification() {
    let message = evil();
    let event = cloud_event(&message, "https://roadbed.example/a b\n");
    for name in [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
    ] {
        let text = event[name].as_str().unwrap();
        assert!(!text.is_empty() && !text.contains(['\n', '\r']), "{name}: {text}");
    }
    assert_eq!(event["source"], "https://roadbed.example/a%20b%0A");
    assert_eq!(
        (&event["specversion"], &event["subject"]),
        (&"1.0".into(), &"log4shell/group:own".into())
    );
    assert_eq!(event["time"], "2021-12-10T00:41:00Z");
    assert_eq!(
        serde_json::from_value::<Message>(event["data"].clone()).unwrap(),
        message
    );
    // A retry is the same event; the same said again later, after something else was so, is another one.
    assert_eq!(cloud_event(&message.clone(), "x")["id"], event["id"]);
    let mut later = message.clone();
    later.as_of += Duration::HOUR;
    assert_ne!(cloud_event(&later, "x")["id"], event["id"]);
}

#[test]
fn a_digest_of_slack_is_bounded_and_calls_nobody() {
    let (one, other) = (evil(), all(T0).remove(2));
    assert_eq!(slack_digest(&[&one]), slack(&one));
    let payload = slack_digest(&[&one, &other]);
    let text = text_of(&payload);
    assert!(text.contains("2 incidents") && text.contains("video") && text.contains("cart"));
    for bad in ["<!here>", "@channel", "<b>", "\u{202e}"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
    let many = slack_digest(&vec![&one; 60]);
    let blocks = many["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50 && text_of(&many).contains("and 20 more"));
    for block in blocks {
        let length = block["text"]["text"].as_str().unwrap().chars().count();
        assert!(length <= MAX_SLACK_SECTION_CHARS);
    }
}

#[test]
fn slack_calls_nobody() {
    let payload = slack(&evil());
    let text = text_of(&payload);
    for bad in ["<!here>", "@channel", "<b>", "\u{202e}"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
    // The header is plain text, everything else is not; `text` is neither parsed.
    assert_eq!(payload["blocks"][0]["text"]["type"], "plain_text");
    assert_eq!(text.matches("*x*").count(), 1);
    assert_eq!(
        (&payload["parse"], &payload["link_names"]),
        (&"none".into(), &false.into())
    );
    let mut long = evil();
    long.parts[0].actions = vec![long.parts[0].actions[0].clone(); 50];
    long.parts[0].subject = "&".repeat(500);
    for block in slack(&long)["blocks"].as_array().unwrap() {
        let text = block["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= MAX_SLACK_SECTION_CHARS);
        let ampersands = text.matches('&').count();
        assert_eq!(
            ampersands,
            text.matches("&amp;").count() + text.matches("&lt;").count() + text.matches("&gt;").count()
        );
        if block["type"] == "header" {
            assert!(text.chars().count() <= 150);
        }
    }
}

#[test]
fn tickets_are_found_again_and_stay_text() {
    let message = evil();
    let ticket = &tickets(&message)[0];
    let mut later = message.clone();
    later.title = "another title".into();
    later.parts[0].open = 0;
    let again = &tickets(&later)[0];
    assert_eq!(ticket.key, again.key);
    assert!(again.is_done && !ticket.is_done);
    assert_ne!(tickets(&all(T0)[2])[0].key, tickets(&all(T0)[2])[1].key);
    let settings = JiraSettings {
        project: "SEC".into(),
        issue_type: "Task".into(),
    };
    let body = jira(ticket, &settings, Upsert::Create);
    let fields = &body["fields"];
    let label = fields["labels"][1].as_str().unwrap();
    assert!(label == ticket.key && !label.contains(' '));
    assert_eq!(fields["duedate"], "2021-12-13");
    let edit = jira(ticket, &settings, Upsert::Update);
    assert_eq!(edit["fields"]["summary"], fields["summary"]);
    for name in ["project", "issuetype", "labels"] {
        assert!(edit["fields"].get(name).is_none(), "{name}");
    }
    let description = fields["description"].as_str().unwrap();
    for bad in ["[~admin", "{html}", "@channel", "*x*", "\nBcc"] {
        assert!(!description.contains(bad), "{bad}: {description}");
    }
    assert!(!fields["summary"].as_str().unwrap().contains(['\n', '\r']));
}

#[test]
fn servicenow_shows_no_html() {
    let body = servicenow(&tickets(&evil())[0], Upsert::Create);
    assert!(!text_of(&body).contains("[code]"));
    assert_eq!(
        (&body["urgency"], &body["state"], &body["due_date"]),
        (&"1".into(), &"1".into(), &"2021-12-13 00:41:00".into())
    );
    // Whoever works on it says where it stands, until there is nothing to do.
    assert!(
        servicenow(&tickets(&evil())[0], Upsert::Update)
            .get("state")
            .is_none()
    );
    let done = servicenow(&tickets(&evil())[0], Upsert::Resolve("Solution provided"));
    assert_eq!(
        (&done["state"], &done["close_code"]),
        (&"6".into(), &"Solution provided".into())
    );
    assert!(!done["close_notes"].as_str().unwrap().is_empty());
    let short = body["short_description"].as_str().unwrap();
    assert!(short.chars().count() <= 160 && !short.contains('\n'));
    let mut long = evil();
    long.parts[0].actions = vec![long.parts[0].actions[0].clone(); 400];
    let ticket = &tickets(&long)[0];
    assert!(
        servicenow(ticket, Upsert::Update)["description"]
            .as_str()
            .unwrap()
            .chars()
            .count()
            <= 4_000
    );
    let settings = JiraSettings {
        project: "S".into(),
        issue_type: "T".into(),
    };
    assert!(
        jira(ticket, &settings, Upsert::Update)["fields"]["description"]
            .as_str()
            .unwrap()
            .chars()
            .count()
            <= 32_767
    );
}

#[test]
fn mail_has_no_header_of_a_stranger() {
    let message = evil();
    let mail = email(&[&message], "roadbed@shop.example", &message.contacts).unwrap();
    assert_eq!(mail.to, ["video@shop.example"]);
    for (name, value) in &mail.headers {
        // Only folds: a line break is followed by a blank.
        assert!(
            value.split("\r\n").skip(1).all(|line| line.starts_with(' ')),
            "{name}: {value}"
        );
        assert!(
            !value.replace("\r\n", "").contains(['\r', '\n']) && value.is_ascii(),
            "{name}: {value}"
        );
        assert!(value.split("\r\n").all(|line| line.len() <= 900));
    }
    let subject = &mail
        .headers
        .iter()
        .find(|(name, _)| *name == "Subject")
        .unwrap()
        .1;
    assert!(
        subject.starts_with("=?utf-8?Q?") && subject.split("\r\n ").all(|word| word.len() <= 75),
        "{subject}"
    );
    assert!(!mail.body.contains("\r\nBcc:"), "{}", mail.body);
    assert!(mail.body.lines().all(|line| line.len() <= MAX_MAIL_LINE_BYTES));
    assert!(mail.body.matches('\n').count() == mail.body.matches("\r\n").count());
}

#[test]
fn mail_is_ascii_whatever_it_says() {
    let mut message = all(T0).remove(1);
    let coding = |message: &Message| {
        let mail = email(&[message], "r@shop.example", &message.contacts).unwrap();
        let mut headers = mail.headers.into_iter();
        let coding = headers
            .find(|(name, _)| *name == "Content-Transfer-Encoding")
            .unwrap()
            .1;
        (coding, mail.body)
    };
    assert_eq!(coding(&message).0, "7bit");
    message.title = format!("Üb=er {}", "ä".repeat(200));
    let (coding, body) = coding(&message);
    assert_eq!(coding, "quoted-printable");
    assert!(body.is_ascii() && body.contains("=C3=9Cb=3Der "), "{body}");
    assert!(body.lines().all(|line| line.len() <= 76 && !line.ends_with(' ')));
    assert_eq!(body.matches('\n').count(), body.matches("\r\n").count());
    // Read back, it is what was written.
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, other)) = rest.split_first() {
        rest = other;
        if *first == b'=' {
            let code = std::str::from_utf8(&rest[..2]).unwrap();
            bytes.push(u8::from_str_radix(code, 16).unwrap());
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    assert!(String::from_utf8(bytes).unwrap().contains(&message.title));
}

#[test]
fn mail_goes_to_addresses_only() {
    let message = &all(T0)[1];
    let contacts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<Contact>>()
    };
    let none = email(
        &[message],
        "roadbed@shop.example",
        &contacts(&["#video", "https://x.example"]),
    );
    assert_eq!(none, Err(MailError::NoRecipient));
    for from in ["roadbed", "a@b.c\r\nBcc: d@e.f", ""] {
        assert!(
            matches!(
                email(&[message], from, &message.contacts),
                Err(MailError::From(_))
            ),
            "{from:?}"
        );
    }
    let many: Vec<Contact> = (0..60)
        .map(|n| format!("m{n}@shop.example").parse().unwrap())
        .collect();
    assert_eq!(
        email(&[message], "r@shop.example", &many).unwrap().to.len(),
        MAX_RECIPIENTS
    );
    let both = email(&[message, message], "r@shop.example", &message.contacts).unwrap();
    assert!(
        both.headers
            .contains(&("Subject", "2 incidents that touch what is yours".to_owned()))
    );
    let long = Message {
        title: "x".repeat(5_000),
        ..message.clone()
    };
    let mail = email(&[&long], "r@shop.example", &message.contacts).unwrap();
    assert!(mail.body.lines().all(|line| line.len() <= MAX_MAIL_LINE_BYTES));
}
