//! A file that may be the beginning of a download, and beside it what it is the beginning of.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::Url;
use tokio::fs::{self, File, OpenOptions};

use crate::OutboundError;

/// Bytes of the file beside it that are read.
const NOTE_BYTES: u64 = 16 * 1024;

/// The beginning of a download.
pub(crate) struct Partial {
    path: PathBuf,
    note: PathBuf,
    pub(crate) file: File,
    /// Bytes that are there.
    pub(crate) length: u64,
    /// What they are the beginning of; without it they are worth nothing.
    pub(crate) etag: Option<String>,
}

impl Partial {
    /// Opens or makes the file. What is there counts only if it came from `url` and has a tag to go on by.
    pub(crate) async fn open(path: &Path, url: &Url) -> Result<Self, OutboundError> {
        let note = note_of(path);
        let etag = read_note(&note, url).await;
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .await;
        let file = opened.map_err(|source| failed(path, source))?;
        let length = file
            .metadata()
            .await
            .map_err(|source| failed(path, source))?
            .len();
        let mut partial = Self {
            path: path.to_owned(),
            note,
            file,
            length,
            etag,
        };
        if partial.etag.is_none() || length == 0 {
            partial.begin(url, None).await?;
        }
        Ok(partial)
    }

    /// Begins anew: what is written from now on belongs to `etag`.
    pub(crate) async fn begin(&mut self, url: &Url, etag: Option<&str>) -> Result<(), OutboundError> {
        // The note goes first: bytes of one state must never lie beside the tag of another.
        match fs::remove_file(&self.note).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&self.note, source));
            }
            _ => {}
        }
        self.file
            .set_len(0)
            .await
            .map_err(|source| failed(&self.path, source))?;
        self.length = 0;
        self.etag = etag.map(str::to_owned);
        if let Some(etag) = etag {
            let text = format!("{url}\n{etag}\n");
            fs::write(&self.note, text)
                .await
                .map_err(|source| failed(&self.note, source))?;
        }
        Ok(())
    }

    pub(crate) fn failed(&self, source: io::Error) -> OutboundError {
        failed(&self.path, source)
    }
}

fn note_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".of");
    PathBuf::from(name)
}

async fn read_note(note: &Path, url: &Url) -> Option<String> {
    let size = fs::metadata(note).await.ok()?.len();
    if size > NOTE_BYTES {
        return None;
    }
    let text = fs::read_to_string(note).await.ok()?;
    let (of, etag) = text.strip_suffix('\n')?.split_once('\n')?;
    (of == url.as_str()).then(|| etag.to_owned())
}

fn failed(path: &Path, source: io::Error) -> OutboundError {
    OutboundError::File {
        path: path.to_owned(),
        source,
    }
}
