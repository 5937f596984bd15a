//! The body of a blob from an upstream, gone on with where it was cut.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use oci::{Digest, RepoName};
use store::BodyError;
use tokio::time::{Instant, sleep, timeout_at};

use super::source::{Source, SourceBlob, SourceBody, SourceError};

/// Fewest bytes in each [`Patience::idle`]: a byte now and then would hold a place for hours.
const LEAST_BYTES: u64 = 32 << 10;

/// How a body may come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Longest silence.
    pub(crate) idle: Duration,
    /// When it must be here.
    pub(crate) until: Instant,
    /// How often it is gone on with.
    pub(crate) resumes: u32,
}

/// Pause before it is gone on with for the first time; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A body on its way. What is compared here is only its length: the digest is the store's.
pub(crate) struct Resuming {
    source: Arc<dyn Source>,
    name: RepoName,
    digest: Digest,
    size: Option<u64>,
    patience: Patience,
    /// Bytes handed on.
    at: u64,
    /// Bytes that come once more, because the upstream began anew.
    skip: u64,
    body: Option<SourceBody>,
    /// Bytes that have come, also those that came twice.
    received: u64,
    /// When it was last looked how fast they come, and how many there were then.
    looked: (Instant, u64),
    resumed: u32,
    is_over: bool,
}

impl Resuming {
    /// Goes on with what has begun to come. `size` is what the whole blob must have, if that is known.
    pub(crate) fn new(
        source: Arc<dyn Source>,
        (name, digest): (RepoName, Digest),
        size: Option<u64>,
        begun: SourceBody,
        patience: Patience,
    ) -> Self {
        Self {
            source,
            name,
            digest,
            size,
            patience,
            at: 0,
            skip: 0,
            body: Some(begun),
            received: 0,
            looked: (Instant::now(), 0),
            resumed: 0,
            is_over: false,
        }
    }

    /// The bytes in order, each once. The last item may be an error.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + use<> {
        Box::pin(stream::unfold(self, |mut body| async move {
            if body.is_over {
                return None;
            }
            let item = body.next().await?;
            body.is_over = item.is_err();
            Some((item, body))
        }))
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            // Whatever else an upstream sends is not asked for.
            if self.size == Some(self.at) {
                return None;
            }
            if self.body.is_none() {
                match self.go_on().await {
                    Ok(body) => self.body = Some(body),
                    Err(error) => return Some(Err(error)),
                }
            }
            let Some(body) = &mut self.body else { continue };
            let silent_at = (Instant::now() + self.patience.idle).min(self.patience.until);
            let came = timeout_at(silent_at, body.next()).await;
            let why = match came {
                Ok(Some(Ok(bytes))) => match self.take(bytes) {
                    Ok(bytes) if bytes.is_empty() && self.is_fast_enough() => continue,
                    Ok(bytes) if bytes.is_empty() => "it comes too slowly".to_owned(),
                    taken => {
                        if !self.is_fast_enough() {
                            self.body = None;
                        }
                        return Some(taken);
                    }
                },
                Ok(None) if self.size.is_none() => return None,
                Ok(None) => format!("it ended after {} bytes", self.at),
                Ok(Some(Err(error))) => error.to_string(),
                Err(_) => format!("nothing came for {} s", self.patience.idle.as_secs()),
            };
            self.body = None;
            tracing::debug!(repository = %self.name, digest = %self.digest, at = self.at, why, "a blob was cut");
        }
    }

    /// Whether enough has come since it was last looked, if that is long ago.
    fn is_fast_enough(&mut self) -> bool {
        let (since, before) = self.looked;
        if since.elapsed() < self.patience.idle {
            return true;
        }
        self.looked = (Instant::now(), self.received);
        self.received - before >= LEAST_BYTES
    }

    /// Counts bytes and takes away those that are here already.
    fn take(&mut self, mut bytes: Bytes) -> Result<Bytes, BodyError> {
        self.received += bytes.len() as u64;
        let again = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= again as u64;
        let bytes = bytes.split_off(again);
        self.at += bytes.len() as u64;
        match self.size {
            Some(announced) if self.at > announced => Err(BodyError::TooLong { announced }),
            _ => Ok(bytes),
        }
    }

    /// Asks for the rest.
    async fn go_on(&mut self) -> Result<SourceBody, BodyError> {
        loop {
            if self.resumed >= self.patience.resumes || Instant::now() >= self.patience.until {
                return Err(match self.size {
                    Some(announced) => BodyError::TooShort {
                        announced,
                        got: self.at,
                    },
                    None => BodyError::Disconnected,
                });
            }
            let pause = FIRST_PAUSE.saturating_mul(1 << self.resumed.min(10));
            self.resumed += 1;
            sleep(pause.min(LONGEST_PAUSE)).await;
            let answer_by = (Instant::now() + self.patience.idle).min(self.patience.until);
            let asked = self.source.blob(&self.name, &self.digest, self.at);
            match timeout_at(answer_by, asked).await {
                Ok(Ok(blob)) => {
                    self.looked = (Instant::now(), self.received);
                    return self.joined(blob);
                }
                Ok(Err(SourceError::Unreachable(_) | SourceError::Failing(_) | SourceError::Broken(_)))
                | Err(_) => {}
                // Asking again would not help.
                Ok(Err(error)) => return Err(BodyError::Transport(error.to_string())),
            }
        }
    }

    /// The rest must be one of the same blob.
    fn joined(&mut self, blob: SourceBlob) -> Result<SourceBody, BodyError> {
        let lies = |what: &str| Err(BodyError::Transport(format!("the upstream {what}")));
        if let (Some(before), Some(now)) = (self.size, blob.size)
            && before != now
        {
            return lies("says another length than before");
        }
        match self.at.checked_sub(blob.from) {
            Some(skip) if skip == 0 || blob.from == 0 => self.skip = skip,
            _ => return lies("goes on at another place than asked"),
        }
        Ok(blob.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake::{Cut, Fake};

    fn patience() -> Patience {
        Patience {
            idle: Duration::from_secs(30),
            until: Instant::now() + Duration::from_hours(1),
            resumes: 3,
        }
    }

    async fn read(fake: &Arc<Fake>, digest: Digest, size: Option<u64>) -> Result<Vec<u8>, BodyError> {
        let source: Arc<dyn Source> = Arc::clone(fake) as _;
        let name: RepoName = "library/app".parse().unwrap();
        let begun = source.blob(&name, &digest, 0).await.unwrap();
        let mut stream = Resuming::new(source, (name, digest), size, begun.body, patience()).stream();
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_is_gone_on_with() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
        for ranges in [true, false] {
            let fake = Fake::new();
            let digest = fake.blob_of(&bytes);
            fake.change(|fake| {
                fake.cuts = vec![Cut::End(4_000), Cut::Error(3_000), Cut::Silence(2_000)];
                fake.ranges = ranges;
            });
            let read = read(&fake, digest, Some(10_000)).await.unwrap();
            assert!(read == bytes, "with ranges: {ranges}");
            assert_eq!(fake.blobs_asked(), 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn not_for_ever() {
        let fake = Fake::new();
        let digest = fake.blob_of(&[7; 10_000]);
        fake.change(|fake| fake.cuts = (0..9).map(|_| Cut::End(10)).collect());
        let error = read(&fake, digest, Some(10_000)).await.unwrap_err();
        assert!(
            matches!(
                error,
                BodyError::TooShort {
                    announced: 10_000,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(fake.blobs_asked(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_not_enough() {
        let fake = Fake::new();
        let digest = fake.blob_of(&vec![7; 200_000]);
        fake.change(|fake| fake.pace = Some(Duration::from_secs(10)));
        let begun = Instant::now();
        let error = read(&fake, digest, Some(200_000)).await.unwrap_err();
        assert!(matches!(error, BodyError::TooShort { .. }), "{error}");
        assert_eq!(fake.blobs_asked(), 4);
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_was_said_is_not_taken() {
        let fake = Fake::new();
        let digest = fake.blob_of(&[7; 10_000]);
        let error = read(&fake, digest, Some(9_999)).await.unwrap_err();
        assert_eq!(error, BodyError::TooLong { announced: 9_999 });
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_something_else_is_not_taken() {
        let fake = Fake::new();
        let digest = fake.blob_of(&[7; 10_000]);
        fake.change(|fake| {
            fake.cuts = vec![Cut::End(4_000)];
            fake.shift = 3;
        });
        let error = read(&fake, digest, Some(10_000)).await.unwrap_err();
        assert!(matches!(error, BodyError::Transport(_)), "{error}");
    }
}
