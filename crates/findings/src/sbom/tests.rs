//! What is written can be read; what others write too; what is too much is refused.

use super::*;
use crate::scan_result::tests::sample;

mod foreign_documents;
mod refused;
mod round_trip;

type Form = fn(&ScanResult, &SbomOptions) -> String;

const FORMS: [Form; 2] = [ScanResult::to_cyclonedx, ScanResult::to_spdx];

fn written(form: Form, result: &ScanResult) -> String {
    form(result, &SbomOptions::default())
}

/// As an SBOM says them: without what advisories say.
fn packages_of(result: &ScanResult) -> Vec<PlacedPackage> {
    let mut packages = result.packages.clone();
    for placed in &mut packages {
        placed.coverage = None;
    }
    packages
}
