//! Random interleavings of all that can be done with upload sessions, against a model in memory (ADR 0034).
//!
//! Requests are cut, left by their clients while bytes are on their way, sent twice at once, sent to the wrong place, and by
//! others; time passes, sessions end, the process stops and starts. After each step every session is where the model says, and
//! what is held in all is what they hold; at the end each of them becomes the blob that was sent.

use std::time::Duration;

use access::Caller;
use tokio::sync::mpsc;

use super::*;
use crate::Timestamp;
use crate::testing::dice::{Dice, sabotage, stories};

const OPERATIONS: u32 = 150;

/// Stories of one test; which ones follows from where it begins.
const STORIES: u64 = 3;

/// Sessions that one may have.
const SESSIONS: u64 = 4;

const LIFETIME: Duration = Duration::from_hours(1);

const REPO: &str = "team/app";

/// Largest chunk, bytes.
const CHUNK: u64 = 3_000;

impl Dice {
    fn bytes(&mut self) -> Vec<u8> {
        let length = self.roll(CHUNK);
        (0..length)
            .map(|_| u8::try_from(self.roll(256)).unwrap())
            .collect()
    }
}

/// A session.
struct Expected {
    id: UploadId,
    owner: usize,
    bytes: Vec<u8>,
    expires_at: Timestamp,
}

struct Story {
    kit: Kit,
    callers: Vec<Caller>,
    dice: Dice,
    sessions: Vec<Expected>,
    blobs: Vec<Vec<u8>>,
}

/// A request whose body comes when the story says so.
struct UnderWay {
    sender: Option<mpsc::Sender<Bytes>>,
    request: tokio::task::JoinHandle<Result<u64, UploadError>>,
}

impl Story {
    async fn step(&mut self) {
        match self.dice.roll(100) {
            0..18 => self.start().await,
            18..45 => self.append().await,
            45..52 => self.append_cut().await,
            52..58 => self.append_elsewhere().await,
            58..66 => self.left_under_way().await,
            66..67 => self.two_at_once().await,
            67..73 => self.by_somebody_else().await,
            73..81 => self.finish().await,
            81..84 => self.finish_wrong().await,
            84..88 => self.cancel().await,
            88..94 => self.time_passes(),
            94..97 => self.expire().await,
            _ => self.kit.restart().await,
        }
    }

    fn permit(&self, owner: usize) -> Permit<Push> {
        self.kit.push(&self.callers[owner], REPO)
    }

    fn now(&self) -> Timestamp {
        self.kit.store.now()
    }

    fn is_alive(&self, session: &Expected) -> bool {
        session.expires_at > self.now()
    }

    /// One that can be gone on with.
    fn any(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.sessions.len())
            .filter(|place| self.is_alive(&self.sessions[*place]))
            .collect();
        let count = alive.len() as u64;
        (count > 0).then(|| alive[usize::try_from(self.dice.roll(count)).unwrap()])
    }

    fn extend(&mut self, place: usize, bytes: &[u8]) {
        let until = self.now().plus(LIFETIME);
        let session = &mut self.sessions[place];
        session.bytes.extend_from_slice(bytes);
        session.expires_at = until;
    }

    async fn start(&mut self) {
        let owner = usize::try_from(self.dice.roll(2)).unwrap();
        let started = self
            .kit
            .store
            .start_upload(&self.permit(owner), Algorithm::Sha256)
            .await;
        // What has ended and was not collected counts.
        let open = self
            .sessions
            .iter()
            .filter(|session| session.owner == owner)
            .count() as u64;
        match started {
            Ok(id) => {
                assert!(open < SESSIONS, "{open} were open already");
                let expires_at = self.now().plus(LIFETIME);
                self.sessions.push(Expected {
                    id,
                    owner,
                    bytes: Vec::new(),
                    expires_at,
                });
            }
            Err(UploadError::TooManySessions { .. }) => assert_eq!(open, SESSIONS),
            Err(error) => panic!("{error}"),
        }
    }

    async fn append(&mut self) {
        let Some(place) = self.any() else { return };
        let (bytes, says) = (self.dice.bytes(), self.dice.roll(2) == 0);
        let Expected {
            id,
            owner,
            bytes: before,
            ..
        } = &self.sessions[place];
        let at = says.then_some(before.len() as u64);
        let appended = self
            .kit
            .store
            .append_upload(&self.permit(*owner), id, at, body(&bytes))
            .await;
        assert_eq!(appended.unwrap(), (before.len() + bytes.len()) as u64);
        self.extend(place, &bytes);
    }

    /// What came before the cut is kept.
    async fn append_cut(&mut self) {
        let Some(place) = self.any() else { return };
        let bytes = self.dice.bytes();
        let Expected {
            id,
            owner,
            bytes: before,
            ..
        } = &self.sessions[place];
        let cut = broken_body(&bytes);
        let appended = self
            .kit
            .store
            .append_upload(&self.permit(*owner), id, None, cut)
            .await;
        let wanted = (before.len() + bytes.len()) as u64;
        assert!(
            matches!(appended, Err(UploadError::Interrupted { offset, .. }) if offset == wanted),
            "{appended:?}, not {wanted}"
        );
        self.extend(place, &bytes);
    }

    async fn append_elsewhere(&mut self) {
        let Some(place) = self.any() else { return };
        let Expected { id, owner, bytes, .. } = &self.sessions[place];
        let expected = bytes.len() as u64;
        let got = expected + 1 + self.dice.roll(100);
        let appended = self
            .kit
            .store
            .append_upload(&self.permit(*owner), id, Some(got), body(b"x"))
            .await;
        let is_told = matches!(appended, Err(UploadError::OutOfOrder { expected: at, .. }) if at == expected);
        assert!(is_told, "{appended:?}");
    }

    fn begin(&self, place: usize) -> UnderWay {
        let Expected { id, owner, .. } = &self.sessions[place];
        let (store, permit, id) = (self.kit.store.clone(), self.permit(*owner), *id);
        let (sender, slow) = slow_body();
        let request = tokio::spawn(async move { store.append_upload(&permit, &id, None, slow).await });
        UnderWay {
            sender: Some(sender),
            request,
        }
    }

    async fn is_taken(&self, place: usize) {
        while !self.kit.store.inner.uploads.is_claimed(self.sessions[place].id.0) {
            tokio::task::yield_now().await;
        }
    }

    async fn is_free(&self, place: usize) {
        while self.kit.store.inner.uploads.is_claimed(self.sessions[place].id.0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The client goes away while its bytes are on their way: they are kept.
    async fn left_under_way(&mut self) {
        let Some(place) = self.any() else { return };
        let bytes = self.dice.bytes();
        let mut under_way = self.begin(place);
        self.is_taken(place).await;
        let sender = under_way.sender.take().unwrap();
        sender.send(Bytes::copy_from_slice(&bytes)).await.unwrap();
        under_way.request.abort();
        drop(sender);
        self.is_free(place).await;
        self.extend(place, &bytes);
    }

    /// The second one is told to wait, whatever it wants, and time does not end what is under way.
    async fn two_at_once(&mut self) {
        let Some(place) = self.any() else { return };
        let bytes = self.dice.bytes();
        let mut under_way = self.begin(place);
        self.is_taken(place).await;
        let sender = under_way.sender.take().unwrap();
        sender.send(Bytes::copy_from_slice(&bytes)).await.unwrap();
        let Expected { id, owner, .. } = &self.sessions[place];
        let (permit, store) = (self.permit(*owner), &self.kit.store);
        let second = match self.dice.roll(3) {
            0 => store.append_upload(&permit, id, None, body(b"y")).await.err(),
            1 => store.cancel_upload(&permit, id).await.err(),
            _ => {
                let digest = sha256(b"y");
                let finished = store.finish_upload(&permit, id, None, body(b"y"), &digest).await;
                finished.err()
            }
        };
        assert!(matches!(second, Some(UploadError::Busy)), "{second:?}");
        store.expire_uploads(100).await.unwrap();
        drop(sender);
        under_way.request.await.unwrap().unwrap();
        self.extend(place, &bytes);
        let now = self.now();
        self.sessions.retain(|session| session.expires_at > now);
    }

    async fn by_somebody_else(&mut self) {
        let Some(place) = self.any() else { return };
        let Expected { id, owner, .. } = &self.sessions[place];
        let stranger = self.permit(1 - *owner);
        let store = &self.kit.store;
        let told = match self.dice.roll(3) {
            0 => store.append_upload(&stranger, id, None, body(b"z")).await.err(),
            1 => store.cancel_upload(&stranger, id).await.err(),
            _ => store.upload_status(&stranger, id).await.err(),
        };
        assert!(matches!(told, Some(UploadError::Unknown)), "{told:?}");
    }

    async fn finish(&mut self) {
        let Some(place) = self.any() else { return };
        let last = self.dice.bytes();
        self.finish_with(place, &last).await;
    }

    async fn finish_with(&mut self, place: usize, last: &[u8]) {
        let Expected { id, owner, bytes, .. } = self.sessions.swap_remove(place);
        let whole = [bytes.as_slice(), last].concat();
        let finished = self
            .kit
            .store
            .finish_upload(&self.permit(owner), &id, None, body(last), &sha256(&whole))
            .await;
        assert_eq!(finished.unwrap().size, whole.len() as u64);
        self.blobs.push(whole);
    }

    async fn finish_wrong(&mut self) {
        let Some(place) = self.any() else { return };
        let Expected { id, owner, .. } = self.sessions.swap_remove(place);
        let finished = self
            .kit
            .store
            .finish_upload(
                &self.permit(owner),
                &id,
                None,
                no_body(),
                &sha256(b"something else"),
            )
            .await;
        assert!(
            matches!(finished, Err(UploadError::DigestMismatch { .. })),
            "{finished:?}"
        );
    }

    async fn cancel(&mut self) {
        let Some(place) = self.any() else { return };
        let Expected { id, owner, .. } = self.sessions.swap_remove(place);
        self.kit
            .store
            .cancel_upload(&self.permit(owner), &id)
            .await
            .unwrap();
    }

    fn time_passes(&mut self) {
        let minutes = self.dice.roll(40) + 1;
        self.kit.advance(Duration::from_mins(minutes));
    }

    async fn expire(&mut self) {
        let now = self.now();
        let over = self
            .sessions
            .iter()
            .filter(|session| session.expires_at <= now)
            .count();
        let dropped = self.kit.store.expire_uploads(100).await.unwrap();
        assert_eq!(dropped, over as u64, "sessions whose time is over");
        self.sessions.retain(|session| session.expires_at > now);
    }

    async fn check(&self) {
        for session in &self.sessions {
            let status = self
                .kit
                .store
                .upload_status(&self.permit(session.owner), &session.id)
                .await;
            match status {
                Ok(status) => {
                    assert!(self.is_alive(session), "{} is over", session.id);
                    assert_eq!(status.offset, session.bytes.len() as u64, "{}", session.id);
                    assert_eq!(status.expires_at, session.expires_at, "{}", session.id);
                }
                Err(UploadError::Unknown) => assert!(!self.is_alive(session), "{} is lost", session.id),
                Err(error) => panic!("{error}"),
            }
        }
        let held = self.kit.store.inner.uploads.total();
        let bytes: usize = self.sessions.iter().map(|session| session.bytes.len()).sum();
        assert_eq!(
            (held.sessions, held.bytes),
            (self.sessions.len() as u64, bytes as u64),
            "what is held in all"
        );
    }

    /// All that is left is finished, and all that was finished is there.
    async fn end(&mut self) {
        self.expire().await;
        while !self.sessions.is_empty() {
            self.finish_with(0, b"").await;
        }
        self.check().await;
        for blob in &self.blobs {
            let read = self.kit.read_blob(&self.callers[0], REPO, &sha256(blob)).await;
            assert!(read.as_ref() == Some(blob), "a blob of {} bytes", blob.len());
        }
    }
}

/// Tells the story of a seed. `sabotage` is a statement that falsifies rows every now and then.
async fn tell(seed: u64, sabotage: Option<&'static str>) {
    let kit = Kit::with(|limits| {
        limits.uploads_per_principal = SESSIONS;
        limits.upload_lifetime = LIFETIME;
    })
    .await;
    let mut callers = Vec::new();
    for name in ["ci", "other"] {
        callers.push(kit.robot(name, &[Role::Pull, Role::Push], "team/*").await);
    }
    let mut story = Story {
        kit,
        callers,
        dice: Dice::new(seed),
        sessions: Vec::new(),
        blobs: Vec::new(),
    };
    for _ in 0..OPERATIONS {
        story.step().await;
        if let Some(sql) = sabotage {
            let falsify = story
                .kit
                .store
                .write(move |tx| Box::pin(async move { crate::db::sql::execute(tx.sql(), sql, []).await }));
            let _: Result<u64, StoreError> = falsify.await;
        }
        story.check().await;
    }
    story.end().await;
}

stories! {
    no_byte_of_an_upload_is_lost_or_wrong_1: 100;
    no_byte_of_an_upload_is_lost_or_wrong_2: 200;
    no_byte_of_an_upload_is_lost_or_wrong_3: 300;
    no_byte_of_an_upload_is_lost_or_wrong_4: 400;
}

sabotage! {
    the_model_notices_when_promised_bytes_are_taken_back: "UPDATE upload SET received = received - 1 WHERE received > 0";
    the_model_notices_when_sessions_do_not_end: "UPDATE upload SET expires_at = expires_at * 2";
    the_model_notices_when_sessions_end_too_early: "UPDATE upload SET expires_at = 0";
    the_model_notices_when_sessions_are_lost: "DELETE FROM upload WHERE received > 1000";
    the_model_notices_when_anybody_may_go_on: "UPDATE upload SET principal_id = (SELECT MAX(principal_id) FROM upload)";
}
