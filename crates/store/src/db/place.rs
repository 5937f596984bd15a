//! Whether the files of the database are where they were.
//!
//! A file that is moved away stays open: `SQLite` would go on writing into it, and what is acknowledged then is gone for whoever
//! starts the server next. So each change looks before it begins and before it is acknowledged. Only names are looked at: to open
//! and close one of these files would take the process's locks on it away.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::outage::AwayReason;

/// No database is smaller: its header and the smallest page.
const SMALLEST_BYTES: u64 = 512;

/// The database, its log, and the index of the log.
const FILES: usize = 3;

/// Device and number of a file.
type Identity = (u64, u64);

/// Where the files are, and which ones they were.
#[derive(Debug)]
pub(crate) struct Place {
    paths: [PathBuf; FILES],
    known: Mutex<[Option<Identity>; FILES]>,
}

impl Place {
    /// Of this database, of which nothing is known yet.
    pub(crate) fn of(database: &Path) -> Self {
        Self {
            paths: ["", "-wal", "-shm"].map(|suffix| beside(database, suffix)),
            known: Mutex::default(),
        }
    }

    /// The files that are there now are the ones that were opened. The database stays the one that it was at first: another one that
    /// was put in its place just before it was opened anew is not taken either.
    pub(crate) fn note(&self) {
        let found = self
            .paths
            .each_ref()
            .map(|path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino())));
        let mut known = self.known();
        let database = known[0].or(found[0]);
        *known = found;
        known[0] = database;
    }

    /// Whether all that were opened are there and no others. What comes later, as the log may, is taken as it is.
    pub(crate) fn check(&self) -> Result<(), AwayReason> {
        let mut known = self.known();
        for (index, (path, known)) in self.paths.iter().zip(known.iter_mut()).enumerate() {
            let is_database = index == 0;
            match fs::metadata(path) {
                Ok(found) if is_database && found.len() < SMALLEST_BYTES => return Err(AwayReason::Cut),
                Ok(found) => {
                    let found = (found.dev(), found.ino());
                    if *known.get_or_insert(found) != found {
                        return Err(AwayReason::Replaced);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if is_database || known.is_some() {
                        return Err(AwayReason::Missing);
                    }
                }
                Err(_) => return Err(AwayReason::Failing),
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, [Option<Identity>; FILES]> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a file with something behind it.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: usize) {
        fs::write(path, vec![7; bytes]).unwrap();
    }

    #[test]
    fn a_file_that_is_moved_replaced_or_cut_is_noticed_and_one_that_is_back_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let (database, aside) = (dir.path().join("a.db"), dir.path().join("aside"));
        write(&database, 4096);
        let place = Place::of(&database);
        place.note();
        assert_eq!(place.check(), Ok(()));
        fs::rename(&database, &aside).unwrap();
        assert_eq!(place.check(), Err(AwayReason::Missing));
        write(&database, 4096);
        assert_eq!(place.check(), Err(AwayReason::Replaced));
        place.note();
        assert_eq!(
            place.check(),
            Err(AwayReason::Replaced),
            "nor when it is opened anew"
        );
        fs::rename(&aside, &database).unwrap();
        assert_eq!(place.check(), Ok(()));
        write(&database, 0);
        assert_eq!(place.check(), Err(AwayReason::Cut));
    }

    #[test]
    fn a_log_may_come_later_but_not_go() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        let log = beside(&database, "-wal");
        write(&database, 4096);
        let place = Place::of(&database);
        place.note();
        write(&log, 10);
        assert_eq!(place.check(), Ok(()));
        fs::remove_file(&log).unwrap();
        assert_eq!(place.check(), Err(AwayReason::Missing));
        place.note();
        assert_eq!(place.check(), Ok(()), "it was opened anew");
    }
}
