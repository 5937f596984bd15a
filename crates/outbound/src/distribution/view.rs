//! The same upstream, asked for somebody else or for what it has of another registry.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderMap;

use super::tokens::Tokens;
use super::{Inner, Upstream, UpstreamLogin};

/// How an upstream is asked, where one place is asked for many.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Who asks; `None`: nobody in particular.
    pub login: Option<UpstreamLogin>,
    /// The registry whose images are meant, sent as `ns=`; `None`: the upstream's own.
    pub namespace: Option<String>,
    /// Headers that go along with each request to the upstream's own origin.
    pub marks: HeaderMap,
}

impl Upstream {
    /// The same upstream in another way: it shares connections, budget and pauses, and has tokens of its own.
    #[must_use]
    pub fn view(&self, view: View) -> Self {
        let Inner {
            client,
            url,
            host,
            realm_hosts,
            blob_hosts,
            ledger,
            pauses,
            heard,
            first_byte,
            idle,
            clock,
            ..
        } = &*self.inner;
        let inner = Inner {
            client: client.clone(),
            url: url.clone(),
            host: host.clone(),
            login: view.login,
            namespace: view.namespace,
            marks: view.marks,
            realm_hosts: Arc::clone(realm_hosts),
            blob_hosts: Arc::clone(blob_hosts),
            ledger: ledger.clone(),
            pauses: Arc::clone(pauses),
            tokens: Tokens::default(),
            wants_basic: AtomicBool::new(false),
            heard: Arc::clone(heard),
            first_byte: *first_byte,
            idle: *idle,
            clock: Arc::clone(clock),
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}
