//! What goes on, as the registry knows it and the API tells it.

use access::{ANONYMOUS, Class, PrincipalName};
use registry::{LineState, Registry, Usage};
use web::wire::{TrafficLine, TrafficUse};
use web::{TrafficSeen, Watching};

/// A registry that is watched.
pub(super) struct Watched(pub(super) Registry);

impl Watching for Watched {
    fn traffic(&self) -> TrafficSeen {
        let usage = self.0.traffic();
        let named =
            |name: Option<&PrincipalName>| name.map_or_else(|| ANONYMOUS.to_owned(), ToString::to_string);
        TrafficSeen {
            lanes: line(&usage.lanes),
            database: line(&usage.database),
            principals: usage
                .principals
                .iter()
                .map(|it| told(it, named(it.who.as_ref())))
                .collect(),
            addresses: usage
                .addresses
                .iter()
                .map(|it| told(it, it.who.to_string()))
                .collect(),
        }
    }
}

fn line(state: &LineState) -> TrafficLine {
    let waiting = |class: Class| state.waiting[class.index()] as u64;
    TrafficLine {
        limit: state.limit as u64,
        serving: state.serving as u64,
        node: waiting(Class::Node),
        ci: waiting(Class::Ci),
        push: waiting(Class::Push),
        scan: waiting(Class::Scan),
        pages: waiting(Class::Pages),
    }
}

fn told<K>(usage: &Usage<K>, who: String) -> TrafficUse {
    TrafficUse {
        who,
        class: usage.class.to_string(),
        requests: usage.requests,
        bytes: usage.bytes,
        shed: usage.shed,
        waiting: usage.waiting,
    }
}
