//! `user …`.

use clap::Subcommand;
use web::wire::{NewPassword, NewUser, OwnPassword, PrincipalChange, PrincipalEntry};

use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;
use crate::prompt::{self, PasswordArgs};

/// Most principals that a list shows.
pub(super) const MOST: usize = 100_000;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List users
    List,
    /// Make a user; asks for the password
    Create {
        /// Name
        name: String,
        /// The user may do everything
        #[arg(long)]
        administrator: bool,
        /// When the account ends: a date, a moment (RFC 3339) or a span such as 90d
        #[arg(long, value_name = "WHEN")]
        not_after: Option<MomentArg>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Delete a user with the grants to its name
    Delete {
        /// Name
        name: String,
    },
    /// Disable a user: it can no longer sign in, nor go on where it is signed in
    Disable {
        /// Name
        name: String,
    },
    /// Enable a user again
    Enable {
        /// Name
        name: String,
    },
    /// Make a user an administrator of the registry, who may do everything
    Promote {
        /// Name
        name: String,
    },
    /// Make an administrator a user like others: what is granted to it stays
    Demote {
        /// Name
        name: String,
    },
    /// Change a password: one's own, or as an administrator somebody else's
    Password {
        /// Name [default: one's own]
        name: Option<String>,
        /// For one's own: two lines, the present password and the next
        #[command(flatten)]
        password: PasswordArgs,
    },
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::List => list(client).await,
        UserCommand::Create {
            name,
            administrator,
            not_after,
            password,
        } => {
            let password = prompt::chosen(password, &format!("Password for {name}: "))?;
            let not_after = not_after.map(MomentArg::ahead);
            let user = NewUser {
                name: name.parse()?,
                password,
                administrator,
                not_after,
            };
            let made: PrincipalEntry = client.post("/users", &user).await?;
            output::show(client.format(), &made, |made| {
                format!("User {} was made.\n", made.name)
            })
        }
        UserCommand::Delete { name } => delete(client, "/users", &name).await,
        UserCommand::Disable { name } => set_disabled(client, "/users", &name, true).await,
        UserCommand::Enable { name } => set_disabled(client, "/users", &name, false).await,
        UserCommand::Promote { name } => set_administrator(client, &name, true).await,
        UserCommand::Demote { name } => set_administrator(client, &name, false).await,
        UserCommand::Password {
            name: Some(name),
            password,
        } => {
            let password = prompt::chosen(password, &format!("New password of {name}: "))?;
            client
                .put_quietly(
                    &format!("/users/{}/password", segment(&name)),
                    &NewPassword { password },
                )
                .await?;
            output::done(
                client.format(),
                format!("The password of {name} was changed; whoever used the old one is out."),
            )
        }
        UserCommand::Password { name: None, password } => own_password(client, password).await,
    }
}

async fn own_password(client: &Client, password: PasswordArgs) -> anyhow::Result<()> {
    let (old, new) = if password.password_stdin {
        let both = prompt::present(password, "")?;
        let (old, new) = both.split_once('\n').ok_or_else(|| {
            anyhow::anyhow!("write the present password on the first line and the next on the second")
        })?;
        (old.to_owned(), new.to_owned())
    } else {
        (
            prompt::present(password, "Present password: ")?,
            prompt::chosen(password, "New password: ")?,
        )
    };
    client
        .put_quietly("/session/password", &OwnPassword { old, new })
        .await?;
    output::done(
        client.format(),
        "Your password was changed; sign in again with `roadbed login`.",
    )
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let users: Vec<PrincipalEntry> = client.list("/users", &[], MOST).await?;
    output::show(client.format(), &users, |users| {
        let rows = users.iter().map(|user| {
            let administrator = output::yes_or_no(user.administrator);
            let [disabled, ends, made] = state(user);
            [user.name.to_string(), administrator, disabled, ends, made]
        });
        output::table(["NAME", "ADMINISTRATOR", "DISABLED", "ENDS", "MADE"], rows)
    })
}

/// What a list says of users and of robots: whether disabled, when it ends, when it was made.
pub(super) fn state(principal: &PrincipalEntry) -> [String; 3] {
    let ends = principal.not_after.map(|moment| output::moment(moment.0));
    [
        output::yes_or_no(principal.disabled),
        ends.unwrap_or_else(|| "never".to_owned()),
        output::moment(principal.created_at.0),
    ]
}

/// Deletes a user or robot.
pub(crate) async fn delete(client: &Client, path: &str, name: &str) -> anyhow::Result<()> {
    client.delete(&format!("{path}/{}", segment(name)), &[]).await?;
    output::done(client.format(), format!("{name} was deleted."))
}

async fn set_administrator(client: &Client, name: &str, administrator: bool) -> anyhow::Result<()> {
    let change = PrincipalChange {
        administrator: Some(administrator),
        ..PrincipalChange::default()
    };
    let path = format!("/users/{}", segment(name));
    let changed: PrincipalEntry = client.patch(&path, &change).await?;
    output::show(client.format(), &changed, |changed| {
        let is = if changed.administrator { "an" } else { "no" };
        format!("{} is {is} administrator of the registry.\n", changed.name)
    })
}

/// Disables or enables a user or robot.
pub(crate) async fn set_disabled(
    client: &Client,
    path: &str,
    name: &str,
    disabled: bool,
) -> anyhow::Result<()> {
    let change = PrincipalChange {
        disabled: Some(disabled),
        ..PrincipalChange::default()
    };
    let changed: PrincipalEntry = client
        .patch(&format!("{path}/{}", segment(name)), &change)
        .await?;
    output::show(client.format(), &changed, |changed| {
        format!(
            "{} is {}.\n",
            changed.name,
            if changed.disabled { "disabled" } else { "enabled" }
        )
    })
}
