//! The client as a value.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Identity, Proxy, redirect};

use crate::resolve::GuardedResolver;
use crate::{OutboundError, Settings};

/// Connections to one host that are kept for the next request.
const IDLE_CONNECTIONS: usize = 16;

/// How long they are.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// A client. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) settings: Arc<Settings>,
}

impl Client {
    /// Makes one. Does not connect to anything.
    ///
    /// # Errors
    /// [`OutboundError::Authority`]; [`OutboundError::Setup`]: neither the system nor the settings have an authority to trust, or
    /// the identity is none.
    pub fn new(settings: Settings) -> Result<Self, OutboundError> {
        let mut authorities = Vec::new();
        for pem in &settings.authorities {
            let read =
                Certificate::from_pem_bundle(pem).map_err(|error| OutboundError::Authority(Some(error)))?;
            if read.is_empty() {
                return Err(OutboundError::Authority(None));
            }
            authorities.extend(read);
        }
        let resolver = GuardedResolver {
            guard: settings.guard.clone(),
            proxy: settings
                .proxy
                .as_ref()
                .and_then(|url| url.host_str().map(str::to_owned)),
            pinned: settings.pinned,
        };
        // Redirects are followed by `exchange`, which looks at each; what the environment says of proxies is not what the
        // operator has configured.
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.idle_timeout)
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(&settings.user_agent)
            .dns_resolver(Arc::new(resolver));
        builder = if settings.only_authorities {
            builder.tls_certs_only(authorities)
        } else {
            builder.tls_certs_merge(authorities)
        };
        if let Some(pem) = &settings.identity {
            builder = builder.identity(Identity::from_pem(pem).map_err(OutboundError::Setup)?);
        }
        if let Some(url) = &settings.proxy {
            builder = builder.proxy(Proxy::all(url.clone()).map_err(OutboundError::Setup)?);
        }
        Ok(Self {
            http: builder.build().map_err(OutboundError::Setup)?,
            settings: Arc::new(settings),
        })
    }
}
