//! `[traffic]`: who comes first where not everybody can be served at once, and who may ask for how much.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use access::{Cidr, NamePattern};
use config::ValueKind;
use http::HeaderName;
use registry::{ClassRules, Rate, TrafficConfig};

use super::key::section;
use super::setting::{Setting, quoted, shown};
use super::units::{Size, Span};

const MINUTE: Span = Span::seconds(60);

fn traffic() -> TrafficConfig {
    TrafficConfig::default()
}

section! {
    /// Who comes first where not everybody can be served at once, and who may ask for how much.
    Traffic = "traffic" {
        /// Users and robots that nodes pull with, such as `cluster-*`; robots that may only pull are nodes anyway.
        nodes: Vec<NamePattern> = Vec::new();
        /// Networks in which whoever pulls is a node.
        node_networks: Vec<Cidr> = Vec::new();
        /// Users and robots of builds; they come after nodes.
        ci: Vec<NamePattern> = Vec::new();
        /// Users and robots that look into images; they come after pushes.
        scanners: Vec<NamePattern> = Vec::new();
        /// Header by which `server.trusted_proxies` name the class (node, ci, push, scan, pages); they must set or remove it. Empty: none.
        class_header: Option<HeaderName> = None;
        /// What users and robots may ask for per second: name pattern = "requests", "bytes" or both, such as `"50/s 20MiB/s"`.
        limits: Limits = Limits::default();
        /// Requests of a class waiting for their turn, half for one user, a quarter for one of its addresses; one more: 429.
        waiting: usize = traffic().waiting, 16 => 1_000_000;
        /// Longest wait for a turn; who would wait longer is told to come again at once (429).
        longest_wait: Span = Span(traffic().longest_wait), Span(Duration::from_millis(100)) => MINUTE;
        /// Requests take turns once what has come waits this long for a thread.
        behind: Span = Span(traffic().behind), Span(Duration::from_millis(1)) => MINUTE;
        /// Questions to the database at the same time however slow it gets; the most is `registry.concurrent_lookups`.
        database_least: usize = traffic().database_least, 1 => 100_000;
    }
}

impl Traffic {
    /// For the registry.
    pub(crate) fn traffic_config(&self) -> TrafficConfig {
        TrafficConfig {
            classes: ClassRules {
                nodes: self.nodes.clone(),
                ci: self.ci.clone(),
                scanners: self.scanners.clone(),
                node_networks: self.node_networks.clone(),
                header: self.class_header.clone(),
            },
            limits: self.limits.0.clone(),
            waiting: self.waiting,
            longest_wait: self.longest_wait.0,
            behind: self.behind.0,
            database_least: self.database_least,
        }
    }
}

/// What names may ask for, the most exact pattern first; in the environment `pattern=rate,pattern=rate`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Limits(Vec<(NamePattern, Rate)>);

impl Setting for Limits {
    const UNIT: &'static str = "a table of pattern = \"requests/s bytes/s\"";

    fn read(value: &ValueKind) -> Result<Self, String> {
        let mut rates = BTreeMap::new();
        match value {
            ValueKind::Table(table) => {
                for (pattern, rate) in table {
                    let ValueKind::String(rate) = &rate.kind else {
                        return Err(format!(
                            "expected {}, found {} for {pattern}",
                            Self::UNIT,
                            shown(&rate.kind)
                        ));
                    };
                    rates.insert(pattern.clone(), rate.clone());
                }
            }
            ValueKind::String(text) => {
                for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                    let (pattern, rate) = pair
                        .split_once('=')
                        .ok_or_else(|| format!("{pair:?} is not of the form pattern=rate"))?;
                    if rates
                        .insert(pattern.trim().to_owned(), rate.trim().to_owned())
                        .is_some()
                    {
                        return Err(format!("{:?} is there twice; keep one of them", pattern.trim()));
                    }
                }
            }
            other => return Err(format!("expected {}, found {}", Self::UNIT, shown(other))),
        }
        let mut limits = rates
            .iter()
            .map(|(pattern, rate)| -> Result<_, String> {
                let named = NamePattern::from_str(pattern)
                    .map_err(|error| format!("{pattern:?} is no pattern of names: {error}"))?;
                Ok((named, read_rate(rate)?))
            })
            .collect::<Result<Vec<_>, _>>()?;
        // The longer, the more exact; a name without a star before all.
        limits.sort_by_key(|(pattern, _)| {
            (
                pattern.as_str().contains('*'),
                usize::MAX - pattern.as_str().len(),
            )
        });
        Ok(Self(limits))
    }

    fn to_toml(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(pattern, rate)| format!("{} = {}", quoted(pattern.as_str()), quoted(&shown_rate(*rate))))
            .collect();
        if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// `50/s`, `20MiB/s`, or both with a space between.
pub(crate) fn read_rate(text: &str) -> Result<Rate, String> {
    let wrong =
        || format!("{text:?} is no rate: write requests, bytes or both per second, such as \"50/s 20MiB/s\"");
    let mut rate = Rate::default();
    for part in text.split_whitespace() {
        let amount = part.strip_suffix("/s").ok_or_else(wrong)?;
        let place = if amount.bytes().all(|byte| byte.is_ascii_digit()) {
            (&mut rate.requests, amount.parse().ok())
        } else {
            (&mut rate.bytes, amount.parse::<Size>().ok().map(|size| size.0))
        };
        let (kind, amount) = place;
        let amount: Option<u64> = amount;
        if kind
            .replace(amount.filter(|amount| *amount > 0).ok_or_else(wrong)?)
            .is_some()
        {
            return Err(wrong());
        }
    }
    if rate == Rate::default() {
        return Err(wrong());
    }
    Ok(rate)
}

fn shown_rate(rate: Rate) -> String {
    let requests = rate.requests.map(|requests| format!("{requests}/s"));
    let bytes = rate.bytes.map(|bytes| format!("{}/s", Size(bytes)));
    let parts: Vec<String> = [requests, bytes].into_iter().flatten().collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for text in ["50/s", "20MiB/s", "50/s 20MiB/s"] {
            assert_eq!(shown_rate(read_rate(text).unwrap()), text);
        }
        for bad in ["", "50", "0/s", "50/s 60/s", "fast", "50/m", "-1/s", "1.5/s"] {
            assert!(read_rate(bad).unwrap_err().contains("50/s 20MiB/s"), "{bad}");
        }
    }

    #[test]
    fn any_rate_is_read_back_and_no_text_is_read_as_something_else() {
        for seed in 0..2_000 {
            let mut dice = Dice::new(seed);
            let mut amount = || {
                let shift = dice.roll(64);
                let amount = ((dice.roll(1 << 31) << 32) | dice.roll(1 << 31)) >> shift;
                (amount > 0 && dice.roll(3) > 0).then_some(amount)
            };
            let rate = Rate {
                requests: amount(),
                bytes: amount(),
            };
            if rate != Rate::default() {
                assert_eq!(read_rate(&shown_rate(rate)).unwrap(), rate, "{rate:?}");
            }
            let words = [
                "1",
                "0",
                "99999999999999999999",
                "KiB",
                "TiB",
                "B",
                "/s",
                " ",
                "-",
                ".",
                "\u{e9}",
            ];
            let text = dice.text(&words, 9);
            if let Ok(rate) = read_rate(&text) {
                assert_eq!(read_rate(&shown_rate(rate)).unwrap(), rate, "{text}");
                assert!(rate.requests != Some(0) && rate.bytes != Some(0), "{text}");
            }
            let pairs = ["a", "ci-*", "*", "=", "1/s", "2MiB/s", ",", " ", "A"];
            let text = dice.text(&pairs, 12);
            if let Ok(limits) = Limits::read(&ValueKind::String(text.clone())) {
                let line: Vec<String> = limits
                    .0
                    .iter()
                    .map(|(pattern, rate)| format!("{}={}", pattern.as_str(), shown_rate(*rate)))
                    .collect();
                let again = Limits::read(&ValueKind::String(line.join(","))).unwrap();
                assert_eq!(again, limits, "{text}");
            }
        }
    }

    #[test]
    fn the_most_exact_pattern_comes_first() {
        let text = "*=10/s, ci-*=50/s 20MiB/s, ci-main=100/s";
        let limits = Limits::read(&ValueKind::String(text.to_owned())).unwrap();
        let order: Vec<&str> = limits.0.iter().map(|(pattern, _)| pattern.as_str()).collect();
        assert_eq!(order, ["ci-main", "ci-*", "*"]);
        assert_eq!(
            limits.to_toml(),
            "{ \"ci-main\" = \"100/s\", \"ci-*\" = \"50/s 20MiB/s\", \"*\" = \"10/s\" }"
        );
        for bad in ["ci", "CI-*=1/s", "a=1/s,a=2/s"] {
            assert!(Limits::read(&ValueKind::String(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
