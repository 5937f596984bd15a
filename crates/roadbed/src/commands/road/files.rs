//! Files of the catalogue: checked, compared, applied.

use std::path::PathBuf;

use anyhow::{Result, bail};
use road::catalog::{CatalogLimits, PavedRoad, SourceFile, read_part_of_paved_road, read_paved_road};
use web::wire::{ChangedRoad, NewRoad};

use super::super::apply::steps;
use super::super::catalog::texts_of;
use super::artifact::Artifact;
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::output;

/// Files that are taken from a directory; a file that is named is taken whatever it is called.
const NAMES: [&str; 2] = ["pavedroad.yaml", "pavedroad.yml"];

/// Says what is wrong. With a registry, its entries count too, and what would change is shown.
pub(super) async fn check(args: &ClientArgs, paths: &[PathBuf], offline: bool, prune: bool) -> Result<()> {
    let road = read(args, paths, offline).await?;
    if offline {
        let count = output::count((road.bases.len() + road.entries.len()) as u64, "document");
        return output::done(args.output, format!("Nothing is wrong with {count}."));
    }
    change(args, road, true, prune).await
}

pub(super) async fn apply(args: &ClientArgs, paths: &[PathBuf], prune: bool) -> Result<()> {
    change(args, read(args, paths, false).await?, false, prune).await
}

async fn change(args: &ClientArgs, road: PavedRoad, dry_run: bool, prune: bool) -> Result<()> {
    if prune && road.bases.is_empty() && road.entries.is_empty() {
        bail!(
            "the files declare nothing, and --prune would take back the whole catalogue: were they rendered empty?"
        );
    }
    let client = Client::connect(args)?;
    let query = [("dry_run", dry_run.to_string()), ("prune", prune.to_string())];
    let new = NewRoad {
        bases: road.bases,
        entries: road.entries,
    };
    let changed: ChangedRoad = client.post_with("/road", &query, &new).await?;
    output::show(client.format(), &changed, describe)
}

fn describe(changed: &ChangedRoad) -> String {
    let mut lines: Vec<String> = changed.steps.iter().map(steps::describe).collect();
    let count = output::count(changed.steps.len() as u64, "change");
    lines.push(match (changed.steps.len(), changed.applied) {
        (0, _) => format!("Everything is as the files say (version {}).", changed.version),
        (_, true) => format!("{count} made: version {}.", changed.version),
        (_, false) => format!("{count} would be made to version {}.", changed.version),
    });
    output::lines(lines.iter().map(|line| output::printable(line)))
}

async fn read(args: &ClientArgs, paths: &[PathBuf], is_whole: bool) -> Result<PavedRoad> {
    let limits = CatalogLimits::default();
    let (mut files, mut texts) = (Vec::new(), Vec::new());
    for path in paths {
        match path.to_str().map(Artifact::recognise).transpose()?.flatten() {
            Some(artifact) => texts.extend(artifact.texts(args, &limits).await?),
            None => files.push(path.clone()),
        }
    }
    texts.extend(texts_of(&files, &NAMES, &limits)?.unwrap_or_default());
    if texts.is_empty() {
        bail!("there is no {} there", NAMES[0]);
    }
    let texts: Vec<SourceFile<'_>> = texts
        .iter()
        .map(|(name, text)| SourceFile { name, text })
        .collect();
    Ok(if is_whole {
        read_paved_road(&texts, &limits)?
    } else {
        read_part_of_paved_road(&texts, &limits)?
    })
}
