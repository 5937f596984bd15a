//! `in-use …`: images that run somewhere although nobody pulled them from here lately.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use oci::RepoName;
use web::wire::{InUseEntry, NewInUseEntry, SetInUse};

use super::decisions::ImageArg;
use crate::client::Client;
use crate::moment::MomentArg;
use crate::output;

/// Most images that a list shows.
const MOST: usize = 100_000;

/// References that are sent at a time; the server takes no more.
const AT_ONCE: usize = 1_000;

/// Largest file of images, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What to do with images that are in use.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
An image is in use if it was pulled within 30 days, or if an administrator says so, until a date. Rules \
with `running: keep`, the default, warn about what is in use and do not refuse it: a cluster must be able to schedule again what \
it runs. Say so of what a cluster runs that never pulled from this registry.

Examples:
  roadbed in-use add team/app:1.4 team/app@sha256:0ab1… --until 90d --reason 'runs in prod since before the move'
  roadbed in-use add --file images.txt --until 90d --reason 'inventory of prod'
  roadbed in-use list")]
pub(crate) enum InUseCommand {
    /// Say that images are in use until a date
    Add(AddArgs),
    /// List what is in use by somebody's word
    List,
    /// Take it back
    Remove {
        /// Image, as it was given
        image: ImageArg,
    },
}

/// Options of `in-use add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Images: `team/app:1.4` or `team/app@sha256:…`. A tag stands for what is pushed to it by now, not for what comes later
    #[arg(required_unless_present = "file")]
    images: Vec<ImageArg>,
    /// File with one image a line; empty lines and what follows a `#` do not count
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Until when: a date that still counts, a moment, or a span such as 90d; at most 366 days
    #[arg(long, value_name = "DATE")]
    until: MomentArg,
    /// Why they are known to be in use
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: InUseCommand) -> anyhow::Result<()> {
    match command {
        InUseCommand::Add(args) => add(client, args).await,
        InUseCommand::List => {
            let entries: Vec<InUseEntry> = client.list("/in-use", &[], MOST).await?;
            output::show(client.format(), &entries, |entries| table(entries))
        }
        InUseCommand::Remove { image } => {
            let query = [
                ("repository", image.repository().to_string()),
                ("reference", image.reference().to_string()),
            ];
            client.delete("/in-use", &query).await?;
            output::done(client.format(), "It is in use only if somebody pulls it.")
        }
    }
}

async fn add(client: &Client, args: AddArgs) -> anyhow::Result<()> {
    let mut images = args.images;
    if let Some(file) = &args.file {
        images.extend(read(file)?);
    }
    ensure!(!images.is_empty(), "no image was named");
    let mut by_repository: BTreeMap<String, (RepoName, Vec<String>)> = BTreeMap::new();
    for image in &images {
        let repository = image.repository();
        let entry = by_repository
            .entry(repository.to_string())
            .or_insert_with(|| (repository.clone(), Vec::new()));
        entry.1.push(image.reference().to_string());
    }
    let mut done: Vec<SetInUse> = Vec::new();
    for (repository, references) in by_repository.into_values() {
        for references in references.chunks(AT_ONCE) {
            let wanted = NewInUseEntry {
                repository: repository.clone(),
                references: references.to_vec(),
                until: args.until.ahead(),
                reason: args.reason.clone(),
            };
            done.push(client.post("/in-use", &wanted).await?);
        }
    }
    output::show(client.format(), &done, |done| {
        let images = done.iter().map(|set| set.references).sum();
        let until = output::moment(args.until.ahead().0);
        format!("{} in use until {until}.\n", output::count(images, "image"))
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<ImageArg>> {
    let cannot_read = || format!("cannot read {}", file.display());
    let bytes = fs::metadata(file).with_context(cannot_read)?.len();
    ensure!(
        bytes <= MAX_FILE_BYTES,
        "{} has {bytes} bytes: at most {MAX_FILE_BYTES} are allowed",
        file.display()
    );
    let text = fs::read_to_string(file).with_context(cannot_read)?;
    let mut images = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(image) => images.push(image),
            Err(error) => bail!("{}:{}: {error}", file.display(), number + 1),
        }
    }
    Ok(images)
}

fn table(entries: &[InUseEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        let by = if entry.reference.contains(':') { '@' } else { ':' };
        [
            format!("{}{by}{}", entry.repository, entry.reference),
            output::moment(entry.until.0),
            entry.said_by.clone(),
            output::printable(&entry.reason),
        ]
    });
    output::table(["IMAGE", "UNTIL", "BY", "REASON"], rows)
}
