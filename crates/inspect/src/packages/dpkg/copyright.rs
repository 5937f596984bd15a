//! Licences, from `usr/share/doc/<package>/copyright` where it is written for machines (DEP-5).

use std::collections::BTreeSet;

use findings::UnitKind;

use super::control::field;
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Makes no unit: the licences join the package that dpkg's database names.
pub(in crate::packages) struct Copyright;

impl Cataloger for Copyright {
    fn kind(&self) -> UnitKind {
        UnitKind::DpkgStatus
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        package_of(path).is_some()
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let licences = licences(file.in_memory(budget)?);
        if let (Some(package), false) = (package_of(file.path), licences.is_empty()) {
            facts.licences.push((package.to_owned(), licences));
        }
        Ok(())
    }
}

fn package_of(path: &str) -> Option<&str> {
    let package = path.strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!package.is_empty() && !package.contains('/')).then_some(package)
}

/// The short names of all `License` fields, sorted. Prose is not guessed at.
fn licences(bytes: &[u8]) -> Vec<String> {
    let mut fields = bytes.split(|&byte| byte == b'\n').filter_map(field);
    let is_for_machines = fields
        .next()
        .is_some_and(|(name, _)| name.eq_ignore_ascii_case(b"Format"));
    if !is_for_machines {
        return Vec::new();
    }
    let names: BTreeSet<&[u8]> = fields
        .filter(|(name, value)| name.eq_ignore_ascii_case(b"License") && !value.is_empty())
        .map(|(_, value)| value)
        .collect();
    names
        .into_iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}
