//! `gc`, `fsck`, `backup`, `restore`: through a running server, or on the data directory of a stopped one.

use std::path::PathBuf;

use super::serve::ConfigFile;
use crate::local::DataArgs;

mod archive;
mod checking;
mod collecting;

pub(crate) use archive::{back_up, restore};
pub(crate) use checking::check;
pub(crate) use collecting::collect;

/// Options of `gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What no manifest names any more stays for the grace time (storage.collect_grace, one day by default) where it is linked, \
and so long again before its bytes go. A running server knows its own; with --data the grace time comes from --config and \
the environment, as for `serve`.")]
pub(crate) struct GcArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    file: ConfigFile,
}

/// Options of `fsck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What was put away counts as unknown and is reported, apart from new damage, until somebody pushes it again or deletes the \
images that need it.

Exit status: 1 when anything is wrong, put away before or not.")]
pub(crate) struct FsckArgs {
    /// Put away what is corrupt and treat it and what is missing as unknown, so that clients push it again; have images judged
    /// again whose reasons are
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
