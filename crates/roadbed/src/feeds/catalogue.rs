//! KEV and EPSS: one file each, which counts as a whole.

use std::error::Error;
use std::io::Read as _;

use findings::advisory::limits::{EPSS_DOCUMENT_BYTES, KEV_DOCUMENT_BYTES};
use findings::advisory::{DocumentKind, Epss, Kev, recognise};
use flate2::read::MultiGzDecoder;
use outbound::{Answer, Validators};
use store::FeedState;

use super::error::FeedError;
use super::fetcher::Fetcher;
use super::source::{Kind, Source};
use super::staged::{Fetched, Staged};

/// A catalogue of less than one in so many of its former entries is not believed.
const SHRINKS_TO: u64 = 2;

/// Fetches a catalogue unless it is the one that is known.
pub(crate) async fn fetch(
    fetcher: &Fetcher,
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
    let url = source.url.to_string();
    let (name, what) = if is_kev {
        ("kev.json", "KEV catalogue")
    } else {
        ("epss.csv", "EPSS list")
    };
    let read = tokio::task::spawn_blocking(move || {
        let bytes = if is_kev { bytes } else { unpacked(bytes)? };
        let entries = count(name, &bytes, is_kev)?;
        Ok::<_, Refusal>((bytes, entries))
    });
    let (bytes, covers) = read
        .await
        .map_err(|_| FeedError::Ended)?
        .map_err(|source| FeedError::Other {
            what,
            url: url.clone(),
            source: Some(source),
        })?;
    if covers == 0 {
        let source = None;
        return Err(FeedError::Other { what, url, source });
    }
    if covers * SHRINKS_TO < known.covers && !fetcher.accepts_removals {
        return Err(FeedError::Shrunk {
            url,
            what: "entries",
            before: known.covers,
            now: covers,
        });
    }
    Ok(Fetched::New(Box::new(Staged {
        source: source.clone(),
        validators,
        list: Vec::new(),
        covers,
        archive: None,
        documents: vec![(name.to_owned(), bytes)],
        gone: Vec::new(),
        refused: Vec::new(),
    })))
}

type Refusal = Box<dyn Error + Send + Sync>;

/// How many entries it has.
fn count(name: &str, bytes: &[u8], is_kev: bool) -> Result<u64, Refusal> {
    let entries = match recognise(name, bytes) {
        Some(DocumentKind::Kev) if is_kev => Kev::read(bytes)?.len(),
        Some(DocumentKind::Epss) if !is_kev => Epss::read(bytes)?.len(),
        _ => 0,
    };
    Ok(entries as u64)
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
