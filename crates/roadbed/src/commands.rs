//! One module per group of commands.

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::output;

pub(crate) mod admin;
pub(crate) mod advisories;
pub(crate) mod affected;
pub(crate) mod apply;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod bases;
pub(crate) mod break_glass;
pub(crate) mod catalog;
pub(crate) mod charts;
pub(crate) mod configuration;
pub(crate) mod copy;
pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod diff;
pub(crate) mod evidence;
pub(crate) mod grants;
pub(crate) mod housekeeping;
pub(crate) mod in_use;
pub(crate) mod incidents;
pub(crate) mod lineage;
pub(crate) mod login;
pub(crate) mod maintenance;
pub(crate) mod manifests;
pub(crate) mod maturity;
pub(crate) mod mirror;
pub(crate) mod policy;
pub(crate) mod rebase;
pub(crate) mod repositories;
pub(crate) mod road;
pub(crate) mod robots;
pub(crate) mod rules;
pub(crate) mod sbom;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod signers;
pub(crate) mod sinks;
pub(crate) mod traffic;
pub(crate) mod upstreams;
pub(crate) mod users;
pub(crate) mod waivers;

/// Carries out what the command line says.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // It must not have more than one thread when it locks itself in.
    if let Command::InspectBlob(args) = &cli.command {
        return crate::worker::child::run(args).map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads that do the work")?;
    runtime.block_on(dispatch(cli))
}

async fn dispatch(Cli { mut client, command }: Cli) -> anyhow::Result<ExitCode> {
    // `ROADBED_URL=` in a file of variables is one that is not set.
    client.url = client.url.filter(|url| !url.is_empty());
    let done = match command {
        Command::Serve(args) => Box::pin(serve::run(args)).await,
        Command::InspectBlob(_) => Ok(()),
        Command::Login(args) => login::login(&client, args).await,
        Command::Logout => login::logout(&client),
        Command::Whoami => login::whoami(&Client::connect(&client)?).await,
        Command::User(command) => users::run(&Client::connect(&client)?, command).await,
        Command::Robot(command) => robots::run(&Client::connect(&client)?, command).await,
        Command::Grant(command) => grants::run(&Client::connect(&client)?, command).await,
        Command::Rule(command) => rules::run(&Client::connect(&client)?, command).await,
        Command::Repo(command) => repositories::run(&Client::connect(&client)?, command).await,
        Command::Tag(command) => repositories::run_tag(&Client::connect(&client)?, command).await,
        Command::Manifest(command) => manifests::run(&Client::connect(&client)?, command).await,
        Command::Advisories(command) => advisories::run(&client, command).await,
        Command::Policy(command) => return policy::run(&client, command).await,
        Command::Waiver(command) => waivers::run(&Client::connect(&client)?, command).await,
        Command::InUse(command) => in_use::run(&Client::connect(&client)?, command).await,
        Command::Signer(command) => signers::run(&Client::connect(&client)?, command).await,
        Command::Affected(args) => affected::run(&Client::connect(&client)?, args).await,
        Command::Diff(args) => diff::run(&client, args).await,
        Command::Incident(command) => incidents::run(&Client::connect(&client)?, command).await,
        Command::App(command) => apps::run(&Client::connect(&client)?, command).await,
        Command::Catalog(command) => catalog::run(&client, command).await,
        Command::Base(command) => bases::run(&Client::connect(&client)?, command).await,
        Command::Road(command) => road::run(&client, command).await,
        Command::Maturity(command) => Box::pin(maturity::run(&client, *command)).await,
        Command::Evidence(command) => evidence::run(&Client::connect(&client)?, command).await,
        Command::Lineage(args) => lineage::run(&Client::connect(&client)?, args).await,
        Command::Rebase(args) => rebase::run(&Client::connect(&client)?, args).await,
        Command::Decision(args) => decisions::run(&Client::connect(&client)?, args).await,
        Command::BreakGlass(args) => break_glass::run(client.output, args),
        Command::Scan(args) => return Ok(scan::run(&client, *args).await),
        Command::Copy(args) => copy::run(&client, *args).await,
        Command::Sbom(args) => sbom::run(&client, &args).await,
        Command::Sink(command) => return sinks::run(&Client::connect(&client)?, command).await,
        Command::Delivery(command) => deliveries::run(&Client::connect(&client)?, command).await,
        Command::Traffic(args) => traffic::run(&Client::connect(&client)?, args).await,
        Command::Chart(command) => charts::run(&Client::connect(&client)?, command).await,
        Command::Upstream(command) => upstreams::run(&Client::connect(&client)?, command).await,
        Command::Audit(args) => audit::events(&Client::connect(&client)?, args).await,
        Command::Pulls(args) => audit::pulls(&Client::connect(&client)?, args).await,
        Command::Apply(args) => apply::run(&client, args).await,
        Command::Mirror(command) => Box::pin(mirror::run(client.output, command)).await,
        Command::Maintenance(command) => maintenance::run(&Client::connect(&client)?, command).await,
        Command::Gc(args) => housekeeping::collect(&client, args).await,
        Command::Fsck(args) => return housekeeping::check(&client, args).await,
        Command::Backup(args) => housekeeping::back_up(&client, args).await,
        Command::Restore(args) => housekeeping::restore(&client, args).await,
        Command::Config(command) => configuration::run(client.output, command),
        Command::Admin(command) => admin::run(client.output, command).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "roadbed", &mut io::stdout());
            Ok(())
        }
        Command::Version => {
            let version = serde_json::json!({ "version": env!("CARGO_PKG_VERSION") });
            output::show(client.output, &version, |_| {
                concat!(env!("CARGO_PKG_VERSION"), "\n").to_owned()
            })
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
