//! What takes the edge off a vulnerability without a new version. Data: what inspection saw, for which package and
//! vulnerability it helps, and why.

use serde::{Deserialize, Serialize};

/// One mitigation that helps against some vulnerabilities of a package, and no others.
struct Known {
    /// Maven coordinates without a version.
    package: &'static str,
    /// As inspection words it (`Package::mitigations`).
    seen: &'static str,
    vulnerabilities: &'static [&'static str],
    why: &'static str,
}

/// Removing the class ends the look-ups over JNDI from messages and from the thread context (CVE-2021-44228 and its
/// incomplete fix); recursion in other look-ups (CVE-2021-45105) and the JDBC appender (CVE-2021-44832) do not need it.
const KNOWN: [Known; 1] = [Known {
    package: "org.apache.logging.log4j:log4j-core",
    seen: "JndiLookup.class removed",
    vulnerabilities: &["CVE-2021-44228", "CVE-2021-45046"],
    why: "without JndiLookup.class no message makes Log4j ask a JNDI server",
}];

/// A mitigation that was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mitigation {
    /// What was seen.
    pub seen: String,
    /// Why it helps.
    pub why: String,
}

/// The mitigation among `seen` that helps against a vulnerability with one of `ids`.
pub(super) fn mitigation<'a>(
    package: &str,
    seen: &[String],
    mut ids: impl Iterator<Item = &'a str>,
) -> Option<Mitigation> {
    let is_package =
        |known: &&Known| known.package == package || known.package.rsplit(':').next() == Some(package);
    let mut applicable = KNOWN
        .iter()
        .filter(is_package)
        .filter(|known| seen.iter().any(|seen| seen == known.seen));
    let known = applicable.next()?;
    ids.any(|id| known.vulnerabilities.contains(&id))
        .then(|| Mitigation {
            seen: known.seen.to_owned(),
            why: known.why.to_owned(),
        })
}
