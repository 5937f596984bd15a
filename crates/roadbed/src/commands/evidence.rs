//! `evidence …`: facts from elsewhere.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use maturity::evidence::EvidenceLimits;
use maturity::signal::{Fact, Nature};
use serde_json::{Map, Value, json};
use store::Timestamp;
use web::wire::PushedEvidence;

use super::maturity::whom::Whom;
use crate::client::Client;
use crate::output;

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Tell facts that the registry cannot know by itself: all of them count, or none
    Push(PushArgs),
}

/// Options of `evidence push`.
#[derive(Debug, Args)]
#[command(after_help = "\
A file is a JSON document; `roadbed maturity schema evidence` describes it, docs/maturity.md has examples for GitHub Actions, GitLab,
Prometheus and Argo CD. For an application may speak who may push to all of its repositories. What was told before
under the same id counts once.

Examples:
  roadbed evidence push facts.json
  jq -f facts.jq answer.json | roadbed evidence push -
  roadbed evidence push --subject shop/checkout --fact tests-required --value true --id ci/4711")]
pub(crate) struct PushArgs {
    /// JSON; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "fact", conflicts_with_all = ["subject", "fact", "value", "item", "id"])]
    file: Option<PathBuf>,
    /// One fact instead of a file: of whom
    #[arg(long, value_name = "WHOM", requires = "fact")]
    subject: Option<Whom>,
    /// Which fact
    #[arg(long, value_name = "FACT", requires_all = ["subject", "value"])]
    fact: Option<String>,
    /// Its value: true, false or a whole number
    #[arg(long, value_name = "VALUE", requires = "fact", value_parser = value, allow_negative_numbers = true)]
    value: Option<Value>,
    /// Which image, run or drill it is about; what happens without one is called by its moment
    #[arg(long, value_name = "TEXT", requires = "fact")]
    item: Option<String>,
    /// An id under which it counts once however often it is told, such as that of the run
    #[arg(long, value_name = "TEXT", requires = "fact")]
    id: Option<String>,
}

fn value(text: &str) -> Result<Value, String> {
    match text {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        number => number
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| "write true, false or a whole number".to_owned()),
    }
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: EvidenceCommand) -> Result<()> {
    let EvidenceCommand::Push(args) = command;
    let push = match &args.file {
        Some(path) => read(path)?,
        None => one(&args, Timestamp::from(SystemTime::now())),
    };
    // The same push counts once: it may be made again.
    let taken: PushedEvidence = client.post_patiently("/evidence", &[], &push).await?;
    output::show(client.format(), &taken, |taken| {
        let facts = output::count(taken.entries, "fact");
        format!("{facts} told (event {}).\n", taken.event)
    })
}

fn one(args: &PushArgs, now: Timestamp) -> Value {
    let mut entry = Map::new();
    let subject = args.subject.as_ref().map(|Whom(subject)| subject.to_string());
    entry.insert("subject".to_owned(), json!(subject));
    entry.insert("fact".to_owned(), json!(args.fact));
    entry.insert("value".to_owned(), json!(args.value));
    entry.insert("observed_at".to_owned(), json!(now.to_rfc3339()));
    let item = args.item.clone().or_else(|| {
        let happens = args.fact.as_deref().is_some_and(happens);
        happens.then(|| args.id.clone().unwrap_or_else(|| now.to_rfc3339()))
    });
    entry.extend(item.map(|item| ("item".to_owned(), json!(item))));
    entry.extend(args.id.as_ref().map(|id| ("id".to_owned(), json!(id))));
    json!({ "evidence": [entry] })
}

/// Whether a fact is about something that happened, which has to be told from others.
fn happens(name: &str) -> bool {
    let known = name.parse::<Fact>().ok().and_then(|fact| fact.built_in());
    known.is_some_and(|info| info.nature == Nature::Happening)
}

fn read(path: &Path) -> Result<Value> {
    if path == Path::new("-") {
        return parse(std::io::stdin().lock(), "standard input");
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(file, &path.display().to_string())
}

fn parse(from: impl Read, name: &str) -> Result<Value> {
    let most = EvidenceLimits::default().push_bytes;
    let mut bytes = Vec::new();
    from.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    ensure!(
        bytes.len() <= most,
        "{name} has more than the {most} bytes that are taken at once: push it in parts"
    );
    serde_json::from_slice(&bytes).with_context(|| {
        format!("{name} is no JSON: `roadbed maturity schema evidence` describes what is taken")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_truth_or_a_whole_number() {
        assert_eq!(value("true"), Ok(json!(true)));
        assert_eq!(value("-3"), Ok(json!(-3)));
        for wrong in ["", "yes", "1.5", "MINUTES", "True"] {
            assert!(value(wrong).unwrap_err().contains("whole number"), "{wrong}");
        }
    }

    #[test]
    fn one_fact_is_a_push_of_one_entry() {
        let args = PushArgs {
            file: None,
            subject: Some("shop".parse().unwrap()),
            fact: Some("chaos-run".to_owned()),
            value: Some(json!(true)),
            item: Some("run-1".to_owned()),
            id: None,
        };
        let entry = json!({
            "subject": "app:shop", "fact": "chaos-run", "value": true, "item": "run-1",
            "observed_at": "2026-11-22T08:33:00Z",
        });
        let now = Timestamp(1_795_336_380_000_000);
        assert_eq!(one(&args, now), json!({ "evidence": [entry] }));
    }

    #[test]
    fn what_happens_has_an_item_and_what_holds_has_none() {
        let of = |fact: &str, id: Option<&str>| {
            let args = PushArgs {
                file: None,
                subject: Some("shop".parse().unwrap()),
                fact: Some(fact.to_owned()),
                value: Some(json!(true)),
                item: None,
                id: id.map(str::to_owned),
            };
            one(&args, Timestamp(1_795_336_380_000_000))["evidence"][0]["item"].clone()
        };
        assert_eq!(of("restore-drill", None), "2026-11-22T08:33:00Z");
        assert_eq!(of("restore-drill", Some("drill-7")), "drill-7");
        assert_eq!(of("pipeline-defined", Some("run-1")), Value::Null);
        assert_eq!(of("evidence:own-fact", None), Value::Null);
    }

    #[test]
    fn what_is_too_large_or_no_json_is_refused_with_what_to_do() {
        let most = EvidenceLimits::default().push_bytes;
        let large = vec![b' '; most + 1];
        let error = parse(large.as_slice(), "x").unwrap_err().to_string();
        assert!(error.contains("in parts"), "{error}");
        let error = parse(b"subject: x".as_slice(), "x").unwrap_err().to_string();
        assert!(error.contains("schema evidence"), "{error}");
    }
}
