//! KEV and EPSS: one file each, which counts as a whole.

use std::error::Error;
use std::io::Read as _;

use findings::advisory::limits::{EPSS_DOCUMENT_BYTES, KEV_DOCUMENT_BYTES};
use findings::advisory::{DocumentKind, Epss, Kev, recognise};
use flate2::read::MultiGzDecoder;
use outbound::{Answer, Validators};
use store::{FeedState, Store};

use super::error::FeedError;
use super::fetcher::Fetcher;
use super::losses::Losses;
use super::source::{Kind, Source};
use super::staged::{Fetched, Staged};

/// A catalogue that came, beside the one that is known.
struct Read {
    bytes: Vec<u8>,
    entries: usize,
    /// Entries of the known one, and how many of them are missing.
    known: usize,
    missing: usize,
    /// It is older than the known one.
    is_older: bool,
}

/// Fetches a catalogue unless it is the one that is known.
pub(crate) async fn fetch(
    fetcher: &Fetcher,
    store: &Store,
    source: &Source,
    known: &FeedState,
) -> Result<Fetched, FeedError> {
    let is_kev = source.kind == Kind::Kev;
    let most = if is_kev {
        KEV_DOCUMENT_BYTES
    } else {
        EPSS_DOCUMENT_BYTES
    };
    let mut request = fetcher.request(source.url.clone(), most as u64);
    if known.url == source.url.as_str() && known.covers > 0 {
        request = request.unless(Validators {
            etag: known.etag.clone(),
            last_modified: known.last_modified.clone(),
        });
    }
    let Answer::Body { bytes, validators } = fetcher.client.get(&request).await? else {
        return Ok(Fetched::Unchanged);
    };
    let read = read(store, source, bytes).await?;
    let lost = doubts(fetcher, store, source, known, &read)?;
    Ok(Fetched::New(Box::new(Staged {
        source: source.clone(),
        validators,
        list: Vec::new(),
        covers: read.entries as u64,
        archive: None,
        spool: None,
        documents: vec![(name_of(is_kev).to_owned(), read.bytes)],
        gone: Vec::new(),
        lost,
        refused: Vec::new(),
    })))
}

/// Reads what came, and the one that is known, whoever brought that.
async fn read(store: &Store, source: &Source, bytes: Vec<u8>) -> Result<Read, FeedError> {
    let is_kev = source.kind == Kind::Kev;
    let stored = store.advisory_document(source.name(), source.name()).await?;
    let read = tokio::task::spawn_blocking(move || {
        let bytes = if is_kev { bytes } else { unpacked(bytes)? };
        let stored = stored.map(|stored| stored.body);
        let is_wanted = recognise(name_of(is_kev), &bytes) == Some(source_kind(is_kev));
        let (entries, known, missing, is_older) = match (is_wanted, is_kev) {
            (false, _) => (0, 0, 0, false),
            (true, true) => {
                let (new, old) = (
                    Kev::read(&bytes)?,
                    stored.and_then(|stored| Kev::read(&stored).ok()),
                );
                let old = old.unwrap_or_default();
                let is_older = old.released.is_some() && new.released < old.released;
                (new.len(), old.len(), old.missing_in(&new), is_older)
            }
            (true, false) => {
                let (new, old) = (
                    Epss::read(&bytes)?,
                    stored.and_then(|stored| Epss::read(&stored).ok()),
                );
                let old = old.unwrap_or_default();
                let is_older = old.scored_at().is_some() && new.scored_at() < old.scored_at();
                (new.len(), old.len(), old.missing_in(&new), is_older)
            }
        };
        Ok::<_, Refusal>(Read {
            bytes,
            entries,
            known,
            missing,
            is_older,
        })
    });
    let other = |why: Option<Refusal>| FeedError::Other {
        what: if is_kev { "KEV catalogue" } else { "EPSS list" },
        url: source.url.to_string(),
        source: why,
    };
    let read = read.await.map_err(|_| FeedError::Ended)?;
    let read = read.map_err(|why| other(Some(why)))?;
    if read.entries == 0 {
        return Err(other(None));
    }
    Ok(read)
}

/// How many entries it has lost; an error where that is not believed. As many others in their place do not make up for them.
fn doubts(
    fetcher: &Fetcher,
    store: &Store,
    source: &Source,
    known: &FeedState,
    read: &Read,
) -> Result<u64, FeedError> {
    let url = source.url.to_string();
    if read.is_older {
        let what = "all of its entries".to_owned();
        return Err(FeedError::Older { url, what });
    }
    let losses = Losses::of(known, store.now()).with(read.missing);
    if losses.are_much(read.known) && !fetcher.accepts.removals {
        return Err(FeedError::Shrunk {
            url,
            what: "entries",
            before: read.known as u64,
            now: (read.known - read.missing) as u64,
        });
    }
    Ok(read.missing as u64)
}

type Refusal = Box<dyn Error + Send + Sync>;

fn name_of(is_kev: bool) -> &'static str {
    if is_kev { "kev.json" } else { "epss.csv" }
}

fn source_kind(is_kev: bool) -> DocumentKind {
    if is_kev {
        DocumentKind::Kev
    } else {
        DocumentKind::Epss
    }
}

/// EPSS packs its list; a mirror may have unpacked it.
fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .take(EPSS_DOCUMENT_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}
