//! An ecosystem of OSV's export: its list, and of its documents what is new.

use std::collections::HashSet;
use std::time::Duration;

use findings::advisory::limits::OSV_DOCUMENT_BYTES;
use outbound::{Answer, OutboundError, Validators};
use store::{FeedState, Store};

use super::error::FeedError;
use super::fetcher::Fetcher;
use super::list::{Difference, List};
use super::losses::{Losses, is_much};
use super::source::{Kind, Source};
use super::spool::Spool;
use super::staged::{Fetched, Staged};

mod bulk;
mod documents;
mod head;

pub(crate) use bulk::remove as remove_archive;
pub(crate) use head::Head;

/// A moment further ahead than this says nothing about the age of a document.
const AHEAD: Duration = Duration::from_hours(24);

/// An ecosystem that is being fetched.
pub(crate) struct Ecosystem<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) store: &'a Store,
    pub(crate) source: &'a Source,
    /// All sources: what another one lists is not gone.
    pub(crate) all: &'a [Source],
}

/// What came of the documents.
#[derive(Default)]
struct Brought {
    archive: Option<bulk::Bulk>,
    documents: Option<Spool>,
    refused: Vec<String>,
}

impl Ecosystem<'_> {
    /// Fetches what is not `known` yet.
    pub(crate) async fn fetch(&self, known: &FeedState) -> Result<Fetched, FeedError> {
        let before = self.stored(known).await?;
        let mut request = self
            .fetcher
            .request(self.source.url.clone(), self.fetcher.limits.list_bytes);
        if !before.is_empty() && !before.has_untried() {
            request = request.unless(Validators {
                etag: known.etag.clone(),
                last_modified: known.last_modified.clone(),
            });
        }
        let Answer::Body { bytes, validators } = self.fetcher.client.get(&request).await? else {
            return Ok(Fetched::Unchanged);
        };
        let (mut list, before, difference) = self.compare(bytes, before).await?;
        let Difference { changed, gone, older } = difference;
        if is_much(older, before.len()) && !self.fetcher.accepts.removals {
            return Err(FeedError::Older {
                url: self.source.url.to_string(),
                what: format!("{older} of {} advisories", before.len()),
            });
        }
        let gone = self.confirm_gone(gone, &mut list, &before, known).await?;
        let mut brought = self.bring(changed, &mut list, before.is_empty()).await?;
        if list.skipped > 0 {
            let lines = crate::output::count(list.skipped as u64, "line");
            brought.refused.push(format!("{lines} of {}", self.source.url));
        }
        Ok(Fetched::New(Box::new(Staged {
            source: self.source.clone(),
            validators,
            list: list.encode(),
            covers: list.len() as u64,
            archive: brought.archive.map(|bulk| (bulk.path, bulk.wanted)),
            documents: Vec::new(),
            spool: brought.documents,
            lost: gone.len() as u64,
            gone,
            refused: brought.refused,
        })))
    }

    /// The list of last time, if it came from the same place.
    async fn stored(&self, known: &FeedState) -> Result<List, FeedError> {
        if known.url != self.source.url.as_str() {
            return Ok(List::default());
        }
        let stored = self.store.feed_list(self.source.name()).await?;
        let limits = self.fetcher.limits;
        let list = blocking(move || List::decode(&stored, &limits)).await?;
        Ok(list.unwrap_or_else(|error| {
            tracing::warn!(source = self.source.name(), %error, "the list of a feed is fetched anew");
            List::default()
        }))
    }

    async fn compare(&self, bytes: Vec<u8>, before: List) -> Result<(List, List, Difference), FeedError> {
        let limits = self.fetcher.limits;
        let horizon = self.store.now().plus(AHEAD).micros();
        let compared = blocking(move || {
            let mut list = List::parse(&bytes, &limits)?;
            let difference = list.difference(&before, horizon);
            Ok((list, before, difference))
        });
        compared.await?.map_err(|source| FeedError::List {
            url: self.source.url.to_string(),
            source,
        })
    }

    /// What really is gone of what is not listed any more: no other ecosystem lists it, and the source has no document of it. A
    /// list that was cut, by whomever, must not take advisories back, neither at once nor a few with each sync.
    async fn confirm_gone(
        &self,
        gone: Vec<Box<str>>,
        list: &mut List,
        before: &List,
        known: &FeedState,
    ) -> Result<Vec<Box<str>>, FeedError> {
        let shrunk = |before: u64, now: usize| FeedError::Shrunk {
            url: self.source.url.to_string(),
            what: "advisories",
            before,
            now: now as u64,
        };
        let accepts = self.fetcher.accepts.removals;
        if is_much(gone.len(), before.len()) && !accepts {
            return Err(shrunk(before.len() as u64, before.len() - gone.len()));
        }
        let mut confirmed = Vec::new();
        for id in self.listed_nowhere(gone).await? {
            if self.has_document(&id).await? {
                // It may be listed again next time.
                if let Some(entry) = before.get(&id) {
                    list.keep(&id, *entry);
                }
            } else {
                confirmed.push(id);
            }
        }
        let losses = Losses::of(known, self.store.now());
        if !accepts && losses.with(confirmed.len()).are_much(before.len()) {
            return Err(shrunk(
                losses.had(before.len()),
                before.len().saturating_sub(confirmed.len()),
            ));
        }
        Ok(confirmed)
    }

    async fn listed_nowhere(&self, gone: Vec<Box<str>>) -> Result<Vec<Box<str>>, FeedError> {
        let mut left: HashSet<Box<str>> = gone.into_iter().collect();
        let is_other = |source: &&Source| *source != self.source && matches!(source.kind, Kind::Osv(_));
        for other in self.all.iter().filter(is_other) {
            if left.is_empty() {
                break;
            }
            let stored = self.store.feed_list(other.name()).await?;
            let limits = self.fetcher.limits;
            // One that cannot be read lists nothing.
            let list = blocking(move || List::decode(&stored, &limits))
                .await?
                .unwrap_or_default();
            left.retain(|id| list.get(id).is_none());
        }
        let mut left: Vec<Box<str>> = left.into_iter().collect();
        left.sort_unstable();
        Ok(left)
    }

    async fn has_document(&self, id: &str) -> Result<bool, FeedError> {
        let request = self
            .fetcher
            .request(self.source.document(id), OSV_DOCUMENT_BYTES as u64);
        match self.fetcher.client.get(&request).await {
            Ok(_) | Err(OutboundError::TooLarge { .. }) => Ok(true),
            Err(error) if documents::is_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Fetches what has changed: one by one, or the archive where that is less.
    async fn bring(
        &self,
        changed: Vec<Box<str>>,
        list: &mut List,
        is_first: bool,
    ) -> Result<Brought, FeedError> {
        if changed.is_empty() {
            return Ok(Brought::default());
        }
        if !is_first && changed.len() <= self.fetcher.limits.changed_documents {
            let some = documents::fetch(self.fetcher, self.source, list, changed).await?;
            if let Some(some) = some {
                return Ok(Brought {
                    archive: None,
                    documents: Some(some.documents),
                    refused: some.refused,
                });
            }
        }
        let (bulk, lagging) = bulk::fetch(self.fetcher, self.source, list).await?;
        let refused = bulk.refused.clone();
        let mut brought = Brought {
            archive: Some(bulk),
            documents: None,
            refused,
        };
        if lagging.len() <= self.fetcher.limits.changed_documents
            && let Some(some) = documents::fetch(self.fetcher, self.source, list, lagging.clone()).await?
        {
            brought.documents = Some(some.documents);
            brought.refused.extend(some.refused);
        } else {
            for id in &lagging {
                list.try_again(id);
            }
        }
        Ok(brought)
    }
}

/// Runs what takes long without waiting where it keeps nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, FeedError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| FeedError::Ended)
}
