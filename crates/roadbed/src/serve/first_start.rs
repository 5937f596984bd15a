//! What a person who starts the server for the first time needs to see.

use std::io::{self, Write};

use access::SecretString;
use store::FIRST_ADMINISTRATOR;

use crate::config::Config;

/// Prints the administrator's password (once, and only here) and the line to log in with.
pub(super) fn greet(
    out: &mut impl Write,
    config: &Config,
    address: &str,
    generated: Option<&SecretString>,
) -> io::Result<()> {
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
            "  It is shown once and kept only as a hash. Lost? Stop the server, `roadbed admin reset-password`."
        )?;
        writeln!(out)?;
    }
    let host = config
        .server
        .public_url
        .as_ref()
        .and_then(|url| url.as_str().split_once("://"));
    let host = host.map_or(address, |(_, host)| host);
    writeln!(out, "log in with: docker login {host} -u {FIRST_ADMINISTRATOR}")
}
