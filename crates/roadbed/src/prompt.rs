//! Passwords: from a prompt without echo, or from standard input. Never from the command line, where everybody on the
//! machine could read them.

use std::io::Read as _;

use anyhow::{Context as _, bail, ensure};

/// Longest line that is read as a password, in bytes; a token is longer than any password.
const MAX_SECRET_BYTES: u64 = 8 * 1024;

/// Where a password comes from.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// A password that exists already: asked for once.
pub(crate) fn present(args: PasswordArgs, prompt: &str) -> anyhow::Result<String> {
    if args.password_stdin {
        from_stdin()
    } else {
        ask(prompt)
    }
}

/// A password that is chosen: asked for twice.
pub(crate) fn chosen(args: PasswordArgs, prompt: &str) -> anyhow::Result<String> {
    if args.password_stdin {
        return from_stdin();
    }
    let password = ask(prompt)?;
    ensure!(
        password == ask("Once more: ")?,
        "the two passwords differ: nothing was changed"
    );
    Ok(password)
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    let password = rpassword::prompt_password(prompt);
    password.context("there is no terminal to ask for the password: use --password-stdin")
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text);
    let bytes = read.context("cannot read the password from standard input")?;
    ensure!(
        bytes as u64 <= MAX_SECRET_BYTES,
        "standard input holds more than a password"
    );
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        bail!("standard input holds no password");
    }
    Ok(password.to_owned())
}
