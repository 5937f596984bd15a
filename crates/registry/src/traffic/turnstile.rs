//! Turns at something that only so much can be done with at the same time.
//!
//! Where there is room, a turn costs two atomic operations. Where there is none, whoever asks waits in a fair line
//! ([`access::fair`]), at most as long as it would wait anyway; who would wait longer is told at once to come again.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use access::{
    Class, PrincipalId,
    adaptive::{AdaptiveLimit, Bounds},
    fair::{FairLimits, FairQueue, Offered, Shed, Ticket, Who},
};
use tokio::sync::oneshot;

/// Who waits for a turn.
pub(crate) type Asker = Who<Option<PrincipalId>, IpAddr>;

type Line = FairQueue<Option<PrincipalId>, IpAddr, oneshot::Sender<Turn>>;

/// What turns are given for.
#[derive(Debug)]
pub(crate) struct Turnstile {
    limit: AtomicUsize,
    serving: AtomicUsize,
    waiting: AtomicUsize,
    line: Mutex<Line>,
    /// The limit follows the latency; `None`: it stays.
    adaptive: Option<Mutex<AdaptiveLimit>>,
    began: Instant,
}

/// A turn; over when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    /// `None`: it was never given.
    of: Option<Arc<Turnstile>>,
    /// When it began, where the latency counts.
    since: Option<Instant>,
}

/// What is going on at a turnstile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineState {
    /// Turns that may be had at the same time.
    pub limit: usize,
    /// Turns that are had.
    pub serving: usize,
    /// How many wait, by class.
    pub waiting: [usize; Class::ALL.len()],
}

impl LineState {
    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.limit += other.limit;
        self.serving += other.serving;
        for (waiting, more) in self.waiting.iter_mut().zip(other.waiting) {
            *waiting += more;
        }
        self
    }
}

impl Turnstile {
    /// With so many turns at the same time, however long they take.
    pub(crate) fn with_limit(limit: usize, line: FairLimits) -> Arc<Self> {
        Self::new(limit.max(1), line, None)
    }

    /// With as many turns at the same time as do not slow each other down.
    pub(crate) fn adaptive(bounds: Bounds, line: FairLimits) -> Arc<Self> {
        let adaptive = AdaptiveLimit::new(bounds);
        Self::new(adaptive.limit(), line, Some(Mutex::new(adaptive)))
    }

    fn new(limit: usize, line: FairLimits, adaptive: Option<Mutex<AdaptiveLimit>>) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            serving: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(FairQueue::new(line)),
            adaptive,
            began: Instant::now(),
        })
    }

    /// Whether anybody waits.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// How many requests of whoever asks wait already, from all its addresses.
    pub(crate) fn waiting_of(&self, asker: &Asker) -> usize {
        if self.is_waited_for() {
            self.line().waiting_of(asker.class, &asker.principal)
        } else {
            0
        }
    }

    /// A turn, as long as nobody waits for one and there is room.
    pub(crate) fn try_pass(self: &Arc<Self>) -> Option<Turn> {
        (!self.is_waited_for() && self.enter()).then(|| self.turn())
    }

    /// A turn, when it comes. Whoever would have to wait longer than `patience` is told at once.
    pub(crate) async fn pass(self: &Arc<Self>, asker: Asker, patience: Duration) -> Result<Turn, Shed> {
        match self.try_pass() {
            Some(turn) => Ok(turn),
            // It is seldom needed, and large.
            None => Box::pin(self.wait(asker, patience)).await,
        }
    }

    /// A turn from the line, also if it is empty.
    pub(crate) async fn wait(self: &Arc<Self>, asker: Asker, patience: Duration) -> Result<Turn, Shed> {
        let mut place = self.queue(asker, patience)?;
        if let Ok(turn) = place.turn.try_recv() {
            place.is_over = true;
            // A thread that answers from memory would give itself one turn after the other, and what has come meanwhile would
            // wait unread, first come first served. So this turn begins behind all that the thread has to read.
            tokio::task::yield_now().await;
            return Ok(turn);
        }
        let turn = tokio::time::timeout(patience, &mut place.turn).await;
        match turn {
            Ok(Ok(turn)) => {
                place.is_over = true;
                Ok(turn)
            }
            _ => Err(Shed::TooLong {
                after: millis(patience),
            }),
        }
    }

    /// Somebody has had more than a turn, which counts while anybody waits.
    pub(crate) fn charge(&self, asker: &Asker, turns: u64) {
        if self.is_waited_for() {
            self.line().charge(asker, turns);
        }
    }

    /// What is going on.
    pub(crate) fn state(&self) -> LineState {
        LineState {
            limit: self.limit.load(Ordering::Relaxed),
            serving: self.serving.load(Ordering::Relaxed),
            waiting: self.line().waiting_by_class(),
        }
    }

    /// Who waits, with how many requests.
    pub(crate) fn waiters(&self) -> Vec<(Asker, usize)> {
        self.line().waiters().collect()
    }

    fn queue(self: &Arc<Self>, asker: Asker, patience: Duration) -> Result<Place, Shed> {
        let (sender, turn) = oneshot::channel();
        let mut line = self.line();
        let Offered { ticket, pushed_out } = line.offer(self.now(), asker, 1, millis(patience), sender)?;
        // Before the room is looked at: whoever leaves either sees that somebody waits or has left before.
        self.waiting.store(line.waiting(), Ordering::SeqCst);
        self.grant(&mut line);
        drop(line);
        // Whoever went hears of it now that the line is free.
        drop(pushed_out);
        Ok(Place {
            turnstile: Arc::clone(self),
            asker,
            ticket,
            turn,
            is_over: false,
        })
    }

    /// Gives turns to those who wait, as long as there is room.
    fn grant(self: &Arc<Self>, line: &mut Line) {
        while line.waiting() > 0 && self.enter() {
            let Some(next) = line.next(self.now()) else {
                self.serving.fetch_sub(1, Ordering::SeqCst);
                break;
            };
            if let Err(mut turn) = next.send(self.turn()) {
                // Nobody is there to have it. It must not end by itself: the line is locked.
                turn.of = None;
                self.serving.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.store(line.waiting(), Ordering::SeqCst);
    }

    /// Takes room, if there is any. Whoever finds none must not have taken it even for a moment: somebody who waits would have
    /// found none either, and nobody would come back for them.
    fn enter(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = self
            .serving
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |serving| {
                (serving < limit).then_some(serving + 1)
            });
        taken.is_ok()
    }

    fn leave(self: &Arc<Self>, since: Option<Instant>) {
        let serving = self.serving.fetch_sub(1, Ordering::SeqCst);
        if let (Some(adaptive), Some(since)) = (&self.adaptive, since)
            // Some are missed where many leave at once: the others say the same.
            && let Ok(mut adaptive) = adaptive.try_lock()
        {
            adaptive.took(since.elapsed(), serving);
            self.limit.store(adaptive.limit(), Ordering::Relaxed);
        }
        if self.is_waited_for() {
            self.grant(&mut self.line());
        }
    }

    fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            of: Some(Arc::clone(self)),
            since: self.adaptive.is_some().then(Instant::now),
        }
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turnstile) = self.of.take() {
            turnstile.leave(self.since);
        }
    }
}

/// A place in the line; given up when dropped, also when the client went away.
struct Place {
    turnstile: Arc<Turnstile>,
    asker: Asker,
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
    /// The turn has come.
    is_over: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut line = self.turnstile.line();
        if line.cancel(&self.asker, self.ticket) {
            self.turnstile.waiting.store(line.waiting(), Ordering::SeqCst);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
