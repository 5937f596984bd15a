//! Variables of the environment that were meant for a key and are not spelt like one.
//!
//! They would be ignored without a word, and the registry would listen elsewhere or write to another disk. What
//! Kubernetes sets for a service that is called `roadbed` or `roadbed-metrics` is none of these.

use std::collections::BTreeMap;

use super::layers::{PREFIX, SEPARATOR, variable_of};
use super::nearest::nearest;
use super::problem::{Origin, Problem};

/// Names that people try, and the key that each means.
const TRIED: [(&str, &str); 5] = [
    ("data", "server.data_dir"),
    ("data_directory", "server.data_dir"),
    ("address", "server.listen"),
    ("log", "log.level"),
    ("loglevel", "log.level"),
];

/// A problem for each variable with our prefix, and without the double underscore, that was meant for one of `known`.
pub(super) fn misspelt(environment: &BTreeMap<String, String>, known: &[&'static str]) -> Vec<Problem> {
    let meant = environment.keys().filter_map(|variable| {
        let rest = variable.strip_prefix(PREFIX)?;
        if rest.contains(SEPARATOR) || is_service_link(rest) {
            return None;
        }
        Some((variable, meant_key(&rest.to_ascii_lowercase(), known)?))
    });
    meant
        .map(|(variable, key)| {
            let origin = Origin::Environment {
                variable: variable.clone(),
            };
            Problem::at(
                origin,
                format!("sets nothing: did you mean {}?", variable_of(key)),
            )
        })
        .collect()
}

fn meant_key(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if let Some((_, key)) = TRIED.iter().find(|(tried, _)| *tried == name) {
        return Some(key);
    }
    let is_key = |key: &&&'static str| key.split_once('.').is_some_and(|(_, last)| last == name);
    if let Some(key) = known.iter().find(is_key) {
        return Some(key);
    }
    let (first, last) = name.split_once('_')?;
    let is_section = known.iter().any(|key| key.split('.').next() == Some(first));
    is_section
        .then(|| nearest(&format!("{first}.{last}"), known.iter().copied()))
        .flatten()
}

/// What Kubernetes and Docker set for each service next door: `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTP`, `…_PORT`,
/// `…_PORT_5000_TCP_ADDR` (Kubernetes documentation, "Service: environment variables").
fn is_service_link(rest: &str) -> bool {
    let rest = format!("_{rest}");
    let mut after_port = rest.split("_PORT_").skip(1);
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT")
        || after_port.any(|after| after.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = [
        "server.listen",
        "server.data_dir",
        "server.tls_cert",
        "log.level",
        "metrics.public",
    ];

    fn problems(variable: &str) -> Vec<String> {
        let environment = BTreeMap::from([(variable.to_owned(), "x".to_owned())]);
        let problems = misspelt(&environment, &KNOWN);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn what_was_meant_for_a_key_is_named() {
        for (wrong, right) in [
            ("ROADBED_SERVER_LISTEN", "ROADBED_SERVER__LISTEN"),
            ("ROADBED_SERVER_DATA_DIR", "ROADBED_SERVER__DATA_DIR"),
            ("ROADBED_SERVER_LISTN", "ROADBED_SERVER__LISTEN"),
            ("ROADBED_LISTEN", "ROADBED_SERVER__LISTEN"),
            ("ROADBED_DATA_DIR", "ROADBED_SERVER__DATA_DIR"),
            ("ROADBED_DATA", "ROADBED_SERVER__DATA_DIR"),
            ("ROADBED_TLS_CERT", "ROADBED_SERVER__TLS_CERT"),
            ("ROADBED_LOG_LEVEL", "ROADBED_LOG__LEVEL"),
            ("ROADBED_LOG", "ROADBED_LOG__LEVEL"),
        ] {
            assert_eq!(
                problems(wrong),
                [format!(
                    "environment {wrong}: sets nothing: did you mean {right}?"
                )]
            );
        }
    }

    #[test]
    fn other_variables_are_left_alone() {
        for name in [
            "ROADBED_URL",
            "ROADBED_USER",
            "ROADBED_PASSWORD",
            "ROADBED_CA_CERT",
            "ROADBED_CONFIG",
            "ROADBED_ADMIN_PASSWORD",
            "ROADBED_SERVER__LISTEN",
            "LISTEN",
            "ROADBED_SERVICE_HOST",
            "ROADBED_SERVICE_PORT",
            "ROADBED_PORT",
            "ROADBED_PORT_5000_TCP",
            "ROADBED_PORT_5000_TCP_ADDR",
            "ROADBED_METRICS_SERVICE_HOST",
            "ROADBED_METRICS_SERVICE_PORT_HTTP",
            "ROADBED_METRICS_PORT",
            "ROADBED_METRICS_PORT_9090_TCP_PROTO",
            "ROADBED_SERVER_BLUE_SERVICE_HOST",
        ] {
            assert_eq!(problems(name), Vec::<String>::new(), "{name}");
        }
    }
}
