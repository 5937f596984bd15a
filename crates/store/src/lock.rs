//! The data directory: one process at a time, and a format that says what it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::StoreError;
use crate::db::place::beside;

/// The format of the data directory, in the file `version`. The database has its own list of migrations.
pub(crate) const FORMAT: u32 = 1;
/// Name of the file that holds [`FORMAT`].
pub(crate) const VERSION_FILE: &str = "version";
/// Name of the file that is locked.
pub(crate) const LOCK_FILE: &str = "lock";
/// Name of the database.
pub(crate) const DATABASE_FILE: &str = "roadbed.db";

/// Name of the directory for what is gone after a restart.
pub(crate) const TEMP_DIR: &str = "tmp";
/// Name of the file that says that the directory is being restored from a backup.
pub(crate) const RESTORING_FILE: &str = "restoring";

/// The lock on a data directory. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Makes the directory if need be, takes its lock, and checks its format. Blocks for a moment.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        create_private(dir).map_err(|error| StoreError::file("create", dir, error))?;
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StoreError::file("open", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Locked { path: dir.to_owned() }),
            Err(errno) => return Err(StoreError::file("lock", path, errno.into())),
        }
        check_format(dir)?;
        Ok(Self { _file: file })
    }

    /// Refuses a directory in which a restore did not come to its end, and empties the one for temporary files.
    #[expect(clippy::unused_self, reason = "only who holds the lock may do it")]
    pub(crate) fn prepare(&self, dir: &Path) -> Result<(), StoreError> {
        if dir.join(RESTORING_FILE).exists() {
            let what = format!(
                "a backup was not restored completely into {}; empty it and restore again",
                dir.display()
            );
            return Err(StoreError::Damaged { what });
        }
        let temp = dir.join(TEMP_DIR);
        match fs::remove_dir_all(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::file("empty", temp, error));
            }
            _ => {}
        }
        create_private(&temp).map_err(|error| StoreError::file("create", temp, error))
    }

    /// Refuses a directory whose database was moved away: an empty one in its place would make everything that was acknowledged
    /// unknown, and the log of the old one would be read into it.
    #[expect(clippy::unused_self, reason = "only who holds the lock may look")]
    pub(crate) fn demand_database(&self, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(DATABASE_FILE);
        let is_there = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() > 0);
        if is_there(&path) || !(is_there(&beside(&path, "-wal")) || has_blobs(dir)) {
            return Ok(());
        }
        Err(StoreError::NoDatabase { path })
    }
}

/// Whether any blob was committed here. Looks at a few hundred directories at most.
fn has_blobs(dir: &Path) -> bool {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let algorithms = entries(&dir.join("blobs"));
    let mut fan_outs = algorithms.flat_map(|algorithm| entries(&algorithm.path()));
    fan_outs.any(|fan_out| entries(&fan_out.path()).next().is_some())
}

/// What lies in it (hashes of passwords, the key of tokens) is nobody else's business.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Opens a file for writing, which only its owner may read if it is made by this.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn check_format(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(VERSION_FILE);
    match fs::read_to_string(&path) {
        Ok(found) if found.trim().parse() == Ok(FORMAT) => Ok(()),
        Ok(found) => Err(StoreError::Version {
            path: dir.to_owned(),
            found: found.trim().chars().take(20).collect(),
            known: FORMAT,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_format(dir, &path),
        Err(error) => Err(StoreError::file("read", path, error)),
    }
}

/// Beside and renamed: a crash that left half a number would look like a format from the future.
fn write_format(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::file("write", path, error);
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial).map_err(failed)?;
    writeln!(file, "{FORMAT}").map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&partial, path).map_err(failed)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_to_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        assert!(matches!(
            DirLock::take(dir.path()),
            Err(StoreError::Locked { .. })
        ));
        drop(held);
        DirLock::take(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_look_into_a_new_data_directory() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let held = DirLock::take(&data).unwrap();
        held.prepare(&data).unwrap();
        drop(open_private(&data.join(DATABASE_FILE)).unwrap());
        for path in [data.clone(), data.join(TEMP_DIR), data.join(DATABASE_FILE)] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }

    #[test]
    fn a_directory_that_lost_its_database_is_refused_and_a_new_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirLock::take(dir.path()).unwrap();
        held.demand_database(dir.path()).unwrap();
        let log = dir.path().join("roadbed.db-wal");
        fs::write(&log, "pages").unwrap();
        let refused = held.demand_database(dir.path());
        assert!(
            matches!(refused, Err(StoreError::NoDatabase { .. })),
            "{refused:?}"
        );
        fs::remove_file(&log).unwrap();
        let blobs = dir.path().join("blobs/sha256/ab");
        fs::create_dir_all(&blobs).unwrap();
        held.demand_database(dir.path()).unwrap();
        fs::write(blobs.join("abcd.1"), "bytes").unwrap();
        assert!(held.demand_database(dir.path()).is_err());
        fs::write(dir.path().join(DATABASE_FILE), "database").unwrap();
        held.demand_database(dir.path()).unwrap();
    }

    #[test]
    fn a_format_from_the_future_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(VERSION_FILE), "99\n").unwrap();
        let error = DirLock::take(dir.path()).unwrap_err();
        assert!(
            matches!(&error, StoreError::Version { found, .. } if found == "99"),
            "{error}"
        );
    }
}
