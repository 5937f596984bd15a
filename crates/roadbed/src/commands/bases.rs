//! `base …`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use findings::Severity;
use oci::{Digest, RepoName};
use road::base::{BaseImage, Lifecycle, Promise, RebaseContract, parse_duration};
use road::lineage::{Release, Word};
use road::names::{BaseName, Contact, Owner};
use time::Duration;
use web::wire::{BaseEntry, SetBase, ShownBase};

use super::apply::steps;
use crate::client::Client;
use crate::moment::{MomentArg, date_of};
use crate::output;

/// Most bases that a list shows.
const MOST: usize = 10_000;

/// What to do with bases.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Every image that is pushed to the repository of a base is a release of it. An image stands on a base if its layers
begin with those of a release, whatever its annotations say.

Examples:
  roadbed base set java17 --owner group:platform-java --repository base/java17 --supported-until 2027-09-30 \\
      --patch-within critical=24h,high=7d
  roadbed base show java17
  roadbed lineage team/app:1.4")]
pub(crate) enum BaseCommand {
    /// Approve a base, in place of the one of its name
    Set(Box<SetArgs>),
    /// List the approved bases
    List,
    /// Show a base with its releases
    Show {
        /// Name of the base
        name: BaseName,
    },
    /// Approve a base no more, and forget its releases
    Remove {
        /// Name of the base
        name: BaseName,
    },
}

/// Options of `base set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Name of the base, such as java17
    name: BaseName,
    /// Who answers for it: a team, group:team or user:person
    #[arg(long, value_name = "OWNER")]
    owner: Owner,
    /// Where its releases are pushed, without tag
    #[arg(long, value_name = "REPOSITORY")]
    repository: RepoName,
    /// Until when it is supported: a date that still counts, a moment, or a span such as 365d
    #[arg(long, value_name = "DATE")]
    supported_until: MomentArg,
    /// How its owner is reached
    #[arg(long, value_name = "TEXT")]
    contact: Option<Contact>,
    /// Where it stands in its life: experimental, supported, deprecated or retired
    #[arg(long, value_name = "WORD", default_value = "supported", value_parser = lifecycle)]
    lifecycle: Lifecycle,
    /// The base that takes its place
    #[arg(long, value_name = "NAME")]
    replaced_by: Option<BaseName>,
    /// What a channel points at, as name=digest; without any the newest release is current
    #[arg(long, value_name = "NAME=DIGEST", value_delimiter = ',')]
    channel: Vec<Pair<Digest>>,
    /// Within which time its owner patches it, as severity=span
    #[arg(long, value_name = "SEVERITY=SPAN", value_delimiter = ',', value_parser = promise)]
    patch_within: Vec<(Severity, Duration)>,
    /// How long after it was retired images on it may still be pushed; by default as the registry is configured
    #[arg(long, value_name = "SPAN", value_parser = span)]
    retire_notice: Option<Duration>,
    /// Promise that a release may take the place of another one below images that stand on it (`roadbed rebase`)
    #[arg(long)]
    rebase_safe: bool,
    /// What stays the same between releases, such as glibc-2.36; rebases stop where it changes
    #[arg(long, value_name = "TEXT", requires = "rebase_safe")]
    abi: Option<String>,
    /// Architectures that the promise is for, such as amd64; without any it is for all
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "rebase_safe")]
    arch: Vec<String>,
    /// The trusted signer (`roadbed signer list`) without whose signature a release counts for nothing; without one nothing follows
    /// by itself
    #[arg(long, value_name = "NAME")]
    signer: Option<String>,
}

/// `name=value`.
#[derive(Debug, Clone)]
pub(crate) struct Pair<T>(String, T);

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Pair<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write name=value")?;
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self(name.to_owned(), value))
    }
}

fn lifecycle(text: &str) -> Result<Lifecycle, String> {
    let found = Lifecycle::WORDS.iter().find(|(word, _)| *word == text);
    found
        .map(|(_, lifecycle)| *lifecycle)
        .ok_or_else(|| "write experimental, supported, deprecated or retired".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a span such as 30d".to_owned())
}

pub(super) fn promise(text: &str) -> Result<(Severity, Duration), String> {
    let wanted = "write critical, high, medium or low, = and a span such as 24h or 7d";
    let (severity, span) = text.split_once('=').ok_or(wanted)?;
    let severity = match severity {
        "critical" => Severity::Critical,
        "high" => Severity::High,
        "medium" => Severity::Medium,
        "low" => Severity::Low,
        _ => return Err(wanted.to_owned()),
    };
    let span = parse_duration(span).ok_or(wanted)?;
    Ok((severity, span))
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: BaseCommand) -> Result<()> {
    match command {
        BaseCommand::Set(args) => {
            let entry = entry(*args)?;
            let known: Vec<BaseEntry> = client.list("/bases", &[], MOST).await?;
            let was = known.into_iter().find(|BaseEntry(was)| was.name == entry.name);
            let told = was.map(|BaseEntry(was)| steps::base_changed(was, entry.clone()));
            let set: SetBase = client.put("/bases", &BaseEntry(entry)).await?;
            output::show(client.format(), &set, |set| match &told {
                // Whoever leaves out what was said before must see that it is gone.
                Some(told) => format!(
                    "{} is an approved base, in place of what was.\n{told}\n",
                    set.name
                ),
                None => format!("{} is an approved base.\n", set.name),
            })
        }
        BaseCommand::List => {
            let bases: Vec<BaseEntry> = client.list("/bases", &[], MOST).await?;
            output::show(client.format(), &bases, |bases| table(bases))
        }
        BaseCommand::Show { name } => {
            let query = [("name", name.to_string())];
            let shown: ShownBase = client.get("/base", &query).await?;
            output::show(client.format(), &shown, describe)
        }
        BaseCommand::Remove { name } => {
            client.delete("/base", &[("name", name.to_string())]).await?;
            output::done(client.format(), format!("{name} is no approved base any more."))
        }
    }
}

fn entry(args: SetArgs) -> Result<BaseImage> {
    let mut until = date_of(args.supported_until.ahead().0).context("that is beyond any calendar")?;
    if matches!(args.supported_until, MomentArg::Day { .. }) {
        // The day itself still counts.
        until += Duration::SECOND;
    }
    let channels: BTreeMap<String, Digest> = args
        .channel
        .into_iter()
        .map(|Pair(name, digest)| (name, digest))
        .collect();
    Ok(BaseImage {
        name: args.name,
        owner: args.owner,
        contact: args.contact,
        repository: args.repository,
        channels,
        lifecycle: args.lifecycle,
        supported_until: until,
        replaced_by: args.replaced_by,
        rebase: args.rebase_safe.then_some(RebaseContract {
            safe: true,
            abi: args.abi,
            arch: args.arch,
        }),
        patch_within: Promise::new(args.patch_within),
        retire_notice: args
            .retire_notice
            .and_then(|span| u64::try_from(span.whole_seconds()).ok()),
        signer: args.signer,
    })
}

fn word(lifecycle: Lifecycle) -> &'static str {
    let found = Lifecycle::WORDS.iter().find(|(_, other)| *other == lifecycle);
    found.map_or("", |(word, _)| word)
}

fn table(bases: &[BaseEntry]) -> String {
    let rows = bases.iter().map(|BaseEntry(base)| {
        [
            base.name.to_string(),
            base.owner.to_string(),
            base.repository.to_string(),
            word(base.lifecycle).to_owned(),
            base.last_day().to_string(),
        ]
    });
    output::table(
        ["NAME", "OWNER", "REPOSITORY", "LIFECYCLE", "SUPPORTED UNTIL"],
        rows,
    )
}

fn describe(shown: &ShownBase) -> String {
    let base = &shown.base.0;
    let mut pairs = vec![
        ("base", base.name.to_string()),
        ("owner", base.owner.to_string()),
        ("repository", base.repository.to_string()),
        ("lifecycle", word(base.lifecycle).to_owned()),
        ("supported until", base.last_day().to_string()),
    ];
    pairs.extend(
        base.contact
            .iter()
            .map(|contact| ("contact", contact.to_string())),
    );
    pairs.extend(base.replaced_by.iter().map(|by| ("replaced by", by.to_string())));
    pairs.extend(base.signer.iter().map(|signer| ("signer", signer.clone())));
    let channels = base.channels.iter();
    pairs.extend(channels.map(|(name, digest)| ("channel", format!("{name} {digest}"))));
    let mut text = output::properties(&pairs);
    text.push('\n');
    let rows = shown.releases.iter().map(|release| {
        let superseded = release
            .superseded
            .map(|by| format!("superseded on {}", by.at.date()));
        [
            release.version.clone(),
            release.released_at.date().to_string(),
            release.diff_ids.len().to_string(),
            superseded.unwrap_or_else(|| state(release).to_owned()),
            release.digest.to_string(),
        ]
    });
    text.push_str(&output::table(
        ["RELEASE", "SINCE", "LAYERS", "STATE", "DIGEST"],
        rows,
    ));
    if shown.more_releases > 0 {
        let _ = writeln!(text, "… and {} older", shown.more_releases);
    }
    text
}

/// What is told of a release that nothing has taken the place of.
fn state(release: &Release) -> &'static str {
    match (release.is_target, release.word) {
        (true, _) => "current",
        (false, Word::Nobody) => "not signed",
        (false, Word::Pusher | Word::Signer) => "announced",
    }
}
