//! `road …`: the catalogue of the road, from files to what came of it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use road::names::{ApplicationName, BaseName, Owner};
use web::wire::{AdoptionReport, BasePromises, EventEntry, Page, ShownRoad, WorkReport};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::output;

mod artifact;
mod files;
mod init;
mod shown;
mod work;

/// What to do with the catalogue.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
The files are YAML documents of apiVersion road/v1 and kind BaseImage, Toolchain, GoldenPath, AppRoad or Exemption;
docs/road.md describes them. Of a directory every pavedroad.yaml below it is read.

Examples:
  roadbed road init > pavedroad.yaml        a first file, from the bases that most images share
  roadbed road check pavedroad.yaml         what is wrong, and what would change
  roadbed road apply pavedroad.yaml
  roadbed road adoption --owner team-shop
  roadbed road work --application checkout   what must be built again, and how")]
pub(crate) enum RoadCommand {
    /// Say what is wrong with files, and what they would change
    Check {
        /// A file, a directory with such files below it, or an artifact: `oci://registry.example/platform/road:v1`
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Ask no registry: the files must go together by themselves
        #[arg(long)]
        offline: bool,
        /// As if what the files do not name were taken back
        #[arg(long, conflicts_with = "offline")]
        prune: bool,
    },
    /// Make the catalogue what files say: all of it, or nothing
    Apply {
        /// A file, a directory with such files below it, or an artifact: `oci://registry.example/platform/road:v1`
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Take back what the files do not name
        #[arg(long)]
        prune: bool,
    },
    /// Show the catalogue, with what is near its end or expired
    Show {
        /// Only what is called so
        name: Option<String>,
        /// As of which version, as `road history` numbers them
        #[arg(long, value_name = "NUMBER")]
        version: Option<i64>,
    },
    /// Show what happened to the catalogue, the newest first
    History {
        /// Only to what is called so: a base or application, path@version, application:rule
        name: Option<String>,
        /// How many changes
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Write a commented first pavedroad.yaml from what the registry holds
    Init,
    /// Show who is on the road: by cohort, by team, over time; and which bases teams share that nobody approved
    Adoption {
        /// Only repositories of this owner
        #[arg(long, value_name = "OWNER")]
        owner: Option<Owner>,
        /// How many days back
        #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=800))]
        days: u16,
    },
    /// Show what owners of bases promised, and how they keep it
    Promises {
        /// Only of this base
        base: Option<BaseName>,
    },
    /// Print the JSON schema of pavedroad.yaml, for editors
    Schema,
    /// Show what images that cannot follow their base ask of their owners: the line to change, the release to use, what it fixes
    Work {
        /// Only of this application
        #[arg(long, value_name = "APPLICATION")]
        application: Option<ApplicationName>,
        /// Only of this owner
        #[arg(long, value_name = "OWNER")]
        owner: Option<Owner>,
        /// open, done, gone, superseded or left; all for everything
        #[arg(long, value_name = "STATE", default_value = "open")]
        state: String,
    },
}

/// Carries out a command.
pub(crate) async fn run(args: &ClientArgs, command: RoadCommand) -> Result<()> {
    match command {
        RoadCommand::Check {
            paths,
            offline,
            prune,
        } => files::check(args, &paths, offline, prune).await,
        RoadCommand::Apply { paths, prune } => files::apply(args, &paths, prune).await,
        RoadCommand::Schema => output::text(road::catalog::SCHEMA),
        RoadCommand::Init => init::run(&Client::connect(args)?).await,
        RoadCommand::Show { name, version } => {
            let client = Client::connect(args)?;
            let query: Vec<_> = version
                .iter()
                .map(|number| ("version", number.to_string()))
                .collect();
            let mut road: ShownRoad = client.get("/road", &query).await?;
            if let Some(name) = &name {
                shown::keep(&mut road, name)?;
            }
            output::show(client.format(), &road, shown::catalogue)
        }
        RoadCommand::History { name, limit } => {
            let client = Client::connect(args)?;
            let mut query = vec![("limit", limit.to_string())];
            query.extend(name.map(|name| ("name", name)));
            let page: Page<EventEntry> = client.get("/road/history", &query).await?;
            output::show(client.format(), &page.items, |events| shown::history(events))
        }
        RoadCommand::Adoption { owner, days } => {
            let client = Client::connect(args)?;
            let mut query = vec![("days", days.to_string())];
            query.extend(owner.map(|owner| ("owner", owner.to_string())));
            let report: AdoptionReport = client.get("/road/adoption", &query).await?;
            output::show(client.format(), &report, shown::adoption)
        }
        RoadCommand::Work {
            application,
            owner,
            state,
        } => {
            let client = Client::connect(args)?;
            let mut query = vec![("state", state)];
            query.extend(application.map(|name| ("application", name.to_string())));
            query.extend(owner.map(|owner| ("owner", owner.to_string())));
            let report: WorkReport = client.get("/road/work", &query).await?;
            output::show(client.format(), &report, work::describe)
        }
        RoadCommand::Promises { base } => {
            let client = Client::connect(args)?;
            let query: Vec<_> = base.iter().map(|base| ("base", base.to_string())).collect();
            let promises: Vec<BasePromises> = client.get("/road/promises", &query).await?;
            output::show(client.format(), &promises, |promises| shown::promises(promises))
        }
    }
}
