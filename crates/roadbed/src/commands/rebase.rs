//! `rebase IMAGE`: an image on the newest release of its base, planned and carried out.

mod together;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use oci::{Reference, RepoName};
use road::names::BaseName;
use road::rebase::{PackageChange, SafetyClass};
use store::{RebaseState, TagMove};
use uuid::Uuid;
use web::wire::{ImagePlan, NewRebase, PlanEntry, RebaseEntry};

use super::decisions::ImageArg;
use crate::client::Client;
use crate::output;

/// Packages that a person is shown, unless all are asked for.
const PACKAGES: usize = 20;

/// How long is waited for a tag to follow; it does so without being waited for too.
const WAIT: Duration = Duration::from_mins(10);

/// How often a rebase is asked about until its tag has followed.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// Options of `rebase`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Without --apply nothing is changed. Classes: A, the application wrote nothing that the base changes; B, lists of
packages, accounts and the like are merged in a small layer on top; C, it must be built again; D, the same, and
it names no source. The old image stays; its tag follows once the new one was looked into and is decided no worse.
When a base moves, all images on it follow, ring after ring, as their applications and the catalogue say.

Examples:
  roadbed rebase team/app:1.4
  roadbed rebase team/app:1.4 --onto debian12 --output json
  roadbed rebase team/app:1.4 --apply
  roadbed rebase list team/app
  roadbed rebase report java17
  roadbed rebase approve 0198c0de-0000-7000-8000-000000000000
  roadbed rebase stop
  roadbed rebase undo 0198c0de-0000-7000-8000-000000000000"
)]
pub(crate) struct RebaseArgs {
    #[command(subcommand)]
    command: Option<RebaseCommand>,
    /// Image: `team/app:1.4` or `team/app@sha256:…`; without either the tag `latest`
    #[arg(required = true)]
    image: Option<ImageArg>,
    /// Base to put it on; by default the one that it stands on
    #[arg(long, value_name = "BASE")]
    onto: Option<BaseName>,
    /// Carry out what is shown
    #[arg(long)]
    apply: bool,
    /// How the tag follows: the new image is `1.4-p1`, or `1.4` itself
    #[arg(long, value_enum, default_value_t = How::Suffix, requires = "apply")]
    tag: How,
    /// Show all packages that change, not only the first 20
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    Suffix,
    InPlace,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum RebaseCommand {
    /// Approve that tags follow their base (their ids are in the report)
    Approve {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Print the public key of what the registry signs: the images that it makes, as cosign verifies them
    Key,
    /// List the rebases of a repository, newest first
    List {
        /// The repository
        repository: RepoName,
    },
    /// Reject that tags follow their base, or take note that they have failed, so that others go on
    Reject {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Show what was and what was not possible when a base moved
    Report {
        /// The base
        base: BaseName,
        /// Of an earlier release, by its version or digest; by default of those that images follow to now
        #[arg(long, value_name = "RELEASE")]
        release: Option<String>,
    },
    /// Let rebases go on where they were stopped
    Resume,
    /// Stop all rebases, those that have begun too
    Stop,
    /// Take a rebase back: the tag names what it named before
    Undo {
        /// Its id
        id: Uuid,
    },
}

/// Carries out the command.
pub(crate) async fn run(client: &Client, args: RebaseArgs) -> Result<()> {
    match (args.command, args.image) {
        (Some(RebaseCommand::List { repository }), _) => {
            let query = [("repository", repository.to_string())];
            let rebases: Vec<RebaseEntry> = client.get("/rebases", &query).await?;
            output::show(client.format(), &rebases, |rebases| table(rebases))
        }
        (Some(RebaseCommand::Approve { ids }), _) => together::rule(client, &ids, "approve").await,
        (Some(RebaseCommand::Reject { ids }), _) => together::rule(client, &ids, "reject").await,
        (Some(RebaseCommand::Report { base, release }), _) => together::report(client, &base, release).await,
        (Some(RebaseCommand::Stop), _) => together::switch(client, "stop").await,
        (Some(RebaseCommand::Resume), _) => together::switch(client, "resume").await,
        (Some(RebaseCommand::Key), _) => together::key(client).await,
        (Some(RebaseCommand::Undo { id }), _) => {
            let undone: RebaseEntry = client.post(&format!("/rebases/{id}/undo"), &()).await?;
            output::show(client.format(), &undone, line)
        }
        (None, Some(image)) => {
            let mut query = vec![
                ("repository", image.repository().to_string()),
                ("reference", image.reference().to_string()),
            ];
            query.extend(args.onto.as_ref().map(|base| ("onto", base.to_string())));
            let plan: PlanEntry = client.get("/rebases/plan", &query).await?;
            if args.apply {
                return apply(client, &image, args.onto, args.tag, &plan).await;
            }
            output::show(client.format(), &plan, |plan| describe(plan, args.all))
        }
        (None, None) => bail!("name an image, such as team/app:1.4"),
    }
}

async fn apply(
    client: &Client,
    image: &ImageArg,
    onto: Option<BaseName>,
    tag: How,
    plan: &PlanEntry,
) -> Result<()> {
    let Reference::Tag(of) = image.reference() else {
        bail!("name a tag, such as team/app:1.4: a digest cannot follow");
    };
    let new = NewRebase {
        repository: image.repository().clone(),
        tag: of.clone(),
        onto,
        how: match tag {
            How::Suffix => TagMove::Suffix,
            How::InPlace => TagMove::InPlace,
        },
        expected: plan.new_digest,
    };
    let mut made: RebaseEntry = client.post("/rebases", &new).await?;
    if made.state == RebaseState::Made {
        output::note(format!(
            "{} is stored and is being looked into (rebase {})",
            made.new, made.id
        ));
    }
    let until = Instant::now() + WAIT;
    while made.state == RebaseState::Made {
        if Instant::now() >= until {
            output::show(client.format(), &made, line)?;
            bail!(
                "it is still being looked into: `roadbed rebase list {}` shows when its tag has followed",
                made.repository
            );
        }
        tokio::time::sleep(ASK_EVERY).await;
        made = client.get(&format!("/rebases/{}", made.id), &[]).await?;
    }
    output::show(client.format(), &made, line)?;
    ensure!(
        made.state == RebaseState::Moved,
        "the tag has not followed: {}",
        made.reason
    );
    Ok(())
}

fn line(rebase: &RebaseEntry) -> String {
    let what = match (rebase.state, &rebase.moved) {
        (RebaseState::Moved, Some(tag)) => format!("{}:{tag} is {} now", rebase.repository, rebase.new),
        (RebaseState::Undone, _) => format!("undone: {}:{} is {}", rebase.repository, rebase.tag, rebase.old),
        (RebaseState::Refused, _) => format!("not followed: {}", output::printable(&rebase.reason)),
        _ => format!("{} waits to be decided", rebase.new),
    };
    format!("{what} ({})\n", rebase.id)
}

fn table(rebases: &[RebaseEntry]) -> String {
    let rows = rebases.iter().map(|rebase| {
        let state = serde_json::to_value(rebase.state).unwrap_or_default();
        [
            rebase.id.to_string(),
            rebase.tag.to_string(),
            state.as_str().unwrap_or_default().to_owned(),
            rebase.moved.as_ref().map(ToString::to_string).unwrap_or_default(),
            output::moment(rebase.changed_at.0),
            output::printable(&rebase.reason),
        ]
    });
    output::table(["ID", "TAG", "STATE", "FOLLOWED BY", "SINCE", "WHY"], rows)
}

fn describe(plan: &PlanEntry, all: bool) -> String {
    let mut lines = vec![format!("{}@{}", plan.repository, plan.digest)];
    lines.push(match plan.class {
        None => "  it stands on the newest release of its base".to_owned(),
        Some(class) => format!("  class {class:?}: {}", meaning(class)),
    });
    if let Some(digest) = plan.new_digest {
        lines.push(format!(
            "  would become {digest}, {} written",
            output::bytes(plan.new_bytes)
        ));
    }
    for image in &plan.images {
        lines.push(String::new());
        lines.extend(of_image(image, all));
    }
    output::lines(lines)
}

fn meaning(class: SafetyClass) -> &'static str {
    match class {
        SafetyClass::A => "its layers can be put on the new base as they are",
        SafetyClass::B => "its layers can be put on the new base, with one small layer on top",
        SafetyClass::C => "it must be built again",
        SafetyClass::D => "it must be built again, and it does not say where its source is",
    }
}

fn of_image(image: &ImagePlan, all: bool) -> Vec<String> {
    let mut lines = vec![format!(
        "{} ({})",
        image.digest,
        output::printable(&image.platform)
    )];
    let from = format!("{} {}", image.base, output::printable(&image.from.version));
    lines.push(match &image.to {
        None => format!("  stands on    {from}, which is the newest"),
        Some(to) => format!("  base         {from} -> {}", output::printable(&to.version)),
    });
    for obstacle in &image.obstacles {
        let step = obstacle.step.as_ref().map(|step| format!(" (by `{step}`)"));
        let text = format!("{}{}", obstacle.text, step.unwrap_or_default());
        lines.push(format!("  against it   {}", output::printable(&text)));
    }
    if image.more_obstacles > 0 {
        lines.push(format!("  against it   {} more", image.more_obstacles));
    }
    if image.class.is_some() {
        let of = &image.evidence;
        let files = output::count(of.paths as u64, "file");
        lines.push(format!(
            "  evidence     {files} of the application; {} that the base has too and leaves as they are; {} to merge",
            of.unchanged,
            of.merged.len()
        ));
    }
    lines.extend(together::of_findings(&image.findings));
    lines.extend(together::of_remains(&image.remains));
    for path in &image.merged {
        lines.push(format!("  merged       {}", output::printable(path)));
    }
    for conflict in &image.conflicts {
        lines.push(format!(
            "  kept         {}, which the new base changes too",
            output::printable(&conflict.field)
        ));
    }
    let most = if all { usize::MAX } else { PACKAGES };
    lines.extend(image.packages.iter().take(most).map(of_package));
    if image.more_packages > 0 {
        lines.push(format!(
            "  package      {} more, which the plan does not name",
            image.more_packages
        ));
    }
    if image.packages.len() > most {
        lines.push(format!(
            "  package      {} more (--all)",
            image.packages.len() - most
        ));
    }
    lines
}

fn of_package(change: &PackageChange) -> String {
    let version = |version: &Option<String>| version.as_deref().map_or("none".to_owned(), output::printable);
    format!(
        "  package      {} {} -> {}",
        output::printable(&change.package),
        version(&change.from),
        version(&change.to)
    )
}
