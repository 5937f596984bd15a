//! The forms in which a scan's result is written down.
//!
//! All of them are made from one [`ScanResult`], say the same, and are harmless to whoever reads them, whatever names an
//! image holds. None of them has a time in it that was not given, so the same result gives the same bytes.

mod form;
mod json;
mod junit;
mod sarif;
mod table;
#[cfg(test)]
mod tests;
mod xml;

use time::OffsetDateTime;

pub use form::{OutputForm, OutputFormError};
pub use json::JSON_SCHEMA;

use crate::{ScanResult, Severity, sbom::SbomOptions};

/// How a result is written. Each form takes what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputOptions {
    /// Version of the tool, to be named in the document.
    pub tool_version: String,
    /// When it is written.
    pub created: Option<OffsetDateTime>,
    /// Columns of a table.
    pub width: usize,
    /// Whether a table has colours.
    pub has_colour: bool,
    /// From which severity a test of `JUnit` fails.
    pub fail_at: Severity,
    /// Whether an SBOM has the vulnerabilities too, where its format can.
    pub sbom_with_vulnerabilities: bool,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self {
            tool_version: String::new(),
            created: None,
            width: 100,
            has_colour: false,
            fail_at: Severity::High,
            sbom_with_vulnerabilities: false,
        }
    }
}

impl ScanResult {
    /// As text in one of the forms, ending with an end of line.
    pub fn to_form(&self, form: OutputForm, options: &OutputOptions) -> String {
        let sbom = || SbomOptions {
            tool_version: options.tool_version.clone(),
            created: options.created,
            with_vulnerabilities: options.sbom_with_vulnerabilities,
        };
        let mut text = match form {
            OutputForm::Table => table::write(self, options),
            OutputForm::Json => json::write(self, options),
            OutputForm::Sarif => sarif::write(self, options),
            OutputForm::CycloneDx => self.to_cyclonedx(&sbom()),
            OutputForm::Spdx => self.to_spdx(&sbom()),
            OutputForm::JUnit => junit::write(self, options),
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}
