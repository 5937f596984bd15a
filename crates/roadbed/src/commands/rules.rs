//! `rule …`.

use clap::Subcommand;
use oci::RepoPattern;
use store::{Becoming, Step};
use web::wire::{RuleEntry, SetRule};

use super::apply::steps;
use crate::client::Client;
use crate::config::Size;
use crate::output;

/// Most rules that a list shows.
const MOST: usize = 100_000;

/// What to do with rules.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
The most specific pattern applies alone; rules do not add up. Setting one replaces the whole rule
of its pattern: name all that shall hold. What it was is shown (`quota 10GiB -> 50GiB`).

Examples:
  roadbed rule set 'release/**' --immutable-tags 'v*' --no-deletion
  roadbed rule set 'team/**' --quota-bytes 50GiB --quota-tags 1000")]
pub(crate) enum RuleCommand {
    /// List the rules of patterns that you administer
    List,
    /// Set the rule of a pattern; the one that it has is replaced as a whole, and shown
    #[command(group(clap::ArgGroup::new("limits").required(true).multiple(true)))]
    Set {
        /// Repositories
        pattern: RepoPattern,
        /// Tags that can be set once and then neither moved nor deleted: globs, `!` in front excepts, the last match
        /// decides
        #[arg(long, value_name = "GLOB", value_delimiter = ',', group = "limits")]
        immutable_tags: Vec<String>,
        /// Bytes that each repository may hold, such as 50GiB
        #[arg(long, value_name = "SIZE", group = "limits")]
        quota_bytes: Option<Size>,
        /// Tags that each repository may hold
        #[arg(long, value_name = "COUNT", group = "limits")]
        quota_tags: Option<u64>,
        /// Nothing may be deleted
        #[arg(long, group = "limits")]
        no_deletion: bool,
        /// None of these: takes the pattern out of a wider rule
        #[arg(
            long,
            group = "limits",
            conflicts_with_all = ["immutable_tags", "quota_bytes", "quota_tags", "no_deletion"]
        )]
        no_limits: bool,
    },
    /// Remove the rule of a pattern
    Remove {
        /// The pattern exactly as it was set
        pattern: RepoPattern,
    },
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: RuleCommand) -> anyhow::Result<()> {
    match command {
        RuleCommand::List => {
            let rules: Vec<RuleEntry> = client.list("/rules", &[], MOST).await?;
            output::show(client.format(), &rules, |rules| table(rules))
        }
        RuleCommand::Set {
            pattern,
            immutable_tags,
            quota_bytes,
            quota_tags,
            no_deletion,
            no_limits: _,
        } => {
            let rule = RuleEntry {
                pattern,
                immutable_tags: Some(immutable_tags).filter(|tags| !tags.is_empty()),
                quota_bytes: quota_bytes.map(|size| size.0),
                quota_tags,
                deletion: !no_deletion,
            };
            let set: SetRule = client.put("/rules", &rule).await?;
            output::show(client.format(), &set, |set| {
                let SetRule { rule, was } = set.clone();
                let becoming = Becoming {
                    to: rule.into(),
                    was: was.map(Into::into),
                };
                format!("{}\n", steps::describe(&Step::SetRule(becoming)))
            })
        }
        RuleCommand::Remove { pattern } => {
            client
                .delete("/rules", &[("pattern", pattern.to_string())])
                .await?;
            output::done(client.format(), format!("{pattern} has no rule any more."))
        }
    }
}

fn table(rules: &[RuleEntry]) -> String {
    let rows = rules.iter().map(|rule| {
        [
            rule.pattern.to_string(),
            rule.immutable_tags.clone().unwrap_or_default().join(","),
            rule.quota_bytes
                .map(|bytes| Size(bytes).to_string())
                .unwrap_or_default(),
            rule.quota_tags.map(|tags| tags.to_string()).unwrap_or_default(),
            if rule.deletion { "allowed" } else { "forbidden" }.to_owned(),
        ]
    });
    output::table(["PATTERN", "IMMUTABLE TAGS", "QUOTA", "TAGS", "DELETION"], rows)
}
