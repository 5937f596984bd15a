//! Two tenants on one registry: that bytes are stored once gives nobody a right to them.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::harness::{
    admin::user,
    client::Client,
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, IMAGE, LAYER_GZIP, small_image},
    push::blob_path,
    server::Server,
    tally::Tally,
};

const HERS: &str = "alice/app";
const HIS: &str = "mallory/app";

/// Alice owns an image; Mallory knows every digest in it.
struct Tenants {
    alice: Client,
    mallory: Client,
    blobs: Vec<Blob>,
    document: Document,
}

impl Tenants {
    async fn move_in(server: &Server) -> Result<Self> {
        let alice = user(server, "alice", "alice/**", &["push", "delete"]).await?;
        let mallory = user(server, "mallory", "mallory/**", &["push", "delete"]).await?;
        let (blobs, document) = small_image("alice's secret");
        alice.push_image(HERS, "latest", &blobs, &document).await?;
        let (others, own) = small_image("mallory's own");
        mallory.push_image(HIS, "latest", &others, &own).await?;
        Ok(Self {
            alice,
            mallory,
            blobs,
            document,
        })
    }

    /// Whatever Mallory tried, her image is whole and his repository has none of it.
    async fn apart(&self) -> Result<()> {
        self.alice.check_manifest(HERS, "latest", &self.document).await?;
        ensure!(self.alice.tags(HERS).await? == ["latest"], "her tags changed");
        for blob in &self.blobs {
            self.alice.check_blob(HERS, blob).await?;
            self.mallory.check_no_blob(HIS, &blob.digest).await?;
        }
        self.mallory.check_no_manifest(HIS, &self.document.digest).await
    }

    /// Every route of her repository is closed to him, and does not tell what is there.
    async fn her_routes(&self) -> Result<()> {
        let blob = blob_path(HERS, &self.blobs[0].digest);
        let nothing = blob_path("alice/nothing", &self.blobs[0].digest);
        let manifest = format!("/v2/{HERS}/manifests/latest");
        let routes = [
            ("GET", blob.clone()),
            ("HEAD", blob.clone()),
            ("DELETE", blob),
            ("GET", nothing),
            ("GET", manifest.clone()),
            ("HEAD", manifest.clone()),
            ("PUT", manifest.clone()),
            ("DELETE", manifest),
            ("GET", format!("/v2/{HERS}/tags/list")),
            ("GET", format!("/v2/{HERS}/referrers/{}", self.document.digest)),
            ("POST", format!("/v2/{HERS}/blobs/uploads/")),
        ];
        for (method, path) in routes {
            let answer = self.mallory.request(method, &path).send().await?.expect(&[403])?;
            if method != "HEAD" {
                answer.expect_error(403, "DENIED")?;
            }
        }
        Ok(())
    }

    async fn mounts(&self, from: Option<&str>) -> Result<()> {
        for blob in &self.blobs {
            let mut request = self
                .mallory
                .post(format!("/v2/{HIS}/blobs/uploads/"))
                .query("mount", &blob.digest);
            if let Some(from) = from {
                request = request.query("from", from);
            }
            // 202 as for a blob that is nowhere: not even its existence is told.
            request.send().await?.expect(&[202])?;
        }
        self.apart().await
    }

    /// Her manifest pushed by him, and one of his that names one of her layers.
    async fn manifests(&self) -> Result<()> {
        let config = Blob::new(Algorithm::Sha256, "{\"os\":\"linux\"}");
        self.mallory.push_blob(HIS, &config).await?;
        let layer = self.blobs[1].descriptor(LAYER_GZIP);
        let mixed = Draft::image(config.descriptor(CONFIG), vec![layer]).finish();
        for document in [&self.document, &mixed] {
            let answer = self.mallory.push_manifest(HIS, "stolen", document).await?;
            answer.expect_one_error(&[404, 400], &["MANIFEST_BLOB_UNKNOWN"])?;
            self.mallory.check_no_manifest(HIS, "stolen").await?;
        }
        self.apart().await
    }

    async fn index(&self) -> Result<()> {
        let child =
            json!({ "mediaType": IMAGE, "digest": self.document.digest, "size": self.document.bytes.len() });
        let index = Draft::index(vec![child]).finish();
        let answer = self.mallory.push_manifest(HIS, "index", &index).await?;
        answer.expect_one_error(&[404, 400], &["MANIFEST_BLOB_UNKNOWN"])?;
        self.apart().await
    }

    /// A subject may be anything, but it tells him nothing of hers.
    async fn subject(&self) -> Result<()> {
        let index = Draft::index(Vec::new())
            .subject(self.document.descriptor())
            .finish();
        self.mallory
            .push_manifest(HIS, &index.digest, &index)
            .await?
            .expect(&[201])?;
        let listed = self
            .alice
            .get(format!("/v2/{HERS}/referrers/{}", self.document.digest))
            .send()
            .await?
            .expect(&[200])?;
        ensure!(
            listed.json()?["manifests"] == json!([]),
            "his referrer is listed with her image: {}",
            listed.summary()
        );
        self.apart().await
    }

    /// Her session under his repository, and under hers with his login.
    async fn session(&self) -> Result<()> {
        let blob = Blob::noise(Algorithm::Sha256, "her upload", 3000);
        let session = self.alice.open_upload(HERS).await?;
        self.alice
            .send_chunk(&session, 0, &blob.bytes[..1000])
            .send()
            .await?
            .expect(&[202])?;
        let path = session.path().to_owned();
        for (path, status) in [(path.clone(), 403), (path.replace(HERS, HIS), 404)] {
            for method in ["GET", "PATCH", "PUT", "DELETE"] {
                let target = format!("{path}?digest={}", blob.digest);
                self.mallory
                    .request(method, target)
                    .body("x")
                    .send()
                    .await?
                    .expect(&[status])?;
            }
        }
        ensure!(
            self.alice.upload_offset(&session).await? == 1000,
            "her session changed"
        );
        self.alice
            .send_chunk(&session, 1000, &blob.bytes[1000..])
            .send()
            .await?
            .expect(&[202])?;
        self.alice
            .finish_upload(&session, &blob.digest)
            .send()
            .await?
            .expect(&[201])?;
        self.alice.check_blob(HERS, &blob).await
    }

    async fn lists(&self) -> Result<()> {
        let body = self
            .mallory
            .get("/v2/_catalog")
            .send()
            .await?
            .expect(&[200])?
            .json()?;
        ensure!(body["repositories"] == json!([HIS]), "he sees {body}");
        let body = self
            .alice
            .get("/v2/_catalog")
            .send()
            .await?
            .expect(&[200])?
            .json()?;
        ensure!(body["repositories"] == json!([HERS]), "she sees {body}");
        Ok(())
    }

    /// Who has the bytes may push them; that she deletes hers does not touch his.
    async fn same_bytes(&self) -> Result<()> {
        for blob in &self.blobs {
            self.mallory.push_blob(HIS, blob).await?;
            self.mallory.check_blob(HIS, blob).await?;
        }
        self.mallory
            .push_manifest(HIS, "own", &self.document)
            .await?
            .expect(&[201])?;
        self.alice
            .delete(format!("/v2/{HERS}/manifests/{}", self.document.digest))
            .send()
            .await?
            .expect(&[202])?;
        for blob in &self.blobs {
            self.alice
                .delete(blob_path(HERS, &blob.digest))
                .send()
                .await?
                .expect(&[202])?;
            self.alice.check_no_blob(HERS, &blob.digest).await?;
            self.mallory.check_blob(HIS, blob).await?;
        }
        self.mallory.check_manifest(HIS, "own", &self.document).await
    }
}

#[tokio::test]
async fn two_tenants() {
    let server = Server::start().await;
    let mut tally = Tally::new("two tenants");
    let tenants = match Tenants::move_in(&server).await {
        Ok(tenants) => tenants,
        Err(error) => {
            tally.record("move in", Err(error));
            return tally.finish(&server);
        }
    };
    tally.record("apart", tenants.apart().await);
    tally.record("her routes", tenants.her_routes().await);
    tally.record("mount from her repository", tenants.mounts(Some(HERS)).await);
    tally.record("mount from his own", tenants.mounts(Some(HIS)).await);
    tally.record("mount from anywhere", tenants.mounts(None).await);
    tally.record("her manifest, her layer", tenants.manifests().await);
    tally.record("an index of her image", tenants.index().await);
    tally.record("her image as a subject", tenants.subject().await);
    tally.record("her upload session", tenants.session().await);
    tally.record("catalogs", tenants.lists().await);
    tally.record("the same bytes", tenants.same_bytes().await);
    tally.finish(&server);
}
