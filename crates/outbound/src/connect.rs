//! Connections that are not HTTP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::resolve::admitted;
use crate::{Client, OutboundError};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

impl Client {
    /// Connects to a host: it is looked up once, what the guard does not admit is left out, and the connection goes to what was
    /// looked at. A proxy has no part in it.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, OutboundError> {
        let found = self.lookup(host, port).await?;
        let checked = self.admitted(host, found)?;
        connect_to(host, checked, self.settings.connect_timeout).await
    }

    /// The addresses of a host, of which nobody has looked at any.
    pub(crate) async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let limit = self.settings.connect_timeout;
        let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| unconnected(host, std::io::ErrorKind::TimedOut.into()))?
            .map_err(|source| unconnected(host, source))?;
        Ok(found.collect())
    }

    /// Those of them that the guard admits; an error where there are only others.
    pub(crate) fn admitted(
        &self,
        host: &str,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        admitted(host.to_owned(), found, &self.settings.guard)
            .map_err(|error| crate::exchange::refused(error.as_ref(), host))
    }
}

/// A connection to one of some addresses.
pub(crate) async fn connect_to(
    host: &str,
    addresses: Vec<SocketAddr>,
    limit: Duration,
) -> Result<TcpStream, OutboundError> {
    let mut failure = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in addresses.into_iter().take(ADDRESSES) {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(unconnected(host, failure))
}

fn unconnected(host: &str, source: std::io::Error) -> OutboundError {
    OutboundError::Unconnected {
        host: host.to_owned(),
        source,
    }
}
