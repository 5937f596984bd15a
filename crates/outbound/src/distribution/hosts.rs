//! Lists of hosts that an operator has written.

use reqwest::Url;

use crate::OutboundError;

/// Hosts that are listed.
#[derive(Debug)]
pub(super) struct Hosts(Vec<Host>);

#[derive(Debug)]
struct Host {
    name: Name,
    /// `None`: the usual port of the scheme.
    port: Option<u16>,
}

#[derive(Debug)]
enum Name {
    Any,
    /// With its dot: `.example.org`.
    Below(String),
    Exact(String),
}

impl Hosts {
    /// `host`, `host:port`, `*.domain`, `*.domain:port` or `*`.
    pub(super) fn parse(list: &[String]) -> Result<Self, OutboundError> {
        list.iter()
            .map(|text| {
                parse(text).ok_or_else(|| OutboundError::Url {
                    url: text.escape_debug().to_string(),
                    offence: "it is no host: write host, host:port or *.domain, without https://",
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the host of the URL is listed.
    pub(super) fn has(&self, url: &Url) -> bool {
        let Some(asked) = url.host_str() else { return false };
        self.0.iter().any(|host| match &host.name {
            Name::Any => true,
            Name::Below(domain) => asked.ends_with(domain) && host.has_port_of(url),
            Name::Exact(name) => asked == name && host.has_port_of(url),
        })
    }
}

impl Host {
    fn has_port_of(&self, url: &Url) -> bool {
        match self.port {
            None => url.port().is_none(),
            port => url.port_or_known_default() == port,
        }
    }
}

fn parse(text: &str) -> Option<Host> {
    if text == "*" {
        let name = Name::Any;
        return Some(Host { name, port: None });
    }
    let (name, port) = match text.rsplit_once(':') {
        // The colons of an address stand in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let name = match name.strip_prefix("*.") {
        Some(domain) => Name::Below(format!(".{}", normal(domain)?)),
        None => Name::Exact(normal(name)?),
    };
    Some(Host { name, port })
}

/// As URLs spell it: lower case, without the many ways to write an address.
fn normal(host: &str) -> Option<String> {
    if host.is_empty() || host.contains(['/', '@', '?', '#', '*', '\\', ' ', '\t', '\n', '\r']) {
        return None;
    }
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    if url.port().is_some() {
        return None;
    }
    url.host_str().map(str::to_owned)
}

/// Host, and port where it is not the usual one.
pub(super) fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(list: &str, url: &str) -> bool {
        Hosts::parse(&[list.to_owned()])
            .unwrap()
            .has(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_what_is_listed_is() {
        for (list, url, is_listed) in [
            ("auth.example", "https://auth.example/token", true),
            ("Auth.Example", "https://auth.example/token", true),
            ("auth.example", "http://auth.example/token", true),
            ("auth.example", "https://auth.example:8443/token", false),
            ("auth.example", "https://evil.auth.example/", false),
            ("auth.example", "https://auth.example.evil/", false),
            ("auth.example:443", "https://auth.example/token", true),
            ("auth.example:443", "http://auth.example/token", false),
            ("auth.example:5001", "http://auth.example:5001/", true),
            ("*.example.org", "https://cdn.example.org/", true),
            ("*.example.org", "https://a.b.example.org/", true),
            ("*.example.org", "https://example.org/", false),
            ("*.example.org", "https://evilexample.org/", false),
            ("*.example.org", "https://cdn.example.org:81/", false),
            ("*", "https://anything.example:81/", true),
            ("[2001:DB8::1]:81", "https://[2001:db8::1]:81/", true),
            ("[2001:db8::1]", "https://[2001:db8::1]/", true),
        ] {
            assert_eq!(has(list, url), is_listed, "{list} {url}");
        }
        assert!(
            !Hosts::parse(&[])
                .unwrap()
                .has(&Url::parse("https://a.example").unwrap())
        );
    }

    #[test]
    fn what_is_no_host_is_told() {
        for wrong in [
            "",
            "https://a.example",
            "a.example/x",
            "a b",
            "a.example:",
            "a.example:x",
            "a.example:99999",
            "*.",
            "a*.example",
            "ann@a.example",
            "2001:db8::1",
        ] {
            let error = Hosts::parse(&[wrong.to_owned()]).unwrap_err();
            assert!(error.to_string().contains("is no host"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_usual_port_is_not_written() {
        let of = |url| authority(&Url::parse(url).unwrap());
        assert_eq!(of("https://a.example:443/x"), "a.example");
        assert_eq!(of("http://a.example:443/x"), "a.example:443");
    }
}
