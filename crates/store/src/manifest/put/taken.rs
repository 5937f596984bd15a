//! Manifests that come from an upstream: stored as a push is stored, by the same rules.

use oci::{Digest, ManifestKind, RepoName, Tag};

use super::{Named, Pushing};
use crate::blob::Witnesses;
use crate::db::{Tx, sql};
use crate::incoming::Intake;
use crate::{PutError, PutManifest, PutOutcome, Store, StoreError, upstream_tag};

impl Store {
    /// Stores a manifest that an upstream has, sets its tags and notes that this is what they are there, in one transaction.
    ///
    /// Its blobs must be in the repository. The children of an index need not: each comes when somebody asks for it.
    pub async fn take_in_manifest(&self, intake: &Intake, put: PutManifest) -> Result<PutOutcome, PutError> {
        self.demand_room().await?;
        let push = Pushing {
            repo: intake.repo.clone(),
            principal: None,
            actor: Intake::actor(),
            rules: self.rules(&intake.repo),
            limits: self.limits().clone(),
            witnesses: Witnesses::new(),
            named: Named::by(&put.manifest),
            is_partial: put.manifest.kind == ManifestKind::Index,
            put,
        };
        let intake = intake.clone();
        self.write(move |tx| Box::pin(async move { take_in(tx, &push, &intake).await }))
            .await
    }

    /// Whether the repository has this manifest.
    pub async fn has_manifest(&self, repo: &RepoName, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.manifest_by_digest(repo, digest).await?.is_some())
    }

    /// Whether the repository to which something comes in has this blob.
    pub async fn has_taken_in(&self, intake: &Intake, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.blob_row(&intake.repo, digest).await?.is_some())
    }
}

async fn take_in(tx: &Tx, push: &Pushing, intake: &Intake) -> Result<PutOutcome, PutError> {
    let outcome = push.carry_out(tx).await?;
    if push.is_partial && outcome.created {
        let sql = "UPDATE manifest SET partial = TRUE WHERE digest = $1 \
                   AND repository_id = (SELECT id FROM repository WHERE name = $2)";
        let values = [push.put.digest.to_string().into(), intake.repo.as_str().into()];
        sql::execute(tx.sql(), sql, values).await?;
    }
    let tags: Vec<Tag> = push.put.tags.clone();
    for tag in tags {
        upstream_tag::note(tx, intake, &tag, &push.put.digest, false).await?;
    }
    Ok(outcome)
}
