//! What must hold for any SBOM, one function per format.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/sbom_generated.rs`.

use findings::{
    ScanResult, ScanTarget,
    sbom::{Sbom, SbomOptions, limits},
};

/// Texts of a longer document may become longer than any that is read, once they are written down.
const LONGEST: usize = 4_096;

/// What is read once is written and read again as the same.
fn comes_back(data: &[u8], write: impl Fn(&ScanResult, &SbomOptions) -> String) {
    let Ok(sbom) = Sbom::read(data) else {
        return;
    };
    assert!(sbom.packages.len() <= limits::COMPONENTS);
    assert!(sbom.layers.len() <= limits::LAYERS);
    if data.len() > LONGEST {
        return;
    }
    let result = ScanResult::of_sbom(ScanTarget::default(), sbom);
    let written = write(&result, &SbomOptions::default());
    assert!(!written.contains(|character: char| character.is_control() && character != '\n'));
    let again = Sbom::read(written.as_bytes()).expect("what is written is an SBOM");
    assert_eq!(again.packages, result.packages, "{written}");
    assert_eq!(again.os, result.os, "{written}");
    assert_eq!(again.layers, result.layers, "{written}");
    assert_eq!(again.unknowns, result.unknowns, "{written}");
}

/// `CycloneDX`.
pub(crate) fn cyclonedx(data: &[u8]) {
    comes_back(data, ScanResult::to_cyclonedx);
}

/// SPDX.
pub(crate) fn spdx(data: &[u8]) {
    comes_back(data, ScanResult::to_spdx);
}
