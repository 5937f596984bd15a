//! What kind of document a file is, by its content.

#[cfg(test)]
mod tests;

/// Bytes of a file that are enough to tell.
pub const RECOGNISE_BYTES: usize = 64 * 1024;
/// Keys of the outermost object that are looked at.
const KEYS: usize = 64;

/// A kind of document that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// An OSV advisory.
    Osv,
    /// The KEV catalogue.
    Kev,
    /// EPSS's list, unpacked.
    Epss,
    /// An `OpenVEX` document.
    OpenVex,
    /// A zip archive, as OSV exports its feeds.
    Zip,
    /// Something that is packed with gzip, as EPSS's list comes.
    Gzip,
}

/// Recognises a document by its first bytes, of which no more than [`RECOGNISE_BYTES`] are looked at. The name decides only
/// about JSON whose telling keys come too late.
pub fn recognise(name: &str, first_bytes: &[u8]) -> Option<DocumentKind> {
    let bytes = &first_bytes[..first_bytes.len().min(RECOGNISE_BYTES)];
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(DocumentKind::Zip);
    }
    if bytes.starts_with(b"\x1f\x8b") {
        return Some(DocumentKind::Gzip);
    }
    let bytes = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if bytes.starts_with(b"#model_version:") || bytes.starts_with(b"cve,epss") {
        return Some(DocumentKind::Epss);
    }
    if !bytes.starts_with(b"{") {
        return None;
    }
    by_keys(&outer_keys(bytes)).or_else(|| by_name(name))
}

fn by_keys(keys: &[(&[u8], &[u8])]) -> Option<DocumentKind> {
    let has = |wanted: &str| keys.iter().any(|(key, _)| *key == wanted.as_bytes());
    let context = keys.iter().find(|(key, _)| *key == b"@context");
    if context.is_some_and(|(_, value)| value.starts_with(b"https://openvex.dev/ns")) {
        Some(DocumentKind::OpenVex)
    } else if has("catalogVersion") || (has("vulnerabilities") && has("dateReleased")) {
        Some(DocumentKind::Kev)
    } else if has("id") && ["modified", "affected", "schema_version"].into_iter().any(has) {
        Some(DocumentKind::Osv)
    } else {
        None
    }
}

fn by_name(name: &str) -> Option<DocumentKind> {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if name.ends_with(".vex.json") || name.ends_with(".openvex.json") {
        Some(DocumentKind::OpenVex)
    } else if name.starts_with("known_exploited_vulnerabilities") {
        Some(DocumentKind::Kev)
    } else {
        None
    }
}

/// The keys of the outermost object, as far as it is there, with their values where these are texts.
fn outer_keys(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut keys: Vec<(&[u8], &[u8])> = Vec::new();
    let (mut depth, mut at, mut is_value) = (0_usize, 0, false);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => is_value = true,
            b',' if depth == 1 => is_value = false,
            b'"' => {
                let text = string(&bytes[at..]);
                at += text.len() + 1;
                if depth != 1 {
                    continue;
                }
                match keys.last_mut() {
                    Some((_, value)) if is_value => *value = text,
                    _ => keys.push((text, b"")),
                }
                if keys.len() > KEYS {
                    return keys;
                }
            }
            _ => {}
        }
    }
    keys
}

/// What stands before the closing quote; all of it, if there is none.
fn string(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return &bytes[..at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes
}
