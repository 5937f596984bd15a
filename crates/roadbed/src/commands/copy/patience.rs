//! Asking again where a registry says that it cannot answer now: as often and for as long as is bounded, no sooner than it asks.

use std::time::Duration;

use anyhow::Result;
use outbound::OutboundError;
use outbound::distribution::UpstreamError;

use super::reach::Told;
use crate::output;

/// How often one question is asked.
const TRIES: u32 = 4;

/// Longest pause that is kept: whoever asks for a longer one (`Retry-After`) ends the copy, which says when to begin again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Pause before the second try where the registry says none; each further one is twice as long.
const UNSAID: Duration = Duration::from_secs(1);

/// Does something again while a registry cannot answer.
pub(super) async fn patiently<T, F>(attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    again(attempt, tokio::time::sleep).await
}

async fn again<T, F, P>(mut attempt: impl FnMut() -> F, mut wait: impl FnMut(Duration) -> P) -> Result<T>
where
    F: Future<Output = Result<T>>,
    P: Future<Output = ()>,
{
    let mut tries = 0;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        tries += 1;
        let Some(pause) = pause_after(&error, tries) else {
            return Err(error);
        };
        if !pause.is_zero() {
            let seconds = pause.as_secs().max(1);
            output::note(format!("asked again in {seconds} seconds: {error:#}"));
        }
        wait(pause).await;
    }
}

/// For how long to wait after so many tries; `None`: asking again is of no use now.
fn pause_after(error: &anyhow::Error, tries: u32) -> Option<Duration> {
    if tries >= TRIES {
        return None;
    }
    let told = error.chain().find_map(|cause| cause.downcast_ref::<Told>())?;
    let cannot_now = match &told.heard {
        UpstreamError::Unreachable(source) => matches!(**source, OutboundError::Busy { .. }),
        UpstreamError::Throttled { .. } => true,
        _ => false,
    };
    let unsaid = || UNSAID * 2_u32.saturating_pow(tries - 1);
    let pause = told.heard.retry_after().unwrap_or_else(unsaid);
    (cannot_now && pause <= LONGEST_PAUSE).then_some(pause)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use anyhow::Context as _;
    use outbound::Url;
    use reqwest::StatusCode;

    use super::super::reach::End;
    use super::*;

    fn busy(retry_after: Option<u64>) -> UpstreamError {
        UpstreamError::Unreachable(Arc::new(OutboundError::Busy {
            url: Box::new(Url::parse("https://a.example/").unwrap()),
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: retry_after.map(Duration::from_secs),
            said: None,
        }))
    }

    /// How often it was asked and for how many seconds it was waited, where the first `fail` answers are this error.
    async fn told(error: UpstreamError, fail: u32) -> (bool, u32, u64) {
        let (asked, waited) = (Cell::new(0), Cell::new(0));
        let attempt = || async {
            asked.set(asked.get() + 1);
            if asked.get() <= fail {
                return Err(End::Source.explained(error.clone())).context("cannot copy");
            }
            Ok(())
        };
        let wait = |pause: Duration| {
            waited.set(waited.get() + pause.as_secs());
            std::future::ready(())
        };
        let is_done = again(attempt, wait).await.is_ok();
        (is_done, asked.get(), waited.get())
    }

    #[tokio::test]
    async fn who_is_asked_to_wait_waits_a_few_times() {
        assert_eq!(told(busy(Some(7)), 2).await, (true, 3, 14));
        assert_eq!(told(busy(None), 2).await, (true, 3, 3));
        let throttled = UpstreamError::Throttled {
            retry_after: Some(Duration::from_mins(1)),
        };
        assert_eq!(told(throttled, 1).await, (true, 2, 60));
        let throttled = UpstreamError::Throttled { retry_after: None };
        assert_eq!(told(throttled, 1).await, (true, 2, 1));
        // The limit, and nothing for what will not pass.
        assert_eq!(told(busy(Some(1)), u32::MAX).await, (false, TRIES, 3));
        assert_eq!(told(busy(Some(61)), 1).await, (false, 1, 0));
        assert_eq!(told(UpstreamError::NotFound, 1).await, (false, 1, 0));
    }
}
