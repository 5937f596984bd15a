//! `maturity …`: where applications, teams and the organisation stand, why, and what is worth doing next.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use maturity::words::{CriterionId, RecordId};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::moment::MomentArg;

mod declare;
mod figures;
mod local;
mod report;
mod shown;
mod vouch;
pub(crate) mod whom;

use whom::Whom;

/// What to do about maturity.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
WHOM is an application (shop/checkout, or app:shop/checkout), team:NAME, platform:NAME or org.

Examples:
  roadbed maturity show shop/checkout            levels, targets, what is in the way, the next drop
  roadbed maturity why shop/checkout TE-CON-2    what was asked, what was found, in which events
  roadbed maturity next shop/checkout            the three actions that gain most
  roadbed maturity attest team:shop PE-SEC-2 --link https://wiki.example/security
  roadbed maturity report --format html > report.html
  roadbed maturity check acme.yaml               what is wrong with a model; no registry is asked")]
pub(crate) enum MaturityCommand {
    /// Show where an application, a team or the organisation stands
    Show {
        /// Whom: an application, team:NAME, platform:NAME or org
        whom: Whom,
    },
    /// Say why a criterion is in its state: what was asked, what was found, in which evidence and events
    Why {
        /// Whom
        whom: Whom,
        /// Which criterion, such as TE-CON-2
        criterion: CriterionId,
    },
    /// Show the actions that gain most towards the targets of an application
    Next {
        /// Which application
        app: Whom,
    },
    /// Show what became otherwise and why, the newest first; or how it all was at a moment
    History {
        /// Whom
        whom: Whom,
        /// Where it stood at the end of this day or at this moment, by what was known then
        #[arg(long, value_name = "WHEN", conflicts_with = "limit")]
        as_of: Option<MomentArg>,
        /// How many changes
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Write what a leader reads in two minutes: where strong, where weak, what moved and why, what is unknown
    Report(report::ReportArgs),
    /// Show the figures: versions shipped, lead time, failures, time to remediate and others, each with its coverage
    Kpis,
    /// Vouch for a criterion, until a day
    Attest(vouch::AttestArgs),
    /// Confirm, as a second person, what somebody vouches for
    Confirm {
        /// Id of the attestation
        id: RecordId,
    },
    /// Vouch on, with what can be seen now
    Renew(vouch::RenewArgs),
    /// Take back what was vouched for
    Revoke {
        /// Id of the attestation
        id: RecordId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List what people vouch for
    Attestations {
        /// Only for this one
        #[arg(long, value_name = "WHOM")]
        subject: Option<Whom>,
        /// Only for this criterion
        #[arg(long, value_name = "CRITERION")]
        criterion: Option<CriterionId>,
    },
    /// List what people have to look at: what ended, ends soon, waits for a second person, or is due
    Inbox {
        /// Only that for which you may vouch
        #[arg(long)]
        mine: bool,
        /// How long before its end something is listed, in days
        #[arg(long, value_name = "DAYS")]
        soon: Option<u16>,
    },
    /// Set the levels that an application aims at, in place of those before
    Target(declare::TargetArgs),
    /// Agree on changes by a date
    #[command(subcommand)]
    Campaign(declare::CampaignCommand),
    /// See and say who may vouch in which role
    #[command(subcommand)]
    Role(declare::RoleCommand),
    /// Freeze the 12 full weeks before a moment, to compare the figures with
    Baseline {
        /// Why these weeks
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Before this moment; by default now
        #[arg(long, value_name = "WHEN")]
        end: Option<MomentArg>,
    },
    /// Apply models and extensions, or say what they would move
    Apply(declare::ApplyArgs),
    /// Say what is wrong with models and extensions; no registry is asked
    ///
    /// Extensions find what they extend among the files and the models that are shipped.
    /// Exit status: 1 when anything is wrong; every mistake is told with file and line.
    Check {
        /// YAML
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Print a model that is shipped, as YAML; no registry is asked
    Model {
        /// Which one
        #[arg(value_parser = local::SHIPPED, default_value = "cnmm")]
        id: String,
    },
    /// Print a JSON schema, for editors; no registry is asked
    Schema {
        /// Of what
        #[arg(value_enum, default_value_t = SchemaOf::Model)]
        of: SchemaOf,
    },
    /// Say where one stands among others who share anonymous documents; no registry is asked
    Compare(CompareArgs),
}

/// What there are schemas of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SchemaOf {
    Model,
    Evidence,
    Anonymous,
}

/// Options of `maturity compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// One's own document
    own: PathBuf,
    /// Those of others; fewer than five are not compared
    #[arg(value_name = "OTHERS", required = true)]
    others: Vec<PathBuf>,
}

/// Carries out a command.
pub(crate) async fn run(args: &ClientArgs, command: MaturityCommand) -> Result<()> {
    match command {
        MaturityCommand::Check { files } => local::check(args.output, &files),
        MaturityCommand::Model { id } => local::model(&id),
        MaturityCommand::Schema { of } => local::schema(of),
        MaturityCommand::Compare(compare) => local::compare(args.output, &compare.own, &compare.others),
        asking => ask(&Client::connect(args)?, asking).await,
    }
}

async fn ask(client: &Client, command: MaturityCommand) -> Result<()> {
    match command {
        MaturityCommand::Show { whom } => shown::show(client, whom).await,
        MaturityCommand::Why { whom, criterion } => shown::why(client, whom, &criterion).await,
        MaturityCommand::Next { app } => shown::next(client, app).await,
        MaturityCommand::History { whom, as_of, limit } => match as_of {
            Some(as_of) => shown::stood(client, whom, as_of).await,
            None => shown::history(client, whom, limit).await,
        },
        MaturityCommand::Report(args) => report::run(client, &args).await,
        MaturityCommand::Kpis => figures::run(client).await,
        MaturityCommand::Attest(args) => vouch::attest(client, args).await,
        MaturityCommand::Confirm { id } => vouch::confirm(client, &id).await,
        MaturityCommand::Renew(args) => vouch::renew(client, args).await,
        MaturityCommand::Revoke { id, reason } => vouch::revoke(client, &id, reason).await,
        MaturityCommand::Attestations { subject, criterion } => vouch::list(client, subject, criterion).await,
        MaturityCommand::Inbox { mine, soon } => vouch::inbox(client, mine, soon).await,
        MaturityCommand::Target(args) => declare::target(client, args).await,
        MaturityCommand::Campaign(command) => declare::campaign(client, command).await,
        MaturityCommand::Role(command) => declare::role(client, command).await,
        MaturityCommand::Baseline { reason, end } => declare::baseline(client, reason, end).await,
        MaturityCommand::Apply(args) => declare::apply(client, args).await,
        // They ask no registry.
        MaturityCommand::Check { .. }
        | MaturityCommand::Model { .. }
        | MaturityCommand::Schema { .. }
        | MaturityCommand::Compare(_) => Ok(()),
    }
}
