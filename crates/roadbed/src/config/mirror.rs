//! `[mirror]`: a mirror of a registry on a node or in a rack.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use access::Cidr;
use oci::{RepoName, RepoPattern};
use thiserror::Error;

use super::key::{Reader, section};
use super::network::PublicUrl;
use super::units::{Size, Span};

/// Where the mirror listens if nobody says otherwise: reachable from this machine only.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5080);

/// Most namespaces: each is an upstream of its own.
pub(crate) const MAX_NAMESPACES: usize = 60;

/// Most names of peers.
const MAX_PEERS: usize = 64;

const SECOND: Span = Span::seconds(1);
const MINUTE: Span = Span::seconds(60);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const YEAR: Span = Span::seconds(365 * 24 * 60 * 60);
const TENTH: Span = Span(std::time::Duration::from_millis(100));

fn loopback() -> Vec<Cidr> {
    let networks = ["127.0.0.0/8", "::1/128"].into_iter();
    networks.filter_map(|network| network.parse().ok()).collect()
}

fn pause() -> Vec<RepoPattern> {
    "**/pause".parse().ok().into_iter().collect()
}

section! {
    /// A mirror of a registry on a node or in a rack, run by `roadbed mirror serve`. docs/mirror.md says what it does.
    Mirror = "mirror" {
        /// Address and port to listen on; only this machine can reach 127.0.0.1.
        listen: SocketAddr = DEFAULT_LISTEN;
        /// Directory of what it holds; empty: `$XDG_DATA_HOME/roadbed-mirror` or `~/.local/share/roadbed-mirror`.
        data_dir: Option<PathBuf> = None;
        /// The registry that is mirrored, its centre, such as `https://registry.example`.
        centre: Option<PublicUrl> = None;
        /// Other registries whose images the centre has, as images are called (`?ns=`), such as `docker.io`.
        namespaces: Vec<NamespaceName> = Vec::new();
        /// Name of the mirror's own robot at the centre; empty: it asks as nobody.
        username: Option<String> = None;
        /// File with the robot's secret.
        password_file: Option<PathBuf> = None;
        /// Variable of the environment with it.
        password_env: Option<String> = None;
        /// Networks whose clients are served with the robot when they bring no credentials.
        robot_networks: Vec<Cidr> = loopback();
        /// Whether they are when they bring some, too: such as are meant for another registry.
        robot_only: bool = false;
        /// File of certificates (PEM) to trust besides the system's own when the centre is asked.
        ca_file: Option<PathBuf> = None;
        /// Hosts, besides the centre, that may be asked for its tokens and get the credentials.
        realm_hosts: Vec<String> = Vec::new();
        /// Bytes of blobs that are held; images that were not used for longest go first.
        disk: Size = Size(20 << 30), Size(1 << 20) => Size(1 << 50);
        /// Images that stay however full it is, as `namespace/name`.
        pinned: Vec<RepoPattern> = pause();
        /// How long a tag is taken as it was without asking the centre again.
        fresh: Span = MINUTE, Span::seconds(0) => DAY;
        /// How long it counts that the centre lets somebody pull from a repository, without asking again.
        permit: Span = Span::seconds(10 * 60), SECOND => DAY;
        /// The same while the centre cannot be reached; never for tokens, which are made to end.
        permit_kept: Span = Span::seconds(7 * 24 * 60 * 60), SECOND => YEAR;
        /// Permits that are kept.
        permits: u64 = 10_000, 1 => 10_000_000;
        /// Refusals of the centre that are kept.
        refusals: u64 = 10_000, 1 => 10_000_000;
        /// Lines of its audit log that are kept: each image that comes or goes is some.
        audit_lines: u64 = 100_000, 1_000 => 1_000_000_000;
        /// Once somebody pulls it, the centre is asked whether an image may still be pulled, at most this often.
        recheck: Span = Span::seconds(5 * 60), SECOND => DAY;
        /// Longest time until a connection to the centre is there.
        centre_wait: Span = Span::seconds(2), TENTH => MINUTE;
        /// Longest time until the centre begins to answer.
        centre_answer: Span = Span::seconds(15), SECOND => HOUR;
        /// Address and port where peers ask, over TLS with certificates on both sides; empty: none may.
        peer_listen: Option<SocketAddr> = None;
        /// Peers that are asked before the centre: `host:port`, all addresses of which are, or a name whose SRV records say where they are.
        peers: Vec<PeerName> = Vec::new();
        /// Certificates (PEM) of the authority of all peers.
        peer_ca: Option<PathBuf> = None;
        /// This mirror's certificate chain for its peers (PEM).
        peer_cert: Option<PathBuf> = None;
        /// Its private key (PEM).
        peer_key: Option<PathBuf> = None;
        /// The name in the certificates of all peers; empty: the host as it is listed.
        peer_name: Option<String> = None;
        /// Longest time until a peer begins to answer.
        peer_wait: Span = Span(std::time::Duration::from_millis(500)), TENTH => MINUTE;
    }
}

impl Mirror {
    /// What only several values together can get wrong.
    pub(crate) fn check(&self, reader: &mut Reader<'_>) {
        let secrets = usize::from(self.password_file.is_some()) + usize::from(self.password_env.is_some());
        if self.username.is_some() && secrets != 1 {
            let reason = "a robot needs one secret: set mirror.password_file or mirror.password_env";
            reader.complain("mirror.username", reason);
        }
        if self.username.is_none() && secrets > 0 {
            reader.complain("mirror.username", "a secret needs its robot: set mirror.username");
        }
        if self.permit_kept.0 < self.permit.0 {
            let reason = "less than mirror.permit: it could not reach it, raise it";
            reader.complain("mirror.permit_kept", reason);
        }
        if self.namespaces.len() > MAX_NAMESPACES {
            reader.complain("mirror.namespaces", &format!("at most {MAX_NAMESPACES}"));
        }
        if self.peers.len() > MAX_PEERS {
            reader.complain("mirror.peers", &format!("at most {MAX_PEERS}"));
        }
        let has_all = self.peer_ca.is_some() && self.peer_cert.is_some() && self.peer_key.is_some();
        if (self.peer_listen.is_some() || !self.peers.is_empty()) && !has_all {
            let reason = "peers know each other by certificates: set mirror.peer_ca, mirror.peer_cert and mirror.peer_key";
            reader.complain("mirror.peers", reason);
        }
    }
}

/// The name of a registry as images are called: a host, perhaps with a port. Nothing in it leads elsewhere when it becomes a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NamespaceName {
    text: String,
    prefix: RepoName,
}

/// Why a text is no name of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write a host such as docker.io or registry.example:5000, in lower case and without a path")]
pub(crate) struct NoNamespace;

impl NamespaceName {
    /// As images are called.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The path under which a mirror keeps its repositories.
    pub(crate) fn prefix(&self) -> &RepoName {
        &self.prefix
    }
}

impl FromStr for NamespaceName {
    type Err = NoNamespace;

    fn from_str(text: &str) -> Result<Self, NoNamespace> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| NoNamespace)?)),
            None => (text, None),
        };
        let is_label = |label: &str| {
            let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty()
                && label.bytes().all(is_letter)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A name without a dot is a user's of Docker Hub, unless it is `localhost` or has a port.
        let is_host =
            host.split('.').all(is_label) && (host.contains('.') || port.is_some() || host == "localhost");
        if !is_host || text.len() > 200 {
            return Err(NoNamespace);
        }
        let prefix = match port {
            None => host.to_owned(),
            // Not the characters of any host.
            Some(port) => format!("{host}__{port}"),
        };
        Ok(Self {
            text: text.to_owned(),
            prefix: prefix.parse().map_err(|_| NoNamespace)?,
        })
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where peers are: a host or an address, and a port; or a name with SRV records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerName {
    pub(crate) host: String,
    /// `None`: the records `_roadbed-mirror._tcp.HOST` say hosts and ports.
    pub(crate) port: Option<u16>,
}

/// Why a text names no peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "write a host and a port such as mirrors.example:5443, or a name with SRV records such as mirrors.example"
)]
pub(crate) struct NoPeer;

impl FromStr for PeerName {
    type Err = NoPeer;

    fn from_str(text: &str) -> Result<Self, NoPeer> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().ok().filter(|port| *port != 0).ok_or(NoPeer)?;
                (host, Some(port))
            }
            None => (text, None),
        };
        let is_address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        // An address has no records.
        let is_somewhere = port.is_some() || host.parse::<IpAddr>().is_err();
        ((is_address || is_name) && is_somewhere)
            .then(|| Self {
                host: host.to_owned(),
                port,
            })
            .ok_or(NoPeer)
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_host_and_becomes_one_path() {
        for (text, prefix) in [
            ("docker.io", "docker.io"),
            ("registry.k8s.io", "registry.k8s.io"),
            ("registry.example:5000", "registry.example__5000"),
            ("127.0.0.1:5000", "127.0.0.1__5000"),
            ("localhost:5000", "localhost__5000"),
        ] {
            let name: NamespaceName = text.parse().unwrap();
            assert_eq!((name.as_str(), name.prefix().as_str()), (text, prefix));
        }
        for hostile in [
            "",
            ".",
            "..",
            "../etc",
            "/etc",
            "docker.io/../x",
            "docker.io/library",
            "a..b",
            ".docker.io",
            "docker.io.",
            "-a.example",
            "Docker.io",
            "docker.io:",
            "docker.io:x",
            "docker.io:99999",
            "a.example:1:2",
            "library",
            "a_b.example",
            "a.example\n",
            "a b.example",
            "_default",
            "[::1]:5000",
        ] {
            assert!(hostile.parse::<NamespaceName>().is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_peer_has_a_host_and_a_port() {
        for right in [
            "mirrors.example:5443",
            "10.0.0.1:5443",
            "[2001:db8::1]:5443",
            "mirrors.example",
        ] {
            assert_eq!(right.parse::<PeerName>().unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "10.0.0.1",
            "a.example:",
            "a.example:0",
            "a/b:1",
            "2001:db8::1:5",
            "[x]:1",
        ] {
            assert!(wrong.parse::<PeerName>().is_err(), "{wrong}");
        }
    }
}
