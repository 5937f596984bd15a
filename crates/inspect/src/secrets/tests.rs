//! What the rules find and what a file may cost.

mod borders;
mod examples;
mod gitleaks;
mod hostile;

use std::io::Cursor;

use findings::ByteFinding;

use super::{Pack, SecretLimits, Secrets};
use crate::{Content, File, FileError};

fn own() -> Secrets {
    Secrets::new(vec![Pack::own().unwrap()], SecretLimits::default())
}

fn with(rules: &str) -> Secrets {
    Secrets::new(vec![Pack::parse("test", rules).unwrap()], SecretLimits::default())
}

fn look(secrets: &mut Secrets, path: &str, bytes: &[u8]) -> (Vec<ByteFinding>, Result<(), FileError>) {
    let mut findings = Vec::new();
    let mut file = File {
        path,
        size: bytes.len() as u64,
        mode: 0o644,
        content: Content::of(bytes),
    };
    let done = secrets.look(&mut file, &mut findings);
    (findings, done)
}

fn look_spooled(
    secrets: &mut Secrets,
    path: &str,
    bytes: &[u8],
) -> (Vec<ByteFinding>, Result<(), FileError>) {
    let mut findings = Vec::new();
    let mut spool = Cursor::new(bytes);
    let mut file = File {
        path,
        size: bytes.len() as u64,
        mode: 0o644,
        content: Content::Spooled(&mut spool),
    };
    let done = secrets.look(&mut file, &mut findings);
    (findings, done)
}
