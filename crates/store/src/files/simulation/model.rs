//! What was promised, and the random deeds of the registry above the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use uuid::Uuid;

use crate::disk::DiskFile;
use crate::disk::sim::{Rng, SimDisk};
use crate::files::directories::FanOut;
use crate::files::protocol::Protocol;
use crate::files::writer::Writer;
use crate::files::{BlobEntry, FilesError, Location};

/// Sessions that are open at a time.
const SESSIONS: usize = 4;
/// Bytes of one chunk at most: some blocks of the disk.
const CHUNK: usize = 1500;

/// The rows of the database (which is durable at once here) beside the files.
pub(super) struct Model {
    disk: SimDisk,
    protocol: Arc<Protocol<SimDisk>>,
    sessions: BTreeMap<Uuid, Session>,
    blobs: BTreeMap<String, (Location, Vec<u8>)>,
    next_id: u128,
}

/// The row of an upload session, and what lives only as long as the process.
struct Session {
    algorithm: Algorithm,
    /// The bytes before the promised offset.
    promised: Vec<u8>,
    /// The hash kept in memory since the last append.
    hasher: Option<Hasher>,
    /// An append that is under way, with all bytes that it makes the upload have.
    writer: Option<(Writer<SimDisk>, Vec<u8>)>,
}

type Checked<T = ()> = Result<T, String>;

impl Model {
    pub(super) fn open(disk: SimDisk) -> Checked<Self> {
        let protocol = Arc::new(Protocol::open(disk.clone()).map_err(|e| format!("open: {e}"))?);
        Ok(Self {
            disk,
            protocol,
            sessions: BTreeMap::new(),
            blobs: BTreeMap::new(),
            next_id: 1,
        })
    }

    /// One random deed. Errors of the disk are part of life; an `Err` is a broken promise.
    pub(super) fn step(&mut self, rng: &mut Rng) -> Checked {
        let Some(id) = self.pick(rng) else {
            return self.start_session(rng);
        };
        match rng.below(20) {
            0 | 1 => self.start_session(rng)?,
            2..=8 => self.write(id, rng)?,
            9..=11 => self.seal(id)?,
            12..=15 => self.commit(id, rng)?,
            16 => self.remove_blob(rng),
            17 => self.cancel(id),
            18 => self.sweep(),
            _ => self.restart(),
        }
        Ok(())
    }

    /// After a crash: the files must hold what was promised, and nothing else after a sweep.
    pub(super) fn recover(mut self) -> Checked<Self> {
        self.restart();
        self.protocol = Arc::new(Protocol::open(self.disk.clone()).map_err(|e| format!("reopen: {e}"))?);
        for (location, bytes) in self.blobs.values() {
            let found = Self::read(self.protocol.open_blob(location), usize::MAX)?;
            if found != *bytes {
                let common = found
                    .iter()
                    .zip(bytes)
                    .take_while(|(found, bytes)| found == bytes)
                    .count();
                let (found, size) = (found.len(), bytes.len());
                return Err(format!(
                    "blob {location} has {found} bytes of {size}, the first {common} are right"
                ));
            }
        }
        for (id, session) in self
            .sessions
            .iter()
            .filter(|(_, session)| !session.promised.is_empty())
        {
            let mut file = self.protocol.open_upload(*id);
            if matches!(file, Err(FilesError::UploadMissing { .. })) {
                let offset = session.promised.len() as u64;
                self.protocol
                    .recover_upload(*id, offset)
                    .map_err(|e| format!("recover {id}: {e}"))?;
                file = self.protocol.open_upload(*id);
            }
            if Self::read(file, session.promised.len())? != session.promised {
                return Err(format!("upload {id} lost promised bytes"));
            }
        }
        self.sweep();
        self.nothing_is_left()?;
        Ok(self)
    }

    fn pick(&self, rng: &mut Rng) -> Option<Uuid> {
        let count = self.sessions.len();
        (count > 0)
            .then(|| self.sessions.keys().nth(rng.below(count)).copied())
            .flatten()
    }

    fn start_session(&mut self, rng: &mut Rng) -> Checked {
        if self.sessions.len() >= SESSIONS {
            return Ok(());
        }
        let id = Uuid::from_u128(self.next_id);
        self.next_id += 1;
        let algorithm = if rng.one_in(4) {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        };
        if self.protocol.create_upload(id).is_err() {
            return Ok(());
        }
        self.sessions.insert(
            id,
            Session {
                algorithm,
                promised: Vec::new(),
                hasher: None,
                writer: None,
            },
        );
        self.write(id, rng)
    }

    /// Goes on with an append, or begins one.
    fn write(&mut self, id: Uuid, rng: &mut Rng) -> Checked {
        self.begin(id)?;
        let Some((writer, bytes)) = self.session(id).writer.as_mut() else {
            return Ok(());
        };
        let frames: Vec<Bytes> = (0..rng.below(3))
            .map(|_| rng.bytes(rng.clone().below(CHUNK)).into())
            .collect();
        let written = writer.write(&frames);
        bytes.extend(frames.iter().flatten());
        bytes.truncate(usize::try_from(writer.offset()).expect("small"));
        if let Some(begin_writeback) = writer.take_writeback() {
            begin_writeback();
        }
        if written.is_err() && rng.one_in(2) {
            // The facade seals what arrived before the error; sometimes it does not come to that.
            self.session(id).writer = None;
        }
        Ok(())
    }

    fn begin(&mut self, id: Uuid) -> Checked {
        let (protocol, down) = (Arc::clone(&self.protocol), self.disk.clone());
        let session = self.session(id);
        if session.writer.is_some() {
            return Ok(());
        }
        let offset = session.promised.len() as u64;
        let mut hasher = Hasher::new(session.algorithm);
        hasher.update(&session.promised);
        if let Some(kept) = session.hasher.take()
            && kept.finish() != hasher.clone().finish()
        {
            return Err(format!(
                "the running hash of upload {id} is not that of its promised bytes"
            ));
        }
        let mut writer = protocol.writer(id, offset, hasher.clone());
        if let Err(FilesError::UploadMissing { .. }) = writer {
            writer = match protocol.recover_upload(id, offset) {
                Ok(()) => protocol.writer(id, offset, hasher),
                Err(e @ FilesError::UploadMissing { .. }) => Err(e),
                Err(_) => return Ok(()),
            };
        }
        match writer {
            Ok(writer) => session.writer = Some((writer, session.promised.clone())),
            Err(e @ (FilesError::OffsetMismatch { .. } | FilesError::UploadMissing { .. }))
                if !down.is_down() =>
            {
                return Err(format!("upload {id}: {e}"));
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn seal(&mut self, id: Uuid) -> Checked {
        let session = self.session(id);
        let Some((writer, bytes)) = session.writer.take() else {
            return Ok(());
        };
        let Ok(appended) = writer.seal() else {
            return Ok(());
        };
        if appended.offset() != bytes.len() as u64 {
            return Err(format!(
                "upload {id} sealed {} bytes of {}",
                appended.offset(),
                bytes.len()
            ));
        }
        session.promised = bytes;
        session.hasher = Some(appended.into_hasher());
        Ok(())
    }

    fn commit(&mut self, id: Uuid, rng: &mut Rng) -> Checked {
        self.begin(id)?;
        let session = self.session(id);
        session.hasher = None;
        let Some((writer, bytes)) = session.writer.take() else {
            return Ok(());
        };
        if rng.one_in(8) {
            let wrong = Digest::of(session.algorithm, b"something else");
            return match writer.commit(wrong) {
                Err(FilesError::DigestMismatch { .. }) => Ok(()),
                other => Err(format!("a wrong digest was answered by {other:?}")),
            };
        }
        let digest = Digest::of(session.algorithm, &bytes);
        let Ok(location) = writer.commit(digest) else {
            return Ok(());
        };
        match rng.below(8) {
            // The process is killed before the row is written.
            0 => self.restart(),
            // The row cannot be written.
            1 => drop(self.protocol.revert_commit(&location)),
            _ => {
                self.sessions.remove(&id);
                self.blobs.insert(location.to_string(), (location, bytes));
            }
        }
        Ok(())
    }

    fn remove_blob(&mut self, rng: &mut Rng) {
        let Some(key) = self.blobs.keys().nth(rng.below(self.blobs.len().max(1))).cloned() else {
            return;
        };
        if let Some((location, _)) = self.blobs.remove(&key) {
            drop(self.protocol.remove_blob(&location));
        }
    }

    fn cancel(&mut self, id: Uuid) {
        self.sessions.remove(&id);
        drop(self.protocol.remove_upload(id));
    }

    /// Everything that lives only in memory is gone, the files are as they were.
    fn restart(&mut self) {
        for session in self.sessions.values_mut() {
            (session.hasher, session.writer) = (None, None);
        }
    }

    /// Removes what belongs to nobody: no row of a blob, no session.
    fn sweep(&self) {
        for entry in self.orphans() {
            drop(self.protocol.remove_blob(&entry.location));
        }
        for upload in self.protocol.list_uploads().unwrap_or_default() {
            if !self.sessions.contains_key(&upload.id) {
                drop(self.protocol.remove_upload(upload.id));
            }
        }
    }

    fn orphans(&self) -> Vec<BlobEntry> {
        let owned = |entry: &BlobEntry| {
            self.blobs.contains_key(&entry.location.to_string())
                || self.sessions.contains_key(&entry.location.upload())
        };
        self.blob_files()
            .into_iter()
            .filter(|entry| !owned(entry))
            .collect()
    }

    /// What the listing shows. Only directories that hold anything are listed, 512 calls would take their time.
    fn blob_files(&self) -> Vec<BlobEntry> {
        let locations = self
            .disk
            .files()
            .into_iter()
            .filter_map(|path| path.parse::<Location>().ok());
        let mut used: Vec<FanOut> = locations.map(|location| location.fan_out()).collect();
        used.dedup();
        used.into_iter()
            .flat_map(|fan_out| self.protocol.list_blobs(fan_out).unwrap_or_default())
            .collect()
    }

    fn nothing_is_left(&self) -> Checked {
        let (files, uploads) = (
            self.blob_files(),
            self.protocol.list_uploads().map_err(|e| e.to_string())?,
        );
        let foreign = |entry: &&BlobEntry| {
            !self.blobs.contains_key(&entry.location.to_string())
                && !self.sessions.contains_key(&entry.location.upload())
        };
        if let Some(entry) = files.iter().find(foreign) {
            return Err(format!("{} was not swept", entry.location));
        }
        let wrong_len = |entry: &&BlobEntry| {
            self.blobs
                .get(&entry.location.to_string())
                .is_some_and(|(_, bytes)| bytes.len() as u64 != entry.len)
        };
        if let Some(entry) = files.iter().find(wrong_len) {
            return Err(format!("{} has {} bytes", entry.location, entry.len));
        }
        match uploads
            .iter()
            .find(|upload| !self.sessions.contains_key(&upload.id))
        {
            Some(upload) => Err(format!("upload {} was not swept", upload.id)),
            None => Ok(()),
        }
    }

    fn session(&mut self, id: Uuid) -> &mut Session {
        self.sessions.get_mut(&id).expect("picked from the open sessions")
    }

    /// The first `len` bytes of a file, or fewer.
    fn read<F: DiskFile>(file: Result<F, FilesError>, len: usize) -> Checked<Vec<u8>> {
        let file = file.map_err(|e| e.to_string())?;
        let present = usize::try_from(file.len().map_err(|e| e.to_string())?).expect("small");
        let mut bytes = vec![0; present.min(len)];
        file.read_at(&mut bytes, 0).map_err(|e| e.to_string())?;
        Ok(bytes)
    }
}
