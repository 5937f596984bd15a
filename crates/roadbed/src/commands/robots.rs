//! `robot …`.

use clap::Subcommand;
use web::wire::{NewRobot, NewSecret, PrincipalEntry, SecretEntry, ShownSecret};

use super::users;
use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

const PATH: &str = "/robots";

/// What to do with robots.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    /// List robots
    List,
    /// Make a robot and its first secret, which is shown this once
    Create {
        /// Name
        name: String,
        /// When the robot ends: a date, a moment (RFC 3339) or a span such as 90d
        #[arg(long, value_name = "WHEN")]
        not_after: Option<MomentArg>,
        /// When its first secret ends, if before the robot
        #[arg(long, value_name = "WHEN")]
        secret_not_after: Option<MomentArg>,
    },
    /// Delete a robot with its secrets and the grants to its name
    Delete {
        /// Name
        name: String,
    },
    /// Disable a robot
    Disable {
        /// Name
        name: String,
    },
    /// Enable a robot again
    Enable {
        /// Name
        name: String,
    },
    /// Manage a robot's secrets: two may be valid at once, so that one can be replaced without a gap
    #[command(subcommand)]
    Secret(SecretCommand),
}

/// What to do with a robot's secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// List a robot's secrets, without the secrets themselves
    List {
        /// Name of the robot
        robot: String,
    },
    /// Make one more secret, which is shown this once
    Add {
        /// Name of the robot
        robot: String,
        /// When it ends: a date, a moment (RFC 3339) or a span such as 90d
        #[arg(long, value_name = "WHEN")]
        not_after: Option<MomentArg>,
    },
    /// Make a secret invalid at once
    Revoke {
        /// Name of the robot
        robot: String,
        /// Number of the secret, from `robot secret list`
        id: i64,
    },
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: RobotCommand) -> anyhow::Result<()> {
    match command {
        RobotCommand::List => list(client).await,
        RobotCommand::Create {
            name,
            not_after,
            secret_not_after,
        } => {
            let robot = NewRobot {
                name: name.parse()?,
                not_after: not_after.map(MomentArg::ahead),
                secret_not_after: secret_not_after.map(MomentArg::ahead),
            };
            show_secret(client, &client.post(PATH, &robot).await?)
        }
        RobotCommand::Delete { name } => users::delete(client, PATH, &name).await,
        RobotCommand::Disable { name } => users::set_disabled(client, PATH, &name, true).await,
        RobotCommand::Enable { name } => users::set_disabled(client, PATH, &name, false).await,
        RobotCommand::Secret(command) => run_secret(client, command).await,
    }
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let robots: Vec<PrincipalEntry> = client.list(PATH, &[], users::MOST).await?;
    output::show(client.format(), &robots, |robots| {
        let rows = robots.iter().map(|robot| {
            let [disabled, ends, made] = users::state(robot);
            [robot.name.to_string(), disabled, ends, made]
        });
        output::table(["NAME", "DISABLED", "ENDS", "MADE"], rows)
    })
}

async fn run_secret(client: &Client, command: SecretCommand) -> anyhow::Result<()> {
    match command {
        SecretCommand::List { robot } => {
            let secrets: Vec<SecretEntry> = client.list(&secrets_of(&robot), &[], 1_000).await?;
            output::show(client.format(), &secrets, |secrets| {
                let rows = secrets.iter().map(|secret| {
                    let ends = secret
                        .not_after
                        .map(|moment| output::moment(moment.0))
                        .unwrap_or_default();
                    [secret.id.to_string(), output::moment(secret.created_at.0), ends]
                });
                output::table(["ID", "MADE", "ENDS"], rows)
            })
        }
        SecretCommand::Add { robot, not_after } => {
            let new = NewSecret {
                not_after: not_after.map(MomentArg::ahead),
            };
            show_secret(client, &client.post(&secrets_of(&robot), &new).await?)
        }
        SecretCommand::Revoke { robot, id } => {
            client
                .delete(&format!("{}/{id}", secrets_of(&robot)), &[])
                .await?;
            output::done(
                client.format(),
                format!("Secret {id} of {robot} is no longer valid."),
            )
        }
    }
}

fn secrets_of(robot: &str) -> String {
    format!("{PATH}/{}/secrets", segment(robot))
}

/// Prints the secret alone on standard output, so that it can be piped, and what to know about it beside.
pub(crate) fn show_secret(client: &Client, shown: &ShownSecret) -> anyhow::Result<()> {
    output::show(client.format(), shown, |shown| {
        let ends = shown.not_after.map_or_else(String::new, |moment| {
            format!(" It ends {}.", output::moment(moment.0))
        });
        output::note(format!(
            "Secret {} of {}, shown this once.{ends}",
            shown.id, shown.robot
        ));
        format!("{}\n", shown.secret)
    })
}
