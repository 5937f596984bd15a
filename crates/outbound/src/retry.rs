//! When to try again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::{OutboundError, Settings};

/// The tries of one call.
pub(crate) struct Tries<'s> {
    settings: &'s Settings,
    made: u32,
}

impl<'s> Tries<'s> {
    pub(crate) fn new(settings: &'s Settings) -> Self {
        Self { settings, made: 0 }
    }

    /// Waits until it is worth trying again, or hands the error on if it is not.
    pub(crate) async fn wait_after(&mut self, error: OutboundError) -> Result<(), OutboundError> {
        self.made += 1;
        let asked = error.retry_after().unwrap_or_default();
        if !error.may_pass() || self.made >= self.settings.attempts || asked > self.settings.longest_pause {
            return Err(error);
        }
        tokio::time::sleep(asked.max(self.pause())).await;
        Ok(())
    }

    /// Between half of the longest pause and all of it, so that those who failed together do not come back together.
    fn pause(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.made.saturating_sub(1));
        let longest = self
            .settings
            .first_pause
            .saturating_mul(doubled)
            .min(self.settings.longest_pause);
        let mut random = [0];
        // Without random bytes the pause is the shortest.
        let _ = getrandom::fill(&mut random);
        longest / 2 + longest / 2 * u32::from(random[0]) / 255
    }
}

/// How long an answer asks to be left alone.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    crate::headers::retry_after(text, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::headers::LONGEST_PAUSE as LONGEST;

    fn of(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        retry_after(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("99999999999"), Some(LONGEST));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(of("Fri, 31 Dec 2199 23:59:59 GMT"), Some(LONGEST));
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let settings = Settings::default();
        let mut tries = Tries::new(&settings);
        for (made, longest) in [(1, 1), (2, 2), (3, 4), (7, 60), (40, 60)] {
            tries.made = made;
            let longest = Duration::from_secs(longest);
            for _ in 0..20 {
                let pause = tries.pause();
                assert!(pause >= longest / 2 && pause <= longest, "{made}: {pause:?}");
            }
        }
    }
}
