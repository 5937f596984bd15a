//! From what came to a generation: all of it or nothing. Of what is taken in no more is in memory than a few documents.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use findings::advisory::DocumentKind;
use store::{Actor, ImportSummary, Importer, Store, StoreError};
use tokio::sync::mpsc;
use web::{Judging, admit};

use super::archive::{Archive, ArchiveError};
use super::error::FeedError;
use super::fetcher::Fetcher;
use super::spool::{SpoolReader, of_file};
use super::staged::Staged;

/// Documents of an archive that are read ahead.
const READ_AHEAD: usize = 8;

/// How often it is looked whether another import has ended.
const LOOKS: u32 = 12;

/// Time between two such looks.
const BETWEEN: Duration = Duration::from_secs(5);

/// What became of what came.
pub(crate) struct TakenIn {
    pub(crate) summary: ImportSummary,
    /// What is new of each source.
    pub(crate) changed: Vec<u64>,
}

/// Takes everything in. Until the last step nobody sees any of it.
pub(crate) async fn take_in(
    store: &Store,
    fetcher: &Fetcher,
    staged: &[Staged],
    judging: Option<&dyn Judging>,
    actor: &Actor,
) -> Result<TakenIn, FeedError> {
    let mut importer = begin(store).await?;
    // First what is gone: one source may have no more what another one has just got.
    for id in staged.iter().flat_map(|one| &one.gone) {
        importer.withdraw(id).await?;
    }
    let gone = importer.changed().await?;
    let (mut before, mut changed) = (gone, Vec::new());
    for one in staged {
        add(&mut importer, fetcher, one).await?;
        let now = importer.changed().await?;
        changed.push(now - before + one.gone.len() as u64);
        before = now;
    }
    let admitted = admit(judging, importer, fetcher.accepts.lifts).await?;
    let names: Vec<&str> = staged.iter().map(|one| one.source.name()).collect();
    let summary = admitted
        .finish(&format!("sync of {}", names.join(", ")), actor)
        .await?;
    Ok(TakenIn { summary, changed })
}

/// Waits for an import that somebody makes by hand, for a while.
async fn begin(store: &Store) -> Result<Importer, FeedError> {
    let mut looks = 0;
    loop {
        match Importer::begin(store).await {
            Err(StoreError::ImportRunning) if looks < LOOKS => looks += 1,
            begun => return Ok(begun?),
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn add(importer: &mut Importer, fetcher: &Fetcher, staged: &Staged) -> Result<(), FeedError> {
    if let Some((path, wanted)) = &staged.archive {
        let (walker, path, wanted) = (fetcher.clone(), path.clone(), wanted.clone());
        let folder = staged.source.name().to_owned();
        add_read(importer, fetcher, staged, move |sender| {
            read(&walker, &path, (&wanted, &folder), sender)
        })
        .await?;
    }
    if let Some(spool) = &staged.spool {
        let path = spool.path().to_owned();
        add_read(importer, fetcher, staged, move |sender| read_spool(&path, sender)).await?;
    }
    for (name, bytes) in &staged.documents {
        importer
            .add_only(staged.source.document_kind(), name, bytes)
            .await?;
        fetcher.taken_in();
    }
    Ok(())
}

/// A document with the name under which it lay.
type Document = (String, Vec<u8>);

/// Adds what a reader sends, some of which is read ahead.
async fn add_read(
    importer: &mut Importer,
    fetcher: &Fetcher,
    staged: &Staged,
    read: impl FnOnce(&mpsc::Sender<Document>) -> Result<(), Reading> + Send + 'static,
) -> Result<(), FeedError> {
    let (sender, mut documents) = mpsc::channel(READ_AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(&sender));
    while let Some((name, bytes)) = documents.recv().await {
        importer.add_only(DocumentKind::Osv, &name, &bytes).await?;
        fetcher.taken_in();
        tokio::task::yield_now().await;
    }
    // It was read to its end before; if it cannot be now, nothing of it counts.
    reading
        .await
        .map_err(|_| FeedError::Ended)?
        .map_err(|error| match error {
            Reading::Archive(source) => FeedError::Archive {
                url: staged.source.archive().to_string(),
                source,
            },
            Reading::Feed(error) => error,
        })
}

/// Why reading ended.
enum Reading {
    Archive(ArchiveError),
    Feed(FeedError),
}

fn read(
    fetcher: &Fetcher,
    path: &Path,
    (wanted, folder): (&HashSet<Box<str>>, &str),
    sender: &mpsc::Sender<Document>,
) -> Result<(), Reading> {
    let mut archive = Archive::open(path, &fetcher.limits).map_err(Reading::Archive)?;
    while let Some(entry) = archive.next().map_err(Reading::Archive)? {
        fetcher.go_on().map_err(Reading::Feed)?;
        let Some(bytes) = entry.bytes else {
            continue;
        };
        let Some(head) = super::osv::Head::of(&bytes).filter(|head| wanted.contains(&head.id)) else {
            continue;
        };
        send(sender, (format!("{folder}/{}.json", head.id), bytes))?;
    }
    Ok(())
}

fn read_spool(path: &Path, sender: &mpsc::Sender<Document>) -> Result<(), Reading> {
    let failed = |error| Reading::Feed(of_file(path, error));
    let mut spool = SpoolReader::open(path).map_err(failed)?;
    while let Some(document) = spool.next().map_err(failed)? {
        send(sender, document)?;
    }
    Ok(())
}

fn send(sender: &mpsc::Sender<Document>, document: Document) -> Result<(), Reading> {
    let sent = sender.blocking_send(document);
    sent.map_err(|_| Reading::Feed(FeedError::Ended))
}
