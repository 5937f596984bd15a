//! All documents of an ecosystem at once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use outbound::OutboundError;

use super::blocking;
use super::head::Head;
use crate::feeds::archive::{Archive, ArchiveError};
use crate::feeds::error::FeedError;
use crate::feeds::fetcher::Fetcher;
use crate::feeds::list::List;
use crate::feeds::source::Source;

/// An archive has at least one in so many of what the list names, or it is another one.
const FOUND_SHARE: usize = 2;

/// Files of an archive that cannot be taken and are named; more are only counted.
const NAMED: usize = 20;

/// An archive that is here and was read once.
pub(super) struct Bulk {
    pub(super) path: PathBuf,
    /// Its documents that are listed; the archive may be older or newer than the list.
    pub(super) wanted: HashSet<Box<str>>,
    pub(super) refused: Vec<String>,
}

/// What was found in an archive.
#[derive(Default)]
struct Survey {
    heads: HashMap<Box<str>, Head>,
    refused: Vec<String>,
}

impl Survey {
    /// Of two documents of one id the newer one counts, wherever it lies.
    fn note(&mut self, head: Head) {
        let known = self.heads.entry(head.id.clone()).or_insert_with(|| head.clone());
        if known.modified < head.modified {
            *known = head;
        }
    }
}

/// Downloads the archive and reads it to its end before anything of it counts. Also answers what the list names and the archive
/// does not have, or not as new.
pub(super) async fn fetch(
    fetcher: &Fetcher,
    source: &Source,
    list: &mut List,
) -> Result<(Bulk, Vec<Box<str>>), FeedError> {
    let path = fetcher.directory.join(file_name(source.name(), "zip"));
    make(&fetcher.directory).await?;
    let request = fetcher.request(source.archive(), fetcher.limits.archive_bytes);
    fetcher.client.download(&request, &path).await?;
    let (with, at) = (fetcher.clone(), path.clone());
    let survey = blocking(move || survey(&with, &at)).await??;
    match survey.and_then(|found| sort(list, found)) {
        Ok((wanted, lagging, refused)) => Ok((
            Bulk {
                path,
                wanted,
                refused,
            },
            lagging,
        )),
        Err(error) => {
            // Whatever it is, going on with it would not make it better.
            remove(&path).await;
            Err(FeedError::Archive {
                url: source.archive().to_string(),
                source: error,
            })
        }
    }
}

/// Reads an archive to its end.
fn survey(fetcher: &Fetcher, path: &Path) -> Result<Result<Survey, ArchiveError>, FeedError> {
    let mut archive = match Archive::open(path, &fetcher.limits) {
        Ok(archive) => archive,
        Err(error) => return Ok(Err(error)),
    };
    let mut survey = Survey::default();
    loop {
        fetcher.go_on()?;
        let entry = match archive.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(Ok(survey)),
            Err(error) => return Ok(Err(error)),
        };
        match entry.bytes.as_deref().and_then(Head::of) {
            Some(head) => survey.note(head),
            None if survey.refused.len() < NAMED => {
                survey
                    .refused
                    .push(format!("{} is no OSV advisory, or too large", entry.name));
            }
            None => {}
        }
    }
}

type Sorted = (HashSet<Box<str>>, Vec<Box<str>>, Vec<String>);

/// What of the list is in the archive, and what is not, or not as new.
fn sort(list: &mut List, survey: Survey) -> Result<Sorted, ArchiveError> {
    let (mut wanted, mut lagging) = (HashSet::new(), Vec::new());
    let ids: Vec<Box<str>> = list.ids().map(Box::from).collect();
    for id in ids {
        let head = survey.heads.get(&id);
        let is_as_new = |head: &Head| list.get(&id).is_some_and(|listed| !head.lags_behind(listed));
        if head.is_some_and(is_as_new) {
            list.settle(&id);
        } else {
            lagging.push(id.clone());
        }
        if head.is_some() {
            wanted.insert(id);
        }
    }
    if wanted.len() * FOUND_SHARE < list.len() {
        return Err(ArchiveError::Other {
            found: wanted.len() as u64,
            listed: list.len() as u64,
        });
    }
    lagging.sort_unstable();
    Ok((wanted, lagging, survey.refused))
}

/// Makes the directory of what is on its way; what lies in the data directory is nobody else's business.
pub(super) async fn make(directory: &Path) -> Result<(), FeedError> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).await.map_err(|source| {
        FeedError::Outbound(OutboundError::File {
            path: directory.to_owned(),
            source,
        })
    })
}

/// Removes an archive, and what says what it is.
pub(crate) async fn remove(path: &Path) {
    let mut note = path.as_os_str().to_owned();
    note.push(".of");
    for file in [path.as_os_str().to_owned(), note] {
        // What stays is overwritten next time.
        let _ = tokio::fs::remove_file(file).await;
    }
}

/// One of its own for each ecosystem, whatever is in its name.
pub(super) fn file_name(ecosystem: &str, ending: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    format!("{}.{ending}", ecosystem.chars().map(plain).collect::<String>())
}
