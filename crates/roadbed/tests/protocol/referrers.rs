//! end-12 beyond the data sets: what is not there yet, what is gone, fallback tags, filters, many pages.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::data_sets::{KIND_ONE, KIND_TWO};
use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    manifest::{Document, Draft, EMPTY_JSON, INDEX, small_image},
    server::Server,
    tally::Tally,
};

/// Referrers of the subject that has many: more than one page of any size that is asked for here.
const MANY: usize = 25;

/// Pages followed before a list is called endless.
const MAX_PAGES: usize = 100;

/// An artifact that refers to a subject, distinct per number.
fn referrer(subject: &Value, kind: &str, number: usize) -> Document {
    let empty = Blob::empty_json(Algorithm::Sha256).descriptor(EMPTY_JSON);
    let draft = Draft::image(empty.clone(), vec![empty])
        .artifact_type(kind)
        .subject(subject.clone());
    draft
        .annotation("org.example.number", &number.to_string())
        .finish()
}

async fn push_referrer(client: &Client, repository: &str, document: &Document) -> Result<()> {
    client
        .push_blob(repository, &Blob::empty_json(Algorithm::Sha256))
        .await?;
    let answer = client
        .push_manifest(repository, &document.digest, document)
        .await?
        .expect(&[201])?;
    answer.expect_header("oci-subject", document.subject.as_deref().unwrap_or_default())?;
    Ok(())
}

/// All pages of a list of referrers.
async fn referrers(client: &Client, repository: &str, subject: &str, query: &str) -> Result<Vec<Value>> {
    let mut next = Some(client.url(&format!("/v2/{repository}/referrers/{subject}?{query}")));
    let (mut entries, mut pages) = (Vec::new(), 0);
    while let Some(url) = next {
        let answer = client
            .get(url.as_str())
            .send()
            .await?
            .expect(&[200])?
            .expect_header("content-type", INDEX)?;
        if query.contains("artifactType") {
            ensure!(
                answer.header("oci-filters-applied") == Some("artifactType"),
                "page {pages} is not filtered"
            );
        }
        let body = answer.json()?;
        ensure!(
            body["schemaVersion"] == 2 && body["mediaType"] == INDEX,
            "not an index: {body}"
        );
        entries.extend(
            body["manifests"]
                .as_array()
                .context("no manifests")?
                .iter()
                .cloned(),
        );
        next = answer.next_link()?;
        pages += 1;
        ensure!(pages < MAX_PAGES, "the list never ends");
    }
    Ok(entries)
}

fn digests(entries: &[Value]) -> Vec<&str> {
    let mut digests: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["digest"].as_str())
        .collect();
    digests.sort_unstable();
    digests
}

async fn of_nothing(client: Client) -> Result<()> {
    let subject = Algorithm::Sha256.digest(b"nothing");
    ensure!(
        referrers(&client, "referrers/unknown-repository", &subject, "")
            .await?
            .is_empty(),
        "not empty"
    );
    let (blobs, document) = small_image("alone");
    client
        .push_image("referrers/alone", "latest", &blobs, &document)
        .await?;
    for subject in [document.digest, subject, Algorithm::Sha512.digest(b"nothing")] {
        ensure!(
            referrers(&client, "referrers/alone", &subject, "")
                .await?
                .is_empty(),
            "not empty"
        );
        ensure!(
            referrers(&client, "referrers/alone", &subject, "artifactType=a%2Fb")
                .await?
                .is_empty(),
            "not empty"
        );
    }
    Ok(())
}

async fn of_bad_digests(client: Client) -> Result<()> {
    for digest in [
        "sha256:abc",
        "latest",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:",
        ":",
    ] {
        let answer = client
            .get(format!("/v2/referrers/bad/referrers/{digest}"))
            .send()
            .await?;
        answer.expect_error(400, "DIGEST_INVALID")?;
    }
    Ok(())
}

/// The subject comes after its referrers, goes before them, and comes back: the list does not care.
async fn of_a_subject_that_comes_and_goes(client: Client) -> Result<()> {
    let repository = "referrers/late";
    let (blobs, subject) = small_image("late subject");
    let artifact = referrer(&subject.descriptor(), KIND_ONE, 0);
    push_referrer(&client, repository, &artifact).await?;
    for step in ["before", "with", "after", "again"] {
        match step {
            "with" | "again" => client.push_image(repository, "latest", &blobs, &subject).await?,
            "after" => {
                let path = format!("/v2/{repository}/manifests/{}", subject.digest);
                client.delete(path).send().await?.expect(&[202])?;
            }
            _ => {}
        }
        let entries = referrers(&client, repository, &subject.digest, "").await?;
        ensure!(
            digests(&entries) == [artifact.digest.as_str()],
            "{step} the subject: {entries:?}"
        );
    }
    Ok(())
}

async fn that_were_deleted(client: Client) -> Result<()> {
    let repository = "referrers/deleted";
    let (blobs, subject) = small_image("deleted referrer");
    client.push_image(repository, "latest", &blobs, &subject).await?;
    let (first, second) = (
        referrer(&subject.descriptor(), KIND_ONE, 1),
        referrer(&subject.descriptor(), KIND_ONE, 2),
    );
    for artifact in [&first, &second] {
        push_referrer(&client, repository, artifact).await?;
    }
    client
        .delete(format!("/v2/{repository}/manifests/{}", first.digest))
        .send()
        .await?
        .expect(&[202])?;
    let entries = referrers(&client, repository, &subject.digest, "").await?;
    ensure!(digests(&entries) == [second.digest.as_str()], "{entries:?}");
    // Pushed twice it is listed once.
    push_referrer(&client, repository, &second).await?;
    ensure!(
        referrers(&client, repository, &subject.digest, "").await?.len() == 1,
        "listed twice"
    );
    Ok(())
}

/// A list belongs to its repository.
async fn of_another_repository(client: Client) -> Result<()> {
    let (_, subject) = small_image("two repositories");
    push_referrer(
        &client,
        "referrers/here",
        &referrer(&subject.descriptor(), KIND_ONE, 0),
    )
    .await?;
    ensure!(
        referrers(&client, "referrers/there", &subject.digest, "")
            .await?
            .is_empty(),
        "listed elsewhere"
    );
    Ok(())
}

/// Specification, "Enabling the Referrers API": clients of older registries kept an index under `sha256-<hex>`.
async fn under_a_fallback_tag(client: Client) -> Result<()> {
    let repository = "referrers/fallback";
    let (blobs, subject) = small_image("fallback subject");
    client.push_image(repository, "latest", &blobs, &subject).await?;
    let known = referrer(&subject.descriptor(), KIND_ONE, 1);
    push_referrer(&client, repository, &known).await?;
    // Signed before subjects existed: only the fallback index knows whom it refers to.
    let empty = Blob::empty_json(Algorithm::Sha256).descriptor(EMPTY_JSON);
    let old = Draft::image(empty.clone(), vec![empty])
        .artifact_type(KIND_TWO)
        .annotation("org.example", "old")
        .finish();
    client
        .push_manifest(repository, &old.digest, &old)
        .await?
        .expect(&[201])?;
    let mut entry = old.descriptor();
    entry["artifactType"] = json!(KIND_TWO);
    entry["annotations"] = json!({ "org.example": "old" });
    let index = Draft::index(vec![entry, known.descriptor()]).finish();
    client
        .push_manifest(repository, &subject.digest.replace(':', "-"), &index)
        .await?
        .expect(&[201])?;
    let entries = referrers(&client, repository, &subject.digest, "").await?;
    let mut wanted = [known.digest.as_str(), old.digest.as_str()];
    wanted.sort_unstable();
    ensure!(digests(&entries) == wanted, "{entries:?}");
    let filter = format!("artifactType={}", KIND_TWO.replace('+', "%2B"));
    let entries = referrers(&client, repository, &subject.digest, &filter).await?;
    ensure!(digests(&entries) == [old.digest.as_str()], "{entries:?}");
    ensure!(
        entries[0]["annotations"]["org.example"] == "old" && entries[0]["size"] == old.bytes.len(),
        "{entries:?}"
    );
    // The index that replaces the old one counts.
    client
        .push_manifest(
            repository,
            &subject.digest.replace(':', "-"),
            &Draft::index(Vec::new()).finish(),
        )
        .await?;
    let entries = referrers(&client, repository, &subject.digest, "").await?;
    ensure!(digests(&entries) == [known.digest.as_str()], "{entries:?}");
    Ok(())
}

/// Filters and pages together; `n` is our own addition to the specification's `Link`.
async fn in_many_pages(client: Client) -> Result<()> {
    let repository = "referrers/many";
    let (_, subject) = small_image("many");
    let mut wanted = Vec::new();
    for number in 0..MANY {
        let kind = if number % 5 == 0 { KIND_TWO } else { KIND_ONE };
        let artifact = referrer(&subject.descriptor(), kind, number);
        push_referrer(&client, repository, &artifact).await?;
        wanted.push((artifact.digest, kind));
    }
    wanted.sort_unstable();
    let of_kind = |kind: &str| {
        wanted
            .iter()
            .filter(|(_, own)| *own == kind)
            .map(|(digest, _)| digest.as_str())
            .collect()
    };
    let all: Vec<&str> = wanted.iter().map(|(digest, _)| digest.as_str()).collect();
    let filter_one = format!("artifactType={KIND_ONE}");
    let filter_two = format!("artifactType={}", KIND_TWO.replace('+', "%2B"));
    let some: [(String, Vec<&str>); 3] = [
        (String::new(), all),
        (filter_one, of_kind(KIND_ONE)),
        (filter_two, of_kind(KIND_TWO)),
    ];
    for (filter, wanted) in some {
        for size in ["", "n=1", "n=4", "n=1000"] {
            let query = format!("{filter}&{size}");
            let entries = referrers(&client, repository, &subject.digest, &query).await?;
            ensure!(
                digests(&entries) == wanted,
                "{query}: {} entries, wanted {}",
                entries.len(),
                wanted.len()
            );
        }
    }
    Ok(())
}

/// A subject that is no descriptor makes the manifest invalid.
async fn of_broken_subjects(client: Client) -> Result<()> {
    let (_, image) = small_image("broken");
    let mut broken = [
        image.descriptor(),
        image.descriptor(),
        image.descriptor(),
        json!("text"),
        json!([]),
    ];
    broken[0]["digest"] = json!("sha256:abc");
    broken[1]["size"] = json!(-1);
    broken[2]["mediaType"] = json!("no media type");
    client
        .push_blob("referrers/broken", &Blob::empty_json(Algorithm::Sha256))
        .await?;
    for subject in &broken {
        let document = referrer(subject, KIND_ONE, 0);
        let answer = client
            .push_manifest("referrers/broken", &document.digest, &document)
            .await?;
        answer
            .expect_one_error(&[400], &["MANIFEST_INVALID", "DIGEST_INVALID"])
            .with_context(|| subject.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn lists_of_referrers() {
    let server = Server::start().await;
    let client = || server.admin();
    let mut tally = Tally::new("referrers");
    tally.record("of nothing", of_nothing(client()).await);
    tally.record("of bad digests", of_bad_digests(client()).await);
    tally.record(
        "of a subject that comes and goes",
        of_a_subject_that_comes_and_goes(client()).await,
    );
    tally.record("that were deleted", that_were_deleted(client()).await);
    tally.record("of another repository", of_another_repository(client()).await);
    tally.record("under a fallback tag", under_a_fallback_tag(client()).await);
    tally.record("in many pages", in_many_pages(client()).await);
    tally.record("of broken subjects", of_broken_subjects(client()).await);
    tally.finish(&server);
}
