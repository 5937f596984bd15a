//! Generations: atomic, and nothing of a source is overwritten.

use findings::advisory::DocumentKind;

use super::*;
use crate::testing::Kit;

fn row(id: &str, body: &str) -> AdvisoryRow {
    AdvisoryRow {
        id: id.to_owned(),
        modified: body.to_owned(),
        body: body.as_bytes().to_vec(),
    }
}

async fn all(kit: &Kit) -> Vec<(String, String)> {
    let rows = kit.store.advisories("", 1_000).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.modified)).collect()
}

fn pair(id: &str, body: &str) -> (String, String) {
    (id.to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_import_is_seen_whole_or_not_at_all() {
    let kit = Kit::new().await;
    let store = &kit.store;
    let import = store.begin_import().await.unwrap();
    let rows = [row("A-1", "old"), row("B-1", "old")];
    store.import_advisories(&import, &rows).await.unwrap();
    assert!(all(&kit).await.is_empty());
    let operator = Kit::operator();
    let finish = |import| {
        store.finish_import(
            import,
            "test",
            serde_json::json!({}),
            vec![AdvisoryDocument {
                kind: "kev".to_owned(),
                name: "kev".to_owned(),
                body: b"{}".to_vec(),
            }],
            &operator,
        )
    };
    assert_eq!(finish(import).await.unwrap(), 1);
    assert_eq!(all(&kit).await, [pair("A-1", "old"), pair("B-1", "old")]);

    // A killed import leaves nothing that anybody sees.
    let killed = store.begin_import().await.unwrap();
    store
        .import_advisories(&killed, &[row("A-1", "torn"), row("C-1", "torn")])
        .await
        .unwrap();
    // A second one at the same time would write under the same number.
    assert!(matches!(
        store.begin_import().await,
        Err(StoreError::ImportRunning)
    ));
    drop(killed);
    let import = store.begin_import().await.unwrap();
    store
        .import_advisories(&import, &[row("A-1", "new")])
        .await
        .unwrap();
    assert_eq!(finish(import).await.unwrap(), 2);
    assert_eq!(all(&kit).await, [pair("A-1", "new"), pair("B-1", "old")]);
    assert_eq!(store.advisories("A-1", 10).await.unwrap(), [row("B-1", "old")]);
    assert_eq!(store.advisory_imports().await.unwrap().len(), 2);
    assert_eq!(store.advisory_documents("kev").await.unwrap().len(), 1);
}

async fn imported(kit: &Kit, documents: &[(&str, &str)], withdrawn: &[&str]) -> Option<u64> {
    let mut importer = Importer::begin(&kit.store).await.unwrap();
    for (name, text) in documents {
        importer.add(name, text.as_bytes()).await.unwrap();
    }
    for id in withdrawn {
        importer.withdraw(id).await.unwrap();
    }
    let summary = importer.finish("test", &Kit::operator()).await.unwrap();
    assert_eq!(summary.refused, 0, "{summary:?}");
    summary.generation
}

#[tokio::test]
async fn what_a_source_has_no_more_is_kept_and_counts_no_more() {
    let kit = Kit::new().await;
    let advisory = r#"{"id":"GHSA-1","modified":"2022-01-01T00:00:00Z","affected":[]}"#;
    let document = ("Maven/GHSA-1.json", advisory);
    let withdrawn = async || {
        let row = kit.store.advisory("GHSA-1").await.unwrap().unwrap();
        row.advisory().unwrap().withdrawn.is_some()
    };
    assert_eq!(imported(&kit, &[document], &[]).await, Some(1));
    assert!(!withdrawn().await);
    assert_eq!(imported(&kit, &[], &["GHSA-1", "GHSA-unknown"]).await, Some(2));
    assert!(withdrawn().await);
    // Once is enough, and what is published again counts again.
    assert_eq!(imported(&kit, &[], &["GHSA-1"]).await, None);
    assert_eq!(imported(&kit, &[document], &[]).await, Some(3));
    assert!(!withdrawn().await);
}

#[tokio::test]
async fn a_catalogue_that_has_not_changed_makes_no_generation() {
    let kit = Kit::new().await;
    let catalogue = |version: &str| {
        format!(
            r#"{{"catalogVersion":"{version}","dateReleased":"2025-08-25T00:00:00Z","vulnerabilities":[]}}"#
        )
    };
    for (version, generation) in [("1", Some(1)), ("1", None), ("2", Some(2))] {
        let text = catalogue(version);
        assert_eq!(imported(&kit, &[("kev.json", &text)], &[]).await, generation);
    }
}

/// A mirror of advisories could otherwise empty the catalogue of what is exploited, or speak for a signer.
#[tokio::test]
async fn what_comes_as_an_advisory_is_nothing_else() {
    let kit = Kit::new().await;
    let kev = r#"{"id":"X-1","modified":"2024-01-01T00:00:00Z","catalogVersion":"1","dateReleased":"2025-08-25T00:00:00Z","vulnerabilities":[]}"#;
    let vex = r#"{"id":"X-2","modified":"2024-01-01T00:00:00Z","@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"vendor","timestamp":"2024-01-01T00:00:00Z","version":1,"statements":[]}"#;
    let mut importer = Importer::begin(&kit.store).await.unwrap();
    for (name, text) in [
        ("npm/X-1.json", kev),
        ("npm/X-2.json", vex),
        ("npm/X-3.json", "rubbish"),
    ] {
        importer
            .add_only(DocumentKind::Osv, name, text.as_bytes())
            .await
            .unwrap();
    }
    assert_eq!(importer.changed().await.unwrap(), 0);
    let summary = importer.finish("test", &Kit::operator()).await.unwrap();
    assert_eq!((summary.refused, summary.generation), (3, None), "{summary:?}");
    // They are what they dress up as, where that may come.
    assert_eq!(imported(&kit, &[("x", kev), ("y", vex)], &[]).await, Some(1));
}

fn dated(modified: &str, summary: &str) -> String {
    format!(r#"{{"id":"GHSA-1","modified":"{modified}","summary":"{summary}","affected":[]}}"#)
}

async fn says(kit: &Kit) -> String {
    let row = kit.store.advisory("GHSA-1").await.unwrap().unwrap();
    row.advisory().unwrap().summary
}

/// A mirror that hands out old data, or the import of an old archive.
#[tokio::test]
async fn what_is_older_than_what_is_known_replaces_nothing() {
    let kit = Kit::new().await;
    let (old, new) = (
        dated("2022-01-01T00:00:00Z", "old"),
        dated("2023-01-01T00:00:00Z", "new"),
    );
    // Also where both come with one import, whichever comes first.
    let both = [("Maven/GHSA-1.json", new.as_str()), ("npm/GHSA-1.json", &old)];
    assert_eq!(imported(&kit, &both, &[]).await, Some(1));
    assert_eq!(says(&kit).await, "new");
    let mut importer = Importer::begin(&kit.store).await.unwrap();
    let undated = dated("0001-01-01T00:00:00Z", "undated");
    for text in [&old, &undated] {
        importer.add("Maven/GHSA-1.json", text.as_bytes()).await.unwrap();
    }
    let summary = importer.finish("test", &Kit::operator()).await.unwrap();
    assert_eq!((summary.generation, summary.older), (None, 2), "{summary:?}");
    assert_eq!(says(&kit).await, "new");
    // A date that has not come yet keeps nothing out.
    let ahead = dated("2999-01-01T00:00:00Z", "ahead");
    assert_eq!(imported(&kit, &[("x/GHSA-1.json", &ahead)], &[]).await, Some(2));
    assert_eq!(imported(&kit, &[("x/GHSA-1.json", &old)], &[]).await, Some(3));
    assert_eq!(says(&kit).await, "old");
}

#[tokio::test]
async fn catalogues_and_vex_do_not_go_back_either() {
    let kit = Kit::new().await;
    let kev = |year: u32| {
        format!(
            r#"{{"catalogVersion":"1","dateReleased":"{year}-08-25T17:04:19.9796Z","vulnerabilities":[]}}"#
        )
    };
    let epss =
        |year: u32| format!("#model_version:v1,score_date:{year}-08-25T00:00:00+0000\ncve,epss,percentile\n");
    let vex = |year: u32| {
        format!(
            r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"vendor","timestamp":"{year}-01-01T00:00:00Z","version":1,"statements":[]}}"#
        )
    };
    for text in [&kev as &dyn Fn(u32) -> String, &epss, &vex] {
        let name = "same-name";
        imported(&kit, &[(name, &text(2024))], &[]).await.unwrap();
        let mut importer = Importer::begin(&kit.store).await.unwrap();
        importer.add(name, text(2023).as_bytes()).await.unwrap();
        let summary = importer.finish("test", &Kit::operator()).await.unwrap();
        assert_eq!((summary.generation, summary.refused), (None, 1), "{summary:?}");
        assert!(
            summary.refusals[0].contains("is older than what is known"),
            "{summary:?}"
        );
        imported(&kit, &[(name, &text(2025))], &[]).await.unwrap();
    }
}

/// One ecosystem has it no more, another one has just listed it.
#[tokio::test]
async fn what_comes_with_an_import_is_not_taken_back_by_it() {
    let kit = Kit::new().await;
    let first = dated("2022-01-01T00:00:00Z", "first");
    imported(&kit, &[("Maven/GHSA-1.json", &first)], &[])
        .await
        .unwrap();
    let second = dated("2023-01-01T00:00:00Z", "second");
    imported(&kit, &[("npm/GHSA-1.json", &second)], &["GHSA-1"])
        .await
        .unwrap();
    let row = kit.store.advisory("GHSA-1").await.unwrap().unwrap();
    assert_eq!(row.advisory().unwrap().withdrawn, None);
    assert_eq!(says(&kit).await, "second");
    // What was taken back counts again in whatever state its source publishes it.
    imported(&kit, &[], &["GHSA-1"]).await.unwrap();
    imported(&kit, &[("Maven/GHSA-1.json", &first)], &[])
        .await
        .unwrap();
    assert_eq!(says(&kit).await, "first");
}

#[tokio::test]
async fn more_advisories_than_an_index_holds_are_not_imported() {
    let kit = Kit::with(|limits| limits.advisories = 2).await;
    let document =
        |id: &str, year: u32| format!(r#"{{"id":"{id}","modified":"{year}-01-01T00:00:00Z","affected":[]}}"#);
    let (a, b, c) = (
        document("A-1", 2022),
        document("B-1", 2022),
        document("C-1", 2022),
    );
    imported(&kit, &[("x/a.json", &a), ("x/b.json", &b)], &[])
        .await
        .unwrap();
    let mut importer = Importer::begin(&kit.store).await.unwrap();
    importer.add("x/c.json", c.as_bytes()).await.unwrap();
    let error = importer.finish("test", &Kit::operator()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("there would be more than 2 advisories (storage.advisories)"),
        "{text}"
    );
    assert_eq!(kit.store.advisory("C-1").await.unwrap(), None);
    // What is there may change.
    imported(&kit, &[("x/a.json", &document("A-1", 2023))], &[])
        .await
        .unwrap();
}
