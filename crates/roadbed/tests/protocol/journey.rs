//! Every data set is pushed, listed, asked for, pulled, referred to and deleted, in both editions and with both logins.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::data_sets::{DataSet, Edition, all};
use crate::harness::{
    client::Client,
    login::Login,
    manifest::{Document, INDEX},
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

/// One data set on its way through one repository.
struct Journey<'a> {
    client: &'a Client,
    repository: String,
    set: &'a DataSet,
    tally: &'a mut Tally,
}

impl Journey<'_> {
    async fn walk(&mut self) {
        self.push().await;
        self.list().await;
        self.pull().await;
        self.refer().await;
        self.delete().await;
    }

    fn record(&mut self, step: impl std::fmt::Display, outcome: Result<()>) {
        self.tally.record(format!("{} {step}", self.repository), outcome);
    }

    async fn push(&mut self) {
        let set = self.set;
        for blob in &set.blobs {
            let outcome = self.client.push_blob(&self.repository, blob).await.map(drop);
            self.record(format!("push blob {}", blob.digest), outcome);
        }
        for document in &set.manifests {
            let outcome = self.push_document(document).await;
            self.record(format!("push manifest {}", document.digest), outcome);
        }
    }

    async fn push_document(&self, document: &Document) -> Result<()> {
        self.put(
            document,
            &document.digest,
            if self.set.tag_parameters {
                &document.tags
            } else {
                &[]
            },
        )
        .await?;
        if !self.set.tag_parameters {
            for tag in &document.tags {
                self.put(document, tag, &[]).await?;
            }
        }
        Ok(())
    }

    /// end-7: 201, a URL that serves it, its subject and its tags named. Sent in chunks, as Go's client does.
    async fn put(&self, document: &Document, reference: &str, tags: &[String]) -> Result<()> {
        let mut request = self
            .client
            .put(format!("/v2/{}/manifests/{reference}", self.repository));
        for tag in tags {
            request = request.query("tag", tag);
        }
        let request = request
            .header("content-type", &document.media_type)
            .streamed(document.bytes.clone());
        let answer = request
            .send()
            .await?
            .expect(&[201])?
            .expect_header("docker-content-digest", &document.digest)?;
        let answer = match &document.subject {
            Some(subject) => answer.expect_header("oci-subject", subject)?,
            None => answer.expect_no_header("oci-subject")?,
        };
        let named = answer
            .headers
            .get_all("oci-tag")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        ensure!(
            tags.iter().all(|tag| named.contains(&tag.as_str())),
            "{}: OCI-Tag names {named:?}",
            answer.sent
        );
        let pulled = self
            .client
            .get(answer.location()?.as_str())
            .send()
            .await?
            .expect(&[200])?;
        pulled
            .expect_header("content-type", &document.media_type)?
            .expect_body(&document.bytes)?;
        Ok(())
    }

    fn tags(&self) -> Vec<String> {
        let mut tags: Vec<String> = self
            .set
            .manifests
            .iter()
            .flat_map(|document| document.tags.clone())
            .collect();
        tags.sort_unstable();
        tags
    }

    /// end-8: exactly these tags, sorted; `last` cuts off what is not behind it.
    async fn list(&mut self) {
        let outcome = self.check_lists().await;
        self.record("tags", outcome);
    }

    async fn check_lists(&self) -> Result<()> {
        let tags = self.tags();
        let listed = self.client.tags(&self.repository).await?;
        ensure!(listed == tags, "wanted {tags:?}, listed {listed:?}");
        for (position, last) in tags.iter().enumerate() {
            let request = self
                .client
                .get(format!("/v2/{}/tags/list", self.repository))
                .query("last", last);
            let body = request.send().await?.expect(&[200])?.json()?;
            ensure!(
                body["tags"] == serde_json::json!(tags[position + 1..]),
                "behind {last}: {body}"
            );
        }
        Ok(())
    }

    async fn pull(&mut self) {
        let set = self.set;
        for document in &set.manifests {
            for reference in document.tags.iter().chain([&document.digest]) {
                let outcome = self
                    .client
                    .check_manifest(&self.repository, reference, document)
                    .await;
                self.record(format!("pull manifest {reference}"), outcome);
            }
        }
        for blob in &set.blobs {
            let outcome = self.client.check_blob(&self.repository, blob).await;
            self.record(format!("pull blob {}", blob.digest), outcome);
        }
    }

    /// end-12: who refers to each subject, all of them and of one type.
    async fn refer(&mut self) {
        let set = self.set;
        let mut subjects: Vec<&String> = set
            .manifests
            .iter()
            .filter_map(|document| document.subject.as_ref())
            .collect();
        subjects.sort_unstable();
        subjects.dedup();
        for subject in subjects {
            let expected: Vec<&Document> = set
                .manifests
                .iter()
                .filter(|document| document.subject.as_ref() == Some(subject))
                .collect();
            let outcome = self.check_referrers(subject, None, &expected).await;
            self.record(format!("referrers of {subject}"), outcome);
            let mut kinds: Vec<&String> = expected
                .iter()
                .filter_map(|document| document.artifact_type.as_ref())
                .collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                let chosen: Vec<&Document> = expected
                    .iter()
                    .copied()
                    .filter(|document| document.artifact_type.as_ref() == Some(kind))
                    .collect();
                let outcome = self.check_referrers(subject, Some(kind), &chosen).await;
                self.record(format!("referrers of {subject} of type {kind}"), outcome);
            }
        }
    }

    async fn check_referrers(&self, subject: &str, kind: Option<&str>, expected: &[&Document]) -> Result<()> {
        let mut request = self
            .client
            .get(format!("/v2/{}/referrers/{subject}", self.repository));
        if let Some(kind) = kind {
            request = request.query("artifactType", kind);
        }
        let answer = request
            .send()
            .await?
            .expect(&[200])?
            .expect_header("content-type", INDEX)?;
        let answer = match kind {
            Some(_) => answer.expect_header("oci-filters-applied", "artifactType")?,
            None => answer.expect_no_header("oci-filters-applied")?,
        };
        let body = answer.json()?;
        ensure!(
            body["schemaVersion"] == 2 && body["mediaType"] == INDEX,
            "not an index: {body}"
        );
        let listed = body["manifests"].as_array().cloned().unwrap_or_default();
        ensure!(
            listed.len() == expected.len(),
            "{} are listed, {} were wanted: {body}",
            listed.len(),
            expected.len()
        );
        for document in expected {
            ensure!(
                listed.iter().any(|entry| names(entry, document)),
                "{} is not in {body}",
                document.digest
            );
        }
        Ok(())
    }

    /// end-9 and end-10: tags first, then manifests from the top down, then blobs. Each is gone at once.
    async fn delete(&mut self) {
        let set = self.set;
        for document in set.manifests.iter().rev() {
            for tag in &document.tags {
                let outcome = self.delete_manifest(tag).await;
                self.record(format!("delete tag {tag}"), outcome);
                let outcome = self
                    .client
                    .check_manifest(&self.repository, &document.digest, document)
                    .await;
                self.record(format!("{} outlives its tag {tag}", document.digest), outcome);
            }
        }
        for document in set.manifests.iter().rev() {
            let outcome = self.delete_manifest(&document.digest).await;
            self.record(format!("delete manifest {}", document.digest), outcome);
        }
        for blob in &set.blobs {
            let outcome = self.delete_blob(&blob.digest).await;
            self.record(format!("delete blob {}", blob.digest), outcome);
        }
    }

    async fn delete_manifest(&self, reference: &str) -> Result<()> {
        let path = format!("/v2/{}/manifests/{reference}", self.repository);
        self.client.delete(&path).send().await?.expect(&[202])?;
        self.client.check_no_manifest(&self.repository, reference).await?;
        self.client
            .delete(&path)
            .send()
            .await?
            .expect_one_error(&[404], &["MANIFEST_UNKNOWN", "NAME_UNKNOWN"])?;
        Ok(())
    }

    async fn delete_blob(&self, digest: &str) -> Result<()> {
        let path = blob_path(&self.repository, digest);
        self.client.delete(&path).send().await?.expect(&[202])?;
        self.client.check_no_blob(&self.repository, digest).await?;
        self.client
            .delete(&path)
            .send()
            .await?
            .expect_one_error(&[404], &["BLOB_UNKNOWN", "NAME_UNKNOWN"])?;
        Ok(())
    }
}

/// Whether an entry of a list of referrers tells what the specification wants of this manifest.
fn names(entry: &Value, document: &Document) -> bool {
    let annotations = document
        .annotations
        .iter()
        .all(|(name, value)| entry["annotations"].get(name) == Some(value));
    entry["digest"] == document.digest
        && entry["mediaType"] == document.media_type
        && entry["size"] == document.bytes.len()
        && entry.get("artifactType").and_then(Value::as_str) == document.artifact_type.as_deref()
        && annotations
}

async fn journeys(edition: Edition, way: &str, login: Login) {
    let server = Server::start().await;
    let client = server.client(login);
    let mut tally = Tally::new(format!("data sets, {} with {way}", edition.name()));
    // Twice: what was deleted comes back with the same digests, into the same repository.
    for _ in 0..2 {
        for set in all(edition) {
            let repository = format!("journey/{}", set.name);
            Journey {
                client: &client,
                repository,
                set: &set,
                tally: &mut tally,
            }
            .walk()
            .await;
        }
    }
    tally.finish(&server);
}

#[tokio::test]
async fn every_data_set_of_1_1_with_tokens() {
    journeys(Edition::V1_1, "tokens", Login::token(ADMIN, ADMIN_PASSWORD)).await;
}

#[tokio::test]
async fn every_data_set_of_1_1_with_basic() {
    journeys(Edition::V1_1, "Basic", Login::basic(ADMIN, ADMIN_PASSWORD)).await;
}

#[tokio::test]
async fn every_data_set_of_main_with_tokens() {
    journeys(Edition::Main, "tokens", Login::token(ADMIN, ADMIN_PASSWORD)).await;
}

#[tokio::test]
async fn every_data_set_of_main_with_basic() {
    journeys(Edition::Main, "Basic", Login::basic(ADMIN, ADMIN_PASSWORD)).await;
}
