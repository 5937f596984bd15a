use super::{exported, on_levels, times};
use crate::anonymous::{
    Document, DocumentError, MAX_APPLICATIONS, MAX_DOCUMENT_BYTES, MAX_FIGURES, MAX_TOPICS, Measured,
    SCHEMA_TEXT,
};
use crate::kpi::{Cohort, KpiId};
use proptest::prelude::*;
use serde_json::{Value, json};

fn document() -> Value {
    let measured = [Measured::Times {
        kpi: KpiId::TimeToRemediate,
        groups: vec![times(Cohort::Paved, 0..20, 1)],
    }];
    let document = exported(&on_levels(&[10, 10]), &measured, false).unwrap();
    serde_json::to_value(document).unwrap()
}

fn parsed(json: &Value) -> Result<Document, DocumentError> {
    Document::parse(&serde_json::to_vec(json).unwrap())
}

/// With one place changed.
fn changed(pointer: &str, value: Value) -> Result<Document, DocumentError> {
    let mut json = document();
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    parsed(&json)
}

#[test]
fn what_cannot_be_is_refused() {
    parsed(&document()).unwrap();
    let part = "/topics/0/rows/0/parts/1";
    for (pointer, value, problem) in [
        (
            "/schema".to_owned(),
            json!("roadbed.maturity.anonymous/2"),
            "another version",
        ),
        ("/period/until".to_owned(), json!("2026-07-01"), "period"),
        ("/coverage_percent".to_owned(), json!(101), "above 100"),
        (format!("{part}/applications"), json!(4), "fewer than 5"),
        (format!("{part}/applications"), json!(11), "the same applications"),
        (format!("{part}/lowest"), json!(1), "gaps or overlap"),
        ("/topics/0/topic".to_owned(), json!(""), "its name"),
        ("/topics/0/topic".to_owned(), json!("a\u{202e}b"), "its name"),
        ("/topics/0/topic".to_owned(), json!("a".repeat(65)), "its name"),
        ("/topics/0/rows".to_owned(), json!([]), "no levels"),
        ("/topics/0/rows/0/parts".to_owned(), json!([]), "do not end at 5"),
        ("/topics/0/rows/0/tiers".to_owned(), json!([1, 1]), "in one row"),
        (
            "/topics/0/on_target".to_owned(),
            json!({"on": 17, "below": 0}),
            "fewer than 5",
        ),
        (
            "/topics/0/on_target".to_owned(),
            json!({"on": 17, "below": 7}),
            "have a target",
        ),
        ("/road".to_owned(), json!([]), "each cohort"),
        ("/road/0/cohorts".to_owned(), json!(["stale"]), "each cohort"),
        ("/road/0/applications".to_owned(), json!(3), "fewer than 5"),
        ("/figures/0/keys".to_owned(), json!([]), "what it is about"),
        (
            "/figures/0/applications_at_least".to_owned(),
            json!(0),
            "fewer than 5",
        ),
        (
            "/figures/0/applications_at_least".to_owned(),
            json!(21),
            "multiple of five",
        ),
        (
            "/figures/0/value".to_owned(),
            json!({"is": "share", "per_mille": 1001}),
            "1000 thousandths",
        ),
        (
            "/figures/0/value".to_owned(),
            json!({"is": "number", "hundredths": 1}),
            "are numbers",
        ),
        (
            "/figures/0/value/over_after/0/per_mille".to_owned(),
            json!(2000),
            "1000 thousandths",
        ),
    ] {
        let error = changed(&pointer, value).unwrap_err().to_string();
        assert!(error.contains(problem), "{pointer}: {error}");
    }
}

#[test]
fn all_tiers_are_told_by_the_same_levels() {
    let mut json = document();
    let mut rows = [
        json["topics"][0]["rows"][0].clone(),
        json["topics"][0]["rows"][0].clone(),
    ];
    for (row, tier) in rows.iter_mut().zip([1, 2]) {
        row["tiers"] = json!([tier]);
        row["parts"][1]["applications"] = json!(5);
        row["parts"][2]["applications"] = json!(5);
    }
    json["topics"][0]["rows"] = rows.to_vec().into();
    parsed(&json).unwrap();
    // Tier 2 with levels 0 and 1 as one.
    rows[1]["parts"][1] = json!({"lowest": 0, "highest": 1, "applications": 10});
    rows[1]["parts"].as_array_mut().unwrap().remove(2);
    json["topics"][0]["rows"] = rows.to_vec().into();
    assert!(parsed(&json).unwrap_err().to_string().contains("the same levels"));
}

#[test]
fn what_is_not_of_this_form_is_refused() {
    for (pointer, value) in [
        ("/period/from", json!("20260701")),
        ("/period/from", json!("2026-7-1")),
        ("/period/from", json!("2026-W27-3")),
        ("/figures/0/kpi", json!("mean-of-levels")),
        ("/topics/0/rows/0/tiers", json!([-1])),
        ("/topics/0/rows/0/tiers", json!([1.5])),
        (
            "/figures/0/value",
            json!({"is": "share", "per_mille": 1, "app": "shop"}),
        ),
        (
            "/road/0",
            json!({"cohorts": ["paved"], "applications": 20, "teams": ["a"]}),
        ),
    ] {
        let error = changed(pointer, value.clone()).unwrap_err();
        assert!(
            matches!(error, DocumentError::Form(_)),
            "{pointer} {value}: {error}"
        );
    }
    let mut more = document();
    more["organisation"] = json!("Acme");
    assert!(matches!(parsed(&more), Err(DocumentError::Form(_))));
}

#[test]
fn lists_have_an_end() {
    let mut json = document();
    let topic = json["topics"][0].clone();
    let named = |n: usize| {
        let mut topic = topic.clone();
        topic["topic"] = json!(format!("t{n}"));
        topic
    };
    json["topics"] = (0..MAX_TOPICS).map(named).collect();
    parsed(&json).unwrap();
    json["topics"] = (0..=MAX_TOPICS).map(named).collect();
    assert!(
        parsed(&json)
            .unwrap_err()
            .to_string()
            .contains("more than 200 topics")
    );

    let mut json = document();
    json["figures"] = vec![json["figures"][0].clone(); MAX_FIGURES + 1].into();
    let error = parsed(&json).unwrap_err();
    assert!(error.to_string().contains("more than 500 figures"), "{error}");
    json["figures"] = vec![json["figures"][0].clone(); 2].into();
    assert!(parsed(&json).unwrap_err().to_string().contains("the same twice"));

    let mut json = document();
    json["topics"] = vec![topic.clone(); 2].into();
    assert!(parsed(&json).unwrap_err().to_string().contains("there twice"));

    let row = topic["rows"][0].clone();
    let mut json = document();
    json["topics"][0]["rows"] = vec![row; 300].into();
    assert!(
        parsed(&json)
            .unwrap_err()
            .to_string()
            .contains("more than 256 rows")
    );

    let mut json = document();
    json["figures"][0]["value"]["over_after"] = vec![json!({"seconds": 1, "per_mille": 1}); 33].into();
    assert!(
        parsed(&json)
            .unwrap_err()
            .to_string()
            .contains("more than 32 times")
    );

    let large = MAX_APPLICATIONS + 1;
    let error = changed("/road/0/applications", json!(large)).unwrap_err();
    assert!(error.to_string().contains("more than a million"));
}

#[test]
fn what_is_large_is_not_read() {
    let mut bytes = serde_json::to_vec(&document()).unwrap();
    bytes.resize(MAX_DOCUMENT_BYTES, b' ');
    Document::parse(&bytes).unwrap();
    bytes.push(b' ');
    assert!(matches!(Document::parse(&bytes), Err(DocumentError::Large(_))));
    let deep = "[".repeat(100_000);
    assert!(matches!(
        Document::parse(deep.as_bytes()),
        Err(DocumentError::Form(_))
    ));
}

/// The members that a schema requires at a place, and those that are there.
fn assert_described(schema: &Value, value: &Value, place: &str) {
    if let (Some(members), Some(described)) = (value.as_object(), schema["properties"].as_object()) {
        let names: Vec<&String> = members.keys().collect();
        let described_names: Vec<&String> = described.keys().collect();
        assert_eq!(sorted(names), sorted(described_names), "{place}");
        let required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        assert_eq!(
            sorted(required),
            sorted(members.keys().cloned().collect()),
            "{place}"
        );
        assert_eq!(schema["additionalProperties"], json!(false), "{place}");
        for (name, member) in members {
            assert_described(&described[name], member, &format!("{place}/{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        assert_described(&schema["items"], item, &format!("{place}[]"));
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

#[test]
fn the_schema_describes_the_document() {
    let schema: Value = serde_json::from_str(SCHEMA_TEXT).unwrap();
    assert_described(&schema, &document(), "");
    assert_eq!(
        schema["properties"]["schema"]["const"],
        json!(crate::anonymous::SCHEMA)
    );
    assert_eq!(schema["$defs"]["kpi"]["enum"], json!(KpiId::ALL));
    assert_eq!(schema["$defs"]["cohort"]["enum"], json!(Cohort::ALL));
    assert_eq!(schema["properties"]["topics"]["maxItems"], json!(MAX_TOPICS));
    assert_eq!(schema["properties"]["figures"]["maxItems"], json!(MAX_FIGURES));
}

proptest! {
    #[test]
    fn rubbish_is_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Document::parse(&bytes).is_err());
    }

    #[test]
    fn a_flipped_byte_is_refused_or_read(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = serde_json::to_vec(&document()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Document::parse(&bytes) {
            prop_assert_eq!(Document::parse(&read.to_bytes().unwrap()).unwrap(), read);
        }
    }
}
