//! Threads for what runs beside the requests: looking into what was pushed, judging, fetching advisories. Whoever serves a request
//! comes first.

use std::io;

use registry::traffic::lanes::behind_requests;
use tokio::runtime::{Builder, Handle, Runtime};

/// Added to the nice value of these threads.
const NICE: i32 = 5;

/// The threads. Dropping it ends what they do; they themselves end when they come to a wait.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    /// Starts as many as there are cores.
    ///
    /// # Errors
    /// The system refuses threads or event loops.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .on_thread_start(behind_requests(NICE))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where to spawn.
    pub(crate) fn handle(&self) -> Handle {
        self.0
            .as_ref()
            .map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
