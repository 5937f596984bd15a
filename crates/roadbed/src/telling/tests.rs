//! Incidents told to sinks of every kind, in process: a store with a clock that stands still, and servers that really take what is
//! sent.

mod failures;
#[expect(dead_code, reason = "each test uses its part of the server")]
#[path = "../../../outbound/tests/server/mod.rs"]
mod http_server;
mod mails;
#[expect(dead_code, reason = "each test uses its part of the server")]
#[path = "../../../outbound/tests/post/mod.rs"]
mod post;
mod schedules;
mod ticket_systems;
mod work;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use findings::Severity;
use oci::{Algorithm, Digest, Reference};
use outbound::{AddressGuard, Client, Settings};
use road::cohort::Cohort;
use road::incident::{Coverage, Deadlines, Incident, LineKey, Opening, Remedy, Sighting, Vulnerability};
use road::message::{Message, messages};
use road::names::IncidentId;
use road::sink::SinkSpec;
use serde_json::{Value, json};
use store::{
    Actor, Delivery, DeliveryState, ManualClock, SecretChange, Store, StoreConfig, StoredSink, Timestamp,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::messages::Asked;
use super::plan::date_of;
use super::{Messages, TellingLimits, TellingMetrics, TellingService};

/// A Friday morning.
const START: OffsetDateTime = datetime!(2021-12-10 10:00 UTC);

/// A secret of a webhook.
const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Names that would like to be more than names.
const EVIL: &str = "a<!here> @channel\r\nBcc: x@evil.example [~admin] {html}<b>*x*|[code]=1+1 \u{202e}ä";

/// A delivery about `subject` that was never tried.
pub(super) fn delivery(subject: &str) -> Delivery {
    Delivery {
        id: 1,
        uid: Uuid::nil(),
        sink: "hook".into(),
        kind: "tag.set".into(),
        subject: subject.into(),
        incident: None,
        owner: String::new(),
        body: json!({}),
        state: DeliveryState::Pending,
        is_held: false,
        tried_from: Timestamp(0),
        next_at: Timestamp(0),
        attempts: 0,
        status: None,
        error: None,
        created_at: Timestamp(0),
        finished_at: None,
    }
}

/// One incident, followed by a test.
pub(super) struct OneIncident(Mutex<Incident>);

impl OneIncident {
    fn with<T>(&self, act: impl FnOnce(&mut Incident) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }
}

impl Messages for OneIncident {
    fn messages<'a>(&'a self, _: &'a IncidentId, now: OffsetDateTime) -> Asked<'a, Vec<Message>> {
        Box::pin(async move { Ok(self.with(|incident| messages(incident, None, now))) })
    }

    fn open(&self, _: OffsetDateTime) -> Asked<'_, Vec<IncidentId>> {
        Box::pin(async move { Ok(vec![self.with(|incident| incident.id().clone())]) })
    }
}

/// A store, a clock, an incident and who tells of it.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) incident: Arc<OneIncident>,
    pub(super) service: TellingService,
    _directory: TempDir,
}

fn id(name: &str) -> road::names::VulnerabilityId {
    name.parse().unwrap()
}

fn vulnerability(name: &str, severity: Severity, fixed_in: &str) -> Vulnerability {
    Vulnerability {
        id: id(name),
        severity,
        by_source: BTreeMap::new(),
        fixed_in: vec![fixed_in.to_owned()],
        advisories: Vec::new(),
    }
}

/// The tag `prod` of an application of the team of its name, which has a mail address.
pub(super) fn sighting(name: &str, owner: &str, is_affected: bool) -> Sighting {
    Sighting {
        line: LineKey {
            application: Some(name.parse().unwrap()),
            repository: format!("team/{name}").parse().unwrap(),
            reference: Reference::Tag("prod".parse().unwrap()),
        },
        digest: Digest::of(Algorithm::Sha256, format!("{name} {is_affected}").as_bytes()),
        affected_by: is_affected.then(|| id("CVE-2021-44228")).into_iter().collect(),
        cohort: Cohort::Paved,
        owner: Some(owner.parse().unwrap()),
        contacts: vec![format!("{owner}@shop.example").parse().unwrap()],
        remedies: vec![Remedy::Upgrade {
            package: "log4j-core".into(),
            fixed_in: vec!["2.15.0".into()],
            leaves: Vec::new(),
        }],
        reliefs: Vec::new(),
        fixes: Vec::new(),
        withdrawal: None,
    }
}

pub(super) fn incident(title: &str, severity: Severity, affected: Vec<Sighting>) -> Incident {
    let opening = Opening {
        id: "log4shell".parse().unwrap(),
        title: title.into(),
        vulnerabilities: vec![vulnerability("CVE-2021-44228", severity, "2.15.0")],
        deadlines: Deadlines::default(),
        coverage: Coverage::default(),
        affected,
        targets: Vec::new(),
    };
    Incident::open(opening, "sec", START).unwrap().0
}

/// Two teams with three applications.
pub(super) fn affected() -> Vec<Sighting> {
    vec![
        sighting("cart", "shop", true),
        sighting("checkout", "shop", true),
        sighting("video", "media", true),
    ]
}

impl World {
    pub(super) async fn new(incident: Incident) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let micros = i64::try_from(START.unix_timestamp_nanos() / 1_000).unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp(micros)));
        let config = StoreConfig::at(directory.path());
        let store = Store::open(config, Arc::clone(&clock) as Arc<dyn store::Clock>)
            .await
            .unwrap();
        let settings = Settings {
            guard: AddressGuard::with_listed(|address| address == Ipv4Addr::LOCALHOST),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(2),
            ..Settings::default()
        };
        let incident = Arc::new(OneIncident(Mutex::new(incident)));
        let service = TellingService::with(
            store,
            TellingLimits::default(),
            Client::new(settings).unwrap(),
            "https://registry.example".into(),
            Arc::clone(&incident) as Arc<dyn Messages>,
            TellingMetrics::default(),
        );
        Self {
            clock,
            incident,
            service,
            _directory: directory,
        }
    }

    pub(super) async fn sink(&self, body: &Value, secret: Option<&str>) {
        let spec: SinkSpec = serde_json::from_value(body.clone()).unwrap();
        let secret = secret.map_or(SecretChange::Keep, |secret| {
            SecretChange::Set(secret.to_owned().into(), Duration::ZERO)
        });
        let actor = Actor::operator("test");
        self.service.store.set_sink(&actor, &spec, secret).await.unwrap();
    }

    pub(super) async fn sinks(&self) -> Vec<StoredSink> {
        self.service.store.sinks().await.unwrap()
    }

    /// What the loop does: looks at the incident, tells what is due, and waits until that was tried.
    pub(super) async fn look(&self) {
        let sinks = self.sinks().await;
        self.service.remind(&sinks).await.unwrap();
        self.service.dispatch(&sinks).await.unwrap();
        self.service.settle().await;
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        date_of(self.service.store.now())
    }

    /// Sees images of the incident as they are now.
    pub(super) fn see(&self, seen: Vec<Sighting>) {
        let now = self.now();
        self.incident
            .with(|incident| incident.see(seen, "scan", now))
            .unwrap();
    }

    /// The fix is superseded: another vulnerability, another version to go to.
    pub(super) fn supersede(&self) {
        self.clock.advance(Duration::from_mins(5));
        let (now, second) = (
            self.now(),
            vulnerability("CVE-2021-45046", Severity::High, "2.16.0"),
        );
        self.incident
            .with(|incident| incident.add_vulnerability(second, &[], "feed", now))
            .unwrap();
    }

    pub(super) async fn deliveries(&self, state: DeliveryState) -> Vec<Delivery> {
        let page = self
            .service
            .store
            .deliveries(None, Some(state), None, 1_000)
            .await;
        let mut all = page.unwrap().items;
        all.reverse();
        all
    }
}
