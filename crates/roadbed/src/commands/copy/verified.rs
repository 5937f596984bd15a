//! Bytes of which the last ones come only when all are those of their digest, so that nobody can take a wrong whole for a right one.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use futures_util::stream::{self, Stream, TryStreamExt as _};
use oci::{Descriptor, Digest, Hasher};
use outbound::distribution::StreamError;

/// Bytes on their way.
pub(super) type Bytestream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Why a stream ended too early: who sends it hears of it from somebody else.
#[derive(Debug, Clone, Default)]
pub(super) struct Reason(Arc<Mutex<Option<anyhow::Error>>>);

impl Reason {
    fn note(&self, error: anyhow::Error) -> StreamError {
        let said = format!("{error:#}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        said.into()
    }

    /// It, where there is one; else what was heard.
    pub(super) fn or(&self, heard: anyhow::Error) -> anyhow::Error {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        noted.unwrap_or(heard)
    }
}

/// The same stream with errors as those who send streams want them.
pub(super) fn sendable(
    bytes: Bytestream,
    reason: Reason,
) -> impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static {
    bytes.map_err(move |error| reason.note(error))
}

/// The bytes of a blob, which are no more and no others than its descriptor says.
pub(super) fn verified(bytes: Bytestream, blob: &Descriptor) -> Bytestream {
    let check = Check {
        bytes,
        hasher: Some(Hasher::new(blob.digest.algorithm())),
        digest: blob.digest,
        left: blob.size,
        held: None,
    };
    Box::pin(stream::try_unfold(check, |mut check| async move {
        anyhow::Ok(check.next().await?.map(|chunk| (chunk, check)))
    }))
}

struct Check {
    bytes: Bytestream,
    /// `None`: all has come.
    hasher: Option<Hasher>,
    digest: Digest,
    left: u64,
    /// What is not handed on yet.
    held: Option<Bytes>,
}

impl Check {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(hasher) = &mut self.hasher {
            let Some(chunk) = self.bytes.try_next().await? else {
                self.end()?;
                break;
            };
            // An empty one would let go of the last bytes before all are compared.
            if chunk.is_empty() {
                continue;
            }
            let too_many = || anyhow!("blob {} has more bytes than its manifest says", self.digest);
            self.left = self.left.checked_sub(chunk.len() as u64).ok_or_else(too_many)?;
            hasher.update(&chunk);
            if let Some(before) = self.held.replace(chunk) {
                return Ok(Some(before));
            }
        }
        Ok(self.held.take())
    }

    fn end(&mut self) -> Result<()> {
        let digest = self.digest;
        if self.left > 0 {
            bail!(
                "blob {digest} has {} bytes less than its manifest says",
                self.left
            );
        }
        let found = self.hasher.take().map(Hasher::finish);
        if found != Some(digest) {
            bail!("the bytes of blob {digest} have another digest: copy it from somewhere else");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;

    use super::*;

    async fn all(chunks: &[&'static str], said: &str, size: u64) -> (String, Result<()>) {
        let digest = Digest::of(Algorithm::Sha256, said.as_bytes());
        let blob = Descriptor::new("a/b".parse().unwrap(), digest, size);
        let chunks: Vec<Result<Bytes>> = chunks.iter().map(|chunk| Ok(Bytes::from(*chunk))).collect();
        let mut stream = verified(Box::pin(stream::iter(chunks)), &blob);
        let mut text = String::new();
        loop {
            match stream.try_next().await {
                Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) => return (text, Ok(())),
                Err(error) => return (text, Err(error)),
            }
        }
    }

    #[tokio::test]
    async fn the_last_bytes_come_when_all_are_right() {
        for chunks in [&["ab", "c"][..], &["abc"], &["a", "", "bc"]] {
            let (text, ended) = all(chunks, "abc", 3).await;
            ended.unwrap();
            assert_eq!(text, "abc");
        }
        let (text, ended) = all(&[], "", 0).await;
        ended.unwrap();
        assert_eq!(text, "");
    }

    #[tokio::test]
    async fn wrong_bytes_are_never_whole() {
        for (chunks, size, reason) in [
            (&["ab", "x"][..], 3, "another digest"),
            (&["abx"][..], 3, "another digest"),
            (&["abx", ""][..], 3, "another digest"),
            (&["ab"][..], 3, "1 bytes less"),
            (&["abc", "d"][..], 3, "more bytes"),
            (&["abc"][..], 2, "more bytes"),
            (&[][..], 3, "3 bytes less"),
        ] {
            let (text, ended) = all(chunks, "abc", size).await;
            let error = ended.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(text.len() < 3, "{text}");
        }
    }
}
