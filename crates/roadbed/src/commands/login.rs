//! `login`, `logout`, `whoami`.

use anyhow::{Context as _, bail};
use reqwest::Url;
use web::wire::{IssuedSession, NewSession, Whoami};

use crate::cli::ClientArgs;
use crate::client::{Client, Saved};
use crate::output;
use crate::prompt::{self, PasswordArgs};

/// Options of `login`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  roadbed login https://registry.example --user ann
  cat secret | roadbed login registry.example --user ci --password-stdin")]
pub(crate) struct LoginArgs {
    /// Address of the registry
    #[arg(value_name = "URL")]
    address: Option<String>,
    /// Name of a user or robot
    #[arg(long, short, env = "ROADBED_USER", default_value = "admin")]
    user: String,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Exchanges a password for a token and saves that.
pub(crate) async fn login(client: &ClientArgs, args: LoginArgs) -> anyhow::Result<()> {
    let Some(url) = args.address.as_deref().or(client.url.as_deref()) else {
        bail!("no registry is named: run `roadbed login https://registry.example`");
    };
    let mut saved = Saved::load()?;
    let api = Client::anonymous(client, url)?;
    warn_of_plain_http(api.base());
    let password = match std::env::var("ROADBED_PASSWORD") {
        Ok(password) if !password.is_empty() && !args.password.password_stdin => password,
        _ => prompt::present(
            args.password,
            &format!("Password of {} at {}: ", args.user, api.base()),
        )?,
    };
    let asked = NewSession {
        user: args.user,
        password,
        lifetime_seconds: None,
    };
    let session: IssuedSession = api.post("/session", &asked).await?;
    saved.keep(api.base(), &session)?;
    output::done(
        client.output,
        format!(
            "Signed in to {} as {} until {}.",
            api.base(),
            session.user,
            output::moment(session.expires_at.0)
        ),
    )
}

fn warn_of_plain_http(base: &Url) {
    let is_loopback = base.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    if base.scheme() == "http" && !is_loopback {
        output::note(format!(
            "warning: the password goes to {base} unencrypted; use https"
        ));
    }
}

/// Forgets a token. It stays valid until it ends: change the password to end it now.
pub(crate) fn logout(client: &ClientArgs) -> anyhow::Result<()> {
    let mut saved = Saved::load()?;
    let url = client.url.clone().or_else(|| saved.current().map(str::to_owned));
    let url = url.context("nobody is signed in: there is nothing to forget")?;
    // The same spelling as it was saved under.
    let url = Client::anonymous(client, &url)?.base().to_string();
    if !saved.forget(&url)? {
        bail!("nobody is signed in to {url}");
    }
    output::done(client.output, format!("Signed out of {url}."))
}

/// Shows who is signed in.
pub(crate) async fn whoami(client: &Client) -> anyhow::Result<()> {
    let me: Whoami = client.get("/session", &[]).await?;
    output::show(client.format(), &me, |me| {
        let mut pairs = vec![
            ("registry", client.base().to_string()),
            ("name", me.name.to_string()),
            ("kind", me.kind.as_str().to_owned()),
            ("administrator", output::yes_or_no(me.administrator)),
        ];
        pairs.extend(
            me.expires_at
                .map(|moment| ("signed in until", output::moment(moment.0))),
        );
        let grants = me.grants.iter().map(|grant| {
            [
                grant.pattern.to_string(),
                grant.roles.to_string(),
                format!("as {}", grant.subject),
            ]
        });
        format!(
            "{}\n{}",
            output::properties(&pairs),
            output::table(["PATTERN", "ROLES", ""], grants)
        )
    })
}
