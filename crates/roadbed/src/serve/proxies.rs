//! Which address a request really comes from.
//!
//! `X-Forwarded-For` is anybody's word: it is believed only from the proxies that the operator names, and only as far as
//! their own entries reach.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use registry::traffic::listener::Peer;

use crate::config::Cidr;

/// Most entries of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 16;

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<Cidr>);

/// Where a request comes from and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// Whether the client's side of the connection is TLS.
    pub(crate) tls: bool,
    /// Whether a trusted proxy has handed it in.
    pub(crate) is_proxied: bool,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<Cidr>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client behind the connection: the last forwarded address that is not itself a trusted proxy.
    pub(crate) fn client(&self, peer: Peer, headers: &HeaderMap) -> Client {
        let direct = Client {
            address: peer.address.ip().to_canonical(),
            tls: peer.tls,
            is_proxied: false,
        };
        if self.0.is_empty() || !self.trusts(direct.address) {
            return direct;
        }
        // What the client has sent stands before what the proxy adds, perhaps on the same line: whatever it is, it must not
        // take the proxy's own entry with it.
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let lines: Vec<_> = forwarded
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let hops: Vec<&str> = lines
            .iter()
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|hop| !hop.is_empty())
            .collect();
        let mut address = direct.address;
        for hop in hops.iter().rev().take(MAX_HOPS) {
            let Some(hop) = address_of(hop) else { break };
            address = hop.to_canonical();
            if !self.trusts(address) {
                break;
            }
        }
        let proto = headers
            .get("x-forwarded-proto")
            .and_then(|value| value.to_str().ok());
        Client {
            address,
            tls: proto.map_or(direct.tls, |proto| proto.eq_ignore_ascii_case("https")),
            is_proxied: true,
        }
    }
}

/// The address of an entry, which some proxies write with the client's port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    hop.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for line in forwarded {
            let line = http::HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append("x-forwarded-for", line);
        }
        let peer = Peer {
            address: peer.parse().unwrap(),
            tls: false,
        };
        proxies.client(peer, &headers).address.to_string()
    }

    #[test]
    fn a_strangers_word_is_not_taken() {
        assert_eq!(client_of("203.0.113.9:1", &["198.51.100.1"]), "203.0.113.9");
    }

    #[test]
    fn the_nearest_untrusted_hop_is_the_client() {
        assert_eq!(client_of("10.1.2.3:1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            client_of("10.1.2.3:1", &["6.6.6.6, 198.51.100.1", "10.9.9.9"]),
            "198.51.100.1"
        );
        assert_eq!(client_of("[::1]:1", &["198.51.100.1, nonsense"]), "::1");
        assert_eq!(
            client_of("[::ffff:10.1.2.3]:1", &["198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(client_of("10.1.2.3:1", &[]), "10.1.2.3");
    }

    #[test]
    fn what_a_client_sends_does_not_hide_what_the_proxy_adds() {
        for line in [
            "\u{ff}, 198.51.100.7",
            "nonsense, 198.51.100.7",
            "6.6.6.6, 198.51.100.7:4711",
            "198.51.100.7,",
            ", ,198.51.100.7 , ",
        ] {
            assert_eq!(client_of("10.1.2.3:1", &[line]), "198.51.100.7", "{line}");
        }
        assert_eq!(client_of("10.1.2.3:1", &["[2001:db8::7]:4711"]), "2001:db8::7");
    }
}
