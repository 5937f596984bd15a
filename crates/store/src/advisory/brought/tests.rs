use serde_json::{Value, json};

use super::*;
use crate::Importer;
use crate::testing::Kit;

fn advisory(modified: &str, withdrawn: bool) -> Value {
    let mut advisory = json!({
        "schema_version": "1.6.0", "id": "A-1", "modified": modified,
        "affected": [{ "package": { "ecosystem": "npm", "name": "left" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }] }],
    });
    if withdrawn {
        advisory["withdrawn"] = json!(modified);
    }
    advisory
}

fn kev(released: &str, entries: &[(&str, &str)]) -> Value {
    let entry = |(id, day): &(&str, &str)| json!({ "cveID": id, "dateAdded": day });
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    json!({ "catalogVersion": "1", "dateReleased": released, "vulnerabilities": entries })
}

/// Imports documents, and answers the counts of each source.
async fn import(kit: &Kit, documents: &[(&str, Value)]) -> (Option<u64>, BTreeMap<String, Brought>) {
    let mut importer = Importer::begin(&kit.store).await.unwrap();
    for (name, document) in documents {
        importer.add(name, document.to_string().as_bytes()).await.unwrap();
    }
    let done = importer.finish("test", &Kit::operator()).await.unwrap();
    (done.generation, done.sources)
}

fn counts(entries: u64, added: u64, changed: u64, removed: u64) -> Brought {
    Brought {
        entries,
        added,
        changed,
        removed,
    }
}

#[tokio::test]
async fn what_is_new_changed_and_removed_is_counted_by_source() {
    let kit = Kit::new().await;
    let name = "osv/npm/all.zip/A-1.json";
    let (first, second, third) = (
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
    );
    let (_, came) = import(
        &kit,
        &[
            (name, advisory(first, false)),
            (
                "kev.json",
                kev(first, &[("CVE-1", "2026-01-01"), ("CVE-2", "2026-01-01")]),
            ),
        ],
    )
    .await;
    let expected = [("kev", counts(2, 2, 0, 0)), ("npm", counts(1, 1, 0, 0))];
    assert_eq!(
        came,
        expected.map(|(name, counts)| (name.to_owned(), counts)).into()
    );
    let (_, came) = import(
        &kit,
        &[
            (name, advisory(second, false)),
            (
                "kev.json",
                kev(second, &[("CVE-2", "2026-01-02"), ("CVE-3", "2026-01-02")]),
            ),
        ],
    )
    .await;
    let expected = [("kev", counts(2, 1, 1, 1)), ("npm", counts(1, 0, 1, 0))];
    assert_eq!(
        came,
        expected.map(|(name, counts)| (name.to_owned(), counts)).into()
    );
    for removed in [1, 0] {
        let (_, came) = import(&kit, &[(name, advisory(third, true))]).await;
        assert_eq!(came["npm"], counts(1, 0, 0, removed));
    }
}

#[tokio::test]
async fn by_which_bundle_a_source_last_came_is_kept() {
    let kit = Kit::new().await;
    let bundle = |made_at| CarriedBundle {
        signed_by: Some("/etc/roadbed/cosign.pub".to_owned()),
        made_at: Timestamp(made_at),
        digest: "sha256:0".to_owned(),
    };
    let note = async |generation, brought: Brought, bundle: Option<CarriedBundle>| {
        let sources = [("npm", brought), ("Go", Brought::default())];
        let sources = sources.map(|(name, brought)| (name.to_owned(), brought)).into();
        let operator = Kit::operator();
        let noted = kit
            .store
            .note_carried(&operator, generation, &sources, bundle.as_ref());
        noted.await.unwrap();
        kit.store.carried().await.unwrap()
    };
    let carried = note(Some(3), counts(5, 5, 0, 0), Some(bundle(7))).await;
    assert_eq!(
        carried.len(),
        1,
        "what brought nothing was not there: {carried:?}"
    );
    assert_eq!((carried[0].generation, carried[0].entries), (3, 5));
    assert_eq!(carried[0].bundle, Some(bundle(7)));
    // Nothing new of it: the generation stays.
    let carried = note(Some(4), counts(5, 0, 0, 0), Some(bundle(9))).await;
    assert_eq!(
        (carried[0].generation, carried[0].bundle.as_ref()),
        (3, Some(&bundle(9)))
    );
    let carried = note(Some(5), counts(6, 1, 0, 0), None).await;
    assert_eq!((carried[0].generation, carried[0].bundle.as_ref()), (5, None));
}

#[tokio::test]
async fn as_many_sources_as_anybody_names_are_bounded() {
    let kit = Kit::new().await;
    let mut tally = Tally::default();
    for number in 0..CARRIED_SOURCES + 7 {
        tally.of(&format!("folder-{number}")).entries += 1;
    }
    let sources = tally.into_sources();
    assert_eq!(sources[OTHERS].entries, 7);
    for name in ["a", "b"] {
        let renamed = sources
            .iter()
            .map(|(source, brought)| (format!("{name}-{source}"), *brought))
            .collect();
        let operator = Kit::operator();
        let noted = kit.store.note_carried(&operator, None, &renamed, None);
        noted.await.unwrap();
    }
    assert_eq!(kit.store.carried().await.unwrap().len(), CARRIED_SOURCES);
}
