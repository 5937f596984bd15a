//! How a name is spelled where names are compared.

use std::borrow::Cow;

use crate::Ecosystem;

/// The spelling under which a package is kept and looked up. Only what the ecosystem itself takes for the same is the same:
/// PEP 503 for Python; letters have no case for `NuGet`, Packagist, npm, Hex and Pub.
pub(crate) fn canonical_name(ecosystem: Ecosystem, name: &str) -> Cow<'_, str> {
    match ecosystem {
        Ecosystem::PyPi => pep503(name),
        Ecosystem::NuGet | Ecosystem::Packagist | Ecosystem::Npm | Ecosystem::Hex | Ecosystem::Pub => {
            lower(name)
        }
        // Cargo takes `-` and `_` for the same when it resolves a dependency.
        Ecosystem::CratesIo if name.contains('_') => Cow::Owned(name.replace('_', "-")),
        _ => Cow::Borrowed(name),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Runs of `-`, `_` and `.` are one `-`, letters have no case.
fn pep503(name: &str) -> Cow<'_, str> {
    let is_separator = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
    let is_canonical = name
        .bytes()
        .all(|byte| !byte.is_ascii_uppercase() && !matches!(byte, b'_' | b'.'))
        && !name.contains("--");
    if is_canonical {
        return Cow::Borrowed(name);
    }
    let mut canonical = String::with_capacity(name.len());
    for c in name.chars() {
        if u8::try_from(c).is_ok_and(is_separator) {
            if !canonical.ends_with('-') {
                canonical.push('-');
            }
        } else {
            canonical.push(c.to_ascii_lowercase());
        }
    }
    Cow::Owned(canonical)
}
