//! What changed is what whoever asks is told, whatever can be read of it.

use store::{Actor, Importer};

use super::*;
use crate::judge::tests::open;

fn document(id: &str, name: &str, fixed: &str) -> String {
    serde_json::json!({
        "id": id, "modified": "2026-01-01T00:00:00Z",
        "affected": [{
            "package": { "ecosystem": "npm", "name": name },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        }],
    })
    .to_string()
}

async fn import(store: &Store, documents: &[String]) -> u64 {
    let mut importer = Importer::begin(store).await.unwrap();
    for (number, text) in documents.iter().enumerate() {
        let name = format!("osv/npm/{number}.json");
        importer.add(&name, text.as_bytes()).await.unwrap();
    }
    let summary = importer.finish("test", &Actor::operator("test")).await.unwrap();
    summary.generation.unwrap()
}

#[tokio::test]
async fn both_states_of_what_changed_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let first = import(
        &store,
        &[document("CVE-1", "a", "2.0.0"), document("CVE-2", "b", "2.0.0")],
    )
    .await;
    let mut later = document("CVE-1", "a", "3.0.0");
    later = later.replace("2026-01-01", "2026-01-02");
    let second = import(&store, &[later, document("CVE-3", "c", "1.0.0")]).await;
    let changed = changed(&store, (first, second)).await.unwrap();
    let told: Vec<_> = changed
        .iter()
        .map(|one| (one.before.is_some(), one.after.id.as_str()))
        .collect();
    assert_eq!(told, [(true, "CVE-1"), (false, "CVE-3")]);
    let after = changed.iter().map(|one| one.after.clone());
    let present = AdvisoryIndex::build(after.collect::<Vec<_>>()).unwrap();
    let touched = touched(changed, &CatalogueChange::default(), &present, false).unwrap();
    let names: Vec<_> = touched.packages.iter().map(|(_, name)| name.as_ref()).collect();
    assert_eq!(names, ["a", "c"]);
}
