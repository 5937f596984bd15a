//! `catalog …`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use road::catalog::{CatalogLimits, Files, Hint, SourceFile, read_files as read_texts};
use road::names::ApplicationName;
use serde::Serialize;
use web::wire::{AllowedCatalog, CatalogStatus, ImportedCatalog, NewCatalog, PushedCatalogStatus};

use super::apply::steps;
use super::apps;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::output;

/// How deep directories may be nested.
const MAX_DEPTH: usize = 16;

/// Files that are taken from a directory; a file that is named is taken whatever it is called.
const NAMES: [&str; 4] = [
    "catalog-info.yaml",
    "catalog-info.yml",
    "pavedroad.yaml",
    "pavedroad.yml",
];

/// Names that are told one by one.
const NAMES_TOLD: usize = 20;

/// What to do with catalogues of teams.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Of a directory every catalog-info.yaml (Backstage) and pavedroad.yaml below it is read. All of it \
comes in, or nothing. What was declared by `roadbed app` counts more.

Examples:
  roadbed catalog import catalog-info.yaml --dry-run
  roadbed catalog import services/ --prune
  roadbed catalog status
  roadbed catalog allow platform/catalog@sha256:… --reason 'the new one names the wrong owners'")]
pub(crate) enum CatalogCommand {
    /// Take in Backstage's catalog-info.yaml and our pavedroad.yaml
    Import {
        /// A file, or a directory with such files below it
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        /// Take back what catalogues said of applications that these files do not name
        #[arg(long)]
        prune: bool,
    },
    /// Let a pushed catalogue count although it is older than the one that does
    Allow {
        /// Which, as `roadbed catalog status` shows it: platform/catalog@sha256:…
        #[arg(value_name = "REPOSITORY@DIGEST")]
        catalog: String,
        /// Why, for the audit log
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show what became of the catalogue that was pushed, and how much has an owner
    Status,
}

/// Carries out a command.
pub(crate) async fn run(args: &ClientArgs, command: CatalogCommand) -> Result<()> {
    match command {
        CatalogCommand::Import {
            paths,
            dry_run,
            prune,
        } => import(args, &paths, dry_run, prune).await,
        CatalogCommand::Allow { catalog, reason } => {
            let client = Client::connect(args)?;
            let done = format!("{catalog} may count; it is taken in once its tag names it and it is signed.");
            let allowed = AllowedCatalog { catalog, reason };
            client.post_streamed("/catalog/allowed", &allowed).await?;
            output::done(client.format(), done)
        }
        CatalogCommand::Status => {
            let client = Client::connect(args)?;
            let status: CatalogStatus = client.get("/catalog", &[]).await?;
            output::show(client.format(), &status, describe_status)
        }
    }
}

async fn import(args: &ClientArgs, paths: &[PathBuf], dry_run: bool, prune: bool) -> Result<()> {
    // What is wrong with the files is said without a registry.
    let read = read_all(paths)?;
    if prune && read.catalog.applications.is_empty() {
        bail!("the files name no application, and --prune would take back all: were they rendered empty?");
    }
    let client = Client::connect(args)?;
    let query = [("dry_run", dry_run.to_string()), ("prune", prune.to_string())];
    let imported: ImportedCatalog = client.post_with("/catalog", &query, &read.catalog).await?;
    let done = Done {
        imported,
        hints: read.hints,
        passed_over: read.passed_over,
    };
    output::show(client.format(), &done, describe)
}

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    imported: ImportedCatalog,
    /// Where repositories may be of applications that name none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<Hint>,
    /// What does not count, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<String>,
}

/// What files say.
struct Read {
    catalog: NewCatalog,
    hints: Vec<Hint>,
    passed_over: Vec<String>,
}

fn read_all(paths: &[PathBuf]) -> Result<Read> {
    let limits = CatalogLimits::default();
    let Some(texts) = texts_of(paths, &NAMES, &limits)? else {
        bail!("there is no {} or {} there", NAMES[0], NAMES[2]);
    };
    let texts: Vec<SourceFile<'_>> = texts
        .iter()
        .map(|(name, text)| SourceFile { name, text })
        .collect();
    let Files { catalog, road } = read_texts(&texts, &limits)?;
    let ignored = catalog.ignored.iter();
    let ignored =
        ignored.map(|(kind, count)| format!("{count} of kind {kind}: says nothing about ownership"));
    Ok(Read {
        passed_over: ignored.collect(),
        hints: catalog.hints,
        catalog: NewCatalog {
            applications: catalog.statements,
            bases: road.bases,
            road: road.entries,
        },
    })
}

/// What files say, each once: those that are named, and of directories those below that are called so. `None`: there are none.
pub(super) fn texts_of(
    paths: &[PathBuf],
    names: &[&str],
    limits: &CatalogLimits,
) -> Result<Option<Vec<(String, String)>>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            gather_named(path, names, limits, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Ok(None);
    }
    read_texts_of(files, limits).map(Some)
}

/// The files of these names below a directory.
fn gather_named(
    directory: &Path,
    names: &[&str],
    limits: &CatalogLimits,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    gather(directory, 0, (names, limits), files)
}

fn gather(
    directory: &Path,
    depth: usize,
    (names, limits): (&[&str], &CatalogLimits),
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!(
            "{} is nested deeper than {MAX_DEPTH} directories",
            directory.display()
        );
    }
    let cannot_read = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(cannot_read)? {
        let entry = entry.with_context(cannot_read)?;
        // Links could lead in circles, or out.
        let kind = entry.file_type().with_context(cannot_read)?;
        let name = entry.file_name();
        if kind.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
            gather(&entry.path(), depth + 1, (names, limits), files)?;
        } else if kind.is_file() && names.iter().any(|known| name == *known) {
            files.push(entry.path());
        }
        if files.len() > limits.files {
            bail!("there are over {} files: import fewer at once", limits.files);
        }
    }
    Ok(())
}

/// Their texts, by path, within limits.
fn read_texts_of(files: Vec<PathBuf>, limits: &CatalogLimits) -> Result<Vec<(String, String)>> {
    let (mut texts, mut left) = (Vec::new(), limits.bytes as u64);
    for path in files {
        let name = path.display().to_string();
        let cannot_read = || format!("cannot read {name}");
        let bytes = fs::metadata(&path).with_context(cannot_read)?.len();
        if bytes > limits.file_bytes as u64 {
            bail!(
                "{name} has {bytes} bytes: at most {} are read, split it",
                limits.file_bytes
            );
        }
        let room = left.checked_sub(bytes);
        left = room.with_context(|| format!("the files have more than {} bytes", limits.bytes))?;
        let text = fs::read_to_string(&path).with_context(cannot_read)?;
        texts.push((name, text));
    }
    Ok(texts)
}

fn describe_status(status: &CatalogStatus) -> String {
    let mut text = status.pushed.as_ref().map(describe_pushed).unwrap_or_default();
    text += &apps::counted(status);
    text
}

/// Which one, whose word it is, and what became of it.
fn describe_pushed(pushed: &PushedCatalogStatus) -> String {
    let about = &pushed.about;
    let word = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
    let signers = about["signers"].as_array().into_iter().flatten();
    let signers: Vec<&str> = signers.filter_map(|name| name.as_str()).collect();
    let signed = match signers.as_slice() {
        [] => "signed by nobody who counts".to_owned(),
        names => format!("signed by {}", names.join(", ")),
    };
    let pushed_by = match word("pushed_by") {
        name if name.is_empty() => String::new(),
        name => format!(", pushed by {name}"),
    };
    let mut lines = vec![
        format!("{} ({})", pushed.catalog, word("tag")),
        format!(
            "  {} {}, {signed}{pushed_by}",
            pushed.state,
            output::moment(pushed.at.0)
        ),
    ];
    let count = |word: &str| about[word]["count"].as_u64().unwrap_or_default();
    if pushed.state == "imported" {
        let counts = ["added", "changed", "removed"].map(|word| format!("{} {word}", count(word)));
        lines.push(format!(
            "  applications: {}; bases: {}",
            counts.join(", "),
            about["bases"]
        ));
    } else {
        lines.push(format!("  it does not count: {}", word("reason")));
    }
    output::lines(lines.iter().map(|line| output::printable(line)))
}

fn describe(done: &Done) -> String {
    let applications = &done.imported.applications;
    let mut lines = Vec::new();
    for (sign, names) in [
        ('+', &applications.added),
        ('~', &applications.changed),
        ('-', &applications.removed),
    ] {
        lines.extend(listed(sign, names));
    }
    lines.extend(done.imported.bases.iter().map(steps::describe));
    for hint in done.hints.iter().take(NAMES_TOLD) {
        let (name, pattern) = (&hint.application, &hint.pattern);
        lines.push(output::printable(&format!(
            "? application {name} names no repositories; by its {} they may be {pattern}",
            hint.because
        )));
    }
    let passed_over = done.passed_over.iter().take(NAMES_TOLD);
    lines.extend(passed_over.map(|line| format!("  {}", output::printable(line))));
    let changes = applications.added.len() + applications.changed.len() + applications.removed.len();
    let changes = output::count((changes + done.imported.bases.len()) as u64, "change");
    let made = if done.imported.imported {
        "made"
    } else {
        "would be made"
    };
    lines.push(format!("{changes} {made}, {} as before.", applications.unchanged));
    output::lines(lines)
}

fn listed(sign: char, names: &[ApplicationName]) -> Vec<String> {
    let first = names
        .iter()
        .take(NAMES_TOLD)
        .map(|name| format!("{sign} application {name}"));
    let more = names.len().saturating_sub(NAMES_TOLD);
    let rest = (more > 0).then(|| format!("{sign} … and {more} more (--output json)"));
    first.chain(rest).collect()
}
