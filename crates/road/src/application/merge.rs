//! From the words of several sources to one application, with every conflict kept.

use std::collections::{BTreeMap, HashMap};

use oci::{PatternMap, RepoPattern};

use super::{
    Application, ApplicationError, Applications, Conflict, Field, MAX_APPLICATIONS, MAX_LISTED, MAX_OTHERS,
    MAX_PATTERNS, MAX_TIER, Source, Stated, Statement,
};
use crate::names::ApplicationName;

type Patterns = Vec<(RepoPattern, ApplicationName)>;

pub(super) fn build(mut statements: Vec<Statement>) -> Result<Applications, ApplicationError> {
    for statement in &statements {
        check(statement)?;
    }
    // Of annotations the newest counts; the sort is stable, so it has to come first.
    statements.reverse();
    statements.sort_by_key(|statement| statement.source);
    let mut conflicts = Vec::new();
    let mut patterns: [Patterns; 3] = Default::default();
    let by_application = group(statements, &mut patterns, &mut conflicts)?;
    if by_application.len() > MAX_APPLICATIONS {
        return Err(ApplicationError::TooMany(by_application.len()));
    }
    let mut by_name = BTreeMap::new();
    for (name, words) in by_application {
        let application = merge(name.clone(), &words);
        field_conflicts(&application, &mut conflicts);
        by_name.insert(name, application);
    }
    let maps = maps(patterns, &mut conflicts)?;
    conflicts.sort();
    conflicts.dedup();
    Ok(Applications {
        by_name,
        maps,
        conflicts,
    })
}

fn check(statement: &Statement) -> Result<(), ApplicationError> {
    for (what, count, limit) in [
        ("repositories", statement.repositories.len(), MAX_PATTERNS),
        ("environments", statement.environments.len(), MAX_LISTED),
        ("contacts", statement.contacts.len(), MAX_LISTED),
    ] {
        if count > limit {
            return Err(ApplicationError::Long {
                application: statement.application.clone(),
                what,
                count,
                limit,
                origin: statement.origin.clone(),
            });
        }
    }
    match statement.tier {
        Some(tier) if tier > MAX_TIER => Err(ApplicationError::Tier {
            application: statement.application.clone(),
            tier,
            origin: statement.origin.clone(),
        }),
        _ => Ok(()),
    }
}

/// By application; the most trusted word first. Annotations that claim an application of others are taken out. What is left
/// gives the patterns of each source, the newest annotation first.
fn group(
    statements: Vec<Statement>,
    patterns: &mut [Patterns; 3],
    conflicts: &mut Vec<Conflict>,
) -> Result<BTreeMap<ApplicationName, Vec<Statement>>, ApplicationError> {
    let mut groups: BTreeMap<ApplicationName, Vec<Statement>> = BTreeMap::new();
    for statement in statements {
        let words = groups.entry(statement.application.clone()).or_default();
        let same = words.iter().find(|word| word.source == statement.source);
        match statement.source {
            Source::Annotation => {
                let known: Vec<&Statement> = words
                    .iter()
                    .filter(|word| word.source < Source::Annotation)
                    .collect();
                if !known.is_empty() && !is_inside(&statement, &known) {
                    conflicts.extend(statement.repositories.iter().map(|pattern| Conflict::Claim {
                        application: statement.application.clone(),
                        pattern: pattern.clone(),
                        origin: statement.origin.clone(),
                    }));
                    continue;
                }
            }
            Source::Declared | Source::Catalog => {
                if let Some(first) = same {
                    return Err(ApplicationError::Twice {
                        application: statement.application.clone(),
                        // They were reversed.
                        first: statement.origin.clone(),
                        second: first.origin.clone(),
                    });
                }
            }
        }
        let named = |pattern: &RepoPattern| (pattern.clone(), statement.application.clone());
        patterns[statement.source as usize].extend(statement.repositories.iter().map(named));
        words.push(statement);
    }
    Ok(groups)
}

/// Whether all repositories of an annotation are the application's by a better word.
fn is_inside(statement: &Statement, known: &[&Statement]) -> bool {
    let is_theirs = |own: &RepoPattern| {
        let mut theirs = known.iter().flat_map(|word| &word.repositories);
        theirs.any(|pattern| pattern.contains(own))
    };
    statement.repositories.iter().all(is_theirs)
}

fn merge(name: ApplicationName, words: &[Statement]) -> Application {
    let mut repositories: Vec<Stated<RepoPattern>> = Vec::new();
    for word in words {
        for pattern in &word.repositories {
            if repositories.iter().all(|known| known.value != *pattern) {
                repositories.push(stated(word, pattern.clone()));
            }
        }
    }
    Application {
        name,
        repositories,
        owner: field(words, |word| word.owner.clone()),
        tier: field(words, |word| word.tier),
        environments: field(words, |word| {
            (!word.environments.is_empty()).then(|| word.environments.clone())
        }),
        contacts: field(words, |word| {
            (!word.contacts.is_empty()).then(|| word.contacts.clone())
        }),
        system: field(words, |word| word.system.clone()),
        kind: field(words, |word| word.kind.clone()),
        lifecycle: field(words, |word| word.lifecycle.clone()),
    }
}

fn stated<T>(word: &Statement, value: T) -> Stated<T> {
    Stated {
        value,
        source: word.source,
        origin: word.origin.clone(),
    }
}

fn field<T: PartialEq>(words: &[Statement], get: impl Fn(&Statement) -> Option<T>) -> Option<Field<T>> {
    let mut all = words
        .iter()
        .filter_map(|word| get(word).map(|value| stated(word, value)));
    let stated = all.next()?;
    let mut others: Vec<Stated<T>> = Vec::new();
    for other in all {
        let is_news = other.value != stated.value && others.iter().all(|known| known.value != other.value);
        if is_news && others.len() < MAX_OTHERS {
            others.push(other);
        }
    }
    Some(Field { stated, others })
}

fn field_conflicts(application: &Application, conflicts: &mut Vec<Conflict>) {
    fn add<T: std::fmt::Debug>(
        application: &Application,
        name: &'static str,
        field: Option<&Field<T>>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let Some(field) = field else { return };
        let text = |stated: &Stated<T>| {
            format!(
                "{:?} ({}, {})",
                stated.value,
                stated.source.as_str(),
                stated.origin
            )
        };
        conflicts.extend(field.others.iter().map(|other| Conflict::Field {
            application: application.name.clone(),
            field: name,
            believed: text(&field.stated),
            other: text(other),
        }));
    }
    add(application, "owner", application.owner.as_ref(), conflicts);
    add(application, "tier", application.tier.as_ref(), conflicts);
    add(
        application,
        "environments",
        application.environments.as_ref(),
        conflicts,
    );
    add(application, "contacts", application.contacts.as_ref(), conflicts);
    add(application, "system", application.system.as_ref(), conflicts);
    add(application, "type", application.kind.as_ref(), conflicts);
    add(
        application,
        "lifecycle",
        application.lifecycle.as_ref(),
        conflicts,
    );
}

/// A map per source. Images of one repository that name two applications are a conflict, not a tie: the first one, which is the
/// newest, counts.
fn maps(
    mut patterns: [Patterns; 3],
    conflicts: &mut Vec<Conflict>,
) -> Result<[PatternMap<ApplicationName>; 3], ApplicationError> {
    let mut taken: HashMap<RepoPattern, (ApplicationName, Source)> = HashMap::new();
    for (source, patterns) in Source::ALL.into_iter().zip(&mut patterns) {
        let mut kept = Vec::new();
        for (pattern, name) in std::mem::take(patterns) {
            let Some((believed, by)) = taken.get(&pattern) else {
                taken.insert(pattern.clone(), (name.clone(), source));
                kept.push((pattern, name));
                continue;
            };
            if *believed != name && (*by != source || source == Source::Annotation) {
                conflicts.push(Conflict::Repository {
                    pattern: pattern.clone(),
                    believed: believed.clone(),
                    source: *by,
                    other: name.clone(),
                    other_source: source,
                });
            }
            let is_repeated = *by == source && (source == Source::Annotation || *believed == name);
            if !is_repeated {
                kept.push((pattern, name));
            }
        }
        *patterns = kept;
    }
    let [declared, catalog, annotation] = patterns;
    Ok([map(declared)?, map(catalog)?, map(annotation)?])
}

fn map(patterns: Patterns) -> Result<PatternMap<ApplicationName>, ApplicationError> {
    let named = patterns.clone();
    PatternMap::build(patterns).map_err(|tie| {
        let whose = |pattern: &RepoPattern, last: bool| {
            let mut theirs = named.iter().filter(|(other, _)| other == pattern);
            let found = if last { theirs.next_back() } else { theirs.next() };
            found.unwrap_or(&named[0]).1.clone()
        };
        ApplicationError::Tie {
            first: whose(&tie.a, false),
            second: whose(&tie.b, true),
            tie,
        }
    })
}
