//! What stands between a request and the work that it asks for: bans and rates, its class, and whose turn it is.
//!
//! There are turnstiles for two things. One is the processor, where a turn lasts until the handler has to wait for something or has
//! answered. So what stands in the runtime's own line, first come first served, stays short, whoever sends how much. On express
//! lanes turns are taken only while a lane is behind ([`crate::traffic::lag`]) or somebody waits already; who has many requests
//! waiting there moves to the lane for crowds, which has a turnstile of its own. The other thing is the database and the disk:
//! pulls that memory does not answer, and lists; how many at a time follows how long they take.

use std::{
    collections::HashMap,
    future::poll_fn,
    hash::Hash,
    net::IpAddr,
    num::NonZero,
    pin::Pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use access::{
    AccessBook, Caller, Class, NamePattern, PrincipalId, PrincipalName,
    adaptive::Bounds,
    fair::{FairLimits, Shed, Who},
    permit::Pull,
};
use http::{HeaderMap, Method};
use store::{InForce, Measure, Store};

use crate::{
    auth::Known,
    classes::{ClassRules, Standing},
    error::{ApiError, RETRY_AFTER_SECONDS},
    rates::{self, Rate, RateOf, Rates},
    route::Route,
    traffic::{
        lag,
        lanes::crowd,
        meter::{Answer, Meter, Usage},
        turnstile::{Asker, LineState, Turn, Turnstile},
    },
};

/// What an administrator says about overload, with its bounds.
#[derive(Debug, Clone)]
pub struct TrafficConfig {
    /// Who is a node, a build, a scanner.
    pub classes: ClassRules,
    /// What principals of these names may ask for per second; the first pattern that means one counts.
    pub limits: Vec<(NamePattern, Rate)>,
    /// Requests of one class that may wait for their turn, half of them for one principal, a quarter for one of its
    /// addresses; one more is answered 429.
    pub waiting: usize,
    /// Longest wait for a turn; who would wait longer is answered 429 at once.
    pub longest_wait: Duration,
    /// Requests take turns once what has come waits this long for a lane.
    pub behind: Duration,
    /// The least that is asked of the database at the same time, however slow it gets; the most is
    /// [`crate::RegistryConfig::concurrent_lookups`].
    pub database_least: usize,
}

impl Default for TrafficConfig {
    fn default() -> Self {
        Self {
            classes: ClassRules::default(),
            limits: Vec::new(),
            waiting: 8_192,
            longest_wait: Duration::from_secs(10),
            behind: Duration::from_millis(2),
            database_least: 16,
        }
    }
}

/// Turns that a core's lane has given and not begun: enough that it never idles, few enough that nobody waits behind them.
const TURNS_PER_LANE: usize = 4;

/// Whoever has so many requests waiting for the processor crowds: a node of containerd asks for a dozen at once at most.
const CROWD: usize = 16;

/// How long somebody who is banned, throttled or not even let into the line waits for the answer that says so. Without that, ten
/// thousand connections that do not heed it would have as much of the processor as if they were served.
const HOLD: Duration = Duration::from_secs(1);

/// One part of the waiting places for one principal, and of those for one address.
const PARTS: usize = 2;

/// All of it, for one registry.
pub(crate) struct Overload {
    config: TrafficConfig,
    lanes: Arc<Turnstile>,
    crowds: Arc<Turnstile>,
    database: Arc<Turnstile>,
    rates: Arc<Rates>,
    meter: Arc<Meter>,
}

/// What is known of a caller once its credentials were read; remembered with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    standing: Standing,
    rate: Option<Rate>,
}

/// Who is charged for the bytes of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Charged {
    meter: Arc<Meter>,
    principal: Option<PrincipalName>,
    lanes: Arc<Turnstile>,
    asker: Asker,
    rates: Option<(Arc<Rates>, Box<[RateOf]>)>,
}

/// Bytes that cost the processor about as much as a request: 0.27 seconds for a gigabyte, 15 µs for a small answer.
const BYTES_OF_A_TURN: u64 = 64 * 1024;

/// Who uses what now.
#[derive(Debug, Clone)]
pub struct TrafficUsage {
    /// Turns at the processor.
    pub lanes: LineState,
    /// Turns at the database and the disk.
    pub database: LineState,
    /// By principal; `None`: everybody without a name.
    pub principals: Vec<Usage<Option<PrincipalName>>>,
    /// By address; of IPv6 the network of 64 bits.
    pub addresses: Vec<Usage<IpAddr>>,
}

impl Overload {
    /// `most`: questions to the database at the same time.
    pub(crate) fn new(config: TrafficConfig, most: usize) -> Self {
        let line = FairLimits {
            waiting: config.waiting,
            parts: PARTS,
            ..FairLimits::default()
        };
        let lanes = thread::available_parallelism().map_or(2, NonZero::get);
        let bounds = Bounds {
            least: config.database_least,
            most,
        };
        Self {
            lanes: Turnstile::with_limit(lanes * TURNS_PER_LANE, line),
            crowds: Turnstile::with_limit(lanes * TURNS_PER_LANE, line),
            database: Turnstile::adaptive(bounds, line),
            rates: Arc::new(Rates::new()),
            meter: Arc::new(Meter::new()),
            config,
        }
    }

    /// What is known of a caller.
    pub(crate) fn place(&self, book: &AccessBook, caller: &Caller) -> Place {
        let name = caller.principal().map(|principal| &principal.name);
        Place {
            standing: self.config.classes.standing(book, caller),
            rate: name.and_then(|name| rates::of_name(&self.config.limits, name)),
        }
    }

    /// The class of a request.
    pub(crate) fn class(
        &self,
        store: &Store,
        known: &Known,
        address: IpAddr,
        headers: &HeaderMap,
        asked: (&Route, &Method),
    ) -> Class {
        let class = self
            .config
            .classes
            .class(known.place.standing, address, headers, asked);
        // Every client asks once without a name to be told where to get one: a node must not wait for that behind scanners.
        if class > Class::Ci && is_challenged(store, &known.caller, asked.0) {
            return Class::Ci;
        }
        class
    }

    /// Takes one request of the rates that hold for whoever asks; 429 where there is none, or where they are banned.
    pub(crate) fn allow(
        &self,
        store: &Store,
        known: &Known,
        address: IpAddr,
    ) -> Result<Box<[RateOf]>, ApiError> {
        let principal = known.caller.principal();
        let mut held = Vec::new();
        if let (Some(principal), Some(rate)) = (principal, known.place.rate) {
            held.push((RateOf::Principal(principal.id), rate));
        }
        let named = principal.and_then(|principal| store.measure_of_principal(&principal.name));
        for measure in named.into_iter().chain(store.measures_of_address(address)) {
            match measure.measure {
                // Who has become an administrator meanwhile must be able to lift it.
                Measure::Ban if principal.is_some_and(|principal| principal.administrator) => {}
                Measure::Ban => return Err(banned(&measure, store)),
                Measure::Throttle { requests, bytes } => {
                    held.push((RateOf::Measure(measure.target), Rate { requests, bytes }));
                }
            }
        }
        self.rates.take(&held).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            ApiError::too_many(
                "this user, robot or address asks for more than it may per second; retry later",
                seconds,
            )
        })?;
        Ok(held.into_iter().map(|(who, _)| who).collect())
    }

    /// Whether turns are taken: always among crowds, elsewhere where a lane is behind or somebody waits.
    pub(crate) fn is_pressed(&self, now: Instant) -> bool {
        crowd::is_here() || self.lanes.is_waited_for() || lag::is_behind(now, self.config.behind)
    }

    /// The turnstile for the processor where this thread is.
    fn line_here(&self) -> &Arc<Turnstile> {
        if crowd::is_here() {
            &self.crowds
        } else {
            &self.lanes
        }
    }

    /// Has the connection move to where its sender belongs.
    async fn find_lane(&self, asker: &Asker) {
        let crowds = self.line_here().waiting_of(asker) >= CROWD;
        match (crowds, crowd::is_here()) {
            (true, true) => crowd::join(),
            (true, false) => {
                crowd::join();
                tokio::task::yield_now().await;
            }
            (false, true) => crowd::calm(),
            (false, false) => {}
        }
    }

    /// A turn at the processor, where turns are taken at all.
    pub(crate) async fn turn(&self, asker: Asker, now: Instant) -> Result<Option<Turn>, ApiError> {
        if !self.is_pressed(now) {
            return Ok(None);
        }
        self.find_lane(&asker).await;
        match Box::pin(self.line_here().wait(asker, self.config.longest_wait)).await {
            Ok(turn) => Ok(Some(turn)),
            Err(shed) => {
                hold().await;
                Err(told_to_come_again(shed))
            }
        }
    }

    /// A turn at the database.
    pub(crate) async fn database_turn(&self, asker: Asker) -> Result<Turn, ApiError> {
        let turn = self.database.pass(asker, self.config.longest_wait).await;
        turn.map_err(told_to_come_again)
    }

    /// Counts an answer. Where its size is not known, or it is large, says who is charged for its bytes as they are sent.
    pub(crate) fn note(
        &self,
        now: Instant,
        principal: Option<&PrincipalName>,
        asker: Asker,
        (shed, size): (bool, Option<u64>),
        rates: Box<[RateOf]>,
    ) -> Option<Charged> {
        let small = size.filter(|bytes| *bytes <= BYTES_OF_A_TURN && rates.is_empty());
        let answer = Answer {
            class: asker.class,
            shed,
            bytes: small.unwrap_or(0),
        };
        self.meter.note(now, (principal, asker.address), &answer);
        small.is_none().then(|| Charged {
            principal: principal.cloned(),
            meter: Arc::clone(&self.meter),
            lanes: Arc::clone(self.line_here()),
            asker,
            rates: (!rates.is_empty()).then(|| (Arc::clone(&self.rates), rates)),
        })
    }

    /// What goes on at the turnstiles: of the processor, and of the database.
    pub(crate) fn turns(&self) -> (LineState, LineState) {
        (self.lanes.state().and(self.crowds.state()), self.database.state())
    }

    /// Who uses what now.
    pub(crate) fn usage(&self, book: &AccessBook) -> TrafficUsage {
        let (lanes, database) = self.turns();
        let (mut at_lanes, at_database) = (self.lanes.waiters(), self.database.waiters());
        at_lanes.extend(self.crowds.waiters());
        let mut principals = self.meter.principals();
        let mut addresses = self.meter.addresses();
        let waiting = || at_lanes.iter().chain(&at_database);
        let named = waiting().map(|(asker, waiting)| {
            let principal = asker.principal.and_then(|id| book.principal_by_id(id));
            (
                principal.map(|principal| principal.name.clone()),
                asker.class,
                *waiting,
            )
        });
        add_waiting(&mut principals, named);
        let placed = waiting().map(|(asker, waiting)| (asker.address, asker.class, *waiting));
        add_waiting(&mut addresses, placed);
        TrafficUsage {
            lanes,
            database,
            principals,
            addresses,
        }
    }
}

impl Charged {
    /// Counts bytes that were sent.
    pub(crate) fn sent(&self, bytes: u64) {
        let who = (self.principal.as_ref(), self.asker.address);
        self.meter.sent(who, self.asker.class, bytes);
        if bytes >= BYTES_OF_A_TURN {
            self.lanes.charge(&self.asker, bytes / BYTES_OF_A_TURN);
        }
        if let Some((rates, who)) = &self.rates {
            who.iter().for_each(|who| rates.sent(who, bytes));
        }
    }
}

/// Whether somebody without a name is only told to sign in.
fn is_challenged(store: &Store, caller: &Caller, route: &Route) -> bool {
    if !caller.is_anonymous() {
        return false;
    }
    match route {
        Route::Ping => true,
        Route::Token | Route::Catalog | Route::ChartIndex(_) => false,
        Route::Blob(repo, _)
        | Route::Uploads(repo)
        | Route::Upload(repo, _)
        | Route::Manifest(repo, _)
        | Route::Tags(repo)
        | Route::Referrers(repo, _)
        | Route::ChartArchive(repo, _) => !store.access().may::<Pull>(caller, repo),
    }
}

/// Lets whoever is refused wait for the answer that says so.
pub(crate) async fn hold() {
    // It is seldom needed, and large.
    Box::pin(tokio::time::sleep(HOLD)).await;
}

/// By whom somebody is told apart in a line.
pub(crate) fn asker(class: Class, principal: Option<PrincipalId>, address: IpAddr) -> Asker {
    Who {
        class,
        principal,
        address: access::shares::network(address),
    }
}

/// Does the work while a turn lasts: until it has to wait for something, or is done.
pub(crate) async fn in_turn<F: Future>(mut turn: Option<Turn>, mut work: Pin<&mut F>) -> F::Output {
    poll_fn(move |cx| {
        let polled = work.as_mut().poll(cx);
        turn.take();
        polled
    })
    .await
}

/// The answer to somebody who is banned.
pub(crate) fn banned(measure: &InForce, store: &Store) -> ApiError {
    let left = measure.until.micros().saturating_sub(store.now().micros()) / 1_000_000;
    let seconds = u64::try_from(left).unwrap_or(0) + 1;
    let message = format!(
        "{} is banned until {}; an administrator of the registry can lift it",
        measure.target,
        measure.until.to_rfc3339()
    );
    ApiError::too_many(message, seconds)
}

fn told_to_come_again(shed: Shed) -> ApiError {
    let seconds = (shed.after().div_ceil(1_000)).clamp(RETRY_AFTER_SECONDS, 60);
    ApiError::too_many(
        "the registry has more to do than it can; you would wait too long for your turn, retry after a moment",
        seconds,
    )
}

/// Most who wait and are not counted yet that a report takes in.
const MOST_ADDED: usize = 1_024;

fn add_waiting<K: Eq + Hash>(usage: &mut Vec<Usage<K>>, waiters: impl Iterator<Item = (K, Class, usize)>) {
    let mut by_who: HashMap<K, (Class, u64)> = HashMap::new();
    for (who, class, waiting) in waiters {
        by_who.entry(who).or_insert((class, 0)).1 += waiting as u64;
    }
    for own in usage.iter_mut() {
        if let Some((_, waiting)) = by_who.remove(&own.who) {
            own.waiting = waiting;
        }
    }
    let uncounted = by_who.into_iter().take(MOST_ADDED);
    usage.extend(uncounted.map(|(who, (class, waiting))| Usage {
        who,
        class,
        requests: 0,
        bytes: 0,
        shed: 0,
        waiting,
    }));
}
