//! What needs no registry: models are checked, printed, and anonymous documents compared.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use maturity::anonymous::compare::{Aspect, Comparison, FigurePlace, Quarter, Standing};
use maturity::anonymous::{self, Document, MAX_DOCUMENT_BYTES as MAX_ANONYMOUS_BYTES};
use maturity::model::{
    self, CNCF_PLATFORM, CNMM, CONTROLS, Library, MAX_DOCUMENT_BYTES, ModelError, ModelErrors,
};
use maturity::{evidence, words::Slug};
use serde::Serialize;

use super::SchemaOf;
use super::figures::duration;
use crate::cli::Format;
use crate::output;

/// Ids of what is shipped.
pub(super) const SHIPPED: [&str; 3] = ["cnmm", "cncf-platform", "controls-example"];

/// Prints one of [`SHIPPED`].
pub(super) fn model(id: &str) -> Result<()> {
    output::text(match id {
        "cncf-platform" => CNCF_PLATFORM,
        "controls-example" => CONTROLS,
        _ => CNMM,
    })
}

/// Prints a schema.
pub(super) fn schema(of: SchemaOf) -> Result<()> {
    output::text(match of {
        SchemaOf::Model => model::SCHEMA,
        SchemaOf::Evidence => evidence::PUSH_SCHEMA,
        SchemaOf::Anonymous => anonymous::SCHEMA_TEXT,
    })
}

/// A document in which nothing is wrong.
#[derive(Serialize)]
struct Checked {
    file: String,
    id: Slug,
    rule_version: String,
    topics: usize,
    criteria: usize,
}

/// Says what is wrong with files, or that nothing is.
pub(super) fn check(format: Format, files: &[PathBuf]) -> Result<()> {
    let mut texts = Vec::with_capacity(files.len());
    for path in files {
        let bytes = read(path, MAX_DOCUMENT_BYTES)?;
        let text = String::from_utf8(bytes);
        let text = text.with_context(|| format!("{} is no text in UTF-8", path.display()))?;
        texts.push((path.display().to_string(), text));
    }
    match checked(&texts) {
        Ok(checked) => output::show(format, &checked, |checked| {
            output::lines(checked.iter().map(|one| {
                format!(
                    "{}: nothing is wrong: {} with {} in {}",
                    output::printable(&one.file),
                    one.rule_version,
                    counted(one.criteria, "criterion", "criteria"),
                    counted(one.topics, "topic", "topics"),
                )
            }))
        }),
        Err(lines) => bail!("{}", lines.join("\n")),
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The files together, with what is shipped behind them: a file may take the place of a shipped one.
fn checked(texts: &[(String, String)]) -> Result<Vec<Checked>, Vec<String>> {
    let mut library = Library::default();
    let mut wrong = Vec::new();
    let mut added = Vec::new();
    for (file, text) in texts {
        match library.add(file, text) {
            Ok(id) => added.push((file, id)),
            Err(errors) => note(&mut wrong, &errors),
        }
    }
    for (file, text) in [("cnmm-4.yaml", CNMM), ("cncf-platform-1.yaml", CNCF_PLATFORM)] {
        // It is refused where a file has its id, which then counts.
        let _ = library.add(file, text);
    }
    let mut checked = Vec::new();
    for (file, id) in added {
        match library.model(&id) {
            Ok(model) => checked.push(Checked {
                file: file.clone(),
                rule_version: model.rule_version().to_string(),
                topics: model.topics().len(),
                criteria: model.criteria().len(),
                id,
            }),
            Err(errors) => note(&mut wrong, &errors),
        }
    }
    if wrong.is_empty() { Ok(checked) } else { Err(wrong) }
}

/// What is wrong with a model is wrong with everything that extends it: it is told once.
fn note(wrong: &mut Vec<String>, errors: &ModelErrors) {
    let mut lines: Vec<String> = errors.errors.iter().map(ModelError::to_string).collect();
    if errors.more > 0 {
        lines.push(format!("and {} more", errors.more));
    }
    for line in lines {
        if !wrong.contains(&line) {
            wrong.push(line);
        }
    }
}

pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() <= most,
        "{} is larger than the {most} bytes that are read of such a file",
        path.display()
    );
    Ok(bytes)
}

/// Compares one's own document to those of others.
pub(super) fn compare(format: Format, own: &Path, others: &[PathBuf]) -> Result<()> {
    let own = document(own)?;
    let others: Vec<Document> = others.iter().map(|path| document(path)).collect::<Result<_>>()?;
    let comparison = anonymous::compare(&own, &others);
    output::show(format, &comparison, describe)
}

fn document(path: &Path) -> Result<Document> {
    let bytes = read(path, MAX_ANONYMOUS_BYTES)?;
    Document::parse(&bytes).with_context(|| format!("{} cannot be compared", path.display()))
}

fn describe(comparison: &Comparison) -> String {
    let mut text = format!("among {}", counted(whole(comparison.others), "other", "others"));
    if comparison.repeated > 0 {
        let _ = write!(text, ", {} left out that came twice", comparison.repeated);
    }
    if comparison.other_source > 0 {
        let _ = write!(
            text,
            ", {} left out whose figures are from another source",
            comparison.other_source
        );
    }
    text.push_str(
        ".\nA place is told where at least five others have the same figure. There is no overall place.\n\n",
    );
    let percent = |per_mille: u64| format!("{}.{} %", per_mille / 10, per_mille % 10);
    let topics = comparison.topics.iter().map(|place| {
        let name = format!("{}, level {} and above", place.topic, place.level);
        row(name, &place.per_mille, percent)
    });
    let figures = comparison.figures.iter().map(|place| {
        row(named(place), &place.value, |value| match place.aspect {
            Aspect::Share | Aspect::OverAfter { .. } => percent(value),
            Aspect::Number => format!("{}.{:02}", value / 100, value % 100),
            Aspect::Median | Aspect::P90 => duration(value),
        })
    });
    let head = [
        "WHAT",
        "OWN",
        "QUARTER",
        "LOWER QUARTILE",
        "MEDIAN",
        "UPPER QUARTILE",
        "OTHERS",
    ];
    text.push_str(&output::table(head, topics.chain(figures)));
    text
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn named(place: &FigurePlace) -> String {
    let word = |value: serde_json::Result<serde_json::Value>| match value {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    };
    let mut name = word(serde_json::to_value(place.kpi));
    for key in &place.keys {
        name.push(' ');
        name.push_str(&word(serde_json::to_value(key)));
    }
    match place.aspect {
        Aspect::Share | Aspect::Number => {}
        Aspect::Median => name.push_str(", median"),
        Aspect::P90 => name.push_str(", nine in ten"),
        Aspect::OverAfter { seconds } => {
            let _ = write!(name, ", over after {}", duration(seconds));
        }
    }
    name
}

fn row(name: String, standing: &Standing, show: impl Fn(u64) -> String) -> [String; 7] {
    match *standing {
        Standing::Placed {
            own,
            lower_quartile,
            median,
            upper_quartile,
            quarter,
            others,
        } => [
            name,
            show(own),
            match quarter {
                Quarter::Lowest => "lowest",
                Quarter::Second => "second",
                Quarter::Third => "third",
                Quarter::Highest => "highest",
            }
            .to_owned(),
            show(lower_quartile),
            show(median),
            show(upper_quartile),
            others.to_string(),
        ],
        Standing::TooFew { own, others } => {
            let none = String::new;
            [
                name,
                show(own),
                "too few".to_owned(),
                none(),
                none(),
                none(),
                others.to_string(),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(texts: &[(&str, &str)]) -> Result<Vec<Checked>, Vec<String>> {
        let texts: Vec<_> = texts
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect();
        checked(&texts)
    }

    #[test]
    fn what_is_shipped_is_right_also_as_a_file() {
        let shipped = [("a.yaml", CNMM), ("b.yaml", CNCF_PLATFORM), ("c.yaml", CONTROLS)];
        let checked = check_of(&shipped).unwrap_or_default();
        let ids: Vec<&str> = checked.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, SHIPPED);
        assert!(
            checked[2].rule_version.starts_with("cnmm@"),
            "an extension counts with its model"
        );
    }

    #[test]
    fn mistakes_have_their_line_and_the_nearest_name_once() {
        let wrong = CNMM.replace("topic: technology/", "topic: tecnology/");
        let Err(lines) = check_of(&[("mine.yaml", &wrong), ("controls.yaml", CONTROLS)]) else {
            panic!("it is wrong");
        };
        assert!(lines[0].starts_with("mine.yaml:"), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("technology/")), "{lines:?}");
        let mut once = lines.clone();
        once.dedup();
        assert_eq!(once, lines);
    }

    #[test]
    fn what_extends_nothing_that_is_there_says_what_there_is() {
        let Err(lines) = check_of(&[("x.yaml", &CONTROLS.replace("extends: cnmm", "extends: cnnm"))]) else {
            panic!("there is no such model");
        };
        assert!(lines[0].contains("cnmm"), "{lines:?}");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.yaml");
        std::fs::write(&path, vec![b' '; MAX_DOCUMENT_BYTES + 1]).unwrap();
        let error = check(Format::Table, &[path]).unwrap_err().to_string();
        assert!(error.contains("larger than"), "{error}");
    }
}
