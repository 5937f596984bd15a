//! The log of what is known: in order, once each, together with the place, and never changed.

use serde_json::json;

use super::*;
use crate::EventFilter;
use crate::testing::Kit;

const ALICE: &str = "app:shop/checkout";

fn words(said: &[&str]) -> MaturityWords {
    MaturityWords {
        kind: EventKind::EvidencePush,
        subject: "robot".to_owned(),
        about: json!({ "count": said.len() }),
        said: said.iter().map(|text| (*text).to_owned()).collect(),
        record: None,
    }
}

fn entry(name: &str, event: i64) -> MaturityEntry {
    MaturityEntry {
        name: name.to_owned(),
        event,
        at: Timestamp(event),
        subject: ALICE.to_owned(),
        kind: "evidence".to_owned(),
        body: format!("{{\"of\":{event}}}"),
    }
}

fn change(event: i64) -> MaturityChange {
    MaturityChange {
        event,
        at: Timestamp(event),
        subject: ALICE.to_owned(),
        body: "{}".to_owned(),
    }
}

fn fall() -> MaturityNews {
    MaturityNews {
        once: None,
        kind: EventKind::MaturityFall,
        subject: ALICE.to_owned(),
        rule_version: "cnmm@4".to_owned(),
        body: json!({ "topic": "technology/testing" }),
    }
}

fn end(name: &str) -> MaturityNews {
    MaturityNews {
        once: Some(name.to_owned()),
        kind: EventKind::MaturityEnds,
        ..fall()
    }
}

#[tokio::test]
async fn what_is_said_waits_for_its_line_and_counts_once_whatever_is_closed_in_between() {
    let mut kit = Kit::new().await;
    let operator = Kit::operator();
    let from = kit.store.maturity_place().await.unwrap();
    let many: Vec<String> = (0..1_200).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let event = kit.store.say_maturity(&operator, words(&many)).await.unwrap();
    assert!(event > from.event);
    kit.restart().await;
    assert_eq!(kit.store.maturity_place().await.unwrap(), from);
    assert_eq!(kit.store.maturity_said(event).await.unwrap(), many);
    let to = MaturityPlace {
        event,
        part: Some(ALICE.to_owned()),
        at: Timestamp(7),
    };
    let step = MaturityStep {
        from: from.clone(),
        to: to.clone(),
        entries: vec![entry("one", event), entry("one", event), entry("two", event)],
        changes: vec![change(event), change(event)],
        news: vec![fall()],
    };
    assert!(kit.store.step_maturity(&operator, step.clone()).await.unwrap());
    // Whoever does not know of that is refused.
    assert!(!kit.store.step_maturity(&operator, step).await.unwrap());
    kit.restart().await;
    assert_eq!(kit.store.maturity_place().await.unwrap(), to);
    assert!(kit.store.maturity_said(event).await.unwrap().is_empty());
    let entries = kit.store.maturity_entries(0, 10).await.unwrap();
    let names: Vec<_> = entries.iter().map(|(_, entry)| entry.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(
        kit.store.maturity_entries(entries[0].0, 10).await.unwrap().len(),
        1
    );
    let asked = ["two".to_owned(), "three".to_owned()];
    let known = kit.store.known_maturity_entries(&asked).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["two"]);
    assert_eq!(kit.store.maturity_changes(0, 10).await.unwrap().len(), 2);
    let page = kit.store.maturity_history(ALICE, None, 1).await.unwrap();
    assert!(page.more);
    let rest = kit
        .store
        .maturity_history(ALICE, Some(page.items[0].0), 1)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
    assert!(
        kit.store
            .maturity_history("team:a", None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn what_was_before_anybody_assessed_is_not_read_again() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    kit.store.note_setting(&operator, "x", json!({})).await.unwrap();
    let place = kit.store.maturity_place().await.unwrap();
    assert!(place.event > 0);
    kit.store.note_setting(&operator, "x", json!({})).await.unwrap();
    assert_eq!(kit.store.maturity_place().await.unwrap(), place);
}

#[tokio::test]
async fn nothing_that_is_known_can_be_changed() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    let from = kit.store.maturity_place().await.unwrap();
    let step = MaturityStep {
        to: from.clone(),
        from,
        entries: vec![entry("one", 1)],
        changes: vec![change(1)],
        news: Vec::new(),
    };
    kit.store.step_maturity(&operator, step).await.unwrap();
    for table in ["maturity_entry", "maturity_change"] {
        for verb in [
            format!("UPDATE {table} SET event = 9"),
            format!("DELETE FROM {table}"),
        ] {
            let changed = kit
                .store
                .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), &verb, []).await }));
            let refused: StoreError = changed.await.unwrap_err();
            let StoreError::Database(source) = refused else {
                panic!("{refused}")
            };
            assert!(source.to_string().contains("append-only"), "{source}");
        }
    }
}

#[tokio::test]
async fn an_end_is_told_once() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    let both = vec![end("a"), end("b"), end("a")];
    assert_eq!(kit.store.tell_maturity(&operator, both.clone()).await.unwrap(), 2);
    assert_eq!(kit.store.tell_maturity(&operator, both).await.unwrap(), 0);
    let permit = kit.administrator("root2").await;
    let filter = EventFilter {
        kind: Some(EventKind::MaturityEnds),
        ..EventFilter::default()
    };
    let told = kit.store.events(&permit, &filter, None, 10).await.unwrap().items;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].rule_version.as_deref(), Some("cnmm@4"));
}

#[tokio::test]
async fn models_and_records_are_kept_with_who_set_them() {
    let kit = Kit::new().await;
    let operator = Kit::operator();
    let model = NewMaturityModel {
        name: "acme".to_owned(),
        rule_version: "cnmm@4+acme@1".to_owned(),
        documents: "[]".to_owned(),
        reason: "ours".to_owned(),
        enable_from: Timestamp(7),
        said: vec!["judged".to_owned()],
    };
    kit.store
        .add_maturity_model(&operator, model.clone())
        .await
        .unwrap();
    kit.store.add_maturity_model(&operator, model).await.unwrap();
    let models = kit.store.maturity_models().await.unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!(
        (models[0].author.as_str(), models[0].enable_from),
        ("operator", Timestamp(7))
    );
    let record = |body: &str| MaturityRecord {
        kind: RecordKind::Campaign,
        name: "signed".to_owned(),
        body: body.to_owned(),
        set_at: Timestamp(0),
        set_by: String::new(),
    };
    for body in ["1", "2"] {
        let words = MaturityWords {
            kind: EventKind::CampaignSet,
            record: Some(record(body)),
            ..words(&[])
        };
        kit.store.say_maturity(&operator, words).await.unwrap();
    }
    let kept = kit.store.maturity_records(RecordKind::Campaign).await.unwrap();
    assert_eq!((kept.len(), kept[0].body.as_str()), (1, "2"));
    assert_eq!(kept[0].set_by, "operator");
    assert!(
        kit.store
            .maturity_records(RecordKind::Role)
            .await
            .unwrap()
            .is_empty()
    );
    let remove = || {
        kit.store
            .remove_maturity_record(&operator, RecordKind::Campaign, "signed")
    };
    assert!(remove().await.unwrap());
    assert!(!remove().await.unwrap());
}

#[tokio::test]
async fn words_too_many_wait_outside() {
    let kit = Kit::new().await;
    let filled: Result<u64, StoreError> = kit
        .store
        .write(move |tx| {
            Box::pin(async move {
                let sql = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < $1) \
                           INSERT INTO maturity_said (event, part, body) SELECT -n, 0, '' FROM number";
                sql::execute(tx.sql(), sql, [sql::to_db(MAX_SAID).into()]).await
            })
        })
        .await;
    assert_eq!(filled.unwrap(), MAX_SAID);
    let refused = kit.store.say_maturity(&Kit::operator(), words(&["one"])).await;
    assert!(matches!(refused, Err(StoreError::Busy)));
}
