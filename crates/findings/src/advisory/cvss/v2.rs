//! CVSS 2.0 (FIRST, "A Complete Guide to the Common Vulnerability Scoring System Version 2.0", 3.2.1).

use super::{Metrics, tenths_of};

/// The base score of a vector such as `AV:N/AC:L/Au:N/C:P/I:P/A:P`.
pub(crate) fn v2_base_tenths(vector: &str) -> Option<u8> {
    let vector = vector.strip_prefix("CVSS:2.0/").unwrap_or(vector);
    let vector = vector
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(vector);
    let metrics = Metrics::parse(vector)?;
    let access = metrics.weigh("AV", &[("L", 0.395), ("A", 0.646), ("N", 1.0)])?;
    let complexity = metrics.weigh("AC", &[("H", 0.35), ("M", 0.61), ("L", 0.71)])?;
    let authentication = metrics.weigh("Au", &[("M", 0.45), ("S", 0.56), ("N", 0.704)])?;
    let loss = |name| metrics.weigh(name, &[("N", 0.0), ("P", 0.275), ("C", 0.660)]);
    let impact = 10.41 * (1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?));
    if impact == 0.0 {
        return Some(0);
    }
    let exploitability = 20.0 * access * complexity * authentication;
    Some(tenths_of((0.6 * impact + 0.4 * exploitability - 1.5) * 1.176))
}
