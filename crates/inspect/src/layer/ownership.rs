//! Which package of the distribution a file belongs to.

use std::{borrow::Cow, collections::HashMap};

use findings::FoundUnit;

/// Directories that distributions have merged into `usr`: the package may know either path.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Files of packages, as the distribution's catalogers stated them.
#[derive(Default)]
pub(super) struct Owners {
    packages: HashMap<String, String>,
    bytes: u64,
}

impl Owners {
    /// Notes a file; `false` if the notes would have more than `most` bytes.
    pub(super) fn add(&mut self, package: &str, path: &str, most: u64) -> bool {
        self.bytes += (package.len() + path.len()) as u64;
        if self.bytes > most {
            return false;
        }
        // Several packages may own one path: the first by name, whatever order they came in.
        let owner = self.packages.entry(merged(path).into_owned());
        let owner = owner.or_insert_with(|| package.to_owned());
        if package < owner.as_str() {
            package.clone_into(owner);
        }
        true
    }

    /// Marks the units of languages that packages of the distribution brought.
    pub(super) fn mark(&self, units: &mut [FoundUnit]) {
        for unit in units {
            let is_os =
                unit.unit.os.is_some() || unit.unit.packages.iter().any(|package| package.kind.is_os());
            if !is_os {
                unit.owned_by = self.packages.get(merged(&unit.path).as_ref()).cloned();
            }
        }
    }
}

/// The path with `usr` before directories that are merged into it.
fn merged(path: &str) -> Cow<'_, str> {
    let path = path.trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) {
        Cow::Owned(format!("usr/{path}"))
    } else {
        Cow::Borrowed(path)
    }
}
