//! What of an image's reports is taken, and what of it is said.

use std::collections::BTreeMap;

use oci::{Algorithm, MediaType};

use super::*;
use crate::judge::tests::{open, push};

async fn gathered(store: &Store, repo: &RepoName, digest: &Digest, image_memory: u64) -> Gathered {
    let evidence = Evidence::new(store.clone(), image_memory);
    let stored = store.manifest_to_judge(repo, digest).await.unwrap().unwrap();
    let limits = crate::judge::stored_limits();
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &limits).unwrap();
    evidence.gather(repo, &manifest).await.unwrap().unwrap()
}

/// A thousand layers may fill a report each: what is beyond the room of one image is not known, and never clean.
#[tokio::test]
async fn reports_beyond_the_room_of_one_image_are_not_taken_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    let digest = push(&store, &repo, &[]).await;
    let is_told = |gathered: &Gathered| {
        let mut unknowns = gathered.unknowns.iter();
        unknowns.any(|unknown| unknown.kind == UnknownKind::NotScannable && unknown.detail == "image.reports")
    };
    let whole = gathered(&store, &repo, &digest, IMAGE_MEMORY).await;
    assert_eq!((whole.image.layers.len(), is_told(&whole)), (2, false));
    let weight: usize = whole.image.layers.iter().map(|report| weight::of(report)).sum();
    let same = gathered(&store, &repo, &digest, weight as u64).await;
    assert_eq!((same.image.layers.len(), is_told(&same)), (2, false));
    let less = gathered(&store, &repo, &digest, weight as u64 - 1).await;
    assert_eq!((less.image.layers.len(), is_told(&less)), (1, true));
    assert_eq!(less.diff_ids.len(), 2);
}

/// A client may unpack by a table that the manifest names and nobody looked for: the footer names another one.
#[test]
fn a_table_of_contents_that_only_the_manifest_names_is_ambiguous() {
    let (known, other) = (
        Digest::of(Algorithm::Sha256, b"known"),
        Digest::of(Algorithm::Sha256, b"other"),
    );
    let unknowns = |annotations: &[(&str, String)], tables: Option<Vec<Digest>>| {
        let media_type: MediaType = oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap();
        let mut layer = Descriptor::new(media_type, known, 1);
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        layer.annotations = annotations.collect::<BTreeMap<_, _>>();
        let mut report = crate::worker::not_scannable(known, "x", "y");
        report.tables = tables;
        let mut unknowns = Vec::new();
        note_other_table(&layer, &report, &mut unknowns);
        unknowns.len()
    };
    for name in NAMES_TABLE {
        let named = |digest: &Digest| [(name, digest.to_string())];
        assert_eq!(unknowns(&named(&known), Some(vec![known])), 0);
        assert_eq!(unknowns(&named(&other), Some(vec![known])), 1);
        assert_eq!(unknowns(&named(&known), Some(Vec::new())), 1, "there is none");
        assert_eq!(unknowns(&[(name, "nonsense".to_owned())], Some(vec![known])), 1);
        assert_eq!(unknowns(&named(&other), None), 0, "nobody has looked");
    }
    // Where it lies is the clients' business: they check it by its digest.
    let position = "io.github.containers.zstd-chunked.manifest-position";
    assert_eq!(
        unknowns(&[(position, "1:2:3:4".to_owned())], Some(vec![known])),
        0
    );
}

/// Nine who judge, push and ask must not hold nine times the memory of one.
#[tokio::test]
async fn one_large_image_is_worked_on_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    let digest = push(&store, &repo, &[]).await;
    let stored = store.manifest_to_judge(&repo, &digest).await.unwrap().unwrap();
    let limits = crate::judge::stored_limits();
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &limits).unwrap();
    let gather = async |light: u64| {
        let mut evidence = Evidence::new(store.clone(), IMAGE_MEMORY);
        evidence.light = light;
        let gathered = evidence.gather(&repo, &manifest).await.unwrap().unwrap();
        assert_eq!(gathered.image.layers.len(), 2);
        gathered
    };
    let first = gather(0).await;
    gather(LIGHT).await;
    let wait = std::time::Duration::from_millis(100);
    assert!(
        tokio::time::timeout(wait, gather(0)).await.is_err(),
        "two at a time"
    );
    drop(first);
    gather(0).await;
}
