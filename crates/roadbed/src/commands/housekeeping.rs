//! `gc`, `fsck`, `backup`, `restore`: through a running server, or on the data directory of a stopped one.

use std::path::PathBuf;

use web::wire::{CollectionReport, CollectionRequest};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::local::{self, DataArgs};
use crate::output;

mod archive;
mod checking;

pub(crate) use archive::{back_up, restore};
pub(crate) use checking::check;

/// Rows that one step of a local collection may touch.
const STEP_ROWS: u64 = 500;

/// Options of `gc`.
#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Options of `fsck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What was put away counts as unknown and is reported, apart from new damage, until somebody pushes it again or deletes the \
images that need it.

Exit status: 1 when anything is wrong, put away before or not.")]
pub(crate) struct FsckArgs {
    /// Put away what is corrupt and treat it and what is missing as unknown, so that clients push it again
    #[arg(long)]
    quarantine: bool,
    /// Compare sizes only and do not read the files
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Options of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The archive holds the database with all password hashes and the key that signs tokens: keep it as you keep those.

Examples:
  roadbed backup -o roadbed.tar
  roadbed backup -o - | zstd > roadbed.tar.zst")]
pub(crate) struct BackupArgs {
    /// File to write, or `-` for standard output
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    to: PathBuf,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// Backup to read, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Directory to make; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Collects until nothing is left to collect.
pub(crate) async fn collect(args: &ClientArgs, gc: GcArgs) -> anyhow::Result<()> {
    let mut total = store::GcReport::default();
    if let Some(data) = gc.data.data {
        let store = local::open(&data).await?;
        loop {
            total.add(&store.gc_step(STEP_ROWS).await?);
            if !total.more || total.paused {
                break;
            }
        }
        local::close(store).await?;
    } else {
        let client = Client::connect(args)?;
        loop {
            let step: CollectionReport = client.post("/gc", &CollectionRequest {}).await?;
            total.add(&step.into());
            if !total.more || total.paused {
                break;
            }
        }
    }
    output::show(args.output, &CollectionReport::from(total), describe_collection)
}

fn describe_collection(report: &CollectionReport) -> String {
    if report.paused {
        return "A backup is running: nothing was collected.\n".to_owned();
    }
    output::properties(&[
        ("blobs", report.blobs.to_string()),
        ("freed", output::bytes(report.bytes)),
        ("unlinked", report.unlinked.to_string()),
        ("orphaned files", report.orphans.to_string()),
        ("expired uploads", report.uploads.to_string()),
        ("empty repositories", report.repositories.to_string()),
        ("pull log lines", report.pulls.to_string()),
    ])
}
