//! What advisories said at each moment. The facts lie in `tests/replay/log4j.json`, in our own words: each source's later state with
//! the fixes that were released by then, so that nobody is told of a version that did not exist.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

const FACTS: &str = include_str!("../../../tests/replay/log4j.json");

/// What one source said from a moment on.
#[derive(Debug, Deserialize)]
pub(super) struct Dated {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    source: String,
    id: String,
    cve: String,
    summary: String,
    /// A vector, or a word.
    cvss: Option<String>,
    score: Option<String>,
    severity: Option<String>,
    /// From, and the first version with the fix.
    ranges: Vec<(String, String)>,
}

/// All that was said, in order.
pub(super) fn all() -> Vec<Dated> {
    let mut dated: Vec<Dated> = serde_json::from_str(FACTS).unwrap();
    dated.sort_by_key(|dated| dated.at);
    dated
}

/// What was said at a moment and not before.
pub(super) fn said_at(at: OffsetDateTime) -> Vec<(String, Value)> {
    let said = all().into_iter().filter(|dated| dated.at == at);
    let said: Vec<_> = said.map(|dated| dated.document()).collect();
    assert!(!said.is_empty(), "nobody said anything at {at}");
    said
}

impl Dated {
    /// As a document of its source.
    pub(super) fn document(&self) -> (String, Value) {
        let moment = self
            .at
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let affected: Vec<Value> = self
            .ranges
            .iter()
            .map(|(from, fixed)| {
                json!({
                    "package": { "ecosystem": "Maven", "name": "org.apache.logging.log4j:log4j-core" },
                    "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": from }, { "fixed": fixed }] }],
                })
            })
            .collect();
        let mut document = json!({
            "schema_version": "1.6.0", "id": self.id, "aliases": [self.cve], "published": moment, "modified": moment,
            "summary": self.summary, "affected": affected, "database_specific": {},
        });
        if let Some(vector) = &self.cvss {
            document["severity"] = json!([{ "type": "CVSS_V3", "score": vector }]);
        }
        for (name, said) in [("severity", &self.severity), ("cvss_score", &self.score)] {
            if let Some(said) = said {
                document["database_specific"][name] = json!(said);
            }
        }
        (format!("{}/{}.json", self.source, self.id), document)
    }
}

/// Nobody is told of a version that did not exist.
#[test]
fn the_facts_are_in_order_and_name_no_fix_before_its_release() {
    let released = [
        ("2.15.0", "2021-12-10"),
        ("2.16.0", "2021-12-13"),
        ("2.12.2", "2021-12-15"),
        ("2.17.0", "2021-12-18"),
        ("2.3.1", "2021-12-22"),
        ("2.12.3", "2021-12-22"),
        ("2.17.1", "2021-12-28"),
        ("2.12.4", "2021-12-29"),
        ("2.3.2", "2021-12-29"),
    ];
    for dated in all() {
        for (_, fixed) in &dated.ranges {
            let (_, day) = released.iter().find(|(version, _)| version == fixed).unwrap();
            let said = dated.at.date().to_string();
            assert!(said.as_str() >= *day, "{} names {fixed} on {said}", dated.id);
        }
    }
}
