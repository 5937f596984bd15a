//! `repo …` and `tag …`.

use clap::Subcommand;
use oci::{RepoName, Tag};
use web::wire::{RepositoryEntry, TagEntry};

use crate::client::Client;
use crate::config::Size;
use crate::output;

/// Most names that a list shows.
pub(crate) const MOST: usize = 1_000_000;

/// What to do with repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCommand {
    /// List the repositories that you may pull from
    List,
    /// Show what a repository holds and which rule applies
    Show {
        /// Its name
        repository: RepoName,
    },
    /// Delete a repository with everything in it
    Delete {
        /// Its name
        repository: RepoName,
    },
}

/// What to do with tags.
#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// List the tags of a repository; with --output json also what they point to
    List {
        /// The repository
        repository: RepoName,
    },
    /// Show what a tag points to
    Show {
        /// The repository
        repository: RepoName,
        /// The tag
        tag: Tag,
    },
    /// Delete a tag; the manifest that it points to stays and counts (see `roadbed manifest`)
    Delete {
        /// The repository
        repository: RepoName,
        /// The tag
        tag: Tag,
    },
}

/// Carries out a command on repositories.
pub(crate) async fn run(client: &Client, command: RepoCommand) -> anyhow::Result<()> {
    match command {
        RepoCommand::List => {
            let names: Vec<String> = client.list("/repositories", &[], MOST).await?;
            output::show(client.format(), &names, |names| output::lines(names))
        }
        RepoCommand::Show { repository } => {
            let shown: RepositoryEntry = client.get("/repository", &[key(&repository)]).await?;
            output::show(client.format(), &shown, describe)
        }
        RepoCommand::Delete { repository } => {
            client.delete("/repository", &[key(&repository)]).await?;
            output::done(client.format(), format!("{repository} was deleted."))
        }
    }
}

/// Carries out a command on tags.
pub(crate) async fn run_tag(client: &Client, command: TagCommand) -> anyhow::Result<()> {
    match command {
        TagCommand::List { repository } => {
            let tags: Vec<TagEntry> = client.list("/repository/tags", &[key(&repository)], MOST).await?;
            output::show(client.format(), &tags, |tags| {
                output::lines(tags.iter().map(|entry| &entry.tag))
            })
        }
        TagCommand::Show { repository, tag } => {
            let query = [key(&repository), ("tag", tag.to_string())];
            let shown: TagEntry = client.get("/repository/tag", &query).await?;
            output::show(client.format(), &shown, |tag| {
                output::properties(&[
                    ("tag", tag.tag.to_string()),
                    ("digest", tag.digest.to_string()),
                    ("media type", tag.media_type.clone()),
                    ("manifest bytes", tag.size.to_string()),
                    ("pushed at", output::moment(tag.pushed_at.0)),
                ])
            })
        }
        TagCommand::Delete { repository, tag } => {
            client
                .delete("/repository/tag", &[key(&repository), ("tag", tag.to_string())])
                .await?;
            output::done(client.format(), format!("{repository}:{tag} was deleted."))
        }
    }
}

pub(crate) fn key(repository: &RepoName) -> (&'static str, String) {
    ("repository", repository.to_string())
}

/// What nothing names any more and is not collected yet.
fn released(repository: &RepositoryEntry) -> String {
    match repository.released_until {
        None => "nothing".to_owned(),
        Some(until) => format!(
            "{}, named by no manifest any more: not counted, kept at least until {}",
            output::bytes(repository.released_bytes),
            output::moment(until.0)
        ),
    }
}

fn describe(repository: &RepositoryEntry) -> String {
    let rule = &repository.rule;
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "none".to_owned());
    output::properties(&[
        ("name", repository.name.to_string()),
        ("you may", repository.roles.to_string()),
        ("size", output::bytes(repository.bytes)),
        ("released", released(repository)),
        ("tags", repository.tags.to_string()),
        ("manifests", repository.manifests.to_string()),
        ("blobs", repository.blobs.to_string()),
        ("made", output::moment(repository.created_at.0)),
        (
            "quota",
            limit(rule.quota_bytes.map(|bytes| Size(bytes).to_string())),
        ),
        ("tag quota", limit(rule.quota_tags.map(|tags| tags.to_string()))),
        (
            "immutable tags",
            limit(Some(rule.immutable_tags.join(",")).filter(|tags| !tags.is_empty())),
        ),
        (
            "deletion",
            if rule.deletion { "allowed" } else { "forbidden" }.to_owned(),
        ),
    ])
}
