//! Our own JSON: the result as it is, with a summary.

use serde::Serialize;

use super::OutputOptions;
use crate::{OriginCounts, ScanResult, SeverityCounts, Standing, harmless::harmless_json, sbom::TOOL};

/// Version of the form. A member that is added does not change it; one that is removed or changes its meaning does.
pub const JSON_SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    tool: Tool<'a>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    created: Option<time::OffsetDateTime>,
    summary: Summary,
    #[serde(flatten)]
    result: &'a ScanResult,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct Summary {
    /// Vulnerabilities that count, one for each package that has it.
    vulnerabilities: SeverityCounts,
    /// The same by whose layer they lie in, where a registry said whose layers are.
    #[serde(skip_serializing_if = "Option::is_none")]
    origins: Option<OriginCounts>,
    uncertain: usize,
    mitigated: usize,
    suppressed: usize,
    kernel_headers_only: usize,
    exploited: usize,
    secrets: usize,
    malware: usize,
    configuration: usize,
    packages: usize,
    uncovered_packages: usize,
    unknowns: usize,
}

impl Summary {
    fn of(result: &ScanResult) -> Self {
        use crate::ByteFindingKind as Kind;
        let files = |kind: Kind| {
            let is_kind = |placed: &&crate::PlacedByteFinding| placed.finding.kind == kind;
            result.files.iter().filter(is_kind).count()
        };
        Self {
            vulnerabilities: result.counted(),
            origins: result.origins(),
            uncertain: result.standing(Standing::Uncertain),
            mitigated: result.standing(Standing::Mitigated),
            suppressed: result.standing(Standing::Suppressed),
            kernel_headers_only: result.standing(Standing::HeadersOnly),
            exploited: result
                .vulnerabilities
                .iter()
                .filter(|finding| finding.kev.is_some() && Standing::of(finding) == Standing::Counts)
                .count(),
            secrets: files(Kind::Secret),
            malware: files(Kind::Malware),
            configuration: files(Kind::Configuration),
            packages: result.packages.len(),
            uncovered_packages: result.uncovered(),
            unknowns: result.unknowns.len(),
        }
    }
}

pub(super) fn write(result: &ScanResult, options: &OutputOptions) -> String {
    let document = Document {
        schema: JSON_SCHEMA,
        tool: Tool {
            name: TOOL,
            version: &options.tool_version,
        },
        created: options.created,
        summary: Summary::of(result),
        result,
    };
    // Maps have texts for keys and numbers are finite: there is nothing that JSON cannot say.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    harmless_json(text)
}
