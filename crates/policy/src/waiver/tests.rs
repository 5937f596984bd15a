use serde_json::{Value, json};

use super::*;

fn waiver(change: &Value) -> Result<Waiver, String> {
    let mut form = json!({
        "id": "w", "findings": ["CVE-1"], "repositories": ["**"], "reason": "r", "requester": "ann", "approver": "bob",
        "from": "2026-01-01", "until": "2026-06-30",
    });
    for (key, value) in change.as_object().unwrap() {
        form[key] = value.clone();
        if value.is_null() {
            form.as_object_mut().unwrap().remove(key);
        }
    }
    serde_json::from_value(form).map_err(|error| error.to_string())
}

#[test]
fn a_waiver_is_approved_by_another_person_and_ends() {
    let facts = oci::Digest::of(oci::Algorithm::Sha256, b"");
    for (change, expected) in [
        (
            json!({"approver": "ann"}),
            "a waiver needs another person as approver: `ann` cannot approve what they ask for",
        ),
        (json!({"approver": " ANN "}), "a waiver needs another person"),
        (json!({"until": null}), "missing field `until`"),
        (
            json!({"until": "2027-01-02"}),
            "a waiver is in force for at most 366 days, this one for 367",
        ),
        (
            json!({"until": "2025-12-31"}),
            "a waiver must end after it begins",
        ),
        (
            json!({"until": "soon"}),
            "`soon` is no date: write 2026-01-31 or 2026-01-31T12:00:00Z",
        ),
        (json!({"until": "+12026-01-31"}), "is no date"),
        (json!({"reason": "  "}), "a waiver needs `reason`"),
        (
            json!({"reason": "x".repeat(2_001)}),
            "`reason` is longer than 2000 bytes",
        ),
        (json!({"requester": ""}), "a waiver needs `requester`"),
        (
            json!({"findings": []}),
            "a waiver names `findings` or `rules`, or both",
        ),
        (
            json!({"findings": vec!["x"; 101]}),
            "`findings` has 101 entries: at most 100 are allowed",
        ),
        (json!({"repositories": []}), "a waiver needs `repositories`"),
        (json!({"repositories": ["A"]}), "repository pattern `A`"),
        (
            json!({"kind": "false-positive"}),
            "a false positive names the fingerprint of its facts (`facts`) and one finding",
        ),
        (
            json!({"kind": "false-positive", "facts": facts, "findings": ["a", "b"]}),
            "a false positive names",
        ),
        (json!({"kind": "nothing"}), "unknown variant `nothing`"),
        (json!({"expires": "x"}), "unknown field `expires`"),
    ] {
        let error = waiver(&change).unwrap_err();
        assert!(
            error.starts_with(expected) || error.contains("is no date") && expected == "is no date",
            "{change}: {error}"
        );
    }
    assert!(waiver(&json!({"kind": "false-positive", "facts": facts})).is_ok());
    assert!(waiver(&json!({"until": "2027-01-01T23:59:59Z"})).is_ok());
}

#[test]
fn it_is_kept_as_it_was() {
    let waiver = waiver(&json!({"package": "p", "rules": ["r"]})).unwrap();
    let text = serde_json::to_string(&waiver).unwrap();
    assert_eq!(serde_json::from_str::<Waiver>(&text).unwrap(), waiver);
    assert!(text.contains(r#""until":"2026-07-01T00:00:00Z""#));
}

#[test]
fn its_last_day_counts() {
    use time::macros::datetime;
    let waiver = waiver(&json!({})).unwrap();
    for (now, state) in [
        (datetime!(2025-12-31 23:59:59 UTC), WaiverState::Coming),
        (datetime!(2026-01-01 0:00 UTC), WaiverState::InForce),
        (datetime!(2026-06-30 23:59:59 UTC), WaiverState::InForce),
        (datetime!(2026-07-01 0:00 UTC), WaiverState::Expired),
    ] {
        assert_eq!(waiver.state(now), state, "{now}");
    }
}
