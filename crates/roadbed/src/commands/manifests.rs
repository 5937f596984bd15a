//! `manifest …`.

use clap::Subcommand;
use oci::{Digest, RepoName};
use web::wire::ManifestEntry;

use super::repositories::{MOST, key};
use crate::client::Client;
use crate::output;

const LIST_HELP: &str = "\
Untagged manifests stay until somebody deletes them. Not all of them are needless: one that an index names is part of a \
multi-platform image, one that refers to another is its signature or SBOM; USED BY says so.";

/// What to do with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// List the manifests of a repository, with their tags and what uses them
    #[command(after_help = LIST_HELP)]
    List {
        /// The repository
        repository: RepoName,
        /// Only those that no tag points to
        #[arg(long)]
        untagged: bool,
    },
    /// Delete a manifest and the tags that point to it; what only it named is collected after the grace time
    Delete {
        /// The repository
        repository: RepoName,
        /// Its digest
        digest: Digest,
    },
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: ManifestCommand) -> anyhow::Result<()> {
    match command {
        ManifestCommand::List { repository, untagged } => {
            let query = [key(&repository), ("untagged", untagged.to_string())];
            let listed: Vec<ManifestEntry> = client.list("/repository/manifests", &query, MOST).await?;
            output::show(client.format(), &listed, |listed| {
                let head = ["DIGEST", "SIZE", "PUSHED", "MEDIA TYPE", "TAGS", "USED BY"];
                output::table(head, listed.iter().map(row))
            })
        }
        ManifestCommand::Delete { repository, digest } => {
            let query = [key(&repository), ("digest", digest.to_string())];
            client.delete("/repository/manifest", &query).await?;
            output::done(client.format(), format!("{repository}@{digest} was deleted."))
        }
    }
}

fn row(manifest: &ManifestEntry) -> [String; 6] {
    let mut tags = manifest
        .tags
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",");
    if manifest.more_tags {
        tags.push_str(",…");
    }
    let used_by = match (&manifest.index, &manifest.subject) {
        (Some(index), _) => format!("index {index}"),
        (None, Some(subject)) => format!("refers to {subject}"),
        (None, None) => String::new(),
    };
    [
        manifest.digest.to_string(),
        output::bytes(manifest.size),
        output::moment(manifest.pushed_at.0),
        manifest.media_type.clone(),
        tags,
        used_by,
    ]
}
