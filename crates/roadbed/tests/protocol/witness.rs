//! An image that was pushed before the bad input came, and must be there after it: nothing lost, nothing added.

use anyhow::{Context as _, Result, ensure};

use crate::harness::{
    client::Client,
    content::Blob,
    manifest::{Document, small_image},
    server::Server,
};

const TAG: &str = "witness";

/// A repository with one image, and its owner.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) client: Client,
    pub(crate) repository: String,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) document: Document,
}

impl Witness {
    /// Pushes the image.
    pub(crate) async fn push(server: &Server, repository: &str) -> Self {
        let client = server.admin();
        let (blobs, document) = small_image(repository);
        client
            .push_image(repository, TAG, &blobs, &document)
            .await
            .expect("a good image is taken");
        Self {
            client,
            repository: repository.to_owned(),
            blobs,
            document,
        }
    }

    /// Everything is as it was.
    pub(crate) async fn unharmed(&self) -> Result<()> {
        self.check()
            .await
            .context("the image that was there before was harmed")
    }

    async fn check(&self) -> Result<()> {
        self.client
            .check_manifest(&self.repository, TAG, &self.document)
            .await?;
        self.client
            .check_manifest(&self.repository, &self.document.digest, &self.document)
            .await?;
        for blob in &self.blobs {
            self.client.check_blob(&self.repository, blob).await?;
        }
        let tags = self.client.tags(&self.repository).await?;
        ensure!(tags == [TAG], "the tags are {tags:?}");
        Ok(())
    }

    /// A path in the repository.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repository)
    }
}
