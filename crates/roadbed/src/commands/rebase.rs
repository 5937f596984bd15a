//! `rebase IMAGE`: what would become of an image on the newest release of its base.

use anyhow::Result;
use clap::Args;
use road::names::BaseName;
use road::rebase::{PackageChange, SafetyClass};
use web::wire::{ImagePlan, PlanEntry};

use super::decisions::ImageArg;
use crate::client::Client;
use crate::output;

/// Packages that a person is shown, unless all are asked for.
const PACKAGES: usize = 20;

/// Options of `rebase`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is changed. Classes: A, the application wrote nothing that the base changes; B, lists of packages, accounts
and the like are merged in a small layer on top; C, it must be built again; D, the same, and it names no source.

Examples:
  roadbed rebase team/app:1.4
  roadbed rebase team/app:1.4 --onto debian12 --output json")]
pub(crate) struct RebaseArgs {
    /// Image: `team/app:1.4` or `team/app@sha256:…`; without either the tag `latest`
    image: ImageArg,
    /// Base to put it on; by default the one that it stands on
    #[arg(long, value_name = "BASE")]
    onto: Option<BaseName>,
    /// Show all packages that change, not only the first 20
    #[arg(long)]
    all: bool,
}

/// Carries out the command.
pub(crate) async fn run(client: &Client, args: RebaseArgs) -> Result<()> {
    let mut query = vec![
        ("repository", args.image.repository().to_string()),
        ("reference", args.image.reference().to_string()),
    ];
    query.extend(args.onto.map(|base| ("onto", base.to_string())));
    let plan: PlanEntry = client.get("/rebases/plan", &query).await?;
    output::show(client.format(), &plan, |plan| describe(plan, args.all))
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
        lines.push(format!("  against it   {}", output::printable(&obstacle.text)));
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
