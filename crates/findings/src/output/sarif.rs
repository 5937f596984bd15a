//! SARIF 2.1.0 (OASIS, 2020).

use std::collections::BTreeMap;

use oci::{Algorithm, Digest};
use serde_json::{Map, Value, json};

use super::OutputOptions;
use crate::{
    Confidence, PlacedByteFinding, ScanResult, Severity, Standing,
    advisory::VulnerabilityFinding,
    harmless::{harmless, harmless_json},
    sbom::TOOL,
};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Paths are relative to the root of the image's file system.
const BASE: &str = "IMAGE";
/// Version of what goes into fingerprints.
const FINGERPRINT: &str = "roadbed/v1";
/// The fingerprint by which GitHub tells that an alert is one that it has already; it reads no other.
const GITHUB_FINGERPRINT: &str = "primaryLocationLineHash";
/// Results of one run. GitHub refuses a file with more.
const RESULTS: usize = 25_000;

/// One problem in the words of the format.
struct Problem {
    rule: String,
    title: String,
    help: String,
    severity: Severity,
    message: String,
    layer: Option<usize>,
    path: String,
    inner_path: Vec<String>,
    line: Option<u64>,
    /// Stays the same while the problem does: no version, no layer.
    identity: Vec<String>,
    /// Why it does not count.
    suppressed: Option<String>,
    is_uncertain: bool,
    confidence: Confidence,
    kind: &'static str,
}

pub(super) fn write(result: &ScanResult, options: &OutputOptions) -> String {
    let of_packages = result
        .vulnerabilities
        .iter()
        .map(|finding| of_vulnerability(finding, result));
    let mut problems: Vec<Problem> = of_packages.chain(result.files.iter().map(of_file)).collect();
    let left_out = keep_worst(&mut problems);
    let rules = Rules::of(&problems);
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| problem.to_result(&rules, result))
        .collect();
    let mut driver = json!({ "name": TOOL, "rules": rules.list });
    if !options.tool_version.is_empty() {
        driver["version"] = json!(options.tool_version);
    }
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { BASE: { "description": { "text": "the root of the image's file system" } } },
            "invocations": [invocation(result, options, left_out)],
            "results": results,
            "properties": { "target": result.target, "advisoryGeneration": result.advisory_generation },
        }],
    });
    harmless_json(format!("{document:#}"))
}

/// As many as places that show them take, the worst ones; how many are left out.
fn keep_worst(problems: &mut Vec<Problem>) -> usize {
    let left_out = problems.len().saturating_sub(RESULTS);
    if left_out > 0 {
        problems.sort_by_key(|problem| (problem.suppressed.is_some(), std::cmp::Reverse(problem.severity)));
        problems.truncate(RESULTS);
    }
    left_out
}

/// What could not be found out is told beside the results.
fn invocation(result: &ScanResult, options: &OutputOptions, left_out: usize) -> Value {
    let notification = |text: String| json!({ "level": "warning", "message": { "text": text } });
    let uncovered = match result.uncovered() {
        0 => None,
        count => Some(format!("{count} packages of ecosystems that no source covers")),
    };
    let told: Vec<Value> = result
        .unknowns
        .iter()
        .map(|unknown| harmless(unknown).into_owned())
        .chain(uncovered)
        .chain(
            (left_out > 0).then(|| format!("{left_out} results are left out, none of them worse than these")),
        )
        .map(notification)
        .collect();
    let mut invocation = json!({ "executionSuccessful": true, "toolExecutionNotifications": told });
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let created = options
        .created
        .map(|created| created.to_offset(time::UtcOffset::UTC));
    if let Some(created) = created.and_then(|created| created.format(rfc3339).ok()) {
        invocation["endTimeUtc"] = json!(created);
    }
    invocation
}

/// Rules by id, in order.
struct Rules {
    list: Vec<Value>,
    places: BTreeMap<String, usize>,
}

impl Rules {
    fn of(problems: &[Problem]) -> Self {
        let mut worst: BTreeMap<&str, &Problem> = BTreeMap::new();
        for problem in problems {
            let known = worst.entry(&problem.rule).or_insert(problem);
            if problem.severity > known.severity {
                *known = problem;
            }
        }
        Self {
            list: worst.values().map(|problem| problem.to_rule()).collect(),
            places: worst
                .keys()
                .enumerate()
                .map(|(place, id)| ((*id).to_owned(), place))
                .collect(),
        }
    }
}

impl Problem {
    fn to_rule(&self) -> Value {
        let mut rule = json!({
            "id": self.rule,
            "shortDescription": { "text": said(&self.title, &self.rule) },
            "fullDescription": { "text": said(&self.title, &self.rule) },
            "help": { "text": said(&self.help, &self.rule) },
            "defaultConfiguration": { "level": level(self.severity) },
            "properties": {
                "tags": ["security", self.kind],
                "security-severity": security_severity(self.severity),
            },
        });
        if self.kind == "vulnerability" {
            rule["helpUri"] = json!(format!("https://osv.dev/vulnerability/{}", uri_of(&self.rule)));
        }
        rule
    }

    fn to_result(&self, rules: &Rules, result: &ScanResult) -> Value {
        let mut value = Map::new();
        let mut put = |name: &str, member: Value| {
            value.insert(name.to_owned(), member);
        };
        put("ruleId", json!(self.rule));
        put("ruleIndex", json!(rules.places.get(&self.rule)));
        // Only what fails has a level (3.27.10).
        put("kind", json!(if self.is_uncertain { "review" } else { "fail" }));
        put(
            "level",
            json!(if self.is_uncertain {
                "none"
            } else {
                level(self.severity)
            }),
        );
        put("message", json!({ "text": harmless(&self.message) }));
        put("locations", json!([self.location(result)]));
        let fingerprint = self.fingerprint();
        put(
            "partialFingerprints",
            json!({ GITHUB_FINGERPRINT: format!("{fingerprint}:1"), FINGERPRINT: fingerprint }),
        );
        if let Some(why) = &self.suppressed {
            let suppression = json!({ "kind": "external", "justification": harmless(why) });
            put("suppressions", json!([suppression]));
        }
        put(
            "properties",
            json!({ "severity": self.severity, "kind": self.kind, "confidence": self.confidence }),
        );
        Value::Object(value)
    }

    fn location(&self, result: &ScanResult) -> Value {
        let mut names: Vec<Value> = self
            .layer
            .map(|layer| layer_json(layer, result))
            .into_iter()
            .collect();
        if !self.inner_path.is_empty() {
            let full = std::iter::once(&self.path).chain(&self.inner_path);
            let full: Vec<_> = full.map(|path| harmless(path)).collect();
            names.push(json!({ "fullyQualifiedName": full.join("!"), "kind": "member" }));
        }
        let mut location = json!({});
        if !names.is_empty() {
            location["logicalLocations"] = json!(names);
        }
        // GitHub refuses a result that is in no file, or on no line of it.
        let artifact = if self.path.is_empty() {
            json!({ "uri": uri_of(said(&result.target.name, "image").as_ref()) })
        } else {
            json!({ "uri": uri_of(&self.path), "uriBaseId": BASE })
        };
        let line = self.line.filter(|line| *line > 0).unwrap_or(1);
        location["physicalLocation"] =
            json!({ "artifactLocation": artifact, "region": { "startLine": line } });
        location
    }

    fn fingerprint(&self) -> String {
        let identity = serde_json::to_vec(&self.identity).unwrap_or_default();
        Digest::of(Algorithm::Sha256, &identity).hex()
    }
}

fn layer_json(layer: usize, result: &ScanResult) -> Value {
    let digest = result.layers.get(layer).and_then(|layer| layer.digest);
    let name = match digest {
        Some(digest) => format!("layer {layer} {digest}"),
        None => format!("layer {layer}"),
    };
    json!({ "name": format!("layer {layer}"), "fullyQualifiedName": name, "kind": "module" })
}

fn of_vulnerability(finding: &VulnerabilityFinding, result: &ScanResult) -> Problem {
    let placed = result.package_of(finding);
    let package = placed.map(|placed| &placed.package);
    let name = package.map(|package| package.name.clone()).unwrap_or_default();
    let version = package
        .map(|package| package.version.as_str())
        .unwrap_or_default();
    let fix = finding.fix.words();
    let standing = Standing::of(finding);
    let path = placed.map(|placed| placed.path.clone()).unwrap_or_default();
    let inner_path = package
        .map(|package| package.inner_path.clone())
        .unwrap_or_default();
    let exploited = if finding.kev.is_some() {
        ", known to be exploited"
    } else {
        ""
    };
    let mut identity = vec![
        "vulnerability".to_owned(),
        finding.id.to_string(),
        name.clone(),
        path.clone(),
    ];
    identity.extend(inner_path.iter().cloned());
    Problem {
        rule: finding.id.to_string(),
        title: finding.title.to_string(),
        help: finding.title.to_string(),
        severity: finding.severity,
        message: format!(
            "{name} {version} has {}{exploited}; {fix}: {}",
            finding.id, finding.title
        ),
        layer: placed.and_then(|placed| placed.layer),
        path,
        inner_path,
        line: None,
        identity,
        suppressed: matches!(
            standing,
            Standing::Suppressed | Standing::Mitigated | Standing::HeadersOnly
        )
        .then(|| standing.why(finding)),
        is_uncertain: standing == Standing::Uncertain,
        confidence: package.map_or(finding.confidence, |package| {
            finding.confidence.min(package.confidence)
        }),
        kind: "vulnerability",
    }
}

fn of_file(placed: &PlacedByteFinding) -> Problem {
    let finding = &placed.finding;
    let kind = super::table::kind_word(finding.kind);
    let mut identity = vec![kind.to_owned(), finding.rule.clone(), finding.path.clone()];
    identity.extend(finding.inner_path.iter().cloned());
    identity.extend(finding.fingerprint.clone());
    let excerpt = finding.excerpt.as_ref().map(|excerpt| format!(" ({excerpt})"));
    Problem {
        rule: finding.rule.clone(),
        title: finding.title.clone(),
        help: finding.fix.clone().unwrap_or_default(),
        severity: finding.severity,
        message: format!("{}{}", finding.title, excerpt.unwrap_or_default()),
        layer: placed.layer,
        path: finding.path.clone(),
        inner_path: finding.inner_path.clone(),
        line: finding.line,
        identity,
        suppressed: finding.is_example.then(|| "known to be an example".to_owned()),
        is_uncertain: false,
        confidence: Confidence::High,
        kind,
    }
}

/// A message must not be empty.
fn said<'a>(text: &'a str, otherwise: &'a str) -> std::borrow::Cow<'a, str> {
    harmless(if text.is_empty() { otherwise } else { text })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low | Severity::Negligible => "note",
    }
}

/// The lowest score of the severity, as places that sort by it read it.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.0",
        Severity::High => "7.0",
        Severity::Medium | Severity::Unknown => "4.0",
        Severity::Low => "0.1",
        Severity::Negligible => "0.0",
    }
}

/// A relative reference (RFC 3986): all but unreserved characters and slashes is encoded.
fn uri_of(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            // A `String` takes everything.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
