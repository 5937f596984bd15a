//! How a client behaves.

use std::time::Duration;

use reqwest::Url;

use crate::AddressGuard;

/// How a client behaves. All bounds count for one call of a [`Client`](crate::Client), its retries included, unless they say
/// otherwise.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which addresses may be connected to. Default: public ones.
    pub guard: AddressGuard,
    /// Certificates of authorities (PEM, any number in each) to trust besides the system's own. Default: none.
    pub authorities: Vec<Vec<u8>>,
    /// Whether `authorities` are all that is trusted, and the system's own ones are not. Default: no.
    pub only_authorities: bool,
    /// A certificate chain and its key (PEM, the one behind the other) to show to servers that ask who we are. Default: none.
    pub identity: Option<Vec<u8>>,
    /// The address of every host name, whatever the system says of it: the operator has named it, so the guard is not asked.
    /// Default: what the system says.
    pub pinned: Option<std::net::IpAddr>,
    /// An HTTP proxy through which everything goes; the proxies that the environment names are not used. It is the operator's
    /// word, so its own address is not looked at; it is the proxy that resolves names then. Default: none.
    pub proxy: Option<Url>,
    /// Longest time until a connection is there, TLS included. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is waited for or read. Default 30 s.
    pub idle_timeout: Duration,
    /// Longest time for everything. Default 30 min.
    pub total_timeout: Duration,
    /// Redirects of one request that are followed. Default 5.
    pub redirects: usize,
    /// How often it is tried. Default 4.
    pub attempts: u32,
    /// Longest pause before the second try; each further one may be twice as long. Default 1 s.
    pub first_pause: Duration,
    /// Longest pause between two tries. Whoever asks for a longer one with `Retry-After` is not asked again. Default 1 min.
    pub longest_pause: Duration,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            guard: AddressGuard::public_only(),
            authorities: Vec::new(),
            only_authorities: false,
            identity: None,
            pinned: None,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_mins(30),
            redirects: 5,
            attempts: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            user_agent: concat!("roadbed/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
