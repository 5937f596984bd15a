//! dpkg's `status` and apt's `extended_states` (deb-control(5), dpkg(1)).

use std::cmp::Ordering;
use std::collections::HashMap;

use findings::Ecosystem;

use super::relation::{Alternative, Operator, Relation};
use super::{
    Database, Installed, MAX_DATABASE_BYTES, MAX_RELATIONS, MergedPackages, Rules, merge, unreadable,
};
use crate::rebase::known::DPKG_STATUS;
use crate::rebase::obstacle::Obstacle;

const APT_STATES: &str = "var/lib/apt/extended_states";

const RULES: Rules = Rules {
    database: DPKG_STATUS,
    compare,
    is_sorted: true,
};

fn compare(left: &str, right: &str) -> Ordering {
    findings::version::compare(Ecosystem::Debian, left, right).unwrap_or_else(|_| left.cmp(right))
}

/// The stanzas of a file: what stands between empty lines.
fn stanzas<'a>(path: &str, text: &'a str) -> Result<Vec<&'a str>, Obstacle> {
    if text.len() > MAX_DATABASE_BYTES {
        return Err(unreadable(
            path,
            format!("it has more than {MAX_DATABASE_BYTES} bytes"),
        ));
    }
    let stanzas = text.split("\n\n").map(|stanza| stanza.trim_matches('\n'));
    Ok(stanzas.filter(|stanza| !stanza.is_empty()).collect())
}

/// The first line of a field. Those that are asked for here are never folded.
fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

fn read<'a>(text: &'a str) -> Result<Database<'a>, Obstacle> {
    let path = DPKG_STATUS;
    let stanzas = stanzas(path, text)?;
    // What dpkg itself is built for is the architecture whose packages need no suffix.
    let is_dpkg = |stanza: &&&str| field(stanza, "Package") == Some("dpkg");
    let native = stanzas
        .iter()
        .find(is_dpkg)
        .and_then(|stanza| field(stanza, "Architecture"));
    let packages: Result<Vec<Installed<'a>>, Obstacle> = stanzas
        .iter()
        .map(|stanza| package(stanza, native.unwrap_or_default()))
        .collect();
    Database::of(path, packages?)
}

fn package<'a>(stanza: &'a str, native: &str) -> Result<Installed<'a>, Obstacle> {
    let missing = |what: &str| unreadable(DPKG_STATUS, format!("a package has no {what}"));
    let name = field(stanza, "Package").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| missing("name"))?;
    let status = field(stanza, "Status").ok_or_else(|| missing("status"))?;
    let arch = field(stanza, "Architecture").unwrap_or_default();
    let key = if arch.is_empty() || arch == "all" || arch == native || native.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{arch}")
    };
    let mut words = status.split(' ');
    let (selection, state) = (
        words.next().unwrap_or_default(),
        words.next_back().unwrap_or_default(),
    );
    let relations = |fields: &[&str]| -> Result<Vec<Relation<'a>>, Obstacle> {
        let all = fields.iter().filter_map(|name| field(stanza, name));
        let relations: Vec<Relation<'a>> = all.flat_map(relations).take(MAX_RELATIONS + 1).collect();
        if relations.len() > MAX_RELATIONS {
            let why = format!("package `{name}` has more than {MAX_RELATIONS} dependencies");
            return Err(unreadable(DPKG_STATUS, why));
        }
        Ok(relations)
    };
    let provides = relations(&["Provides"])?;
    Ok(Installed {
        key,
        name,
        version: field(stanza, "Version").unwrap_or_default(),
        text: stanza,
        is_there: matches!(state, "installed" | "triggers-awaited" | "triggers-pending"),
        selection,
        needs: relations(&["Pre-Depends", "Depends"])?,
        forbids: relations(&["Conflicts", "Breaks"])?,
        provides: provides
            .into_iter()
            .flat_map(|relation| relation.alternatives)
            .map(|provided| (provided.name, provided.version.map(|(_, version)| version)))
            .collect(),
    })
}

/// `a (>= 1) | b, c:any`.
fn relations(text: &str) -> impl Iterator<Item = Relation<'_>> {
    text.split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| Relation {
            text,
            alternatives: text.split('|').map(|text| alternative(text.trim())).collect(),
        })
}

fn alternative(text: &str) -> Alternative<'_> {
    let name_ends = text.find([' ', '(', ':', '[', '<']).unwrap_or(text.len());
    let inside = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let version = inside.and_then(|(inside, _)| {
        let inside = inside.trim();
        let ends = inside.find(|character: char| !"<>=".contains(character))?;
        let operator = match &inside[..ends] {
            "<<" => Operator::Less,
            "<=" | "<" => Operator::AtMost,
            "=" => Operator::Equal,
            ">=" | ">" => Operator::AtLeast,
            ">>" => Operator::Greater,
            _ => return None,
        };
        Some((operator, inside[ends..].trim()))
    });
    let name = &text[..name_ends];
    Alternative { name, version }
}

/// Merges `var/lib/dpkg/status`.
///
/// # Errors
/// All that stands against it.
pub(in crate::rebase) fn merge_dpkg(
    old: &str,
    new: &str,
    app: &str,
) -> Result<MergedPackages, Vec<Obstacle>> {
    let read = |text| read(text).map_err(|obstacle| vec![obstacle]);
    merge(&RULES, &read(old)?, &read(new)?, &read(app)?)
}

/// Merges `var/lib/apt/extended_states`: who was installed by itself. The application's word stands about each package that it
/// says something else about than the old base did.
///
/// # Errors
/// The files are too long.
pub(in crate::rebase) fn merge_apt_states(old: &str, new: &str, app: &str) -> Result<String, Vec<Obstacle>> {
    let read = |text| stanzas(APT_STATES, text).map_err(|obstacle| vec![obstacle]);
    let key = |stanza: &str| {
        let [name, arch] = ["Package", "Architecture"].map(|name| field(stanza, name).unwrap_or_default());
        (name.to_owned(), arch.to_owned())
    };
    let by_key = |stanzas: Vec<&str>| -> HashMap<(String, String), String> {
        let entries = stanzas.into_iter();
        entries.map(|stanza| (key(stanza), stanza.to_owned())).collect()
    };
    let [old, new, app] = [read(old)?, read(new)?, read(app)?].map(by_key);
    let mut merged: Vec<((String, String), String)> = Vec::new();
    for (key, stanza) in &new {
        let said = app.get(key).filter(|said| old.get(key) != Some(said));
        merged.push((key.clone(), said.unwrap_or(stanza).clone()));
    }
    let own = app
        .iter()
        .filter(|(key, _)| !new.contains_key(*key) && !old.contains_key(*key));
    merged.extend(own.map(|(key, stanza)| (key.clone(), stanza.clone())));
    merged.sort();
    Ok(merged.into_iter().map(|(_, stanza)| stanza + "\n\n").collect())
}
