//! The text of a `hosts.toml`, and how one that we wrote is known again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oci::{Algorithm, Digest};

use crate::config::mirror::NamespaceName;

/// The first line of what we write.
const MARK: &str =
    "# Written by `roadbed mirror install`: run it again to change it, with --uninstall to take it away.\n";

/// The second: the digest of what follows, so that what somebody has changed is known.
const SEAL: &str = "# ";

/// Where a node goes when the mirror does not answer, or does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fallback {
    /// The centre itself, with certificates to trust of it.
    pub(crate) centre: Option<(String, Option<PathBuf>)>,
    /// The registry that the image is named after, past all that the centre says of it.
    pub(crate) upstream: bool,
}

/// The mirror as a node reaches it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MirrorHost<'a> {
    pub(super) url: &'a str,
    pub(super) ca: Option<&'a Path>,
}

/// What is written for a registry.
///
/// `server` is whom containerd asks last, and whom it pushes to: never the registry of the image's name unless that is wanted, or what
/// the centre refuses would come from there.
pub(super) fn text(namespace: &NamespaceName, mirror: MirrorHost<'_>, fallback: &Fallback) -> String {
    let centre = fallback
        .centre
        .as_ref()
        .map(|(url, ca)| (url.as_str(), ca.as_deref()));
    let is_centres_own = centre.is_some_and(|(url, _)| {
        url.split_once("://")
            .is_some_and(|(_, host)| host.eq_ignore_ascii_case(namespace.as_str()))
    });
    let upstream = upstream_of(namespace);
    let (server, server_ca) = match centre {
        Some(centre) if is_centres_own => centre,
        _ if fallback.upstream => (upstream.as_str(), None),
        _ => (mirror.url, mirror.ca),
    };
    let mut body = format!("server = {}\n", quoted(server));
    ca_line(&mut body, "", server_ca);
    host(&mut body, mirror.url, mirror.ca);
    if let Some((url, ca)) = centre.filter(|_| !is_centres_own) {
        host(&mut body, url, ca);
    }
    format!("{MARK}{}{body}", seal(&body))
}

fn host(body: &mut String, url: &str, ca: Option<&Path>) {
    let _ = write!(
        body,
        "\n[host.{}]\n  capabilities = [\"pull\", \"resolve\"]\n",
        quoted(url)
    );
    ca_line(body, "  ", ca);
}

fn ca_line(body: &mut String, indent: &str, ca: Option<&Path>) {
    if let Some(ca) = ca {
        let _ = writeln!(body, "{indent}ca = {}", quoted(&ca.to_string_lossy()));
    }
}

/// As containerd would go by itself.
fn upstream_of(namespace: &NamespaceName) -> String {
    match namespace.as_str() {
        "docker.io" => "https://registry-1.docker.io".to_owned(),
        name => format!("https://{name}"),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn seal(body: &str) -> String {
    format!("{SEAL}{}\n", Digest::of(Algorithm::Sha256, body.as_bytes()))
}

/// Whether we wrote it and nobody has changed it since.
pub(super) fn is_ours(text: &str) -> bool {
    let sealed = text.strip_prefix(MARK);
    sealed
        .and_then(|sealed| sealed.split_once('\n'))
        .is_some_and(|(line, body)| format!("{line}\n") == seal(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIRROR: MirrorHost<'_> = MirrorHost {
        url: "http://127.0.0.1:5080",
        ca: None,
    };

    fn written(namespace: &str, centre: Option<&str>, upstream: bool) -> toml::Table {
        let fallback = Fallback {
            centre: centre.map(|url| (url.to_owned(), None)),
            upstream,
        };
        let text = text(&namespace.parse().unwrap(), MIRROR, &fallback);
        assert!(is_ours(&text));
        toml::from_str(&text).unwrap()
    }

    fn hosts(table: &toml::Table) -> Vec<&str> {
        table["host"]
            .as_table()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn nothing_leads_past_the_centre_unless_that_is_wanted() {
        let centre = "https://registry.example";
        let table = written("docker.io", Some(centre), false);
        assert_eq!(table["server"].as_str(), Some(MIRROR.url), "also of pushes");
        assert_eq!(hosts(&table), [MIRROR.url, centre]);
        let table = written("docker.io", None, false);
        assert_eq!(
            (table["server"].as_str(), hosts(&table)),
            (Some(MIRROR.url), vec![MIRROR.url])
        );
        let table = written("docker.io", Some(centre), true);
        assert_eq!(table["server"].as_str(), Some("https://registry-1.docker.io"));
        let table = written("quay.io", None, true);
        assert_eq!(table["server"].as_str(), Some("https://quay.io"));
    }

    #[test]
    fn the_centre_s_own_images_are_pushed_to_it() {
        for upstream in [false, true] {
            let table = written("registry.example", Some("https://registry.example"), upstream);
            assert_eq!(table["server"].as_str(), Some("https://registry.example"));
            assert_eq!(hosts(&table), [MIRROR.url]);
        }
    }

    #[test]
    fn the_mirror_comes_first_and_may_do_no_more_than_pull() {
        let fallback = Fallback {
            centre: Some((
                "https://a.example".to_owned(),
                Some(PathBuf::from("/etc/ca \"1\".crt")),
            )),
            upstream: false,
        };
        let text = text(&"docker.io".parse().unwrap(), MIRROR, &fallback);
        let mirror = text.find("[host.\"http://127.0.0.1:5080\"]").unwrap();
        assert!(mirror < text.find("[host.\"https://a.example\"]").unwrap());
        let table: toml::Table = toml::from_str(&text).unwrap();
        for host in table["host"].as_table().unwrap().values() {
            assert_eq!(host["capabilities"].as_array().unwrap().len(), 2);
        }
        assert_eq!(
            table["host"]["https://a.example"]["ca"].as_str(),
            Some("/etc/ca \"1\".crt")
        );
    }

    #[test]
    fn what_somebody_has_changed_is_not_ours() {
        let fallback = Fallback {
            centre: None,
            upstream: false,
        };
        let text = text(&"docker.io".parse().unwrap(), MIRROR, &fallback);
        for changed in [
            format!("{text}# a note\n"),
            text.replace("5080", "5081"),
            text.replacen(MARK, "", 1),
            String::new(),
            MARK.to_owned(),
        ] {
            assert!(!is_ours(&changed), "{changed}");
        }
    }
}
