//! Whether a package URL of a statement means a package.

/// A package URL, taken apart and decoded.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    kind: String,
    /// Namespace and name, without empty parts.
    path: String,
    version: Option<String>,
    qualifiers: Vec<(String, String)>,
}

/// Whether `statement` means what `candidate` identifies: same type and name; the same version if the statement names one;
/// every qualifier that the statement names. A statement that says less means more.
pub(super) fn purl_means(statement: &str, candidate: &str) -> bool {
    let (Some(statement), Some(candidate)) = (Parts::parse(statement), Parts::parse(candidate)) else {
        return false;
    };
    statement.kind == candidate.kind
        && statement.path == candidate.path
        && statement
            .version
            .as_ref()
            .is_none_or(|version| candidate.version.as_ref() == Some(version))
        && statement
            .qualifiers
            .iter()
            .all(|pair| candidate.qualifiers.contains(pair))
}

impl Parts {
    fn parse(purl: &str) -> Option<Self> {
        let rest = purl.strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split('#').next()?;
        let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, rest) = rest.split_once('/')?;
        let kind = kind.to_ascii_lowercase();
        // An `@` of a scope stands at the beginning of a part, one before a version does not.
        let at = rest
            .rfind('@')
            .filter(|at| *at > 0 && !rest[..*at].ends_with('/'));
        let (path, version) = at.map_or((rest, None), |at| (&rest[..at], Some(decode(&rest[at + 1..]))));
        let mut path = decode(path.trim_matches('/'));
        if matches!(
            kind.as_str(),
            "oci" | "docker" | "github" | "bitbucket" | "composer" | "deb" | "pypi" | "nuget"
        ) {
            path = path.to_ascii_lowercase();
        }
        if kind == "pypi" {
            path = path.replace(['_', '.'], "-");
        }
        let version = version.map(|version| match kind.as_str() {
            "golang" => version.strip_prefix('v').unwrap_or(&version).to_owned(),
            _ => version,
        });
        let qualifiers = qualifiers.split('&').filter_map(|pair| pair.split_once('='));
        let qualifiers = qualifiers.map(|(key, value)| (key.to_ascii_lowercase(), decode(value)));
        (!path.is_empty()).then(|| Self {
            kind,
            path,
            version,
            qualifiers: qualifiers.collect(),
        })
    }
}

/// Undoes percent-encoding; what is no encoding stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(hex_byte);
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
