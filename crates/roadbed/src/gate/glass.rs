//! Breaking the glass: pulls pass whatever was decided, for a while, on the word of whoever has the machine.
//!
//! It works by a file in the data directory, so that it works also while the database does not. The server looks at the file when
//! a pull comes, at most once a second, and writes down in the audit log what it finds there (`audit.rs`).

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use oci::{RepoName, RepoPattern};
use serde::{Deserialize, Serialize};
use store::Timestamp;

pub(crate) mod audit;

/// Name of the file in the data directory.
const FILE: &str = "break-glass.json";

/// Bytes of the file.
const FILE_BYTES: u64 = 1 << 20;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longest time for which the glass can be broken. A day: whoever needs longer changes the policy.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);

/// Patterns that can be open at the same time.
pub(crate) const MOST: usize = 100;

/// One break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Break {
    /// Repositories whose pulls pass.
    pub(crate) pulls: RepoPattern,
    /// Microseconds since the Unix epoch.
    pub(crate) until: i64,
    /// Why.
    pub(crate) reason: String,
    /// Who, as the system knows them.
    pub(crate) by: String,
    /// When; microseconds since the Unix epoch.
    pub(crate) at: i64,
}

/// What is open, as a running server sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Glass(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    breaks: Vec<Break>,
}

impl Glass {
    /// The glass of a data directory.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self(Arc::new(Inner {
            file: data_dir.join(FILE),
            seen: Mutex::default(),
        }))
    }

    /// Whether pulls from a repository pass unasked.
    pub(crate) fn is_broken_for(&self, repo: &RepoName, now: Timestamp) -> bool {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            seen.looked = Some(Instant::now());
            self.look(&mut seen);
        }
        seen.breaks
            .iter()
            .any(|open| open.until > now.micros() && open.pulls.matches(repo))
    }

    fn look(&self, seen: &mut Seen) {
        match read(&self.0.file) {
            Ok(breaks) => {
                for open in breaks.iter().filter(|open| !seen.breaks.contains(open)) {
                    tracing::warn!(
                        pulls = %open.pulls, by = open.by, reason = open.reason,
                        "the glass is broken: pulls pass whatever was decided"
                    );
                }
                seen.breaks = breaks;
            }
            // What was open stays open until its end: the file may be half-way through being replaced by hand.
            Err(error) => tracing::warn!(%error, "the file of the broken glass cannot be read"),
        }
    }
}

/// What the file of a data directory holds, what is over included.
pub(crate) fn breaks(data_dir: &Path) -> Result<Vec<Break>> {
    let file = data_dir.join(FILE);
    read(&file).with_context(|| format!("cannot read {}", file.display()))
}

fn read(file: &Path) -> io::Result<Vec<Break>> {
    use io::Read as _;
    let opened = match fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    opened.take(FILE_BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Breaks the glass of a data directory, whether a server runs on it or not.
pub(crate) fn break_it(data_dir: &Path, wanted: Break) -> Result<()> {
    ensure!(!wanted.reason.trim().is_empty(), "say why: give a reason");
    ensure!(
        wanted.until - wanted.at <= i64::try_from(LONGEST.as_micros()).unwrap_or(i64::MAX),
        "at most 24 hours; whoever needs longer changes the policy or waives the finding"
    );
    let mut breaks = breaks(data_dir)?;
    breaks.retain(|open| open.until > wanted.at && open.pulls != wanted.pulls);
    ensure!(
        breaks.len() < MOST,
        "{MOST} patterns are open already; mend one first"
    );
    breaks.push(wanted);
    write(&data_dir.join(FILE), &breaks)
}

/// Mends what is open: one pattern, or all. Answers how many were.
pub(crate) fn mend(data_dir: &Path, pattern: Option<&RepoPattern>, now: Timestamp) -> Result<usize> {
    let mut breaks = breaks(data_dir)?;
    breaks.retain(|open| open.until > now.micros());
    let before = breaks.len();
    breaks.retain(|open| pattern.is_some_and(|pattern| *pattern != open.pulls));
    write(&data_dir.join(FILE), &breaks)?;
    Ok(before - breaks.len())
}

/// Written beside and renamed, so that a server never reads half of it.
fn write(file: &Path, breaks: &[Break]) -> Result<()> {
    let partial = file.with_extension("partial");
    let write = || -> io::Result<()> {
        let mut out = fs::File::create(&partial)?;
        // Often it is not the server's user who breaks the glass; the server must be able to read it all the same.
        out.set_permissions(fs::Permissions::from_mode(0o644))?;
        out.write_all(&serde_json::to_vec_pretty(breaks)?)?;
        out.sync_all()?;
        fs::rename(&partial, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(pulls: &str, until: i64) -> Break {
        Break {
            pulls: pulls.parse().unwrap(),
            until,
            reason: "the cluster is down".to_owned(),
            by: "ops".to_owned(),
            at: 0,
        }
    }

    #[test]
    fn it_is_open_for_its_pattern_and_its_time() {
        let dir = tempfile::tempdir().unwrap();
        break_it(dir.path(), open("team/*", 1_000)).unwrap();
        let glass = Glass::of(dir.path());
        let (inside, outside) = ("team/app".parse().unwrap(), "other/app".parse().unwrap());
        assert!(glass.is_broken_for(&inside, Timestamp(999)));
        assert!(!glass.is_broken_for(&inside, Timestamp(1_000)));
        assert!(!glass.is_broken_for(&outside, Timestamp(1)));
        assert_eq!(breaks(dir.path()).unwrap().len(), 1);
        assert_eq!(mend(dir.path(), None, Timestamp(1)).unwrap(), 1);
        assert!(!Glass::of(dir.path()).is_broken_for(&inside, Timestamp(1)));
    }

    #[test]
    fn it_needs_a_reason_and_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut silent = open("team/*", 1_000);
        silent.reason = " ".to_owned();
        assert!(break_it(dir.path(), silent).is_err());
        assert!(break_it(dir.path(), open("team/*", i64::MAX)).is_err());
    }

    #[test]
    fn what_is_open_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..MOST {
            break_it(dir.path(), open(&format!("team/app{number}"), 1_000)).unwrap();
        }
        assert!(break_it(dir.path(), open("team/more", 1_000)).is_err());
        break_it(dir.path(), open("team/app0", 2_000)).unwrap();
    }
}
