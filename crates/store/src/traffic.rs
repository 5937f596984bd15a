//! Who is throttled or banned for a while, by the word of an administrator.
//!
//! A measure always has an end, a reason and a line in the audit log. They are read into memory with the access data
//! (`snapshot.rs`): asking whether there is one costs no database call, and a change is effective before it is acknowledged.

use std::net::IpAddr;
use std::time::Duration;

use access::{Cidr, PrincipalName};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

/// Measures that there can be at a time. Default: the only value.
pub const MAX_MEASURES: usize = 1_000;

/// Longest time of a measure. Whoever still means it then says so again.
pub const LONGEST_MEASURE: Duration = Duration::from_hours(24 * 30);

/// Longest reason, in bytes.
pub const MEASURE_REASON_BYTES: usize = 1_000;

/// The widest networks that can be banned, by their prefix: IPv4 and IPv6. A wider one is a mistake more often than an attack.
const WIDEST_BAN: (u8, u8) = (8, 16);

/// Whom a measure is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TrafficTarget {
    /// A user or robot, wherever it asks from.
    Principal(PrincipalName),
    /// Everybody in a network.
    Network(Cidr),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Measure {
    /// Nothing is answered but 429.
    Ban,
    /// So much per second; what is `None` is not limited.
    Throttle {
        /// Requests.
        requests: Option<u64>,
        /// Bytes of answers.
        bytes: Option<u64>,
    },
}

/// A measure that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrafficMeasure {
    /// About whom.
    pub target: TrafficTarget,
    /// What.
    pub measure: Measure,
    /// Its last moment.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// The address that the administrator asks from, if it came through the network: a ban must not hit it.
    pub own_address: Option<IpAddr>,
}

/// A measure that was taken, whether its time is over or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficMeasure {
    /// About whom.
    pub target: TrafficTarget,
    /// What.
    pub measure: Measure,
    /// Its last moment.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What holds for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// By whom it is told apart from others.
    pub target: TrafficTarget,
    /// What.
    pub measure: Measure,
    /// Its last moment.
    pub until: Timestamp,
}

impl TrafficMeasure {
    fn in_force(&self) -> InForce {
        InForce {
            target: self.target.clone(),
            measure: self.measure,
            until: self.until,
        }
    }
}

impl TrafficTarget {
    /// The target of this name or in this network; a name has no slash and no colon, so none is both, except for an IPv4
    /// address, which is one.
    pub fn parse(text: &str) -> Result<Self, AdminError> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let name = text.parse().map(Self::Principal);
        name.map_err(|_| AdminError::Invalid {
            reason: format!(
                "{:?} is neither the name of a user or robot nor an address or network such as 192.0.2.7 or 192.0.2.0/24",
                text.chars().take(100).collect::<String>()
            ),
        })
    }
}

impl std::fmt::Display for TrafficTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Principal(name) => name.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[derive(FromQueryResult)]
struct Row {
    who: String,
    body: String,
    until: i64,
    reason: String,
    actor: String,
    at: i64,
}

impl Row {
    fn into_measure(self) -> Result<TrafficMeasure, StoreError> {
        let damaged = |what: String| StoreError::damaged(format!("measure of {:?}: {what}", self.who));
        Ok(TrafficMeasure {
            target: TrafficTarget::parse(&self.who).map_err(|error| damaged(error.to_string()))?,
            measure: serde_json::from_str(&self.body).map_err(|error| damaged(error.to_string()))?,
            until: Timestamp(self.until),
            reason: self.reason,
            actor: self.actor,
            at: Timestamp(self.at),
        })
    }
}

impl Store {
    /// The measures that hold, by whom they are about. No database call.
    pub fn traffic_measures(&self) -> Vec<TrafficMeasure> {
        let now = self.now();
        let snapshot = self.inner.snapshot.load();
        let held = snapshot.measures.iter().filter(|measure| measure.until > now);
        held.cloned().collect()
    }

    /// What holds for everybody in a network that has this address: the ban that ends last, or all throttles, of which each has
    /// to be kept, so that the strictest one decides. No database call; next to nothing where there are no measures.
    pub fn measures_of_address(&self, address: IpAddr) -> Vec<InForce> {
        self.in_force(|target| matches!(target, TrafficTarget::Network(network) if network.contains(address)))
    }

    /// What holds for a principal. Likewise; there is at most one measure about a name.
    pub fn measure_of_principal(&self, name: &PrincipalName) -> Option<InForce> {
        self.in_force(|target| matches!(target, TrafficTarget::Principal(other) if other == name))
            .pop()
    }

    /// What is to be kept of the measures that are about a request.
    fn in_force(&self, is_meant: impl Fn(&TrafficTarget) -> bool) -> Vec<InForce> {
        let snapshot = self.inner.snapshot.load();
        if snapshot.measures.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let meant = snapshot.measures.iter();
        let meant = meant.filter(|measure| measure.until > now && is_meant(&measure.target));
        let mut held: Vec<InForce> = meant.map(TrafficMeasure::in_force).collect();
        let bans = held.iter().filter(|held| held.measure == Measure::Ban);
        if let Some(ban) = bans.max_by_key(|held| held.until).cloned() {
            held = vec![ban];
        }
        held
    }

    /// Takes a measure, in place of the one about the same target.
    ///
    /// Refused is what would shut out an administrator or the one who asks, and what has no end ([`AdminError::Invalid`]).
    pub async fn set_traffic_measure(
        &self,
        actor: &Actor,
        wanted: NewTrafficMeasure,
    ) -> Result<TrafficMeasure, AdminError> {
        self.check_measure(&wanted)?;
        let actor = actor.clone();
        self.change_access(move |tx| Box::pin(async move { set(tx, &actor, wanted).await }))
            .await
    }

    /// Ends a measure before its time. [`AdminError::NotFound`]: there is none about this target.
    pub async fn lift_traffic_measure(
        &self,
        actor: &Actor,
        target: &TrafficTarget,
    ) -> Result<(), AdminError> {
        let (actor, target) = (actor.clone(), target.clone());
        self.change_access(move |tx| {
            Box::pin(async move {
                let who = target.to_string();
                if !forget(tx, &target).await? {
                    return Err(AdminError::NotFound {
                        kind: "measure against",
                        name: who,
                    });
                }
                event::record(tx, &actor, EventKind::TrafficLift, &who, json!({})).await?;
                Ok(())
            })
        })
        .await
    }

    fn check_measure(&self, wanted: &NewTrafficMeasure) -> Result<(), AdminError> {
        let invalid = |reason: String| Err(AdminError::Invalid { reason });
        let reason = wanted.reason.trim();
        if reason.is_empty() || reason.len() > MEASURE_REASON_BYTES {
            return invalid(format!(
                "say why, in 1 to {MEASURE_REASON_BYTES} bytes: it is for the audit log"
            ));
        }
        let now = self.now();
        if wanted.until <= now || wanted.until > now.plus(LONGEST_MEASURE) {
            return invalid("a measure ends: name a moment ahead, at most 30 days from now".to_owned());
        }
        if let Measure::Throttle { requests, bytes } = wanted.measure {
            let rates = [requests, bytes];
            if rates == [None, None] || rates.contains(&Some(0)) {
                return invalid(
                    "a throttle lets pass something: name requests or bytes per second above 0, or ban"
                        .to_owned(),
                );
            }
        }
        match &wanted.target {
            TrafficTarget::Principal(name) => self.check_principal(name, wanted.measure),
            TrafficTarget::Network(network) => check_network(*network, wanted.measure, wanted.own_address),
        }
    }

    /// No administrator is banned: the last one could not lift it, and one who is to be stopped has their rights taken.
    fn check_principal(&self, name: &PrincipalName, measure: Measure) -> Result<(), AdminError> {
        let book = self.access();
        let principal = book.principal(name).ok_or_else(|| AdminError::NotFound {
            kind: "user or robot",
            name: name.to_string(),
        })?;
        if principal.administrator && measure == Measure::Ban {
            return Err(AdminError::Invalid {
                reason: format!(
                    "{name} is an administrator and could not lift it: take that away first (`roadbed user demote {name}`), \
                     or disable the account"
                ),
            });
        }
        Ok(())
    }
}

/// Nobody shuts themselves out.
fn check_network(network: Cidr, measure: Measure, own: Option<IpAddr>) -> Result<(), AdminError> {
    if measure != Measure::Ban {
        return Ok(());
    }
    let widest = if network.is_ipv4() {
        WIDEST_BAN.0
    } else {
        WIDEST_BAN.1
    };
    if network.prefix() < widest {
        return Err(AdminError::Invalid {
            reason: format!(
                "{network} is too wide a network to be banned: name one with a prefix of {widest} or more"
            ),
        });
    }
    if let Some(own) = own.filter(|own| network.contains(*own)) {
        return Err(AdminError::Invalid {
            reason: format!(
                "{network} holds the address {own} that you ask from, you could not lift it: ban a narrower network, or ask \
                 from elsewhere"
            ),
        });
    }
    Ok(())
}

/// All of them, those that are over included: they go when the next one comes.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<TrafficMeasure>, StoreError> {
    let sql = "SELECT who, body, until, reason, actor, at FROM traffic_measure ORDER BY who";
    let rows: Vec<Row> = sql::all(on, sql, []).await?;
    rows.into_iter().map(Row::into_measure).collect()
}

/// Removes what is there about a target, and says whether it still held. Earlier versions kept networks as they had been written.
async fn forget(tx: &Tx, target: &TrafficTarget) -> Result<bool, StoreError> {
    let sql = "SELECT who, body, until, reason, actor, at FROM traffic_measure";
    let rows: Vec<Row> = sql::all(tx.sql(), sql, []).await?;
    let mut held = false;
    for row in rows {
        if TrafficTarget::parse(&row.who).is_ok_and(|of| of == *target) {
            held |= row.until > tx.now().micros();
            let sql = "DELETE FROM traffic_measure WHERE who = $1";
            sql::execute(tx.sql(), sql, [row.who.into()]).await?;
        }
    }
    Ok(held)
}

async fn set(tx: &Tx, actor: &Actor, wanted: NewTrafficMeasure) -> Result<TrafficMeasure, AdminError> {
    let who = wanted.target.to_string();
    let sql = "DELETE FROM traffic_measure WHERE until <= $1";
    sql::execute(tx.sql(), sql, [tx.now().micros().into()]).await?;
    forget(tx, &wanted.target).await?;
    let sql = "SELECT COUNT(*) AS number FROM traffic_measure";
    let others: Option<sql::Number> = sql::first(tx.sql(), sql, []).await?;
    if others.is_some_and(|others| sql::from_db(others.number) >= MAX_MEASURES as u64) {
        return Err(AdminError::TooMany {
            kind: "measure",
            limit: MAX_MEASURES as u64,
        });
    }
    let made = TrafficMeasure {
        target: wanted.target,
        measure: wanted.measure,
        until: wanted.until,
        reason: wanted.reason.trim().to_owned(),
        actor: actor.name().to_owned(),
        at: tx.now(),
    };
    let body =
        serde_json::to_string(&made.measure).map_err(|error| StoreError::damaged(error.to_string()))?;
    let sql =
        "INSERT INTO traffic_measure (who, body, until, reason, actor, at) VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [
        who.clone().into(),
        body.into(),
        made.until.micros().into(),
        made.reason.clone().into(),
        made.actor.clone().into(),
        made.at.micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    let (kind, rates) = match made.measure {
        Measure::Ban => (EventKind::TrafficBan, json!({})),
        Measure::Throttle { requests, bytes } => (
            EventKind::TrafficThrottle,
            json!({ "requests_per_second": requests, "bytes_per_second": bytes }),
        ),
    };
    let mut about = json!({ "until": made.until.to_rfc3339(), "reason": made.reason });
    if let (Some(about), serde_json::Value::Object(rates)) = (about.as_object_mut(), rates) {
        about.extend(rates);
    }
    event::record(tx, actor, kind, &who, about).await?;
    Ok(made)
}

#[cfg(test)]
mod tests;
