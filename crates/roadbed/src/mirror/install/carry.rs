//! Carrying out one step, so that containerd sees the file as it was or as it is to be, whenever it looks.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::plan::{Action, Step};

/// Everybody may read it; there are no secrets in it.
const MODE: u32 = 0o644;

pub(super) fn out(step: &Step) -> Result<()> {
    let path = &step.path;
    match &step.action {
        Action::Keep | Action::Refuse(_) => Ok(()),
        Action::Write(text) => write(path, text.as_bytes()),
        Action::Replace(text) => {
            let kept = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            write(&step.backup, &kept)?;
            write(path, text.as_bytes())
        }
        Action::Remove => {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            // Only when nothing else is in it.
            if let Some(directory) = path.parent() {
                let _ = fs::remove_dir(directory);
            }
            Ok(())
        }
        Action::Restore(_) => {
            let renamed = fs::rename(&step.backup, path);
            renamed.with_context(|| format!("cannot put {} back", step.backup.display()))?;
            sync(path)
        }
    }
}

/// Beside, synced, renamed.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let directory = path.parent().with_context(failed)?;
    fs::create_dir_all(directory).with_context(failed)?;
    let partial = partial(path);
    let written = (|| {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(failed)?;
    sync(path)
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

/// The directory knows of it.
fn sync(path: &Path) -> Result<()> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("cannot sync {}", directory.display()))
}
