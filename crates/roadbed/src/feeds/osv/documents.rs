//! Documents of an ecosystem one by one, some at the same time.

use findings::advisory::limits::OSV_DOCUMENT_BYTES;
use http::StatusCode;
use outbound::{Answer, OutboundError};
use tokio::task::JoinSet;

use super::bulk;
use super::head::Head;
use crate::feeds::error::FeedError;
use crate::feeds::fetcher::Fetcher;
use crate::feeds::list::List;
use crate::feeds::source::Source;
use crate::feeds::spool::{Spool, SpoolWriter};

/// Documents that came, and those that cannot be taken.
pub(super) struct Came {
    pub(super) documents: Spool,
    pub(super) refused: Vec<String>,
}

/// What came of one.
enum One {
    Here(Vec<u8>, Head),
    TooLarge,
    Missing,
}

/// Fetches documents, into a file. `None`: they are too much, or the source hands out none singly (a mirror may have the archives
/// alone); then the archive is the way. One that fails otherwise fails the source.
pub(super) async fn fetch(
    fetcher: &Fetcher,
    source: &Source,
    list: &mut List,
    ids: Vec<Box<str>>,
) -> Result<Option<Came>, FeedError> {
    let wanted = ids.len();
    let mut waiting = ids.into_iter();
    let mut running = JoinSet::new();
    bulk::make(&fetcher.directory).await?;
    let path = fetcher
        .directory
        .join(bulk::file_name(source.name(), "documents"));
    let mut documents = SpoolWriter::create(path).await?;
    let mut refused = Vec::new();
    let (mut bytes, mut missing) = (0, Vec::new());
    loop {
        while running.len() < fetcher.limits.concurrent_documents
            && let Some(id) = waiting.next()
        {
            running.spawn(one(fetcher.clone(), source.clone(), id));
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (id, document) = done.map_err(|_| FeedError::Ended)??;
        match document {
            One::Missing => missing.push(id),
            One::TooLarge => {
                refused.push(format!("{id} has more than {OSV_DOCUMENT_BYTES} bytes"));
                list.settle(&id);
            }
            One::Here(document, head) => {
                bytes += document.len() as u64;
                if list.get(&id).is_some_and(|listed| head.lags_behind(listed)) {
                    list.try_again(&id);
                } else {
                    list.settle(&id);
                }
                let name = format!("{}/{id}.json", source.name());
                documents.add(&name, &document).await?;
            }
        }
        if bytes > fetcher.limits.changed_bytes {
            return Ok(None);
        }
    }
    if missing.len() * 2 > wanted {
        return Ok(None);
    }
    let documents = documents.finish().await?;
    for id in &missing {
        list.try_again(id);
    }
    Ok(Some(Came { documents, refused }))
}

async fn one(fetcher: Fetcher, source: Source, id: Box<str>) -> Result<(Box<str>, One), FeedError> {
    let url = source.document(&id);
    let request = fetcher.request(url.clone(), OSV_DOCUMENT_BYTES as u64);
    let one = match fetcher.client.get(&request).await {
        Ok(Answer::Body { bytes, .. }) => match Head::of(&bytes).filter(|head| head.id == id) {
            Some(head) => One::Here(bytes, head),
            None => return Err(other(&url)),
        },
        Ok(Answer::Unchanged) => return Err(other(&url)),
        Err(OutboundError::TooLarge { .. }) => One::TooLarge,
        Err(error) if is_missing(&error) => One::Missing,
        Err(error) => return Err(error.into()),
    };
    Ok((id, one))
}

fn other(url: &outbound::Url) -> FeedError {
    FeedError::Other {
        what: "OSV advisory of that id",
        url: url.to_string(),
        source: None,
    }
}

/// Whether there is nothing at a URL. Object stores whose content may not be listed answer 403 then; that the list came shows that
/// it is not the credentials.
pub(super) fn is_missing(error: &OutboundError) -> bool {
    matches!(
        error,
        OutboundError::Missing { .. }
            | OutboundError::Status {
                status: StatusCode::FORBIDDEN,
                ..
            }
    )
}
