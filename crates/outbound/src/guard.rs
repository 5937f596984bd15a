//! Which addresses are let through.
//!
//! A registry stands in the middle of a network that trusts it. Whoever can make it ask for an address of their choice reads what
//! only machines inside may read: the metadata service of the cloud that hands out keys, an administrator's page on the
//! loopback interface.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Says whether an address may be connected to: what is public may, and what the operator has listed.
#[derive(Clone)]
pub struct AddressGuard {
    listed: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl AddressGuard {
    /// Public addresses only.
    pub fn public_only() -> Self {
        Self::with_listed(|_| false)
    }

    /// Public addresses, and those that `is_listed` knows.
    pub fn with_listed(is_listed: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self {
            listed: Arc::new(is_listed),
        }
    }

    /// Whether `address` may be connected to.
    pub fn admits(&self, address: IpAddr) -> bool {
        (self.listed)(address) || is_public(address)
    }
}

impl fmt::Debug for AddressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressGuard")
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the special-purpose addresses (IANA's registry, RFC 6890), multicast and what is reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !matches!(
        (first, second, third),
        (0 | 10 | 127 | 224..=255, _, _)
            // Shared by providers (RFC 6598); some clouds have their metadata service there.
            | (100, 64..=127, _)
            // Link-local, where most clouds have theirs.
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Global unicast (`2000::/3`) without what carries other addresses within it or is for documents. So neither loopback,
/// link-local, unique local and multicast addresses nor IPv4 addresses that are mapped into IPv6. What NAT64 translates is what
/// it stands for.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    let is_special = match segments[0] {
        // Protocol assignments, Teredo among them, and the prefix for documents.
        0x2001 => segments[1] < 0x200 || segments[1] == 0xdb8,
        // 6to4.
        0x2002 => true,
        0x3fff => segments[1] < 0x1000,
        _ => false,
    };
    segments[0] & 0xe000 == 0x2000 && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(address: &str) -> bool {
        AddressGuard::public_only().admits(address.parse().unwrap())
    }

    #[test]
    fn what_is_public_is_let_through() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(admits(address), "{address}");
        }
    }

    #[test]
    fn what_is_not_is_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!admits(address), "{address}");
        }
    }

    #[test]
    fn what_is_listed_is_let_through_and_nothing_beside_it() {
        let guard = AddressGuard::with_listed(|address| address.to_canonical() == Ipv4Addr::LOCALHOST);
        for (address, is_let_through) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", false),
        ] {
            assert_eq!(
                guard.admits(address.parse().unwrap()),
                is_let_through,
                "{address}"
            );
        }
    }
}
