//! A client that pushes, tags, mounts and deletes at random until the server is gone.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::{
    dice::Dice,
    ledger::{Ledger, Manifest, OpenUpload, Step},
};
use crate::harness::{
    answer::Answer,
    client::{Client, Request},
    content::{Algorithm, Blob},
    manifest::Draft,
};

/// What the layers of test images are called.
const CONTENT: &str = "application/vnd.example.noise";

/// Tags of one repository: few, so that they move.
const TAGS: u64 = 6;

/// Blobs that every pusher pushes, so that the same digest is pushed by several at the same time.
const SHARED_BLOBS: usize = 12;

/// The server is gone, or said no. The step that was under way stays in the ledger.
#[derive(Debug)]
pub(super) struct Gone;

/// What all pushers of one server share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set just before the kill: a request may fail from now on.
    pub(super) killed: AtomicBool,
    /// A request may be refused with 429, 503 or 507, and was then perhaps carried out.
    pub(super) may_refuse: bool,
    /// Nobody begins anything more.
    pub(super) over: AtomicBool,
    /// Blobs to mount: repository, digest, length.
    offers: Mutex<Vec<(String, String, usize)>>,
}

impl Shared {
    /// Of a server that may refuse.
    pub(super) fn of_trouble() -> Self {
        Self {
            may_refuse: true,
            ..Self::default()
        }
    }
}

/// One repository's pusher.
pub(super) struct Pusher {
    pub(super) ledger: Ledger,
    dice: Dice,
    name: String,
    count: u64,
    may_be_refused: bool,
}

impl Pusher {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let name = format!("{seed:x}-{number}");
        Self {
            ledger: Ledger::new(format!("crash/p{number}")),
            dice: Dice::new(seed ^ number << 32),
            name,
            count: 0,
            may_be_refused: false,
        }
    }

    /// Works until the server is gone or says no, or it is over.
    pub(super) async fn work(&mut self, client: &Client, shared: &Arc<Shared>) {
        let is_over = || shared.over.load(Ordering::SeqCst);
        self.may_be_refused = shared.may_refuse;
        while !is_over() && self.step(client, shared).await.is_ok() {}
        assert!(
            shared.killed.load(Ordering::SeqCst) || shared.may_refuse,
            "the server went away by itself: {:?}",
            self.ledger.under_way
        );
    }

    async fn step(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        match self.dice.between(0, 100) {
            0..15 => self.push_at_once(client, shared).await,
            15..30 => self.push_in_two(client, shared).await,
            30..45 => self.push_chunks(client, shared).await,
            45..50 => self.leave_open(client).await,
            50..58 => self.mount(client, shared).await,
            58..82 => self.push_manifest(client).await,
            82..88 => self.delete_tag(client).await,
            88..93 => self.delete_manifest(client).await,
            93..97 => self.delete_blob(client).await,
            _ => self.cancel(client).await,
        }
    }

    /// Small ones, middle ones, and some that others push too.
    fn new_content(&mut self) -> Blob {
        self.count += 1;
        let algorithm = if self.dice.chance(20) {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        };
        if self.dice.chance(15) {
            let number = self.dice.index(SHARED_BLOBS);
            return Blob::noise(
                Algorithm::Sha256,
                &format!("shared {number}"),
                20_000 * (number + 1),
            );
        }
        let length = if self.dice.chance(75) {
            self.dice.between(16, 20_000)
        } else {
            self.dice.between(100_000, 1_500_000)
        };
        let length = usize::try_from(length).expect("blobs of tests are small");
        Blob::noise(algorithm, &format!("{} {}", self.name, self.count), length)
    }

    /// Sends what is written down as under way; no answer means that the server is gone.
    async fn send(&self, request: Request<'_>, wanted: &[u16]) -> Result<Answer, Gone> {
        let answer = request.send().await.map_err(|_| Gone)?;
        if self.may_be_refused && matches!(answer.status, 429 | 503 | 507) {
            return Err(Gone);
        }
        Ok(answer
            .expect(wanted)
            .unwrap_or_else(|error| panic!("{:?}: {error:#}", self.ledger.under_way)))
    }

    /// A step that is one request.
    async fn carry_out(&mut self, step: Step, request: Request<'_>, wanted: &[u16]) -> Result<Answer, Gone> {
        self.ledger.under_way = Some(step);
        let answer = self.send(request, wanted).await?;
        self.ledger.settle();
        Ok(answer)
    }

    fn offer(&self, blob: &Blob, shared: &Shared) {
        let offer = (
            self.ledger.repository.clone(),
            blob.digest.clone(),
            blob.bytes.len(),
        );
        shared.offers.lock().expect("no pusher panics").push(offer);
    }

    fn uploads_path(&self) -> String {
        format!("/v2/{}/blobs/uploads/", self.ledger.repository)
    }

    async fn push_at_once(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        let blob = self.new_content();
        let request = client
            .post(self.uploads_path())
            .query("digest", &blob.digest)
            .body(blob.bytes.clone());
        self.carry_out(blob_step(&blob), request, &[201]).await?;
        self.offer(&blob, shared);
        Ok(())
    }

    /// Opens a session and notes it, so that what becomes of it is checked.
    async fn open(&mut self, client: &Client, content: Blob) -> Result<(), Gone> {
        let algorithm = content.digest.split(':').next().unwrap_or_default().to_owned();
        let request = client
            .post(self.uploads_path())
            .query("digest-algorithm", &algorithm);
        let answer = self.carry_out(Step::Session, request, &[202]).await?;
        let path = session_path(&answer);
        self.ledger.uploads.push(OpenUpload {
            path,
            content,
            acknowledged: 0,
            sent: 0,
        });
        Ok(())
    }

    /// Sends more bytes to the session that was opened last.
    async fn append(&mut self, client: &Client, length: usize) -> Result<(), Gone> {
        let upload = self.ledger.uploads.last_mut().expect("a session was just opened");
        let (start, end) = (
            upload.acknowledged,
            (upload.acknowledged + length).min(upload.content.bytes.len()),
        );
        let chunk = upload.content.bytes.slice(start..end);
        upload.sent = end;
        let request = client
            .patch(&upload.path)
            .header("content-type", "application/octet-stream");
        let request = if self.dice.chance(50) {
            request
                .header("content-range", format!("{start}-{}", end.saturating_sub(1)))
                .body(chunk)
        } else {
            request.streamed(chunk)
        };
        let answer = self.carry_out(Step::Append, request, &[202]).await?;
        let upload = self.ledger.uploads.last_mut().expect("a session was just opened");
        upload.acknowledged = end;
        upload.path = session_path(&answer);
        Ok(())
    }

    /// Closes the session that was opened last with what is missing.
    async fn finish(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        let upload = self.ledger.uploads.pop().expect("a session was just opened");
        let rest = upload.content.bytes.slice(upload.acknowledged..);
        let request = client
            .put(&upload.path)
            .query("digest", &upload.content.digest)
            .body(rest);
        self.carry_out(blob_step(&upload.content), request, &[201])
            .await?;
        self.offer(&upload.content, shared);
        Ok(())
    }

    async fn push_in_two(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        let content = self.new_content();
        self.open(client, content).await?;
        if self.dice.chance(50) {
            self.append(client, usize::MAX / 2).await?;
        }
        self.finish(client, shared).await
    }

    async fn push_chunks(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        let content = self.new_content();
        let length = content.bytes.len();
        self.open(client, content).await?;
        for _ in 0..self.dice.between(1, 5) {
            self.append(client, length / 4 + 1).await?;
        }
        self.finish(client, shared).await
    }

    /// Bytes whose session nobody closes before the crash.
    async fn leave_open(&mut self, client: &Client) -> Result<(), Gone> {
        let content = self.new_content();
        let length = content.bytes.len();
        self.open(client, content).await?;
        for _ in 0..self.dice.between(0, 3) {
            self.append(client, length / 3).await?;
        }
        Ok(())
    }

    async fn mount(&mut self, client: &Client, shared: &Shared) -> Result<(), Gone> {
        let offered = self
            .dice
            .pick(shared.offers.lock().expect("no pusher panics").iter().cloned());
        let Some((from, digest, length)) = offered else {
            return Ok(());
        };
        let mut request = client.post(self.uploads_path()).query("mount", &digest);
        if self.dice.chance(70) {
            request = request.query("from", &from);
        }
        self.ledger.under_way = Some(Step::Blob { digest, length });
        // 202: its owner deleted it meanwhile, and a session was opened instead.
        let answer = self.send(request, &[201, 202]).await?;
        if answer.status == 201 {
            self.ledger.settle();
        } else {
            self.ledger.under_way = None;
        }
        Ok(())
    }

    async fn push_manifest(&mut self, client: &Client) -> Result<(), Gone> {
        let known = self
            .ledger
            .blobs
            .iter()
            .map(|(digest, length)| (digest.clone(), *length));
        let known: Vec<(String, usize)> = known.collect();
        if known.is_empty() {
            return Ok(());
        }
        let manifest = if self.dice.chance(25) && !self.ledger.manifests.is_empty() {
            // An old one again, under another tag.
            self.dice
                .pick(self.ledger.manifests.values().cloned())
                .expect("there is one")
        } else {
            let picked = (0..self.dice.between(1, 4))
                .map(|_| known[self.dice.index(known.len())].clone())
                .collect();
            self.count += 1;
            write_manifest(picked, &format!("{} {}", self.name, self.count))
        };
        let tag = self
            .dice
            .chance(80)
            .then(|| format!("t{}", self.dice.between(0, TAGS)));
        let reference = tag.as_ref().unwrap_or(&manifest.document.digest);
        let request = client.put(format!("/v2/{}/manifests/{reference}", self.ledger.repository));
        let request = request
            .header("content-type", &manifest.document.media_type)
            .body(manifest.document.bytes.clone());
        self.carry_out(Step::Manifest { manifest, tag }, request, &[201])
            .await
            .map(drop)
    }

    async fn delete_tag(&mut self, client: &Client) -> Result<(), Gone> {
        let Some(tag) = self.dice.pick(self.ledger.tags.keys().cloned()) else {
            return Ok(());
        };
        let request = client.delete(format!("/v2/{}/manifests/{tag}", self.ledger.repository));
        self.carry_out(Step::DeleteTag(tag), request, &[202])
            .await
            .map(drop)
    }

    async fn delete_manifest(&mut self, client: &Client) -> Result<(), Gone> {
        let Some(digest) = self.dice.pick(self.ledger.manifests.keys().cloned()) else {
            return Ok(());
        };
        let request = client.delete(format!("/v2/{}/manifests/{digest}", self.ledger.repository));
        self.carry_out(Step::DeleteManifest(digest), request, &[202])
            .await
            .map(drop)
    }

    async fn delete_blob(&mut self, client: &Client) -> Result<(), Gone> {
        let Some(digest) = self.dice.pick(self.ledger.loose_blobs()) else {
            return Ok(());
        };
        let request = client.delete(format!("/v2/{}/blobs/{digest}", self.ledger.repository));
        self.carry_out(Step::DeleteBlob(digest), request, &[202])
            .await
            .map(drop)
    }

    /// end-14.
    async fn cancel(&mut self, client: &Client) -> Result<(), Gone> {
        let Some(upload) = self.ledger.uploads.pop() else {
            return Ok(());
        };
        self.carry_out(Step::Session, client.delete(&upload.path), &[204])
            .await
            .map(drop)
    }
}

fn blob_step(blob: &Blob) -> Step {
    Step::Blob {
        digest: blob.digest.clone(),
        length: blob.bytes.len(),
    }
}

fn write_manifest(picked: Vec<(String, usize)>, seed: &str) -> Manifest {
    let describe = |(digest, length): &(String, usize)| serde_json::json!({ "mediaType": CONTENT, "digest": digest, "size": length });
    let layers = picked.iter().skip(1).map(describe).collect();
    let document = Draft::image(describe(&picked[0]), layers)
        .annotation("org.example.seed", seed)
        .finish();
    Manifest {
        document,
        names: picked.into_iter().map(|(digest, _)| digest).collect(),
    }
}

/// Path and query of a session, for the next server on another port.
pub(super) fn session_path(answer: &Answer) -> String {
    let location = answer.location().unwrap_or_else(|error| panic!("{error:#}"));
    location.query().map_or_else(
        || location.path().to_owned(),
        |query| format!("{}?{query}", location.path()),
    )
}
