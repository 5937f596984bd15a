//! `backup` and `restore`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use store::Actor;
use web::wire::BackupRequest;

use super::{BackupArgs, RestoreArgs};
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::{local, output, progress};

const STANDARD_STREAM: &str = "-";

/// Writes a backup. A file appears under its name only when it is complete and durable.
pub(crate) async fn back_up(args: &ClientArgs, backup: BackupArgs) -> anyhow::Result<()> {
    let bar = progress::of_unknown();
    let mut target = Target::open(&backup.to, backup.force)?;
    let written = match &backup.data.data {
        Some(data) => write_locally(data, &target, &bar).await,
        None => receive(&Client::connect(args)?, &mut target, &bar).await,
    };
    bar.finish_and_clear();
    let bytes = written.inspect_err(|_| target.discard())?;
    target.commit()?;
    output::note(format!("The backup has {}.", output::bytes(bytes)));
    Ok(())
}

async fn write_locally(data: &Path, target: &Target, bar: &ProgressBar) -> anyhow::Result<u64> {
    let store = local::open(data).await?;
    let out = bar.wrap_write(target.writer()?);
    store.backup(&Actor::operator("backup"), out).await?;
    local::close(store).await?;
    Ok(bar.position())
}

async fn receive(client: &Client, target: &mut Target, bar: &ProgressBar) -> anyhow::Result<u64> {
    let mut response = client.post_streamed("/backup", &BackupRequest {}).await?;
    let mut out = target.writer()?;
    // An answer that was cut off is an error here: the end of a chunked body is explicit.
    while let Some(chunk) = response
        .chunk()
        .await
        .context("the backup broke off: nothing was written")?
    {
        out.write_all(&chunk).context("the backup could not be written")?;
        bar.inc(chunk.len() as u64);
    }
    out.flush().context("the backup could not be written")?;
    Ok(bar.position())
}

/// Makes a data directory from a backup.
pub(crate) async fn restore(args: &ClientArgs, restore: RestoreArgs) -> anyhow::Result<()> {
    let is_stream = restore.from == Path::new(STANDARD_STREAM);
    let (input, bar): (Box<dyn Read + Send>, ProgressBar) = if is_stream {
        (Box::new(io::stdin()), progress::of_unknown())
    } else {
        let cannot_read = || format!("cannot read {}", restore.from.display());
        let file = File::open(&restore.from).with_context(cannot_read)?;
        let total = file.metadata().with_context(cannot_read)?.len();
        (Box::new(file), progress::of_bytes(total))
    };
    let report = store::restore(bar.wrap_read(input), &restore.data).await;
    bar.finish_and_clear();
    let report = report.with_context(|| {
        format!(
            "{} was not restored from {}",
            restore.data.display(),
            restore.from.display()
        )
    })?;
    output::show(args.output, &report, |report| {
        let (blobs, bytes) = (output::count(report.blobs, "blob"), output::bytes(report.bytes));
        format!(
            "{} holds {blobs} ({bytes}); serve it with --data.\n",
            restore.data.display()
        )
    })
}

/// Where a backup goes.
struct Target {
    /// `None`: standard output.
    file: Option<PartialFile>,
}

struct PartialFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl Target {
    /// The file is readable by its owner alone: it holds every password hash. One that exists may be the only good backup.
    fn open(path: &Path, force: bool) -> anyhow::Result<Self> {
        if path == Path::new(STANDARD_STREAM) {
            return Ok(Self { file: None });
        }
        if !force && fs::symlink_metadata(path).is_ok() {
            bail!(
                "{} exists already: name another file, or overwrite it with --force",
                path.display()
            );
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut options = File::options();
        let opened = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial);
        let file = opened.with_context(|| format!("cannot write {}", partial.display()))?;
        Ok(Self {
            file: Some(PartialFile {
                file,
                partial,
                path: path.to_owned(),
            }),
        })
    }

    fn writer(&self) -> anyhow::Result<Box<dyn Write + Send>> {
        Ok(match &self.file {
            None => Box::new(io::stdout()),
            Some(target) => Box::new(target.file.try_clone().context("cannot write the backup")?),
        })
    }

    fn commit(&self) -> anyhow::Result<()> {
        let Some(PartialFile { file, partial, path }) = &self.file else {
            return Ok(());
        };
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let durable = file
            .sync_all()
            .and_then(|()| fs::rename(partial, path))
            .and_then(|()| File::open(directory)?.sync_all());
        durable.with_context(|| format!("cannot write {}", path.display()))
    }

    fn discard(&self) {
        if let Some(target) = &self.file {
            let _ = fs::remove_file(&target.partial);
        }
    }
}
