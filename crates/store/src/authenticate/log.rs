//! Logins in the audit log: gathered and written now and then, so that nobody fills the disk by knocking.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use access::PrincipalName;
use serde_json::json;

use crate::event::{self, EventKind};
use crate::{ANONYMOUS, Actor, Store, StoreError};

/// Different logins written at a time; further ones are only counted.
pub(crate) const LOGINS_LISTED: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Login {
    kind: EventKind,
    /// A name that follows the grammar, so that no stranger writes what they like into the log.
    name: Option<PrincipalName>,
    from: IpAddr,
}

/// Logins since the last writing.
#[derive(Debug, Default)]
pub(crate) struct LoginLog(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    logins: HashMap<Login, u64>,
    unlisted: u64,
}

impl LoginLog {
    pub(super) fn succeeded(&self, user: &str, from: IpAddr) {
        self.add(EventKind::Login, user, from);
    }

    pub(super) fn failed(&self, user: &str, from: IpAddr) {
        self.add(EventKind::LoginFailed, user, from);
    }

    fn add(&self, kind: EventKind, user: &str, from: IpAddr) {
        let login = Login {
            kind,
            name: user.parse().ok(),
            from,
        };
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.logins.len() >= LOGINS_LISTED && !gathered.logins.contains_key(&login) {
            gathered.unlisted += 1;
        } else {
            *gathered.logins.entry(login).or_default() += 1;
        }
    }

    fn take(&self) -> Gathered {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// Writes the logins that were gathered, in one transaction.
    pub(crate) async fn flush_logins(&self) -> Result<(), StoreError> {
        let gathered = self.inner.authenticator.log.take();
        if gathered.logins.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for (Login { kind, name, from }, times) in gathered.logins {
                    let name = name.as_ref().map_or(ANONYMOUS, PrincipalName::as_str);
                    // Who failed to log in is not known; the name is only what they said.
                    let actor = if kind == EventKind::Login { name } else { ANONYMOUS };
                    let actor = Actor::logging_in(actor);
                    event::record(tx, &actor, kind, name, json!({ "from": from, "times": times })).await?;
                }
                if gathered.unlisted > 0 {
                    let body = json!({ "times": gathered.unlisted });
                    let actor = Actor::logging_in(ANONYMOUS);
                    event::record(tx, &actor, EventKind::LoginFailed, "others", body).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
