//! The file that a start reads instead of every report.
//!
//! A line that names the form; the length of a head, eight bytes, lowest first; the head, JSON; its SHA-256; the index as `road`
//! writes it, with a checksum of its own. Nothing of it is believed that does not fit the store: a database that was put back to an
//! earlier state has another event at the place that the file names.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use oci::{Algorithm, Digest};
use road::fleet;
use serde::{Deserialize, Serialize};
use store::{FLEET_INDEX_FILE, FleetMark};

use super::State;

/// Changes also when the same reports would give other facts.
const FORM: &[u8] = b"roadbed fleet file 1\n";

/// Largest file that is read, in bytes: a million images take about one GiB.
const FILE_BYTES: u64 = 4 << 30;

/// Largest head, in bytes: a million images that wait take about 100 MiB.
const HEAD_BYTES: u64 = 256 << 20;

const HASH: usize = 32;

/// What stands before the index.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    event: i64,
    report: i64,
    /// Of the event.
    stamp: String,
    waiting: Vec<(String, Vec<Digest>)>,
}

/// A state as it was written, and the stamp of the last event that it takes in.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) state: State,
    pub(super) stamp: String,
}

/// Where it lies.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FLEET_INDEX_FILE)
}

/// Writes a state. It stands whole or not at all.
pub(super) fn write(path: &Path, state: &State, stamp: &str) -> Result<u64> {
    let head = Head {
        event: state.mark.event,
        report: state.mark.report,
        stamp: stamp.to_owned(),
        waiting: state
            .waiting
            .iter()
            .map(|(repository, digests)| (repository.clone(), digests.iter().copied().collect()))
            .collect(),
    };
    let head = serde_json::to_vec(&head)?;
    let index = state.fleet.encode(u64::try_from(state.mark.event).unwrap_or(0));
    let partial = path.with_extension("partial");
    let written = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut out = options.open(&partial)?;
        out.write_all(FORM)?;
        out.write_all(&(head.len() as u64).to_le_bytes())?;
        out.write_all(&head)?;
        out.write_all(Digest::of(Algorithm::Sha256, &head).bytes())?;
        out.write_all(&index)?;
        out.sync_all()?;
        fs::rename(&partial, path)?;
        // So that the name lasts as well.
        path.parent()
            .map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    written().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(index.len() as u64)
}

/// Reads what [`write()`] wrote. `None`: there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Stored>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => ensure!(found?.len() <= FILE_BYTES, "it has more than {FILE_BYTES} bytes"),
    }
    parse(&fs::read(path)?).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Stored> {
    let rest = bytes.strip_prefix(FORM).context("it is of another version")?;
    let (length, rest) = rest.split_first_chunk::<8>().context("it ends early")?;
    let length = u64::from_le_bytes(*length);
    ensure!(length <= HEAD_BYTES, "its head has {length} bytes");
    let (head, rest) = rest
        .split_at_checked(usize::try_from(length)?)
        .context("it ends early")?;
    let (hash, index) = rest.split_at_checked(HASH).context("it ends early")?;
    ensure!(
        Digest::of(Algorithm::Sha256, head).bytes() == hash,
        "its head is damaged"
    );
    let head: Head = serde_json::from_slice(head)?;
    let (fleet, event) = fleet::load(index)?;
    ensure!(
        i64::try_from(event)? == head.event,
        "its parts are of different times"
    );
    let waiting = head.waiting.into_iter();
    Ok(Stored {
        state: State {
            fleet,
            waiting: waiting
                .map(|(repository, digests)| (repository, digests.into_iter().collect()))
                .collect(),
            mark: FleetMark {
                event: head.event,
                report: head.report,
            },
        },
        stamp: head.stamp,
    })
}

#[cfg(test)]
mod tests {
    use road::fleet::{ImageFacts, ImageKey, Moment};

    use super::*;

    fn key(name: &str) -> ImageKey {
        ImageKey {
            repository: name.to_owned(),
            digest: Digest::of(Algorithm::Sha256, name.as_bytes()),
        }
    }

    fn state() -> State {
        let mut state = State {
            mark: FleetMark { event: 7, report: 3 },
            ..State::default()
        };
        state
            .fleet
            .add_image(&key("team/app"), &ImageFacts::default(), Moment(1));
        state.waits(&key("team/new"));
        state
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path());
        assert!(read(&path).unwrap().is_none());
        write(&path, &state(), "stamp").unwrap();
        let read_again = read(&path).unwrap().unwrap();
        assert_eq!(read_again.stamp, "stamp");
        assert_eq!(read_again.state.mark, state().mark);
        assert_eq!(read_again.state.waiting, state().waiting);
        assert_eq!(read_again.state.fleet.dump(), state().fleet.dump());
        assert!(!path.with_extension("partial").exists());

        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
