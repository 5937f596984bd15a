//! CVSS 4.0 (FIRST, specification document, section 8).

use std::str::FromStr as _;

use super::{Metrics, tenths_of};

/// The base metrics, all of which a vector must have.
const BASE: [&str; 11] = ["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"];

/// The base score (CVSS-B) of a vector such as `CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N`.
pub(crate) fn v4_base_tenths(vector: &str) -> Option<u8> {
    let metrics = Metrics::parse(vector.strip_prefix("CVSS:4.0/")?)?;
    let mut base = "CVSS:4.0".to_owned();
    for name in BASE {
        base.push('/');
        base.push_str(name);
        base.push(':');
        base.push_str(metrics.get(name)?);
    }
    let score = cvss::v4::Vector::from_str(&base).ok()?.score().value();
    Some(tenths_of(score))
}
