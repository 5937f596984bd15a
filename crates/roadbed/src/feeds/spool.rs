//! Documents that came one by one, in a file until they are taken in: what changed in an ecosystem need not fit into memory.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use findings::advisory::limits::OSV_DOCUMENT_BYTES;
use outbound::OutboundError;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::error::FeedError;

/// Bytes of the name of a document: the ecosystem, the id and an ending.
const NAME_BYTES: usize = 1_024;

/// A file of documents. It goes when this does.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
}

/// A spool that is being written. Each document is the lengths of its name and of its bytes (4 bytes each, big-endian), the name
/// and the bytes.
pub(crate) struct SpoolWriter {
    file: BufWriter<File>,
    spool: Spool,
}

/// A spool that is being read.
pub(crate) struct SpoolReader {
    file: BufReader<std::fs::File>,
}

impl SpoolWriter {
    /// An empty one, in place of what an ended sync has left there.
    pub(crate) async fn create(path: PathBuf) -> Result<Self, FeedError> {
        let file = File::create(&path).await.map_err(|error| of_file(&path, error))?;
        Ok(Self {
            file: BufWriter::new(file),
            spool: Spool { path },
        })
    }

    pub(crate) async fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), FeedError> {
        let path = self.spool.path.clone();
        let failed = |error| of_file(&path, error);
        let too_long = || failed(io::ErrorKind::InvalidInput.into());
        let lengths = [name.len(), bytes.len()].map(u32::try_from);
        for length in lengths {
            let length = length.map_err(|_| too_long())?;
            self.file.write_all(&length.to_be_bytes()).await.map_err(failed)?;
        }
        self.file.write_all(name.as_bytes()).await.map_err(failed)?;
        self.file.write_all(bytes).await.map_err(failed)
    }

    pub(crate) async fn finish(mut self) -> Result<Spool, FeedError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| of_file(&self.spool.path, error))?;
        Ok(self.spool)
    }
}

impl Spool {
    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays is overwritten next time.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl SpoolReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::new(std::fs::File::open(path)?),
        })
    }

    /// The next document, with its name.
    pub(crate) fn next(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut lengths = [0; 8];
        if self.file.read(&mut lengths[..1])? == 0 {
            return Ok(None);
        }
        self.file.read_exact(&mut lengths[1..])?;
        let [a, b, c, d, rest @ ..] = lengths;
        let name = self.part(u32::from_be_bytes([a, b, c, d]), NAME_BYTES)?;
        let bytes = self.part(u32::from_be_bytes(rest), OSV_DOCUMENT_BYTES)?;
        let name = String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Some((name, bytes)))
    }

    fn part(&mut self, length: u32, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > most {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

pub(crate) fn of_file(path: &Path, source: io::Error) -> FeedError {
    FeedError::Outbound(OutboundError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn documents_come_back_as_they_went_in() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.documents");
        let mut writer = SpoolWriter::create(path.clone()).await.unwrap();
        let documents = [("a", b"one".to_vec()), ("b", Vec::new()), ("c", vec![7; 1 << 20])];
        for (name, bytes) in &documents {
            writer.add(name, bytes).await.unwrap();
        }
        let spool = writer.finish().await.unwrap();
        let mut reader = SpoolReader::open(spool.path()).unwrap();
        for (name, bytes) in documents {
            assert_eq!(reader.next().unwrap(), Some((name.to_owned(), bytes)));
        }
        assert_eq!(reader.next().unwrap(), None);
        // One that was cut is no shorter one.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut reader = SpoolReader::open(&path).unwrap();
        assert!(reader.next().is_ok() && reader.next().is_ok() && reader.next().is_err());
        drop(spool);
        assert!(!path.exists());
    }
}
