//! What stands in for the version `(devel)` of a main module.
//!
//! First what the build itself calls the version (`-ldflags "-X main.version=v1.2.3"`), then the commit as a pseudo-version
//! (go.dev/ref/mod, "Pseudo-versions"). The latter is before every release in the order of versions, so it is marked as a
//! guess.

use findings::Confidence;

/// Variables that builds put their version in.
const VARIABLES: [&str; 5] = ["version", "ver", "gitversion", "buildversion", "appversion"];

/// The version, empty where nothing says it, and how sure it is. `text` has the lines of the build information.
pub(super) fn of(module: &str, text: &str) -> (String, Confidence) {
    let setting = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.strip_prefix("build\t")?.split_once('=')?;
            (key == name).then_some(value)
        })
    };
    if let Some(version) = setting("-ldflags").and_then(|flags| from_ldflags(module, &unquote(flags))) {
        return (version, Confidence::Medium);
    }
    let pseudo = setting("vcs.time")
        .zip(setting("vcs.revision"))
        .and_then(|(time, revision)| pseudo_version(time, revision));
    match pseudo {
        Some(version) => (version, Confidence::Low),
        None => (String::new(), Confidence::High),
    }
}

/// `v0.0.0-20230801120000-abcdefabcdef`.
fn pseudo_version(time: &str, revision: &str) -> Option<String> {
    let is_utc = time.ends_with('Z') && time.is_ascii();
    let digits: String = time.chars().filter(char::is_ascii_digit).take(14).collect();
    let revision = revision.get(..12)?;
    let is_hash = revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_utc && digits.len() == 14 && is_hash).then(|| format!("v0.0.0-{digits}-{revision}"))
}

fn from_ldflags(module: &str, flags: &str) -> Option<String> {
    let mut words = words(flags);
    while let Some(word) = words.next() {
        let definition = match word.strip_prefix("-X") {
            Some("") => words.next()?,
            Some(rest) => rest.strip_prefix('=').unwrap_or(rest).to_owned(),
            None => continue,
        };
        let version = definition
            .split_once('=')
            .filter(|(variable, _)| is_version_variable(variable, module))
            .and_then(|(_, value)| plain_version(value));
        if version.is_some() {
            return version;
        }
    }
    None
}

/// Whether `package.variable` says the version of the main module and not of something that it is built from.
fn is_version_variable(variable: &str, module: &str) -> bool {
    let Some((package, name)) = variable.rsplit_once('.') else {
        return false;
    };
    let is_ours = package == "main"
        || package
            .strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_ours && VARIABLES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `1.2.3` or `v1.2.3-rc.1`, as Go spells it. What `git describe` adds says that it is later than the tag, which in the
/// order of versions would make it earlier, so that it is taken off.
fn plain_version(value: &str) -> Option<String> {
    let value = value.strip_suffix("-dirty").unwrap_or(value);
    let value = value.strip_prefix('v').unwrap_or(value);
    let value = match value.rsplitn(3, '-').collect::<Vec<_>>()[..] {
        [hash, count, tag] if hash.starts_with('g') && is_number(count) => tag,
        _ => value,
    };
    let core = value.split(['-', '+']).next()?;
    let is_version = core.split('.').count() == 3 && core.split('.').all(is_number);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    (is_version && value.chars().all(is_plain)).then(|| format!("v{value}"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A setting with spaces is quoted, in one of the two ways of Go.
fn unquote(value: &str) -> String {
    if let Some(raw) = value.strip_prefix('`') {
        return raw.trim_end_matches('`').to_owned();
    }
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Words as the linker is given them: separated by spaces, which quotes keep together.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        chars.peek()?;
        let mut word = String::new();
        let mut quote = None;
        for c in chars.by_ref() {
            match quote {
                Some(open) if open == c => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c.is_ascii_whitespace() => break,
                _ => word.push(c),
            }
        }
        Some(word)
    })
}
