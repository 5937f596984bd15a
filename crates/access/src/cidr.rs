//! Networks of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A network of addresses in CIDR notation (RFC 4632): `10.0.0.0/8`, `fd00::/8`; an address alone is a network of one.
///
/// Two that hold the same addresses are equal and read the same, however they were written: bits behind the prefix are cleared, as
/// packet filters do it (`nft`, `iptables`, `ipset`), and a network of IPv4 addresses that are mapped into IPv6
/// (`::ffff:192.0.2.0/120`) is the network of the IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Bits before an IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(prefix.into()))
        .unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(prefix.into()))
        .unwrap_or(0)
}

impl Cidr {
    /// Whether `address` lies in the network. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                network.to_bits() == address.to_bits() & mask_v4(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                network.to_bits() == address.to_bits() & mask_v6(self.prefix)
            }
            _ => false,
        }
    }

    /// The network of an address and the bits that count of it, which are not more than the address has.
    fn new(address: IpAddr, prefix: u8) -> Self {
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= MAPPED_BITS => {
                Self::new(IpAddr::V4(mapped), prefix - MAPPED_BITS)
            }
            (IpAddr::V4(address), _) => {
                let network = Ipv4Addr::from_bits(address.to_bits() & mask_v4(prefix));
                let network = IpAddr::V4(network);
                Self { network, prefix }
            }
            (IpAddr::V6(address), _) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & mask_v6(prefix));
                let network = IpAddr::V6(network);
                Self { network, prefix }
            }
        }
    }

    /// Bits that all its addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is a network of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.network.is_ipv4()
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let network: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or(CidrError::Prefix { longest })?,
        };
        Ok(Self::new(network, prefix))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CidrError {
    /// No IP address in front of the slash.
    #[error("write an IP address, a slash and the length of the prefix")]
    Address,
    /// The prefix is no number or too long.
    #[error("the prefix is a number up to {longest}")]
    Prefix {
        /// Bits of an address of this family.
        longest: u8,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
        ] {
            let network: Cidr = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "host/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
    #[test]
    fn one_network_is_written_in_one_way() {
        for (written, is) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("203.0.113.9/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("2001:db8::1/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.7/64", "::/64"),
        ] {
            assert_eq!(written.parse::<Cidr>().unwrap().to_string(), is, "{written}");
        }
    }

    #[test]
    fn a_network_of_mapped_addresses_is_that_of_the_addresses() {
        let mapped: Cidr = "::ffff:198.51.100.0/120".parse().unwrap();
        for (address, inside) in [
            ("198.51.100.7", true),
            ("::ffff:198.51.100.7", true),
            ("198.51.101.7", false),
            ("::198.51.100.7", false),
        ] {
            assert_eq!(mapped.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(mapped.is_ipv4());
    }

    /// What an address is to a network, bit by bit.
    fn shares(network: &[u8], address: &[u8], prefix: u8) -> bool {
        (0..usize::from(prefix)).all(|bit| {
            let of = |bytes: &[u8]| (bytes[bit / 8] >> (7 - bit % 8)) & 1;
            of(network) == of(address)
        })
    }

    proptest! {
        #[test]
        fn however_an_ipv4_network_is_written_it_is_the_same(
            network: [u8; 4],
            other: [u8; 4],
            near in 0..=32_u8,
            prefix in 0..=32_u8,
        ) {
            // Random addresses share little: one that has the first bits of the network as well.
            let mask = mask_v4(near);
            let bits = (u32::from_be_bytes(network) & mask) | (u32::from_be_bytes(other) & !mask);
            let (from, address) = (Ipv4Addr::from(network), Ipv4Addr::from_bits(bits));
            let plain: Cidr = format!("{from}/{prefix}").parse().unwrap();
            let mapped = format!("{}/{}", from.to_ipv6_mapped(), prefix + MAPPED_BITS);
            prop_assert_eq!(plain, mapped.parse().unwrap());
            prop_assert_eq!(plain, plain.to_string().parse().unwrap());
            let inside = shares(&network, &address.octets(), prefix);
            prop_assert_eq!(plain.contains(address.into()), inside);
            prop_assert_eq!(plain.contains(address.to_ipv6_mapped().into()), inside);
            if inside {
                prop_assert_eq!(plain, format!("{address}/{prefix}").parse().unwrap());
            }
        }

        #[test]
        fn of_ipv6_only_the_prefix_counts(
            network: [u8; 16],
            other: [u8; 16],
            near in 0..=128_u8,
            prefix in 0..=128_u8,
        ) {
            let mask = mask_v6(near);
            let bits = (u128::from_be_bytes(network) & mask) | (u128::from_be_bytes(other) & !mask);
            let (from, address) = (Ipv6Addr::from(network), Ipv6Addr::from_bits(bits));
            let cidr: Cidr = format!("{from}/{prefix}").parse().unwrap();
            prop_assert_eq!(cidr, cidr.to_string().parse().unwrap());
            prop_assume!(from.to_ipv4_mapped().is_none() && address.to_ipv4_mapped().is_none());
            prop_assert_eq!(cidr.contains(address.into()), shares(&network, &address.octets(), prefix));
        }
    }
}
