//! `app …`.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{Args, Subcommand};
use oci::RepoPattern;
use reqwest::StatusCode;
use road::application::{Application, Field};
use road::names::{ApplicationName, Contact, Environment, Owner};
use serde::Serialize;
use web::wire::{ApplicationEntry, CatalogStatus, NewApplication, SavedEntry, SetApplication};

use crate::client::Client;
use crate::output;

/// Most applications that a list shows.
const MOST: usize = 50_000;

/// What to do with applications.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
What is declared here counts more than catalogues of teams (`roadbed catalog import`), and these more than
what images say about themselves.

Examples:
  roadbed app set checkout --owner team-checkout --repository 'shop/checkout/**' --tier 1
  roadbed app list
  roadbed app show checkout")]
pub(crate) enum AppCommand {
    /// Declare an application, in place of what was declared under its name
    Set(Box<SetArgs>),
    /// List applications, and how many repositories have an owner
    List,
    /// Show what is believed of an application, by whose word
    Show {
        /// Name of the application
        name: ApplicationName,
    },
    /// Take back what was declared of an application
    Remove {
        /// Name of the application
        name: ApplicationName,
    },
}

/// Options of `app set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Name of the application, such as checkout or shop/checkout
    name: ApplicationName,
    /// Its repositories, or patterns
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    repository: Vec<RepoPattern>,
    /// Its owner: a team, group:team or user:person
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// How important it is: 0 is the most, 9 the least
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=9))]
    tier: Option<u8>,
    /// Where it runs
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    environment: Vec<Environment>,
    /// How its owner is reached: a mail address, a channel, a link; the best way first
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    contact: Vec<Contact>,
    /// Which system it is part of
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: AppCommand) -> Result<()> {
    match command {
        AppCommand::Set(args) => {
            let set: SetApplication = client.put("/applications", &entry(*args)).await?;
            output::show(client.format(), &set, |set| {
                let instead = if set.replaced {
                    ", in place of what was"
                } else {
                    ""
                };
                format!("{} is declared{instead}.\n", set.name)
            })
        }
        AppCommand::List => list(client).await,
        AppCommand::Show { name } => {
            let query = [("name", name.to_string())];
            let shown: ApplicationEntry = client.get("/application", &query).await?;
            // A server that looks into no images keeps no incidents.
            let saved = client.get_unless("/application/saved", &query, StatusCode::CONFLICT);
            let saved = saved.await?.unwrap_or_default();
            let shown = ShownApplication { shown, saved };
            output::show(client.format(), &shown, |shown| {
                let mut text = describe(&shown.shown.0);
                text.push_str(&output::lines(shown.saved.iter().map(of_incident)));
                text
            })
        }
        AppCommand::Remove { name } => {
            client
                .delete("/application", &[("name", name.to_string())])
                .await?;
            output::done(
                client.format(),
                format!("What was declared of {name} is taken back."),
            )
        }
    }
}

/// An application, and what the road would have saved it.
#[derive(Serialize)]
struct ShownApplication {
    #[serde(flatten)]
    shown: ApplicationEntry,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    saved: Vec<SavedEntry>,
}

/// What the road would have saved in an incident.
fn of_incident(SavedEntry(saved): &SavedEntry) -> String {
    format!(
        "{}: {} (by {} on the road)",
        saved.incident,
        saved.words(),
        output::count(saved.there_images as u64, "image")
    )
}

fn entry(args: SetArgs) -> NewApplication {
    NewApplication {
        name: args.name,
        repositories: args.repository,
        owner: args.owner,
        tier: args.tier,
        environments: args.environment,
        contacts: args.contact,
        system: args.system,
    }
}

async fn list(client: &Client) -> Result<()> {
    let applications: Vec<ApplicationEntry> = client.list("/applications", &[], MOST).await?;
    let status: CatalogStatus = client.get("/catalog", &[]).await?;
    output::show(
        client.format(),
        &(applications, status),
        |(applications, status)| {
            let rows = applications.iter().map(|ApplicationEntry(application)| {
                [
                    application.name.to_string(),
                    believed(application.owner.as_ref()),
                    believed(application.tier.as_ref()),
                    patterns(application),
                ]
            });
            let mut text = output::table(["NAME", "OWNER", "TIER", "REPOSITORIES"], rows);
            text.push('\n');
            text.push_str(&counted(status));
            text
        },
    )
}

pub(super) fn counted(status: &CatalogStatus) -> String {
    let mut text = format!(
        "{} of applications with an owner, {} of applications without, {} of no application\n",
        output::count(status.owned, "repository"),
        status.ownerless,
        status.unknown
    );
    let conflicts = status.conflicts.len() as u64 + status.more_conflicts;
    if conflicts > 0 {
        let _ = writeln!(
            text,
            "sources do not agree in {}:",
            output::count(conflicts, "place")
        );
        for conflict in status.conflicts.iter().take(10) {
            let _ = writeln!(text, "  {}", output::printable(&conflict.to_string()));
        }
    }
    text
}

fn patterns(application: &Application) -> String {
    let names: Vec<&str> = application
        .repositories
        .iter()
        .map(|stated| stated.value.as_str())
        .collect();
    names.join(",")
}

fn believed<T: ToString>(field: Option<&Field<T>>) -> String {
    field.map(|field| field.value().to_string()).unwrap_or_default()
}

/// Each field with its source; what others say stands behind it.
fn describe(application: &Application) -> String {
    let mut pairs = vec![("application", application.name.to_string())];
    for stated in &application.repositories {
        let source = stated.source.as_str();
        pairs.push((
            "repository",
            format!("{} ({source}, {})", stated.value, stated.origin),
        ));
    }
    let list = |texts: Vec<String>| texts.join(", ");
    let mut add = |name, told: Option<String>| pairs.extend(told.map(|told| (name, told)));
    add("owner", told(application.owner.as_ref(), ToString::to_string));
    add("tier", told(application.tier.as_ref(), ToString::to_string));
    add(
        "environments",
        told(application.environments.as_ref(), |names| {
            list(names.iter().map(ToString::to_string).collect())
        }),
    );
    add(
        "contacts",
        told(application.contacts.as_ref(), |names| {
            list(names.iter().map(ToString::to_string).collect())
        }),
    );
    add("system", told(application.system.as_ref(), Clone::clone));
    add("type", told(application.kind.as_ref(), Clone::clone));
    add("lifecycle", told(application.lifecycle.as_ref(), Clone::clone));
    output::properties(&pairs)
}

fn told<T>(field: Option<&Field<T>>, text: impl Fn(&T) -> String) -> Option<String> {
    let field = field?;
    let stated = &field.stated;
    let mut told = format!(
        "{} ({}, {})",
        text(&stated.value),
        stated.source.as_str(),
        stated.origin
    );
    for other in &field.others {
        let _ = write!(told, "; {} says {}", other.origin, text(&other.value));
    }
    Some(told)
}
