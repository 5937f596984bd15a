//! `grant …`.

use access::{Role, RoleSet, Subject};
use clap::Subcommand;
use oci::RepoPattern;
use web::wire::GrantEntry;

use crate::client::{Client, segment};
use crate::output;

/// Most grants that a list shows.
const MOST: usize = 100_000;

/// What to do with grants.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Patterns: `team/app` is one repository, `team/*` is one level, `team/**` is everything below,
`**` is everything.
Roles: pull, inspect, push, delete, admin, separated by commas. All imply pull, admin implies all
but inspect, which is for pulling also what policy refuses. Who holds admin on a pattern manages its grants and rules and may delete its repositories.
Users, robots, the audit log, backups and the like are for administrators of the registry only
(`roadbed user promote`); admin on `**` does not make one.

Examples:
  roadbed grant add ci 'team/**' push
  roadbed grant add anonymous 'public/**' pull")]
pub(crate) enum GrantCommand {
    /// List the grants of patterns that you administer
    List,
    /// Give roles; the ones that the subject has on this pattern are replaced
    Add {
        /// Name of a user or robot, `authenticated` (everybody who signed in) or `anonymous` (everybody)
        subject: Subject,
        /// Repositories
        pattern: RepoPattern,
        /// Roles, separated by commas
        roles: RoleSet,
    },
    /// Take a grant away
    Remove {
        /// Whom it is for
        subject: Subject,
        /// The pattern exactly as it was granted
        pattern: RepoPattern,
    },
}

/// Says what is likely not meant: a mistyped name, or everybody on the network writing.
async fn warn(client: &Client, grant: &GrantEntry) {
    match &grant.subject {
        Subject::Anonymous if grant.roles != RoleSet::of(Role::Pull) => output::note(format!(
            "warning: everybody who reaches the registry, signed in or not, holds {} on {} now",
            grant.roles, grant.pattern
        )),
        Subject::Principal(name) => {
            let user = client.exists(&format!("/users/{}", segment(name))).await;
            let robot = client.exists(&format!("/robots/{}", segment(name))).await;
            if (user, robot) == (Some(false), Some(false)) {
                output::note(format!(
                    "warning: there is no user or robot {name}; the grant is for whoever gets that name"
                ));
            }
        }
        _ => {}
    }
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: GrantCommand) -> anyhow::Result<()> {
    match command {
        GrantCommand::List => {
            let grants: Vec<GrantEntry> = client.list("/grants", &[], MOST).await?;
            output::show(client.format(), &grants, |grants| {
                let rows = grants.iter().map(|grant| {
                    [
                        grant.subject.to_string(),
                        grant.pattern.to_string(),
                        grant.roles.to_string(),
                    ]
                });
                output::table(["SUBJECT", "PATTERN", "ROLES"], rows)
            })
        }
        GrantCommand::Add {
            subject,
            pattern,
            roles,
        } => {
            let grant = GrantEntry {
                subject,
                pattern,
                roles,
            };
            let set: GrantEntry = client.post("/grants", &grant).await?;
            warn(client, &set).await;
            output::show(client.format(), &set, |set| {
                format!("{} holds {} on {}.\n", set.subject, set.roles, set.pattern)
            })
        }
        GrantCommand::Remove { subject, pattern } => {
            let query = [("subject", subject.to_string()), ("pattern", pattern.to_string())];
            client.delete("/grants", &query).await?;
            output::done(
                client.format(),
                format!("{subject} holds nothing on {pattern} any more."),
            )
        }
    }
}
