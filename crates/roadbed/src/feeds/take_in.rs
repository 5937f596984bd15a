//! From what came to a generation: of all sources together, and all of it or nothing.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use findings::advisory::DocumentKind;
use store::{Actor, ImportSummary, Importer, Store, StoreError};
use tokio::sync::mpsc;

use super::archive::{Archive, ArchiveError};
use super::error::FeedError;
use super::fetcher::Fetcher;
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
    actor: &Actor,
) -> Result<TakenIn, FeedError> {
    let mut importer = begin(store).await?;
    let mut changed = Vec::new();
    for one in staged {
        let before = importer.changed();
        add(&mut importer, fetcher, one).await?;
        changed.push(importer.changed() - before);
    }
    let names: Vec<&str> = staged.iter().map(|one| one.source.name()).collect();
    let summary = importer
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
        add_archive(importer, fetcher, staged, path, wanted).await?;
    }
    for (name, bytes) in &staged.documents {
        importer
            .add_only(staged.source.document_kind(), name, bytes)
            .await?;
        fetcher.taken_in();
        tokio::task::yield_now().await;
    }
    for id in &staged.gone {
        importer.withdraw(id).await?;
    }
    Ok(())
}

async fn add_archive(
    importer: &mut Importer,
    fetcher: &Fetcher,
    staged: &Staged,
    path: &Path,
    wanted: &HashSet<Box<str>>,
) -> Result<(), FeedError> {
    let (sender, mut documents) = mpsc::channel(READ_AHEAD);
    let (walker, path, wanted) = (fetcher.clone(), path.to_owned(), wanted.clone());
    let reading = tokio::task::spawn_blocking(move || read(&walker, &path, &wanted, &sender));
    while let Some((id, bytes)) = documents.recv().await {
        importer
            .add_only(
                DocumentKind::Osv,
                &format!("{}/{id}.json", staged.source.name()),
                &bytes,
            )
            .await?;
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
    wanted: &HashSet<Box<str>>,
    sender: &mpsc::Sender<(Box<str>, Vec<u8>)>,
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
        if sender.blocking_send((head.id, bytes)).is_err() {
            return Err(Reading::Feed(FeedError::Ended));
        }
    }
    Ok(())
}
