//! `yarn.lock`, of version 1 and of the later ones, which look alike line by line.

use super::add;
use crate::FileError;
use crate::packages::gather::{Gather, lines, split_at_sign};

/// Protocols of what is not from a registry.
const LOCAL: [&str; 5] = ["workspace:", "link:", "portal:", "file:", "git"];

/// One block in the making.
#[derive(Default)]
struct Block<'a> {
    /// The first descriptor: `name@range`.
    descriptor: &'a str,
    version: &'a str,
    /// Later versions only: `name@npm:version`.
    resolution: &'a str,
}

/// Reads a lockfile.
pub(super) fn read(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let mut block = Block::default();
    for line in lines(text).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if !line.starts_with(' ') {
            block.add(gather)?;
            let first = line.split(',').next().unwrap_or_default();
            block = Block {
                descriptor: unquoted(first),
                ..Block::default()
            };
        } else if let Some(field) = line.strip_prefix("  ").filter(|field| !field.starts_with(' ')) {
            let (key, value) = field.split_once(' ').unwrap_or((field, ""));
            match key.trim_end_matches(':') {
                "version" => block.version = unquoted(value),
                "resolution" => block.resolution = unquoted(value),
                _ => {}
            }
        }
    }
    block.add(gather)
}

impl Block<'_> {
    fn add(&self, gather: &mut Gather<'_>) -> Result<(), FileError> {
        let named = if self.resolution.is_empty() {
            self.descriptor
        } else {
            self.resolution
        };
        let Some((name, range)) = split_at_sign(named) else {
            return Ok(());
        };
        if LOCAL.iter().any(|protocol| range.starts_with(protocol)) {
            return Ok(());
        }
        // An alias of version 1: `mine@npm:theirs@^1`.
        let aliased = range.strip_prefix("npm:").and_then(split_at_sign);
        let name = aliased.map_or(name, |(theirs, _)| theirs);
        Ok(add(gather, name, self.version)?)
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_end_matches(':').trim_matches('"')
}
