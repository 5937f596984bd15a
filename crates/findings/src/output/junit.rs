//! `JUnit`'s XML: one suite for each kind of problem, a failure for what is bad enough.

use super::{OutputOptions, xml::escaped};
use crate::{
    ByteFindingKind, PlacedByteFinding, ScanResult, Severity, Standing, advisory::VulnerabilityFinding,
};

enum Verdict {
    Passed,
    Skipped(String),
    Failed(String),
}

struct Case {
    class: String,
    name: String,
    verdict: Verdict,
}

pub(super) fn write(result: &ScanResult, options: &OutputOptions) -> String {
    let files = |kind: ByteFindingKind| -> Vec<Case> {
        let of_kind = result.files.iter().filter(|placed| placed.finding.kind == kind);
        of_kind.map(|placed| of_file(placed, options.fail_at)).collect()
    };
    let vulnerabilities = result
        .vulnerabilities
        .iter()
        .map(|finding| of_vulnerability(finding, result, options.fail_at));
    let unknowns = result.unknowns.iter().map(|unknown| Case {
        class: "unknown".to_owned(),
        name: unknown.clone(),
        verdict: Verdict::Skipped("it could not be found out".to_owned()),
    });
    let suites = [
        ("vulnerability", vulnerabilities.collect()),
        ("secret", files(ByteFindingKind::Secret)),
        ("malware", files(ByteFindingKind::Malware)),
        ("configuration", files(ByteFindingKind::Configuration)),
        ("unknown", unknowns.collect()),
    ];
    let all: Vec<&Case> = suites
        .iter()
        .flat_map(|(_, cases): &(_, Vec<Case>)| cases)
        .collect();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = escaped(&result.target.name);
    xml.push_str(&format_counts("testsuites", &name, all.iter().copied()));
    for (name, cases) in &suites {
        xml.push_str("  ");
        xml.push_str(&format_counts("testsuite", name, cases.iter()));
        for case in cases {
            push_case(&mut xml, case);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn format_counts<'a>(element: &str, name: &str, cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut skipped) = (0_usize, 0_usize, 0_usize);
    for case in cases {
        tests += 1;
        match case.verdict {
            Verdict::Passed => {}
            Verdict::Skipped(_) => skipped += 1,
            Verdict::Failed(_) => failures += 1,
        }
    }
    // Consumers of suites expect the number that are skipped, those of the whole do not know it.
    let skipped = match element {
        "testsuite" => format!(" errors=\"0\" skipped=\"{skipped}\""),
        _ => String::new(),
    };
    format!("<{element} name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\"{skipped}>\n")
}

fn push_case(xml: &mut String, case: &Case) {
    let (class, name) = (escaped(&case.class), escaped(&case.name));
    let (element, why) = match &case.verdict {
        Verdict::Passed => ("", ""),
        Verdict::Skipped(why) => ("skipped", why.as_str()),
        Verdict::Failed(why) => ("failure", why.as_str()),
    };
    xml.extend(["    <testcase classname=\"", &class, "\" name=\"", &name, "\""]);
    if element.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    let why = escaped(why);
    xml.extend([
        ">\n      <",
        element,
        " message=\"",
        &why,
        "\"/>\n    </testcase>\n",
    ]);
}

fn of_vulnerability(finding: &VulnerabilityFinding, result: &ScanResult, fail_at: Severity) -> Case {
    let placed = result.package_of(finding);
    let package = placed.map(|placed| format!("{} {}", placed.package.name, placed.package.version));
    let package = package.unwrap_or_default();
    let standing = Standing::of(finding);
    let fix = match finding.fix.version() {
        Some(version) => format!("update to {version}"),
        None => "no fix is known".to_owned(),
    };
    let told = format!("{}: {}; {fix}", finding.severity.as_str(), finding.title);
    Case {
        class: placed.map(crate::PlacedPackage::full_path).unwrap_or_default(),
        name: format!("{} in {package}", finding.id),
        verdict: match standing {
            Standing::Counts if finding.severity >= fail_at => Verdict::Failed(told),
            Standing::Counts => Verdict::Passed,
            other => Verdict::Skipped(other.why(finding)),
        },
    }
}

fn of_file(placed: &PlacedByteFinding, fail_at: Severity) -> Case {
    let finding = &placed.finding;
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let fix = finding.fix.as_ref().map(|fix| format!("; {fix}"));
    let told = format!(
        "{}: {}{}",
        finding.severity.as_str(),
        finding.title,
        fix.unwrap_or_default()
    );
    Case {
        class: placed.full_path() + &line,
        name: format!("{}: {}", finding.rule, finding.title),
        verdict: match finding.severity {
            _ if finding.is_example => Verdict::Skipped("known to be an example".to_owned()),
            severity if severity >= fail_at => Verdict::Failed(told),
            _ => Verdict::Passed,
        },
    }
}
