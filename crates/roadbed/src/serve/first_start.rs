//! What a person who starts the server for the first time needs to see.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use access::SecretString;
use anyhow::Context as _;
use store::{FIRST_ADMINISTRATOR, Store};

use crate::config::Config;

/// Password of the first administrator, where the data directory is empty.
const ADMIN_PASSWORD: &str = "ROADBED_ADMIN_PASSWORD";

/// Makes the administrator of an empty data directory; answers the password if it had to be generated.
pub(super) async fn make_administrator(store: &Store) -> anyhow::Result<Option<SecretString>> {
    let password = std::env::var(ADMIN_PASSWORD)
        .ok()
        .filter(|password| !password.is_empty());
    let password = password.map(SecretString::from);
    let made = store.ensure_administrator(password.as_ref()).await;
    made.context("cannot make the first administrator")
}

/// Prints the administrator's password (once, and only here) and the line to log in with.
pub(super) fn greet(
    out: &mut impl Write,
    config: &Config,
    data_dir: &Path,
    address: SocketAddr,
    generated: Option<&SecretString>,
) -> io::Result<()> {
    let data_dir = data_dir.display();
    writeln!(out, "data in {data_dir}")?;
    if let Some(password) = generated {
        writeln!(out)?;
        writeln!(
            out,
            "  first start: administrator `{FIRST_ADMINISTRATOR}` with password"
        )?;
        writeln!(out)?;
        writeln!(out, "      {}", password.expose())?;
        writeln!(out)?;
        writeln!(
            out,
            "  It is shown once and kept only as a hash. Lost? Stop the server, then"
        )?;
        writeln!(out, "  roadbed admin reset-password --data {data_dir}")?;
        writeln!(out)?;
    }
    let public = config
        .server
        .public_url
        .as_ref()
        .and_then(|url| url.as_str().split_once("://"));
    let host = match public {
        Some((_, host)) => host.to_owned(),
        None if address.ip().is_unspecified() => format!("<name of this host>:{}", address.port()),
        None => address.to_string(),
    };
    writeln!(out, "log in with: docker login {host} -u {FIRST_ADMINISTRATOR}")
}
