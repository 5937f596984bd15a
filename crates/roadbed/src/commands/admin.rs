//! `admin …`: on the data directory of a stopped server.

use std::path::PathBuf;

use access::{PrincipalName, SecretString};
use anyhow::Context as _;
use clap::Subcommand;
use store::{Actor, AdminError, FIRST_ADMINISTRATOR};

use crate::cli::Format;
use crate::prompt::{self, PasswordArgs};
use crate::{local, output};

/// What to do without a server.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Set a user's password and print it once; the way back in for whoever forgot it
    ///
    /// The user is enabled, and made an administrator if there is no other.
    ResetPassword {
        /// Data directory of the stopped server
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Name of the user
        #[arg(long, default_value = FIRST_ADMINISTRATOR)]
        user: PrincipalName,
        #[command(flatten)]
        password: PasswordArgs,
    },
}

/// Carries out a command.
pub(crate) async fn run(format: Format, command: AdminCommand) -> anyhow::Result<()> {
    let AdminCommand::ResetPassword { data, user, password } = command;
    let chosen = if password.password_stdin {
        Some(prompt::present(password, "")?)
    } else {
        None
    };
    if let Some(chosen) = &chosen {
        // Before anything is changed: the reset and the choice are two steps.
        access::password::check_strength(chosen)?;
    }
    local::expect_registry(&data)?;
    let reset = store::reset_password(&data, &user)
        .await
        .map_err(|error| match error {
            AdminError::Store(error) => error.into(),
            error => anyhow::Error::from(error),
        });
    let instead = format!("let an administrator run `roadbed user password {user}`");
    let generated = local::explain(reset, &instead)?;
    match chosen {
        None => {
            output::note(format!("New password of {user}, shown this once:"));
            let shown = serde_json::json!({ "user": user, "password": generated.expose() });
            output::show(format, &shown, |_| format!("{}\n", generated.expose()))
        }
        Some(chosen) => {
            let store = local::open(&data).await?;
            let set = store
                .set_password(
                    &Actor::operator("reset-password"),
                    &user,
                    &SecretString::new(chosen),
                )
                .await;
            set.with_context(|| format!("the password of {user} was reset but not set to yours: try again"))?;
            local::close(store).await?;
            output::done(format, format!("The password of {user} was set."))
        }
    }
}
