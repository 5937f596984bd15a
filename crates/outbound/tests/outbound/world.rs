//! A client that may reach the loopback address of the tests, and waits for nothing for long.

use std::{net::Ipv4Addr, time::Duration};

use outbound::{AddressGuard, Client, Request, Settings, Url};

/// Bytes that a request allows.
pub(super) const MOST: u64 = 1 << 20;

/// Lets 127.0.0.1 through and nothing beside it that is not public.
pub(super) fn settings() -> Settings {
    Settings {
        guard: AddressGuard::with_listed(|address| address == Ipv4Addr::LOCALHOST),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_millis(300),
        total_timeout: Duration::from_secs(20),
        attempts: 3,
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_secs(2),
        ..Settings::default()
    }
}

pub(super) fn client() -> Client {
    Client::new(settings()).unwrap()
}

pub(super) fn request(url: &str) -> Request {
    Request::new(Url::parse(url).unwrap(), MOST)
}
