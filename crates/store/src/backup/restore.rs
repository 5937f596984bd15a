//! Reading an archive into an empty directory.
//!
//! The archive is taken for hostile: entries are plain files, in order, each with a name that this program would give
//! it; a blob's name is parsed and printed again before it becomes a path. Long names are read by ourselves, because
//! the tar library would read one of any length into memory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use oci::Hasher;
use sea_orm::FromQueryResult;
use serde_json::json;
use tar::{Archive, Entry, EntryType};

use super::{BackupError, BackupReport};
use crate::blob;
use crate::db::{Db, sql};
use crate::event::{self, EventKind};
use crate::files::Location;
use crate::lock::{DATABASE_FILE, DirLock, FORMAT, RESTORING_FILE, VERSION_FILE};
use crate::{Actor, Clock, StoreError, StoreLimits, SystemClock};

/// The longest name of an entry, bytes: a location of sha512 has 181.
const LONGEST_NAME: u64 = 512;
/// Bytes copied at a time.
const BUFFER: usize = 1 << 20;
/// Rows read at a time.
const PAGE: i64 = 1_000;

/// Makes `data_dir`, which must not exist or be empty, from a backup. Every blob is checked against its digest, and
/// every blob that the database names must be there. Reads on a blocking thread. When it fails, the directory cannot be
/// served; empty it before the next try.
pub async fn restore(
    input: impl Read + Send + 'static,
    data_dir: &Path,
) -> Result<BackupReport, BackupError> {
    let dir = data_dir.to_owned();
    let extracted = tokio::task::spawn_blocking(move || extract(input, &dir)).await;
    let (report, lock) = extracted.map_err(StoreError::from)??;
    check(data_dir, &report).await?;
    fs::remove_file(data_dir.join(RESTORING_FILE))
        .map_err(|error| StoreError::file("remove", data_dir, error))?;
    sync(data_dir)?;
    drop(lock);
    Ok(report)
}

fn extract(input: impl Read, dir: &Path) -> Result<(BackupReport, DirLock), BackupError> {
    let present = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(StoreError::file("read", dir, error).into()),
    };
    if present {
        return Err(BackupError::NotEmpty { path: dir.to_owned() });
    }
    let mut archive = Archive::new(input);
    let mut entries = archive.entries().map_err(read_error)?.raw(true);
    // Before anything is made: the wrong file leaves no traces.
    version(entries.next())?;
    let lock = DirLock::take(dir)?;
    create(&dir.join(RESTORING_FILE)).map(drop)?;
    let mut names = Names::default();
    let mut report = BackupReport::default();
    for entry in entries {
        let mut entry = entry.map_err(read_error)?;
        let Some(name) = names.of(&mut entry)? else {
            continue;
        };
        if names.seen == 0 {
            database(&mut entry, &name, dir)?;
        } else {
            report.bytes += blob_file(&mut entry, name, dir)?;
            report.blobs += 1;
        }
        names.seen += 1;
    }
    if names.seen == 0 {
        return Err(BackupError::Incomplete {
            what: DATABASE_FILE.to_owned(),
        });
    }
    sync(dir)?;
    Ok((report, lock))
}

/// Names of entries, and how many there were.
#[derive(Default)]
struct Names {
    seen: u64,
    long: Option<String>,
}

impl Names {
    /// The name of an entry; `None` when the entry is itself only the name of the next.
    fn of(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<Option<String>, BackupError> {
        let short = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            EntryType::Regular => Ok(Some(self.long.take().unwrap_or(short))),
            EntryType::GNULongName if entry.size() <= LONGEST_NAME && self.long.is_none() => {
                let mut name = String::new();
                entry.read_to_string(&mut name).map_err(read_error)?;
                self.long = Some(name.trim_end_matches('\0').to_owned());
                Ok(None)
            }
            _ => Err(BackupError::Unexpected { name: short }),
        }
    }
}

/// Checks the first entry, which says what the archive is.
fn version<R: Read>(first: Option<io::Result<Entry<'_, R>>>) -> Result<(), BackupError> {
    let mut entry = match first {
        None => {
            return Err(BackupError::Incomplete {
                what: VERSION_FILE.to_owned(),
            });
        }
        Some(Ok(entry)) => entry,
        Some(Err(error)) if is_of_the_system(&error) => return Err(read_error(error)),
        Some(Err(_)) => return Err(BackupError::NotABackup),
    };
    let is_version =
        entry.header().entry_type() == EntryType::Regular && *entry.path_bytes() == *VERSION_FILE.as_bytes();
    if !is_version {
        return Err(BackupError::NotABackup);
    }
    let mut found = Vec::new();
    (&mut entry)
        .take(LONGEST_NAME)
        .read_to_end(&mut found)
        .map_err(read_error)?;
    let found = str::from_utf8(&found)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match found {
        Some(FORMAT) => Ok(()),
        Some::<u32>(found) => Err(StoreError::Version {
            path: VERSION_FILE.into(),
            found: found.to_string(),
            known: FORMAT,
        }
        .into()),
        None => Err(BackupError::NotABackup),
    }
}

fn database(entry: &mut impl Read, name: &str, dir: &Path) -> Result<(), BackupError> {
    if name != DATABASE_FILE {
        return Err(BackupError::Unexpected {
            name: name.to_owned(),
        });
    }
    let path = dir.join(DATABASE_FILE);
    copy(entry, &mut create(&path)?, &path, |_| {}).map(drop)
}

/// Writes a blob under its location and answers its length.
fn blob_file(entry: &mut impl Read, name: String, dir: &Path) -> Result<u64, BackupError> {
    let Ok(location) = name.parse::<Location>() else {
        return Err(BackupError::Unexpected { name });
    };
    let path = dir.join(location.path());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| StoreError::file("create", parent, error))?;
    }
    let mut hasher = Hasher::new(location.digest().algorithm());
    let len = copy(entry, &mut create(&path)?, &path, |bytes| hasher.update(bytes))?;
    if hasher.finish() != location.digest() {
        return Err(BackupError::Damaged {
            digest: location.digest(),
        });
    }
    Ok(len)
}

/// A file that was not there before.
fn create(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    // As the store makes them: the archive holds password hashes.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| StoreError::file("create", path, error))
}

fn copy(
    from: &mut impl Read,
    to: &mut File,
    path: &Path,
    mut each: impl FnMut(&[u8]),
) -> Result<u64, BackupError> {
    let mut buffer = vec![0; BUFFER];
    let mut len = 0;
    loop {
        let count = from.read(&mut buffer).map_err(read_error)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(len);
        };
        each(bytes);
        to.write_all(bytes)
            .map_err(|error| StoreError::file("write", path, error))?;
        len += count as u64;
    }
}

/// Makes everything durable at once: the directory is one file system, and there is nothing else to wait for.
fn sync(dir: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::file("sync", dir, error);
    let handle = File::open(dir).map_err(failed)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&handle).map_err(|errno| failed(errno.into()))?;
    handle.sync_all().map_err(failed)
}

/// The texts of the tar library quote the archive, which may hold anything and be as long as it likes.
fn read_error(error: io::Error) -> BackupError {
    let error = if is_of_the_system(&error) {
        error
    } else {
        io::Error::new(
            error.kind(),
            "it is no tar archive from some place on, or cut off",
        )
    };
    BackupError::Read(Arc::new(error))
}

/// Whether reading failed, as opposed to what was read being wrong.
fn is_of_the_system(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    size: i64,
    location: String,
}

/// Compares the database with the files, drops the uploads that were left out, and notes where all this came from.
async fn check(dir: &Path, report: &BackupReport) -> Result<(), BackupError> {
    let db = Db::open(&dir.join(DATABASE_FILE), &StoreLimits::default()).await?;
    let mut after = 0;
    loop {
        let sql = "SELECT id, size, location FROM blob WHERE id > $1 AND state = 0 ORDER BY id LIMIT $2";
        let page: Vec<Row> = sql::all(db.read(), sql, [after.into(), PAGE.into()]).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for row in page {
            let path = dir.join(blob::parse_location(&row.location)?.path());
            let len = fs::metadata(path).map(|metadata| metadata.len());
            if len.is_err() || len.is_ok_and(|len| len != sql::from_db(row.size)) {
                return Err(BackupError::Incomplete { what: row.location });
            }
        }
    }
    let tx = db.begin(SystemClock.now()).await?;
    sql::execute(tx.sql(), "DELETE FROM upload", []).await?;
    let actor = Actor::operator("restore");
    event::record(&tx, &actor, EventKind::BackupRestore, "store", json!(report)).await?;
    tx.commit().await.1?;
    db.close().await?;
    Ok(())
}
