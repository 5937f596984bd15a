//! apk's `installed` (apk-tools, `apk-installed(5)` and `apk-v2(5)`) and the archive of its scripts.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use findings::Ecosystem;

use super::relation::{Alternative, Operator, Relation};
use super::{
    Database, Installed, MAX_DATABASE_BYTES, MAX_RELATIONS, MergedPackages, Rules, merge, unreadable,
};
use crate::rebase::archive::{Member, members, write_members};
use crate::rebase::obstacle::Obstacle;

const RULES: Rules = Rules {
    database: "lib/apk/db/installed",
    compare,
    is_sorted: false,
};

fn compare(left: &str, right: &str) -> Ordering {
    findings::version::compare(Ecosystem::Alpine, left, right).unwrap_or_else(|_| left.cmp(right))
}

/// A field of one letter; case counts.
fn field<'a>(stanza: &'a str, letter: char) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(letter)?.strip_prefix(':');
    stanza.lines().find_map(value)
}

fn read<'a>(path: &str, text: &'a str) -> Result<Database<'a>, Obstacle> {
    if text.len() > MAX_DATABASE_BYTES {
        return Err(unreadable(
            path,
            format!("it has more than {MAX_DATABASE_BYTES} bytes"),
        ));
    }
    let stanzas = text.split("\n\n").map(|stanza| stanza.trim_matches('\n'));
    let packages: Result<Vec<Installed<'a>>, Obstacle> = stanzas
        .filter(|stanza| !stanza.is_empty())
        .map(|stanza| package(path, stanza))
        .collect();
    Database::of(path, packages?)
}

fn package<'a>(path: &str, stanza: &'a str) -> Result<Installed<'a>, Obstacle> {
    let name = field(stanza, 'P').filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| unreadable(path, "a package has no name"))?;
    let words = |letter| {
        field(stanza, letter)
            .unwrap_or_default()
            .split(' ')
            .filter(|word| !word.is_empty())
    };
    if words('D').chain(words('p')).nth(MAX_RELATIONS).is_some() {
        let why = format!("package `{name}` has more than {MAX_RELATIONS} dependencies");
        return Err(unreadable(path, why));
    }
    let relation = |text: &'a str| Relation {
        text,
        alternatives: vec![alternative(text.strip_prefix('!').unwrap_or(text))],
    };
    let (forbids, needs): (Vec<&str>, Vec<&str>) = words('D').partition(|word| word.starts_with('!'));
    Ok(Installed {
        key: name.to_owned(),
        name,
        version: field(stanza, 'V').unwrap_or_default(),
        text: stanza,
        is_there: true,
        selection: "",
        needs: needs.into_iter().map(relation).collect(),
        forbids: forbids.into_iter().map(relation).collect(),
        provides: words('p')
            .map(|word| {
                let provided = alternative(word);
                (provided.name, provided.version.map(|(_, version)| version))
            })
            .collect(),
    })
}

/// `busybox>=1.36`, `so:libc.musl-x86_64.so.1`, `cmd:sh=1.36-r1`, `zlib~1.3`.
fn alternative(text: &str) -> Alternative<'_> {
    let Some(at) = text.find(['<', '>', '=', '~']) else {
        return Alternative {
            name: text,
            version: None,
        };
    };
    let rest = &text[at..];
    let ends = rest
        .find(|character: char| !"<>=~".contains(character))
        .unwrap_or(rest.len());
    let operator = match &rest[..ends] {
        "<" => Operator::Less,
        "<=" => Operator::AtMost,
        ">=" => Operator::AtLeast,
        ">" => Operator::Greater,
        "~" | "=~" | "~=" => Operator::Begins,
        // `><` asks for one build by its checksum.
        _ => Operator::Equal,
    };
    // A tag of a repository at the end (`foo@edge`) says where from, not what.
    let version = rest[ends..].split('@').next().unwrap_or_default();
    Alternative {
        name: &text[..at],
        version: Some((operator, version)),
    }
}

/// Merges apk's list of what is installed; `path` is the one of the image.
///
/// # Errors
/// All that stands against it.
pub(in crate::rebase) fn merge_apk(
    path: &str,
    old: &str,
    new: &str,
    app: &str,
) -> Result<MergedPackages, Vec<Obstacle>> {
    let read = |text| read(path, text).map_err(|obstacle| vec![obstacle]);
    merge(&RULES, &read(old)?, &read(new)?, &read(app)?)
}

/// Merges the archive of the scripts of packages: the new base's and those that the application added. Their names hold the
/// package's version and checksum, so that one name means one script.
///
/// # Errors
/// One of them is no archive of plain files.
pub(in crate::rebase) fn merge_apk_scripts(
    path: &str,
    old: &[u8],
    new: &[u8],
    app: &[u8],
) -> Result<Vec<u8>, Vec<Obstacle>> {
    let read = |bytes| members(bytes).map_err(|why| vec![unreadable(path, why)]);
    let [old, new, app] = [read(old)?, read(new)?, read(app)?];
    let mut merged: BTreeMap<String, Member> = BTreeMap::new();
    let is_own = |member: &Member| old.iter().all(|base| base.path != member.path);
    for member in new.into_iter().chain(app.into_iter().filter(is_own)) {
        merged.insert(member.path.clone(), member);
    }
    let merged: Vec<Member> = merged.into_values().collect();
    write_members(&merged, 0).map_err(|why| vec![unreadable(path, why)])
}
