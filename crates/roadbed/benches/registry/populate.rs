//! Fills a registry over HTTP with as many connections as it takes.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Result, bail};

use crate::{client::Client, server::Server};

/// Connections that push at the same time.
const CONNECTIONS: usize = 32;

/// Does `each` for the numbers below `count`, on many connections.
pub(crate) fn in_parallel(
    server: &Server,
    count: usize,
    each: impl Fn(&mut Client, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let one_connection = || {
            let mut client = server.client()?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), anyhow::Error>(());
                }
                each(&mut client, number)?;
            }
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one_connection)).collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a pushing client panicked"),
            }
        }
        Ok(())
    })
}
