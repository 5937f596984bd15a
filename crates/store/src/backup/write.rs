//! Writing the archive, on a thread that may block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use sea_orm::{DatabaseConnection, FromQueryResult};
use tar::{Builder, Header};
use tokio::runtime::Handle;

use super::{BackupError, BackupReport};
use crate::blob;
use crate::db::sql;
use crate::disk::sys;
use crate::lock::{DATABASE_FILE, FORMAT, VERSION_FILE};
use crate::{StoreError, Timestamp};

/// Rows read at a time.
const PAGE: i64 = 500;

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    digest: String,
    size: i64,
    location: String,
}

/// Writes the archive: the small files first, so that whoever restores knows the names of the blobs that follow.
pub(super) fn archive(
    data_dir: &Path,
    snapshot: &Path,
    database: &DatabaseConnection,
    out: impl Write,
) -> Result<BackupReport, BackupError> {
    let mut tar = Builder::new(out);
    let version = format!("{FORMAT}\n");
    append(&mut tar, VERSION_FILE, version.len() as u64, version.as_bytes())?;
    let (file, len) = open(snapshot).map_err(|error| StoreError::file("read", snapshot, error))?;
    append(&mut tar, DATABASE_FILE, len, file)?;
    let mut report = BackupReport::default();
    let mut after = 0;
    loop {
        let sql =
            "SELECT id, digest, size, location FROM blob WHERE id > $1 AND state = 0 ORDER BY id LIMIT $2";
        let page = sql::all::<Row>(database, sql, [after.into(), PAGE.into()]);
        let page = Handle::current().block_on(page)?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for row in page {
            let size = sql::from_db(row.size);
            append_blob(&mut tar, data_dir, &row, size)?;
            report.blobs += 1;
            report.bytes += size;
        }
    }
    let mut out = tar.into_inner().map_err(write_error)?;
    out.flush().map_err(write_error)?;
    Ok(report)
}

/// A file that is gone or has another length is not what the snapshot says. Its bytes are not hashed here: that is the
/// work of fsck before and of the restore after.
fn append_blob(
    tar: &mut Builder<impl Write>,
    data_dir: &Path,
    row: &Row,
    size: u64,
) -> Result<(), BackupError> {
    let path = data_dir.join(blob::parse_location(&row.location)?.path());
    let digest = blob::parse_digest(&row.digest)?;
    match open(&path) {
        Ok((file, len)) if len == size => append(tar, &row.location, size, file),
        Ok(_) => Err(BackupError::SourceDamaged { digest }),
        Err(error) if [io::ErrorKind::NotFound, sys::NOT_A_FILE].contains(&error.kind()) => {
            Err(BackupError::SourceDamaged { digest })
        }
        Err(error) => Err(StoreError::file("read", path, error).into()),
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = sys::open_regular(path, File::options().read(true))?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

fn append(
    tar: &mut Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl Read,
) -> Result<(), BackupError> {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(Timestamp::from(std::time::SystemTime::now()).seconds()).unwrap_or(0));
    let content = Whole { content, left: size };
    tar.append_data(&mut header, name, content).map_err(write_error)
}

/// A reader of so many bytes. One that has fewer is an error: the archive would go on as if nothing were missing.
struct Whole<R> {
    content: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let got = (&mut self.content).take(self.left).read(space)?;
        if got == 0 && self.left > 0 && !space.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

fn write_error(error: io::Error) -> BackupError {
    BackupError::Write(Arc::new(error))
}
