//! One request with its redirects, up to the head of an answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, header};
use reqwest::{Response, StatusCode, Url};

use crate::resolve::{admitted, refusal};
use crate::retry::retry_after;
use crate::{Client, OutboundError, Request};

/// How long a name is looked up before a proxy is asked for it.
const LOOKUP: Duration = Duration::from_secs(2);

impl Client {
    /// Sends the request and follows its redirects. The answer is one that brings something: 200, 206, 304 or 416.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        headers: &HeaderMap,
    ) -> Result<Response, OutboundError> {
        let mut url = request.url.clone();
        let mut authorization = request.authorization.as_ref();
        for _ in 0..=self.settings.redirects {
            self.check(&url).await?;
            let mut asked = self.http.get(url.clone()).headers(headers.clone());
            if let Some(value) = authorization.and_then(crate::Authorization::header) {
                asked = asked.header(header::AUTHORIZATION, value);
            }
            let response = asked.send().await.map_err(|error| not_sent(&url, error))?;
            let Some(next) = redirect(&response)? else {
                return sort(response);
            };
            // Once somebody else decides what is asked for, it is asked for without credentials.
            if next.origin() != request.url.origin() {
                authorization = None;
            }
            url = next;
        }
        Err(OutboundError::Redirects {
            url: Box::new(request.url.clone()),
            most: self.settings.redirects,
        })
    }

    /// Refuses what must not be asked for, whoever named it. A name is looked at when it is resolved; an address is not.
    pub(crate) async fn check(&self, url: &Url) -> Result<(), OutboundError> {
        let refuse = |offence| {
            Err(OutboundError::Url {
                url: without_credentials(url),
                offence,
            })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("it begins neither with https:// nor with http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it names a user or a password");
        }
        let Some(host) = url.host_str() else {
            return refuse("it names no host");
        };
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            return self.check_addresses(host, vec![SocketAddr::new(address, 0)]);
        }
        if self.settings.proxy.is_some() {
            // The proxy will resolve it, perhaps to something else. What is plainly inside is refused all the same.
            let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
            if let Ok(Ok(found)) = lookup {
                return self.check_addresses(host, found.collect());
            }
        }
        Ok(())
    }

    fn check_addresses(&self, host: &str, found: Vec<SocketAddr>) -> Result<(), OutboundError> {
        match admitted(host.to_owned(), found, &self.settings.guard) {
            Err(error) => Err(refused(error.as_ref(), host)),
            Ok(_) => Ok(()),
        }
    }
}

/// What the guard says of a host.
pub(crate) fn refused(error: &(dyn std::error::Error + 'static), host: &str) -> OutboundError {
    refused_by_guard(error).unwrap_or_else(|| OutboundError::Url {
        url: host.to_owned(),
        offence: "its address cannot be looked at",
    })
}

fn refused_by_guard(error: &(dyn std::error::Error + 'static)) -> Option<OutboundError> {
    refusal(error).map(|refused| OutboundError::Address {
        host: refused.host.clone(),
        address: refused.address,
    })
}

pub(crate) fn not_sent(url: &Url, error: reqwest::Error) -> OutboundError {
    if let Some(refused) = refused_by_guard(&error) {
        return refused;
    }
    if error.is_connect() || error.is_dns() {
        return OutboundError::Unreachable {
            host: url.host_str().unwrap_or_default().to_owned(),
            source: error.without_url(),
        };
    }
    OutboundError::Broken {
        url: Box::new(url.clone()),
        source: Some(error.without_url()),
    }
}

/// Where the answer sends to, if it does.
pub(crate) fn redirect(response: &Response) -> Result<Option<Url>, OutboundError> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(header::LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    let from = response.url();
    let target = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok());
    let Some(target) = target else {
        return Err(OutboundError::Url {
            url: from.to_string(),
            offence: "it redirects to what is no URL",
        });
    };
    if from.scheme() == "https" && target.scheme() != "https" {
        return Err(OutboundError::Downgrade {
            from: Box::new(from.clone()),
            to: Box::new(target),
        });
    }
    Ok(Some(target))
}

/// Takes apart what brings something and what does not.
fn sort(response: Response) -> Result<Response, OutboundError> {
    let status = response.status();
    let url = || Box::new(response.url().clone());
    match status {
        StatusCode::OK
        | StatusCode::PARTIAL_CONTENT
        | StatusCode::NOT_MODIFIED
        | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(OutboundError::Missing { url: url(), status }),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(OutboundError::Busy {
            url: url(),
            status,
            retry_after: retry_after(response.headers()),
            said: None,
        }),
        _ => Err(OutboundError::Status { url: url(), status }),
    }
}

fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Fails for URLs that can have none.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.to_string()
}
