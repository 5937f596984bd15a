//! From documents to a generation.
//!
//! Documents come one by one, of any kind that is known, and are recognised by their content. An advisory that the present
//! generation has in the same state is not written again.

use std::collections::BTreeMap;
use std::io::Write as _;

use findings::advisory::{Advisory, AdvisoryError, DocumentKind, Epss, Kev, VexDocument, recognise};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde_json::json;
use thiserror::Error;
use time::OffsetDateTime;

use super::age::{is_older_document, is_older_state};
use super::brought::{self, Brought, Tally};
use super::{AdvisoryDocument, AdvisoryRow, Import, NotedLifts};
use crate::{Actor, Store, StoreError};

/// Rows that are gathered before they are written: so many, or so many bytes. It is all that an import holds in memory, however
/// much comes.
const GATHERED: usize = 1_000;

/// Bytes of them, packed.
const GATHERED_BYTES: usize = 16 << 20;

/// Refusals that are repeated in the answer; more are counted.
const REFUSALS: usize = 20;

/// Bytes of one stored advisory, inflated.
const ADVISORY_BYTES: u64 = 64 << 20;

/// Why a document was not taken. The import goes on without it.
#[derive(Debug, Error)]
pub enum ImportError {
    /// Nothing that is known.
    #[error("{0} is no OSV advisory, KEV catalogue, EPSS list or OpenVEX document")]
    Unknown(String),
    /// An archive.
    #[error("{0} is an archive: unpack it first")]
    Packed(String),
    /// Of a known kind, but not as it should be.
    #[error("{name}: {source}")]
    Malformed {
        /// Which.
        name: String,
        /// Why.
        source: AdvisoryError,
    },
    /// What is known is newer.
    #[error("{0} is older than what is known, which stays")]
    Older(String),
    /// The store failed; the import is over.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much an import brings, at most: what is known already counts as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportSize {
    /// Packages that its advisories speak of, over all of them.
    pub entries: usize,
    /// Bytes of these advisories as JSON.
    pub bytes: usize,
}

/// An import on its way.
pub struct Importer {
    store: Store,
    pub(super) import: Import,
    /// Advisories that there are.
    count: u64,
    gathered: Vec<Gathered>,
    gathered_bytes: usize,
    pub(super) documents: BTreeMap<(String, String), Vec<u8>>,
    /// Advisories per ecosystem, of this import.
    covers: BTreeMap<String, u64>,
    /// What came of each source.
    sources: Tally,
    size: ImportSize,
    seen: u64,
    changed: u64,
    older: u64,
    refused: u64,
    refusals: Vec<String>,
    /// What it lifts; `None`: nobody has weighed that.
    pub(super) lifts: Option<NotedLifts>,
}

/// A row that is written unless what is known is the same or newer.
struct Gathered {
    row: AdvisoryRow,
    /// It was taken back here, whatever its source dates it.
    is_taken_back: bool,
    /// Its source withdrew it.
    is_withdrawn: bool,
    /// In which folder it came; `None`: it did not come.
    home: Option<Box<str>>,
}

impl Importer {
    /// Begins an import.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        let import = store.begin_import().await?;
        Ok(Self {
            count: store.count_advisories().await?,
            store: store.clone(),
            import,
            gathered: Vec::new(),
            gathered_bytes: 0,
            documents: BTreeMap::new(),
            covers: BTreeMap::new(),
            sources: Tally::default(),
            size: ImportSize::default(),
            seen: 0,
            changed: 0,
            older: 0,
            refused: 0,
            refusals: Vec::new(),
            lifts: None,
        })
    }

    /// Takes a document that came under a name (`osv/npm/GHSA-….json`). What is not one is counted and named at the end.
    ///
    /// # Errors
    /// The store failed.
    pub async fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.import.lease.hold()?;
        match self.take(name, bytes) {
            Ok(None) => {}
            Ok(Some((kind, name))) => self.keep_document(kind, name, bytes).await?,
            Err(ImportError::Store(error)) => return Err(error),
            Err(error) => self.refuse(&error),
        }
        if self.gathered.len() >= GATHERED || self.gathered_bytes >= GATHERED_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Adds a document that can be of one kind only: what comes from a source of advisories replaces no catalogue and speaks for
    /// no signer, whatever it dresses up as.
    ///
    /// # Errors
    /// The store failed. A document of another kind counts as refused.
    pub async fn add_only(&mut self, kind: DocumentKind, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if recognise(name, bytes) == Some(kind) {
            return self.add(name, bytes).await;
        }
        self.refuse(&ImportError::Unknown(name.to_owned()));
        Ok(())
    }

    fn refuse(&mut self, error: &ImportError) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS {
            self.refusals.push(error.to_string());
        }
    }

    /// Takes an advisory, or says as what kind of document and under which name it is to be kept.
    fn take<'n>(
        &mut self,
        name: &'n str,
        bytes: &[u8],
    ) -> Result<Option<(&'static str, &'n str)>, ImportError> {
        let malformed = |source| ImportError::Malformed {
            name: name.to_owned(),
            source,
        };
        match recognise(name, bytes) {
            Some(DocumentKind::Osv) => {
                let advisory = Advisory::read(bytes, home(name)).map_err(malformed)?;
                self.take_advisory(advisory, home(name))?;
                Ok(None)
            }
            Some(DocumentKind::Kev) => {
                Kev::read(bytes).map_err(malformed)?;
                Ok(Some(("kev", "kev")))
            }
            Some(DocumentKind::Epss) => {
                Epss::read(bytes).map_err(malformed)?;
                Ok(Some(("epss", "epss")))
            }
            Some(DocumentKind::OpenVex) => {
                VexDocument::read(bytes).map_err(malformed)?;
                Ok(Some(("vex", name)))
            }
            Some(DocumentKind::Zip | DocumentKind::Gzip) => Err(ImportError::Packed(name.to_owned())),
            None => Err(ImportError::Unknown(name.to_owned())),
        }
    }

    /// How many advisories and documents are new or in another state so far.
    ///
    /// # Errors
    /// The store failed.
    pub async fn changed(&mut self) -> Result<u64, StoreError> {
        self.write().await?;
        Ok(self.changed)
    }

    /// How much has come so far.
    pub fn size(&self) -> ImportSize {
        self.size
    }

    /// Takes back an advisory that its source has no more: it is kept, and matches nothing from now on. One that is not there, was
    /// taken back before, or came anew with this import stays as it is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn withdraw(&mut self, id: &str) -> Result<(), StoreError> {
        // It may be among those that are still to be written.
        self.write().await?;
        let here = self.store.advisory_as_of(id, self.import.generation).await?;
        let Some(row) = self.store.advisory(id).await?.filter(|_| here.is_none()) else {
            return Ok(());
        };
        let mut advisory = row.advisory()?;
        if advisory.withdrawn.is_some() {
            return Ok(());
        }
        advisory.withdrawn = Some(self.store.now().to_system_time().into());
        self.seen += 1;
        self.gather(advisory, None)
    }

    fn take_advisory(&mut self, mut advisory: Advisory, home: &str) -> Result<(), StoreError> {
        self.seen += 1;
        self.sources.of(home).entries += 1;
        let ecosystems: std::collections::BTreeSet<&str> = advisory
            .affected
            .iter()
            .map(|affected| affected.ecosystem.as_str())
            .collect();
        for ecosystem in ecosystems {
            *self.covers.entry(ecosystem.to_owned()).or_default() += 1;
        }
        // What the matcher does not need is not read again at every start.
        advisory.details.clear();
        self.gather(advisory, Some(home.into()))
    }

    /// `home`: in which folder it came; `None`: it did not, and is taken back.
    fn gather(&mut self, advisory: Advisory, home: Option<Box<str>>) -> Result<(), StoreError> {
        let json = serde_json::to_vec(&advisory)
            .map_err(|error| StoreError::damaged(format!("an advisory cannot be written: {error}")))?;
        self.size.entries += advisory.affected.len();
        self.size.bytes += json.len();
        let is_taken_back = home.is_none();
        let modified = advisory.modified.filter(|_| !is_taken_back);
        let is_withdrawn = advisory.withdrawn.is_some();
        let row = AdvisoryRow {
            modified: state_of(modified, &json),
            id: advisory.id,
            body: deflate(&json),
        };
        self.gathered_bytes += row.body.len();
        self.gathered.push(Gathered {
            row,
            is_taken_back,
            is_withdrawn,
            home,
        });
        Ok(())
    }

    /// Keeps a document unless it is there as it is, or newer.
    async fn keep_document(&mut self, kind: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let key = (kind.to_owned(), name.to_owned());
        let stored = self.store.advisory_document(kind, name).await?;
        let present = self
            .documents
            .get(&key)
            .or(stored.as_ref().map(|stored| &stored.body));
        let source = if kind == "vex" { kind } else { name };
        let brought = brought::of_document(kind, bytes, present.map(Vec::as_slice));
        if let Some(present) = present {
            if present == bytes {
                self.sources.of(source).add(&brought);
                return Ok(());
            }
            if is_older_document(kind, bytes, present, self.store.now()) {
                self.refuse(&ImportError::Older(name.to_owned()));
                return Ok(());
            }
        }
        self.changed += 1;
        self.sources.of(source).add(&brought);
        self.documents.insert(key, bytes.to_vec());
        Ok(())
    }

    /// Writes what was gathered, as far as it is new.
    async fn write(&mut self) -> Result<(), StoreError> {
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        if gathered.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = gathered.iter().map(|one| one.row.id.as_str()).collect();
        let mut known = self.store.advisory_states(&self.import, &ids).await?;
        let (limit, now) = (self.store.limits().advisories, self.store.now());
        // One id may have come twice; the newer state counts.
        let mut latest: BTreeMap<String, AdvisoryRow> = BTreeMap::new();
        for one in gathered {
            match known.get(&one.row.id) {
                Some(state) if *state == one.row.modified => continue,
                Some(state) if !one.is_taken_back && is_older_state(&one.row.modified, state, now) => {
                    self.older += 1;
                    continue;
                }
                Some(_) => self.count_change(&one).await?,
                None if self.count >= limit => return Err(StoreError::TooManyAdvisories { limit }),
                None => {
                    self.count += 1;
                    if let Some(home) = &one.home {
                        self.sources.of(home).added += 1;
                    }
                }
            }
            let row = one.row;
            known.insert(row.id.clone(), row.modified.clone());
            self.changed += 1;
            latest.insert(row.id.clone(), row);
        }
        let rows: Vec<AdvisoryRow> = latest.into_values().collect();
        self.store.import_advisories(&self.import, &rows).await
    }

    /// Counts that an advisory which is known says something else. One that came twice counts twice.
    async fn count_change(&mut self, one: &Gathered) -> Result<(), StoreError> {
        let Some(home) = &one.home else {
            return Ok(());
        };
        let is_removed = one.is_withdrawn && {
            let known = self.store.advisory(&one.row.id).await?;
            // One that cannot be read said nothing.
            let known = known.and_then(|row| row.advisory().ok());
            known.is_none_or(|known| known.withdrawn.is_none())
        };
        let brought = self.sources.of(home);
        if is_removed {
            brought.removed += 1;
        } else {
            brought.changed += 1;
        }
        Ok(())
    }

    /// Makes what came the present generation. `None`: nothing has changed, and there is no new one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn finish(mut self, origin: &str, actor: &Actor) -> Result<ImportSummary, StoreError> {
        self.write().await?;
        let mut summary = ImportSummary {
            generation: None,
            seen: self.seen,
            changed: self.changed,
            older: self.older,
            refused: self.refused,
            refusals: self.refusals,
            covers: self.covers,
            sources: self.sources.into_sources(),
            lifted: self.lifts.as_ref().map_or(0, |noted| noted.lifts.lifted),
        };
        if self.changed == 0 {
            return Ok(summary);
        }
        let documents = self
            .documents
            .into_iter()
            .map(|((kind, name), body)| AdvisoryDocument { kind, name, body })
            .collect();
        let body = json!({
            "seen": summary.seen,
            "changed": summary.changed,
            "older": summary.older,
            "refused": summary.refused,
            "covers": summary.covers,
            "lifted": summary.lifted,
            "lifts_approved": self.lifts.as_ref().is_some_and(|noted| noted.is_approved),
        });
        let generation = self
            .store
            .finish_import(self.import, origin, body, documents, actor)
            .await?;
        summary.generation = Some(generation);
        Ok(summary)
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImportSummary {
    /// The generation that it made; `None` where nothing has changed.
    pub generation: Option<u64>,
    /// Advisories that came.
    pub seen: u64,
    /// Advisories and documents that are new or in another state.
    pub changed: u64,
    /// Advisories that were passed over: what is known of them is newer.
    #[serde(default)]
    pub older: u64,
    /// Documents that were not taken.
    pub refused: u64,
    /// Why; the first of them.
    pub refusals: Vec<String>,
    /// Advisories that came, per ecosystem.
    pub covers: BTreeMap<String, u64>,
    /// What came of each source, and what of it is new.
    #[serde(default)]
    pub sources: BTreeMap<String, Brought>,
    /// Images that are refused no more by it.
    #[serde(default)]
    pub lifted: u64,
}

/// The feed that a document came in: the folder that it lies in, by the layout of OSV's export.
pub fn home(name: &str) -> &str {
    let mut parts = name.rsplit('/').skip(1);
    parts
        .find(|part| !part.is_empty() && *part != "all.zip")
        .unwrap_or("import")
}

/// Two documents of an id are the same where this is: its date, and what it says, for sources without one.
fn state_of(modified: Option<OffsetDateTime>, json: &[u8]) -> String {
    let digest = oci::Digest::of(oci::Algorithm::Sha256, json);
    let modified = modified
        .map(|modified| modified.unix_timestamp().to_string())
        .unwrap_or_default();
    format!("{modified} {}", &digest.hex()[..32])
}

fn deflate(json: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(json);
    encoder.finish().unwrap_or_default()
}

impl AdvisoryRow {
    /// The advisory, as [`Importer`] wrote it.
    pub fn advisory(&self) -> Result<Advisory, StoreError> {
        serde_json::from_reader(std::io::Read::take(
            ZlibDecoder::new(self.body.as_slice()),
            ADVISORY_BYTES,
        ))
        .map_err(|error| StoreError::damaged(format!("advisory {}: {error}", self.id)))
    }
}
