//! The types that a configuration key can have, and how each is read and written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use access::Cidr;
use config::ValueKind;
use signatures::limits::MAX_NAME_BYTES;

use super::network::PublicUrl;
use super::units::{Size, Span};

/// A value that a key can hold.
pub(crate) trait Setting: Sized {
    /// What to write, for the comment in the printed configuration: a type with its unit.
    const UNIT: &'static str;

    /// Reads the value as the file or the environment holds it (the environment holds text only).
    fn read(value: &ValueKind) -> Result<Self, String>;

    /// Writes the value as TOML.
    fn to_toml(&self) -> String;
}

/// The text of a value, whatever its type, for messages.
pub(super) fn shown(value: &ValueKind) -> String {
    match value {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

fn text_of(value: &ValueKind, unit: &str) -> Result<String, String> {
    match value {
        ValueKind::String(text) => Ok(text.clone()),
        other => Err(format!("expected {unit} in quotes, found {}", shown(other))),
    }
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Types that are written as text and have `FromStr` and `Display`.
macro_rules! text_setting {
    ($type:ty, $unit:literal) => {
        impl Setting for $type {
            const UNIT: &'static str = $unit;

            fn read(value: &ValueKind) -> Result<Self, String> {
                let text = text_of(value, Self::UNIT)?;
                text.parse()
                    .map_err(|error| format!("{text:?} is not {}: {error}", Self::UNIT))
            }

            fn to_toml(&self) -> String {
                quoted(&self.to_string())
            }
        }
    };
}

/// Types whose own error already repeats the text.
macro_rules! unit_setting {
    ($type:ty, $unit:literal) => {
        impl Setting for $type {
            const UNIT: &'static str = $unit;

            fn read(value: &ValueKind) -> Result<Self, String> {
                match value {
                    ValueKind::String(text) => text.parse::<$type>().map_err(|error| error.to_string()),
                    other => shown(other)
                        .parse::<$type>()
                        .map_err(|error| error.to_string()),
                }
            }

            fn to_toml(&self) -> String {
                quoted(&self.to_string())
            }
        }
    };
}

unit_setting!(Span, "a duration");
unit_setting!(Size, "a size");
text_setting!(SocketAddr, "an IP address and port such as 127.0.0.1:5000");
text_setting!(PublicUrl, "a URL such as https://registry.example");
text_setting!(
    crate::worker::ClamdAddress,
    "an address of clamd such as unix:/run/clamav/clamd.ctl or 127.0.0.1:3310"
);
text_setting!(super::feeds::FeedUrl, "a URL such as https://feeds.example/osv/");
text_setting!(super::feeds::EcosystemName, "an ecosystem of OSV");
text_setting!(String, "text");
text_setting!(
    super::mirror::NamespaceName,
    "the name of a registry such as docker.io or registry.example:5000"
);
text_setting!(
    super::mirror::PeerName,
    "a host and port such as mirrors.example:5443"
);
text_setting!(Cidr, "a network such as 10.0.0.0/8");
text_setting!(access::NamePattern, "a pattern of names such as cluster-*");
text_setting!(http::HeaderName, "the name of a header such as x-roadbed-class");
text_setting!(
    super::logging::LogFilter,
    "a level (error, warn, info, debug, trace) or filter"
);
text_setting!(super::logging::LogFormat, "text or json");
text_setting!(super::sbom::SbomFormat, "cyclonedx or spdx");
text_setting!(crate::rebase::Thaw, "critical, high or never");
text_setting!(oci::RepoName, "a repository such as platform/catalog");
text_setting!(oci::Tag, "a tag");
text_setting!(SignerName, "the name of a signer");
text_setting!(oci::RepoPattern, "a pattern of repositories such as team/**");
text_setting!(super::logging::LogTarget, "stdout, stderr or off");

macro_rules! count_setting {
    ($type:ty) => {
        impl Setting for $type {
            const UNIT: &'static str = "a whole number";

            fn read(value: &ValueKind) -> Result<Self, String> {
                let number = match value {
                    ValueKind::I64(number) => <$type>::try_from(*number).ok(),
                    ValueKind::U64(number) => <$type>::try_from(*number).ok(),
                    ValueKind::String(text) => text.parse().ok(),
                    _ => None,
                };
                number.ok_or_else(|| format!("expected {}, found {}", Self::UNIT, shown(value)))
            }

            fn to_toml(&self) -> String {
                self.to_string()
            }
        }
    };
}

count_setting!(u32);
count_setting!(u64);
count_setting!(usize);

impl Setting for bool {
    const UNIT: &'static str = "true or false";

    fn read(value: &ValueKind) -> Result<Self, String> {
        match value {
            ValueKind::Boolean(flag) => Ok(*flag),
            ValueKind::String(text) if text == "true" => Ok(true),
            ValueKind::String(text) if text == "false" => Ok(false),
            other => Err(format!("expected {}, found {}", Self::UNIT, shown(other))),
        }
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Setting for PathBuf {
    const UNIT: &'static str = "a path";

    fn read(value: &ValueKind) -> Result<Self, String> {
        let path = text_of(value, Self::UNIT).map(PathBuf::from)?;
        // A shell replaces it; here it would be a directory of that name where the server was started.
        if path.starts_with("~") {
            return Err(format!("{} begins with `~`: write the whole path", shown(value)));
        }
        Ok(path)
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

/// Empty text stands for "not set".
impl<T: Setting> Setting for Option<T> {
    const UNIT: &'static str = T::UNIT;

    fn read(value: &ValueKind) -> Result<Self, String> {
        match value {
            ValueKind::String(text) if text.is_empty() => Ok(None),
            other => T::read(other).map(Some),
        }
    }

    fn to_toml(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), Setting::to_toml)
    }
}

/// A list; in the environment its items are separated by commas.
impl<T: Setting> Setting for Vec<T> {
    const UNIT: &'static str = "a list";

    fn read(value: &ValueKind) -> Result<Self, String> {
        match value {
            ValueKind::Array(items) => items.iter().map(|item| T::read(&item.kind)).collect(),
            ValueKind::String(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items
                    .map(|item| T::read(&ValueKind::String(item.to_owned())))
                    .collect()
            }
            other => Err(format!("expected a list of {}, found {}", T::UNIT, shown(other))),
        }
    }

    fn to_toml(&self) -> String {
        let items: Vec<String> = self.iter().map(Setting::to_toml).collect();
        format!("[{}]", items.join(", "))
    }
}

/// The name of a trusted signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignerName(pub(crate) String);

impl FromStr for SignerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        is_one
            .then(|| Self(text.to_owned()))
            .ok_or("write a name that `roadbed signer list` shows")
    }
}

impl fmt::Display for SignerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hosts and the path prefixes under which their repositories are kept; in the environment `host=prefix,host=prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Namespaces(pub(crate) BTreeMap<String, String>);

impl Setting for Namespaces {
    const UNIT: &'static str = "a table of host = \"path/prefix\"";

    fn read(value: &ValueKind) -> Result<Self, String> {
        let mut pairs = BTreeMap::new();
        match value {
            ValueKind::Table(table) => {
                for (host, prefix) in table {
                    let ValueKind::String(prefix) = &prefix.kind else {
                        return Err(format!(
                            "expected {}, found {} for {host}",
                            Self::UNIT,
                            shown(&prefix.kind)
                        ));
                    };
                    pairs.insert(host.clone(), prefix.clone());
                }
            }
            ValueKind::String(text) => {
                for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                    let (host, prefix) = pair
                        .split_once('=')
                        .ok_or_else(|| format!("{pair:?} is not of the form host=path/prefix"))?;
                    let (host, prefix) = (host.trim(), prefix.trim());
                    if let Some(first) = pairs.insert(host.to_owned(), prefix.to_owned()) {
                        return Err(format!(
                            "{host:?} is there twice, with {first:?} and with {prefix:?}; keep one of them"
                        ));
                    }
                }
            }
            other => return Err(format!("expected {}, found {}", Self::UNIT, shown(other))),
        }
        for (host, prefix) in &pairs {
            check_namespace(host, prefix)?;
        }
        Ok(Self(pairs))
    }

    fn to_toml(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(host, prefix)| format!("{} = {}", quoted(host), quoted(prefix)))
            .collect();
        if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

fn check_namespace(host: &str, prefix: &str) -> Result<(), String> {
    let is_host = !host.is_empty()
        && host.len() <= 255
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    if !is_host {
        return Err(format!(
            "{host:?} is not a host such as docker.io or registry.example:5000"
        ));
    }
    match prefix.parse::<oci::RepoName>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{prefix:?} is not a path prefix of repositories: {error}"
        )),
    }
}
