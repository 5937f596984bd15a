//! Names to addresses that may be connected to.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use crate::AddressGuard;

/// Addresses of one name that are tried.
const ADDRESSES: usize = 16;

/// Asks the system, and hands on what the guard admits. The connection goes to what was looked at: there is no second question
/// whose answer could be another one.
pub(crate) struct GuardedResolver {
    pub(crate) guard: AddressGuard,
    /// Host of the proxy; the operator has named it.
    pub(crate) proxy: Option<String>,
    /// What every name is.
    pub(crate) pinned: Option<IpAddr>,
}

/// None of a name's addresses may be connected to.
#[derive(Debug, Error)]
#[error("{host} is {address}")]
pub(crate) struct Refused {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let is_proxy = self.proxy.as_deref() == Some(host.as_str());
        let guard = self.guard.clone();
        if let Some(pinned) = self.pinned {
            let addresses: Addrs = Box::new(std::iter::once(SocketAddr::new(pinned, 0)));
            return Box::pin(std::future::ready(Ok(addresses)));
        }
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let admitted = if is_proxy {
                found
            } else {
                admitted(host, found, &guard)?
            };
            let addresses: Addrs = Box::new(admitted.into_iter().take(ADDRESSES));
            Ok(addresses)
        })
    }
}

/// The addresses that may be connected to; an error where there are only others.
pub(crate) fn admitted(
    host: String,
    found: Vec<SocketAddr>,
    guard: &AddressGuard,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let first = found.first().map(SocketAddr::ip);
    let admitted: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| guard.admits(address.ip()))
        .collect();
    match first {
        Some(address) if admitted.is_empty() => Err(Box::new(Refused { host, address })),
        _ => Ok(admitted),
    }
}

/// The refusal among the causes of an error.
pub(crate) fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Refused> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses
            .iter()
            .map(|address| SocketAddr::new(address.parse().unwrap(), 0))
            .collect()
    }

    #[test]
    fn only_admitted_addresses_are_handed_on() {
        let guard = AddressGuard::public_only();
        let mixed = sockets(&["127.0.0.1", "8.8.8.8", "fe80::1"]);
        let kept = admitted("mixed.example".to_owned(), mixed, &guard).unwrap();
        assert_eq!(kept, sockets(&["8.8.8.8"]));
        let inside = sockets(&["169.254.169.254", "::1"]);
        let error = admitted("inside.example".to_owned(), inside, &guard).unwrap_err();
        let refused = refusal(error.as_ref()).unwrap();
        assert_eq!(refused.to_string(), "inside.example is 169.254.169.254");
        assert!(
            admitted("none.example".to_owned(), Vec::new(), &guard)
                .unwrap()
                .is_empty()
        );
    }
}
