//! Files of entries merged three ways: accounts by name, everything else as sets.

use std::collections::HashSet;

use super::obstacle::Obstacle;

/// Most bytes of such a file.
pub const MAX_TEXT_FILE_BYTES: usize = 16 << 20;

fn check(path: &str, texts: [&str; 3]) -> Result<(), Vec<Obstacle>> {
    if texts.iter().any(|text| text.len() > MAX_TEXT_FILE_BYTES) {
        return Err(vec![Obstacle::Unreadable {
            path: path.to_owned(),
            why: format!("it has more than {MAX_TEXT_FILE_BYTES} bytes"),
        }]);
    }
    Ok(())
}

/// What the new base has without what the application took away, then what the application added.
fn sets([old, new, app]: [Vec<&str>; 3]) -> Vec<&str> {
    let [was, is, own]: [HashSet<&str>; 3] =
        [&old, &new, &app].map(|entries| entries.iter().copied().collect());
    let kept = new
        .into_iter()
        .filter(|entry| own.contains(entry) || !was.contains(entry));
    let added = app
        .into_iter()
        .filter(|entry| !was.contains(entry) && !is.contains(entry));
    kept.chain(added).collect()
}

fn with_ends(entries: &[&str]) -> String {
    entries.iter().flat_map(|entry| [*entry, "\n"]).collect()
}

/// One entry per line, in any order.
pub(super) fn merge_lines(path: &str, old: &str, new: &str, app: &str) -> Result<String, Vec<Obstacle>> {
    check(path, [old, new, app])?;
    Ok(with_ends(&sets(
        [old, new, app].map(|text| text.lines().collect()),
    )))
}

/// dpkg's diversions: three lines each.
pub(super) fn merge_diversions(path: &str, old: &str, new: &str, app: &str) -> Result<String, Vec<Obstacle>> {
    check(path, [old, new, app])?;
    let entries = |text: &str| -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        lines.chunks(3).map(|lines| lines.join("\n")).collect()
    };
    let texts = [old, new, app].map(entries);
    let [old, new, app] = &texts;
    let borrowed = [old, new, app].map(|entries| entries.iter().map(String::as_str).collect());
    Ok(with_ends(&sets(borrowed)))
}

/// Certificates in PEM, one after the other. What stands between them is left out.
pub(super) fn merge_certificates(
    path: &str,
    old: &str,
    new: &str,
    app: &str,
) -> Result<String, Vec<Obstacle>> {
    const BEGIN: &str = "-----BEGIN ";
    check(path, [old, new, app])?;
    let entries = |text| -> Vec<&str> { str::split(text, BEGIN).skip(1).map(certificate).collect() };
    let merged = sets([old, new, app].map(entries));
    Ok(merged.iter().flat_map(|entry| [BEGIN, *entry, "\n"]).collect())
}

/// Up to the end of the line that ends it.
fn certificate(text: &str) -> &str {
    let end = text
        .find("-----END ")
        .map(|at| at + text[at..].find('\n').unwrap_or(text.len() - at));
    text[..end.unwrap_or(text.len())].trim_end()
}

/// A line of `passwd` or its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account<'a> {
    line: &'a str,
    /// In which `shadow` keeps the day of the last change: it differs between two builds of one base.
    ignored: Option<usize>,
}

impl<'a> Account<'a> {
    fn name(self) -> &'a str {
        self.line.split(':').next().unwrap_or_default()
    }

    fn is_same(self, other: Self) -> bool {
        let fields = |account: Self| -> Vec<&str> {
            let fields = account.line.split(':').enumerate();
            let counted = fields.filter(|(at, _)| Some(*at) != account.ignored);
            counted.map(|(_, field)| field).collect()
        };
        fields(self) == fields(other)
    }

    /// The number of a user or group.
    fn id(self) -> Option<&'a str> {
        self.line.split(':').nth(2)
    }
}

/// Users and groups by name. Members of a group are merged one by one.
pub(super) fn merge_accounts(path: &str, old: &str, new: &str, app: &str) -> Result<String, Vec<Obstacle>> {
    check(path, [old, new, app])?;
    let ignored = (path == "etc/shadow").then_some(2);
    let accounts = |text| -> Vec<Account<'_>> {
        let lines = str::lines(text).filter(|line| !line.trim().is_empty());
        lines.map(|line| Account { line, ignored }).collect()
    };
    let [old, new, app] = [old, new, app].map(accounts);
    let find =
        |accounts: &[Account<'_>], name: &str| accounts.iter().position(|account| account.name() == name);
    let (mut merged, mut obstacles) = (Vec::new(), Vec::new());
    for is in &new {
        let was = find(&old, is.name()).map(|at| old[at]);
        let own = find(&app, is.name()).map(|at| app[at]);
        match one(path, was, *is, own) {
            Ok(line) => merged.extend(line),
            Err(obstacle) => obstacles.push(obstacle),
        }
    }
    let has_ids = matches!(path, "etc/passwd" | "etc/group");
    for own in app.iter().filter(|own| find(&new, own.name()).is_none()) {
        match find(&old, own.name()).map(|at| old[at]) {
            // The base has taken it away.
            Some(was) if was.is_same(*own) => continue,
            Some(_) => obstacles.push(conflict(path, own.name())),
            None => {}
        }
        let taken =
            |other: &&Account<'_>| has_ids && other.id() == own.id() && find(&old, other.name()).is_none();
        if let Some(other) = new.iter().find(taken) {
            let entry = format!(
                "{}, the number of `{}` and `{}`",
                own.id().unwrap_or_default(),
                own.name(),
                other.name()
            );
            obstacles.push(conflict(path, &entry));
        }
        merged.push(own.line.to_owned());
    }
    if obstacles.is_empty() {
        Ok(merged.into_iter().map(|line| line + "\n").collect())
    } else {
        Err(obstacles)
    }
}

fn conflict(path: &str, entry: &str) -> Obstacle {
    Obstacle::Entry {
        path: path.to_owned(),
        entry: policy::yaml::one_line(entry, 200),
    }
}

/// An account that the new base has. `None`: the application took it away.
fn one(
    path: &str,
    was: Option<Account<'_>>,
    is: Account<'_>,
    own: Option<Account<'_>>,
) -> Result<Option<String>, Obstacle> {
    let is_same = |left: Option<Account<'_>>, right: Option<Account<'_>>| match (left, right) {
        (Some(left), Some(right)) => left.is_same(right),
        (left, right) => left.is_none() && right.is_none(),
    };
    if is_same(own, was) || is_same(own, Some(is)) {
        return Ok(Some(is.line.to_owned()));
    }
    if is_same(was, Some(is)) {
        return Ok(own.map(|own| own.line.to_owned()));
    }
    let members = match (path, was, own) {
        ("etc/group" | "etc/gshadow", Some(was), Some(own)) => members(was, is, own),
        _ => None,
    };
    members.map(Some).ok_or_else(|| conflict(path, is.name()))
}

/// A group in which nothing but the members differs.
fn members(was: Account<'_>, is: Account<'_>, own: Account<'_>) -> Option<String> {
    let [(was_head, was), (is_head, is), (own_head, own)] = [
        was.line.rsplit_once(':')?,
        is.line.rsplit_once(':')?,
        own.line.rsplit_once(':')?,
    ];
    if own_head != was_head && own_head != is_head {
        return None;
    }
    let split = |members: &'_ str| -> Vec<String> {
        let members = members.split(',').filter(|member| !member.is_empty());
        members.map(str::to_owned).collect()
    };
    let [was, is, own] = [was, is, own].map(split);
    let borrowed = [&was, &is, &own].map(|members| members.iter().map(String::as_str).collect());
    Some(format!("{is_head}:{}", sets(borrowed).join(",")))
}

#[cfg(test)]
mod tests;
