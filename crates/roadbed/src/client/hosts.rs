//! The registry that an image's name says.

use std::net::IpAddr;

use oci::RepoName;
use reqwest::Url;

use super::docker_config::{self, Login};
use super::{Client, Credentials, Saved, authority, base_url};
use crate::cli::ClientArgs;

impl Client {
    /// A client of the registry that `host` names, or of the one of `--url` or the last sign-in.
    ///
    /// What the environment says of user and password goes to the registry of `--url` or the last sign-in only: whoever scans an
    /// image from somewhere must not hand out their password by it.
    pub(crate) fn of_image(args: &ClientArgs, host: Option<&str>) -> anyhow::Result<Self> {
        let Some(host) = host else {
            return match (Self::connect(args), args.url.as_deref()) {
                // Some repositories may be pulled by everybody; whoever may not is told so by the registry.
                (Err(_), Some(url)) => Self::anonymous(args, url),
                (client, _) => client,
            };
        };
        let saved = Saved::load()?;
        let own = args
            .url
            .as_deref()
            .or(saved.current())
            .map(base_url)
            .transpose()?;
        if let Some(base) = own.filter(|base| authority(base) == host) {
            let credentials = Credentials::find(&saved, &base).ok();
            return Self::new(args, base, credentials);
        }
        let base = base_url(&origin(host))?;
        let credentials = saved.token(&base).map(Credentials::Token);
        Self::new(args, base, credentials)
    }
}

impl Client {
    /// The same client with what docker or podman keep for its registry. `None`: nothing that the API takes.
    pub(crate) async fn signed_in_by_docker(&self, repository: &RepoName) -> anyhow::Result<Option<Self>> {
        let login = docker_config::login(&authority(&self.base), repository.as_str()).await?;
        let Some(Login::Password { user, password }) = login else {
            return Ok(None);
        };
        Ok(Some(Self {
            http: self.http.clone(),
            base: self.base.clone(),
            credentials: Some(Credentials::Password { user, password }),
            format: self.format,
        }))
    }
}

impl Client {
    /// Where the registry is that `host` names, and what it is told: what the environment says goes to the registry of `--url` or
    /// the last sign-in only, all others get what docker or podman keep.
    pub(crate) async fn way_to_image(
        args: &ClientArgs,
        host: &str,
        repository: &RepoName,
    ) -> anyhow::Result<(Url, Option<Login>)> {
        let client = Self::of_image(args, Some(host))?;
        let login = match client.credentials {
            Some(Credentials::Password { user, password }) => Some(Login::Password { user, password }),
            // What `roadbed login` saves is a token for the JSON API only.
            Some(Credentials::Token(_)) | None => docker_config::login(host, repository.as_str()).await?,
        };
        Ok((client.base, login))
    }
}

/// A registry on this machine is seldom one with TLS; docker and podman take it so too.
fn origin(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_here = name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let scheme = if is_here { "http" } else { "https" };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        for (host, url) in [
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("registry.example:5000", "https://registry.example:5000"),
            ("127.0.0.1.evil.example", "https://127.0.0.1.evil.example"),
        ] {
            assert_eq!(origin(host), url);
        }
    }
}
