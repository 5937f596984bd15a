//! Mail to owners.

use super::post::{Manner, PostOffice};
use super::*;

fn sink(office: &PostOffice) -> Value {
    json!({
        "name": "mail", "kind": "smtp", "target": format!("smtp://127.0.0.1:{}", office.port()), "plain_text": true,
        "from": "roadbed@shop.example",
    })
}

#[tokio::test]
async fn each_owner_gets_a_mail_and_no_header_of_a_stranger() {
    let world = World::new(incident(EVIL, Severity::Critical, affected())).await;
    let office = PostOffice::start(Manner::default()).await;
    world.sink(&sink(&office), None).await;
    world.look().await;
    let mails = office.mails();
    let to: Vec<&str> = mails
        .iter()
        .flat_map(|mail| mail.to.iter().map(String::as_str))
        .collect();
    assert_eq!(to, ["media@shop.example", "shop@shop.example"]);
    for mail in &mails {
        let head = mail.text.split("\r\n\r\n").next().unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "To",
                "Subject",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ],
            "{head}"
        );
        assert!(
            mail.text.is_ascii() && head.contains("Date: Fri, 10 Dec 2021 10:00:00 +0000"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_noted_and_an_owner_without_address_is_shown() {
    let mut lines = affected();
    lines[2].contacts = vec!["#media".parse().unwrap()];
    lines[0].contacts.push("gone@shop.example".parse().unwrap());
    let world = World::new(incident("Log4Shell", Severity::Critical, lines)).await;
    let refuses = vec!["gone@shop.example".to_owned()];
    let office = PostOffice::start(Manner {
        refuses,
        ..Manner::default()
    })
    .await;
    world.sink(&sink(&office), None).await;
    world.look().await;
    assert_eq!(office.mails()[0].to, ["shop@shop.example"]);
    let sent = world.deliveries(DeliveryState::Sent).await;
    let note = sent[0].error.as_deref().unwrap();
    assert!(note.contains("1 of 2 refused: gone@shop.example"), "{note}");
    let dead = world.deliveries(DeliveryState::Dead).await;
    assert_eq!((dead.len(), dead[0].owner.as_str()), (1, "group:media"));
    assert!(
        dead[0]
            .error
            .as_deref()
            .unwrap()
            .contains("none of the contacts is a mail address")
    );
}
