//! EPSS: how probable it is that a vulnerability is exploited within thirty days (FIRST).

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime, macros::format_description};

use super::{
    error::{AdvisoryError, check_size},
    limits::{EPSS_DOCUMENT_BYTES, EPSS_LINES},
};

const WHAT: &str = "EPSS list";

/// What the model says of one vulnerability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpssScore {
    /// From 0 to 1.
    pub probability: f32,
    /// From 0 to 1: the share of all vulnerabilities whose probability is at most this one's.
    pub percentile: f32,
}

/// All of a day's scores: 16 bytes each, found by bisection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Epss {
    /// Of the line before the header (`v2025.03.14`).
    pub model_version: String,
    /// Of the same line.
    pub score_date: String,
    scores: Vec<(u64, EpssScore)>,
}

impl Epss {
    /// Reads the list, unpacked: a comment with version and date, a header, and a line for each vulnerability.
    ///
    /// # Errors
    /// It is too large, or a line is not of the form.
    pub fn read(bytes: &[u8]) -> Result<Self, AdvisoryError> {
        check_size(WHAT, bytes, EPSS_DOCUMENT_BYTES)?;
        let text = std::str::from_utf8(bytes).map_err(|_| broken(0, "it is not UTF-8"))?;
        let mut epss = Self::default();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                epss.comment(comment);
            } else if !line.is_empty() && !line.starts_with("cve,") {
                if epss.scores.len() == EPSS_LINES {
                    return Err(broken(number, "there are too many lines"));
                }
                epss.scores
                    .push(score(line).ok_or_else(|| broken(number, "it is no `CVE,number,number`"))?);
            }
        }
        epss.scores.sort_by_key(|(cve, _)| *cve);
        epss.scores.dedup_by_key(|(cve, _)| *cve);
        epss.scores.shrink_to_fit();
        Ok(epss)
    }

    /// What it says of `cve`.
    pub fn get(&self, cve: &str) -> Option<EpssScore> {
        let key = key(cve)?;
        let place = self.scores.binary_search_by_key(&key, |(cve, _)| *cve).ok()?;
        self.scores.get(place).map(|(_, score)| *score)
    }

    /// How many vulnerabilities have a score.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The day of the scores, as far as the list says so.
    pub fn scored_at(&self) -> Option<OffsetDateTime> {
        let day = self.score_date.get(..10)?;
        let day = Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
        Some(day.midnight().assume_utc())
    }

    /// How many of its vulnerabilities have no score in another list.
    pub fn missing_in(&self, other: &Self) -> usize {
        let has = |cve: &u64| other.scores.binary_search_by_key(cve, |(cve, _)| *cve).is_ok();
        self.scores.iter().filter(|(cve, _)| !has(cve)).count()
    }

    /// The vulnerabilities whose probability differs between two lists, each with the probabilities before and after; `None`: it
    /// has none.
    pub fn changed_since(&self, before: &Self) -> Vec<(String, [Option<f32>; 2])> {
        let (mut old, mut new) = (before.scores.iter().peekable(), self.scores.iter().peekable());
        let mut changed = Vec::new();
        loop {
            let next = match (old.peek(), new.peek()) {
                (None, None) => return changed,
                (Some((cve, _)), None) | (None, Some((cve, _))) => *cve,
                (Some((left, _)), Some((right, _))) => *left.min(right),
            };
            let probability = |(_, score): &(u64, EpssScore)| score.probability;
            let then = old.next_if(|(cve, _)| *cve == next).map(probability);
            let now = new.next_if(|(cve, _)| *cve == next).map(probability);
            if then != now {
                changed.push((id_of(next), [then, now]));
            }
        }
    }

    fn comment(&mut self, comment: &str) {
        for part in comment.split(',') {
            match part.trim().split_once(':') {
                Some(("model_version", value)) => self.model_version = super::bounded::clip(value, 64),
                Some(("score_date", value)) => self.score_date = super::bounded::clip(value, 64),
                _ => {}
            }
        }
    }
}

fn broken(number: usize, offence: &str) -> AdvisoryError {
    AdvisoryError::Line {
        what: WHAT,
        line: number + 1,
        offence: offence.to_owned(),
    }
}

fn score(line: &str) -> Option<(u64, EpssScore)> {
    let mut fields = line.split(',');
    let key = key(fields.next()?)?;
    let mut share = || {
        let number: f32 = fields.next()?.trim().parse().ok()?;
        (0.0..=1.0).contains(&number).then_some(number)
    };
    let score = EpssScore {
        probability: share()?,
        percentile: share()?,
    };
    fields.next().is_none().then_some((key, score))
}

/// Of the number that [`key`] makes.
fn id_of(key: u64) -> String {
    format!("CVE-{}-{:04}", key >> 32, key & 0xffff_ffff)
}

/// Year and number of a CVE in one integer.
fn key(cve: &str) -> Option<u64> {
    let (year, number) = cve.strip_prefix("CVE-")?.split_once('-')?;
    let is_number =
        |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || !is_number(year) || !is_number(number) {
        return None;
    }
    Some((year.parse::<u64>().ok()? << 32) | number.parse::<u64>().ok()?)
}
