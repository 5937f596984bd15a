//! From files to rules.

use std::collections::BTreeMap;

use oci::RepoPattern;
use serde_saphyr::Spanned;

use super::error::{PolicyError, PolicyErrors, PolicyProblem};
use super::{LANGUAGE, PolicySource};
use crate::condition::Condition;
use crate::condition::fields::SEVERITIES;
use crate::document::{PolicyFile, RuleEntry};
use crate::nearest::did_you_mean;
use crate::template::Template;
use crate::text::one_line;
use crate::yaml::{self, OneOrMany};
use crate::{Effect, Point, PolicyLimits, Rule, Running};

const MAX_ID_BYTES: usize = 64;

/// Reads all files; collects what is wrong in each of them.
pub(super) fn read(sources: &[PolicySource<'_>], limits: &PolicyLimits) -> Result<Vec<Rule>, PolicyErrors> {
    let bytes = sources.iter().map(|source| source.text.len()).sum::<usize>();
    if bytes > limits.policy_bytes {
        let problem = PolicyProblem::TooLarge {
            bytes,
            limit: limits.policy_bytes,
        };
        let file = sources
            .first()
            .map_or_else(String::new, |source| source.name.to_owned());
        return Err(PolicyErrors(vec![PolicyError {
            file,
            line: 1,
            problem,
        }]));
    }
    let mut reader = Reader {
        limits,
        file: "",
        rules: Vec::new(),
        places: BTreeMap::new(),
        errors: Vec::new(),
    };
    for source in sources {
        reader.file = source.name;
        reader.read_file(source.text);
    }
    if reader.errors.is_empty() {
        return Ok(reader.rules);
    }
    Err(PolicyErrors(reader.errors))
}

struct Reader<'s> {
    limits: &'s PolicyLimits,
    file: &'s str,
    rules: Vec<Rule>,
    /// File and line of each id.
    places: BTreeMap<String, (&'s str, u64)>,
    errors: Vec<PolicyError>,
}

/// What is wrong and in which line.
type At = (u64, PolicyProblem);

impl Reader<'_> {
    fn report(&mut self, (line, problem): At) {
        let file = self.file.to_owned();
        self.errors.push(PolicyError { file, line, problem });
    }

    fn read_file(&mut self, text: &str) {
        let file = match yaml::parse::<PolicyFile>(text) {
            Ok(file) => file,
            Err(fault) => return self.report((fault.line, PolicyProblem::Yaml(fault.reason))),
        };
        match file.version {
            None => self.report((
                1,
                PolicyProblem::Missing {
                    what: "a policy",
                    key: "version",
                },
            )),
            Some(version) if version.value != LANGUAGE => {
                let (found, known) = (version.value, LANGUAGE);
                self.report((line(&version), PolicyProblem::Version { found, known }));
            }
            Some(_) => {}
        }
        let Some(rules) = file.rules else {
            return self.report((
                1,
                PolicyProblem::Missing {
                    what: "a policy",
                    key: "rules",
                },
            ));
        };
        for entry in rules {
            let (at, rules, limit) = (line(&entry), self.places.len() + 1, self.limits.rules);
            if rules > limit {
                return self.report((at, PolicyProblem::TooManyRules { rules, limit }));
            }
            self.read_entry(at, entry.value);
        }
    }

    fn read_entry(&mut self, at: u64, entry: RuleEntry) {
        let Some(id) = &entry.id else {
            return self.report((
                at,
                PolicyProblem::Missing {
                    what: "a rule",
                    key: "id",
                },
            ));
        };
        if let Some((file, line)) = self.places.get(&id.value) {
            let (id, file, line) = (one_line(&id.value, MAX_ID_BYTES), (*file).to_owned(), *line);
            return self.report((at, PolicyProblem::Duplicate { id, file, line }));
        }
        self.places.insert(id.value.clone(), (self.file, at));
        match rule(at, entry, self.limits) {
            Ok(rule) => self.rules.push(rule),
            Err(problem) => self.report(problem),
        }
    }
}

fn rule(at: u64, entry: RuleEntry, limits: &PolicyLimits) -> Result<Rule, At> {
    let missing = |key| (at, PolicyProblem::Missing { what: "a rule", key });
    let id = entry.id.ok_or_else(|| missing("id"))?;
    check_id(&id)?;
    let when = entry.when.ok_or_else(|| missing("when"))?;
    let decide = effect("decide", &entry.decide.ok_or_else(|| missing("decide"))?)?;
    let condition = Condition::compile(&when.value, limits).map_err(|error| {
        let rule = id.value.clone();
        (line(&when), PolicyProblem::Condition { rule, error })
    })?;
    let message = entry
        .message
        .map(|text| {
            Template::parse(&text.value, limits.message_bytes, condition.is_about_findings()).map_err(
                |error| {
                    (
                        line(&text),
                        PolicyProblem::Message {
                            rule: id.value.clone(),
                            error,
                        },
                    )
                },
            )
        })
        .transpose()?;
    if decide == Effect::Warn {
        only_refuse("running", entry.running.as_ref())?;
        only_refuse("after", entry.after.as_ref())?;
    }
    if let Some(days) = entry.after.as_ref().filter(|_| !condition.is_about_findings()) {
        return Err((line(days), PolicyProblem::NoDates));
    }
    Ok(Rule {
        id: id.value,
        about: entry.about,
        when: condition,
        decide,
        on: entry.on.map_or_else(|| Ok(Point::UNLESS_SAID.to_vec()), points)?,
        running: entry.running.map_or(Ok(Running::Keep), |word| running(&word))?,
        after: entry.after.map_or(Ok(0), |days| grace(&days, limits))?,
        message,
        repositories: entry.repositories.map_or_else(
            || Ok(vec![RepoPattern::everything()]),
            |list| patterns(list, limits),
        )?,
        severity: entry.severity.map(|word| severity(&word)).transpose()?,
        on_error: entry
            .on_error
            .map_or(Ok(Effect::Warn), |word| effect("on_error", &word))?,
    })
}

fn check_id(id: &Spanned<String>) -> Result<(), At> {
    let text = &id.value;
    let is_fit = text.len() <= MAX_ID_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    if is_fit {
        return Ok(());
    }
    Err((line(id), PolicyProblem::Id(one_line(text, MAX_ID_BYTES))))
}

/// The value of the word that was written.
fn word<T: Copy>(key: &'static str, at: u64, text: &str, words: &[(&str, T)]) -> Result<T, At> {
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let hint = did_you_mean(text, words.iter().map(|(word, _)| *word));
        (
            at,
            PolicyProblem::Word {
                key,
                word: one_line(text, 64),
                hint,
            },
        )
    })
}

fn effect(key: &'static str, text: &Spanned<String>) -> Result<Effect, At> {
    let words = [("warn", Effect::Warn), ("refuse", Effect::Refuse)];
    word(key, line(text), &text.value, &words)
}

fn running(text: &Spanned<String>) -> Result<Running, At> {
    let words = [("keep", Running::Keep), ("refuse", Running::Refuse)];
    word("running", line(text), &text.value, &words)
}

fn severity(text: &Spanned<String>) -> Result<findings::Severity, At> {
    use findings::Severity::{Critical, High, Low, Medium, Negligible, Unknown};
    let values = [Unknown, Negligible, Low, Medium, High, Critical];
    let words: Vec<_> = SEVERITIES.words.iter().copied().zip(values).collect();
    word("severity", line(text), &text.value, &words)
}

fn points(list: Spanned<OneOrMany<String>>) -> Result<Vec<Point>, At> {
    let at = line(&list);
    let words = Point::ALL.map(|point| (point.as_str(), point));
    let mut points = Vec::new();
    let list = list.value.into_vec();
    if list.is_empty() || list.len() > Point::ALL.len() {
        let (count, limit) = (list.len(), Point::ALL.len());
        return Err((
            at,
            PolicyProblem::Count {
                key: "on",
                count,
                limit,
            },
        ));
    }
    for text in list {
        points.push(word("on", at, &text, &words)?);
    }
    points.sort_unstable();
    points.dedup();
    Ok(points)
}

fn patterns(list: Spanned<OneOrMany<String>>, limits: &PolicyLimits) -> Result<Vec<RepoPattern>, At> {
    let at = line(&list);
    let list = list.value.into_vec();
    if list.is_empty() || list.len() > limits.patterns {
        let (count, limit) = (list.len(), limits.patterns);
        return Err((
            at,
            PolicyProblem::Count {
                key: "repositories",
                count,
                limit,
            },
        ));
    }
    let parse = |text: &String| {
        text.parse()
            .map_err(|error: oci::PatternError| (at, error.into()))
    };
    list.iter().map(parse).collect()
}

fn grace(days: &Spanned<u32>, limits: &PolicyLimits) -> Result<u16, At> {
    let limit = limits.grace_days;
    let fits = u16::try_from(days.value).ok().filter(|days| *days <= limit);
    fits.ok_or_else(|| {
        (
            line(days),
            PolicyProblem::Grace {
                days: days.value,
                limit,
            },
        )
    })
}

fn only_refuse<T>(key: &'static str, value: Option<&Spanned<T>>) -> Result<(), At> {
    value.map_or(Ok(()), |value| Err((line(value), PolicyProblem::OnlyRefuse(key))))
}

fn line<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line().max(1)
}
