//! A bounded pool of OS threads for work that blocks: hashing, writing, syncing, reading cold pages.
//!
//! `tokio::task::spawn_blocking` would start up to 512 threads and queue without end. Here the number of threads is
//! fixed, and so is the number of jobs that wait or run: who comes when all places are taken waits in line (first
//! come, first served) for at most [`PoolConfig::wait`].

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crossbeam_channel::Sender;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Jobs that may wait per thread. More would only hide that the disk is slower than the network.
const QUEUE_PER_THREAD: usize = 16;
/// How long a job waits for a place before it is refused.
const WAIT: Duration = Duration::from_mins(1);

type Job = Box<dyn FnOnce() + Send>;

/// Size and priority of an [`IoPool`].
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    /// Name of its threads, at most 15 bytes.
    pub(crate) name: &'static str,
    /// Number of threads. Default: the machine's cores, at least 2.
    pub(crate) threads: usize,
    /// Jobs that may wait beyond those that run. Default: 16 per thread.
    pub(crate) queue: usize,
    /// How long a job may wait for a place before [`PoolError::Full`]. Default: 60 s.
    pub(crate) wait: Duration,
    /// Added to the threads' nice value (0 to 19), so that hashing does not starve pulls. Default: 0.
    pub(crate) nice: i32,
}

impl PoolConfig {
    /// A pool of the default size.
    pub(crate) fn new(name: &'static str) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get);
        Self::with_threads(name, cores.max(2))
    }

    /// A pool of `threads` threads.
    pub(crate) fn with_threads(name: &'static str, threads: usize) -> Self {
        Self {
            name,
            threads,
            queue: threads * QUEUE_PER_THREAD,
            wait: WAIT,
            nice: 0,
        }
    }

    /// The same at a lower priority.
    pub(crate) fn niced(self, nice: i32) -> Self {
        Self { nice, ..self }
    }
}

/// Why a job did not run, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PoolError {
    /// All places stayed taken for the whole wait.
    #[error("{pool} pool stayed full for {} s, try again later", waited.as_secs())]
    Full {
        /// Name of the pool.
        pool: &'static str,
        /// How long the job waited.
        waited: Duration,
    },
    /// The pool is shut down.
    #[error("{pool} pool is closed")]
    Closed {
        /// Name of the pool.
        pool: &'static str,
    },
    /// The job panicked; its thread goes on.
    #[error("a job of the {pool} pool panicked")]
    Panicked {
        /// Name of the pool.
        pool: &'static str,
    },
}

/// Handle to a pool; clones share it. The threads end when the last handle is gone and the queue is empty.
#[derive(Clone)]
pub(crate) struct IoPool {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    config: Arc<PoolConfig>,
}

impl IoPool {
    /// Starts the threads.
    pub(crate) fn start(config: PoolConfig) -> std::io::Result<Self> {
        let places = config.threads + config.queue;
        let (jobs, inbox) = crossbeam_channel::bounded::<Job>(places);
        for _ in 0..config.threads {
            let inbox = inbox.clone();
            let nice = config.nice;
            std::thread::Builder::new()
                .name(config.name.to_owned())
                .spawn(move || {
                    lower_priority(nice);
                    for job in inbox {
                        // The job's own sender is dropped by the unwinding, which tells its caller.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                })?;
        }
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(places)),
            config: Arc::new(config),
        })
    }

    /// Runs `work` on a thread of the pool and returns its result.
    ///
    /// Dropping the future does not stop the job once it has its place: it owns all it needs and runs to its end.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = self.place().await?;
        self.begin(place, work)?.await
    }

    /// Waits for a place: the right to begin one job.
    pub(crate) async fn place(&self) -> Result<Place, PoolError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place(place));
        }
        let pool = self.config.name;
        match tokio::time::timeout(self.config.wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Place(place)),
            Ok(Err(_)) => Err(PoolError::Closed { pool }),
            Err(_) => Err(PoolError::Full {
                pool,
                waited: self.config.wait,
            }),
        }
    }

    /// Begins `work`, which runs whether or not the result is awaited.
    pub(crate) fn begin<T, F>(&self, place: Place, work: F) -> Result<Running<T>, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        self.submit(place, move || drop(done.send(work())))?;
        Ok(Running {
            result,
            panicked: self.panicked(),
        })
    }

    /// What a job that never came back means.
    pub(crate) fn panicked(&self) -> PoolError {
        PoolError::Panicked {
            pool: self.config.name,
        }
    }

    /// Runs `work` without anybody waiting for it, or gives it back when no place is free right now.
    pub(crate) fn detach<F>(&self, work: F) -> Result<(), F>
    where
        F: FnOnce() + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(work);
        };
        // A closed channel drops the work, which is all that a detached job may hope for.
        let _ = self.submit(Place(place), work);
        Ok(())
    }

    /// Refuses new jobs and waits until those accepted have ended.
    pub(crate) async fn close(&self) {
        let places = u32::try_from(self.config.threads + self.config.queue).unwrap_or(u32::MAX);
        if let Ok(all) = self.places.acquire_many(places).await {
            self.places.close();
            drop(all);
        }
    }

    fn submit(&self, place: Place, work: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        let job: Job = Box::new(move || {
            // Dropped also when the work panics.
            let _place = place;
            work();
        });
        // Never blocks: the channel has as many slots as there are places.
        self.jobs.send(job).map_err(|_| PoolError::Closed {
            pool: self.config.name,
        })
    }
}

/// The right to begin one job; given back when the job ends, or unused.
pub(crate) struct Place(#[expect(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit);

/// A job that was begun; resolves to its result.
pub(crate) struct Running<T> {
    result: oneshot::Receiver<T>,
    panicked: PoolError,
}

impl<T> Future for Running<T> {
    type Output = Result<T, PoolError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = std::task::ready!(Pin::new(&mut self.result).poll(context));
        Poll::Ready(result.map_err(|_| self.panicked.clone()))
    }
}

/// Lowers the calling thread's priority; a system that refuses leaves it as it is.
fn lower_priority(nice: i32) {
    if nice == 0 {
        return;
    }
    // On Linux "process 0" of setpriority is the calling thread alone; elsewhere it would be the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|own| rustix::process::setpriority_process(None, own + nice))
    {
        tracing::debug!(%error, nice, "could not lower the priority of a pool thread");
    }
}

#[cfg(test)]
mod tests;
