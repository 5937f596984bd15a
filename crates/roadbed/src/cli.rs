//! The command line: what there is. What a command does stands in its module below [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::serve::ServeArgs;
use crate::commands::{
    admin, advisories, affected, apply, apps, audit, bases, break_glass, catalog, charts, configuration,
    copy, decisions, deliveries, diff, evidence, grants, housekeeping, in_use, incidents, lineage, login,
    maintenance, manifests, maturity, mirror, policy, rebase, repositories, road, robots, rules, sbom, scan,
    signers, sinks, traffic, upstreams, users, waivers,
};

const EXAMPLES: &str = "\
Examples:
  roadbed serve                                  serve on 127.0.0.1:5000, data in your home
  roadbed serve --data /srv/roadbed --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem
  roadbed login https://registry.example         sign in; later commands use what it saves
  roadbed user create ann                        asks for the password
  roadbed grant add ann 'team/**' push
  roadbed robot create ci                        shows the robot's secret once
  roadbed scan app.tar --advisories osv-export/  what is wrong with an image, before it is pushed
  roadbed affected CVE-2021-44228                which images have it, whose they are, what fixes it
  roadbed apply -f access/ --dry-run --prune     what would change to match the files

Exit status: 0 it was done, 1 it failed (or a check found something), 2 the command line is wrong.";

/// Self-hosted registry for container images, and its command line.
#[derive(Debug, Parser)]
#[command(name = "roadbed", version, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to reach the registry, and how to answer. The user and password come from `roadbed login`, or from the
/// environment variables `ROADBED_USER` and `ROADBED_PASSWORD`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Address of the registry, such as `https://registry.example` [default: the one last signed in to]
    #[arg(
        long,
        global = true,
        env = "ROADBED_URL",
        value_name = "URL",
        help_heading = "Registry"
    )]
    pub(crate) url: Option<String>,
    /// File of certificates (PEM) to trust besides the system's own
    #[arg(
        long,
        global = true,
        env = "ROADBED_CA_CERT",
        value_name = "FILE",
        help_heading = "Registry"
    )]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Believe any certificate; whoever is in between can read the password
    #[arg(long, global = true, help_heading = "Registry")]
    pub(crate) insecure: bool,
    /// How to print: for people, or for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    // Without a help text each, the help of every command stays short.
    Table,
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the registry
    Serve(ServeArgs),
    /// Look into the blob that comes through standard input; what `serve` starts for each one
    #[command(name = "inspect-blob", hide = true)]
    InspectBlob(crate::worker::child::ChildArgs),
    /// Sign in to a registry and save a token for later commands
    Login(login::LoginArgs),
    /// Forget a saved token
    Logout,
    /// Say who is signed in and what they may do
    Whoami,
    /// Manage users
    #[command(subcommand)]
    User(users::UserCommand),
    /// Manage robots: programs with generated secrets
    #[command(subcommand)]
    Robot(robots::RobotCommand),
    /// Manage who may do what where
    #[command(subcommand)]
    Grant(grants::GrantCommand),
    /// Manage rules: immutable tags, quotas, deletion
    #[command(subcommand)]
    Rule(rules::RuleCommand),
    /// Look at repositories and delete them
    #[command(subcommand)]
    Repo(repositories::RepoCommand),
    /// Look at tags and delete them
    #[command(subcommand)]
    Tag(repositories::TagCommand),
    /// Look at manifests, untagged ones too, and delete them
    #[command(subcommand)]
    Manifest(manifests::ManifestCommand),
    /// Fetch and import advisories, and see how current they are
    #[command(subcommand)]
    Advisories(advisories::AdvisoryCommand),
    /// Check, try and set the policy: what is asked of images
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Ask for waivers of findings, and approve them
    #[command(subcommand)]
    Waiver(waivers::WaiverCommand),
    /// Say which images run although nobody pulled them from here lately
    #[command(subcommand)]
    InUse(in_use::InUseCommand),
    /// Manage whose signatures count, and whose VEX
    #[command(subcommand)]
    Signer(signers::SignerCommand),
    /// Say which images have a vulnerability, a package, a file or a class, whose they are and what fixes it
    Affected(affected::AffectedArgs),
    /// Say which packages and findings one image has and another one has not
    Diff(diff::DiffArgs),
    /// Follow vulnerabilities until nobody is affected any more
    #[command(subcommand)]
    Incident(incidents::IncidentCommand),
    /// Manage applications: whose repositories are
    #[command(subcommand)]
    App(apps::AppCommand),
    /// Take in what files of teams say about applications and bases
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Manage approved bases: what images should be built on
    #[command(subcommand)]
    Base(bases::BaseCommand),
    /// Check and apply the catalogue of the road, and see who is on it
    #[command(subcommand)]
    Road(road::RoadCommand),
    /// Say where applications, teams and the organisation stand, why, and what is worth doing next
    #[command(subcommand)]
    Maturity(Box<maturity::MaturityCommand>),
    /// Tell facts from elsewhere: of builds, tests, deployments, drills
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Say whose an image is, what it stands on, and where that is on the road
    Lineage(lineage::LineageArgs),
    /// Put an image on the newest release of its base without building it again, or say why that cannot be
    Rebase(rebase::RebaseArgs),
    /// Say what becomes of an image when it is pulled, and why
    Decision(decisions::DecisionArgs),
    /// Let pulls pass whatever was decided, for a while; on the machine of the server
    BreakGlass(break_glass::BreakGlassArgs),
    /// Look into an image, a directory or an SBOM and say what is wrong with it
    Scan(Box<scan::ScanArgs>),
    /// Copy images between registries, and to and from a directory
    Copy(Box<copy::CopyArgs>),
    /// Print the SBOM of an image in the registry, from what is known of it
    Sbom(sbom::SbomArgs),
    /// Manage who is told what happens: webhooks, chats, ticket systems, mail
    #[command(subcommand)]
    Sink(sinks::SinkCommand),
    /// Look at what sinks are told, and try again
    #[command(subcommand)]
    Delivery(deliveries::DeliveryCommand),
    /// Show who uses what now, and throttle or ban somebody for a while
    Traffic(traffic::TrafficArgs),
    /// See which images Helm charts name
    #[command(subcommand)]
    Chart(charts::ChartCommand),
    /// See the registries that are pulled through, and have images fetched from them
    #[command(subcommand)]
    Upstream(upstreams::UpstreamCommand),
    /// Show the audit log
    Audit(audit::AuditArgs),
    /// Show who pulled what
    Pulls(audit::PullsArgs),
    /// Make users, robots, grants, rules, signers and the policy what files say
    Apply(apply::ApplyArgs),
    /// Run a mirror of the registry on a node, and tell containerd of it
    #[command(subcommand)]
    Mirror(mirror::MirrorCommand),
    /// Make the registry read-only while something is done to it
    #[command(subcommand)]
    Maintenance(maintenance::MaintenanceCommand),
    /// Collect what nobody refers to
    Gc(housekeeping::GcArgs),
    /// Check what is stored against its digests
    Fsck(housekeeping::FsckArgs),
    /// Write a consistent copy of everything, while serving
    Backup(housekeeping::BackupArgs),
    /// Make a data directory from a backup
    Restore(housekeeping::RestoreArgs),
    /// Check and show the server's configuration
    #[command(subcommand)]
    Config(configuration::ConfigCommand),
    /// Work on the data directory of a stopped server
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}
