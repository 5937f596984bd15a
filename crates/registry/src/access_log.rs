//! One line of JSON per request, written by a thread of its own.
//!
//! A request hands over what it knows and goes on; formatting and writing happen elsewhere, and a reader of the log that
//! is too slow costs lines (counted), never requests. Queries are not logged: they may hold what a client mistook for a
//! place for credentials. Neither are the `Authorization` header or tokens, ever.

use std::{
    io::{self, BufWriter, Write},
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use access::PrincipalName;
use crossbeam_channel::{Receiver, Sender, bounded};
use http::{HeaderValue, Method, Uri};
use store::Timestamp;

/// Lines that may wait to be written, by default; one more is dropped and counted.
pub const QUEUE_LINES: usize = 8192;

/// How long lines are gathered before they are written: waking a thread for each would cost more than the line.
const GATHER: Duration = Duration::from_millis(40);

/// So often the thread looks meanwhile whether the queue fills up.
const LOOK: Duration = Duration::from_millis(20);

/// Longest path or user agent in a line, in bytes; more is cut.
const MAX_FIELD_BYTES: usize = 512;

/// Longest method in a line, in bytes; real ones are shorter.
const MAX_METHOD_BYTES: usize = 16;

/// What is known of one answered request.
#[derive(Debug)]
pub struct AccessRecord {
    /// When the request's head had been read.
    pub at: Timestamp,
    /// The client's address (behind a trusted proxy: the forwarded one).
    pub address: IpAddr,
    /// Who asked, if known.
    pub principal: Option<PrincipalName>,
    /// The request's method.
    pub method: Method,
    /// The request's target; only its path is written.
    pub uri: Uri,
    /// The answer's status.
    pub status: u16,
    /// Body bytes that were sent.
    pub sent_bytes: u64,
    /// Until the answer's last byte was handed to the connection.
    pub duration: Duration,
    /// The client's name for itself.
    pub user_agent: Option<HeaderValue>,
}

/// The near end of the log.
#[derive(Debug, Clone)]
pub struct AccessLog {
    entries: Option<Sender<Entry>>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are lines: a box would cost each request an allocation"
)]
enum Entry {
    Line(AccessRecord),
    /// Answered when everything before it has been written.
    Flush(Sender<()>),
}

impl AccessLog {
    /// A log that writes nothing.
    pub fn off() -> Self {
        Self { entries: None }
    }

    /// A log that writes to `out`; at most `queue` lines wait for it. The thread ends when the last clone of the log is dropped.
    pub fn to(out: impl Write + Send + 'static, queue: usize) -> io::Result<Self> {
        let (entries, received) = bounded(queue);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_entries(&received, out))?;
        Ok(Self {
            entries: Some(entries),
        })
    }

    /// Whether records are wanted at all.
    pub fn is_on(&self) -> bool {
        self.entries.is_some()
    }

    /// Hands over one record; `false` when the line is lost because the queue is full or nobody writes any more.
    pub fn note(&self, record: AccessRecord) -> bool {
        let Some(entries) = &self.entries else {
            return true;
        };
        entries.try_send(Entry::Line(record)).is_ok()
    }

    /// Waits until all that was noted before is written, at most for `wait`; answers whether it is.
    pub fn flush(&self, wait: Duration) -> bool {
        let Some(entries) = &self.entries else {
            return true;
        };
        let (written, is_written) = bounded(1);
        let deadline = Instant::now() + wait;
        entries.send_deadline(Entry::Flush(written), deadline).is_ok()
            && is_written.recv_deadline(deadline).is_ok()
    }
}

fn write_entries(entries: &Receiver<Entry>, out: impl Write) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = entries.recv() {
        if let Entry::Line(_) = first {
            gather(entries);
        }
        let gathered = std::iter::once(first).chain(entries.try_iter());
        // Somebody who stops reading the log stops it; requests go on.
        if write_gathered(&mut out, gathered).is_err() {
            return;
        }
    }
}

/// Waits until there is something to write that is worth it, or until the queue is a quarter full.
fn gather(entries: &Receiver<Entry>) {
    let enough = entries.capacity().unwrap_or(QUEUE_LINES) / 4;
    let until = Instant::now() + GATHER;
    while Instant::now() < until && entries.len() < enough {
        thread::sleep(LOOK);
    }
}

fn write_gathered(out: &mut impl Write, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
    for entry in entries {
        match entry {
            Entry::Line(record) => write_line(out, &record)?,
            Entry::Flush(written) => {
                out.flush()?;
                let _ = written.send(());
            }
        }
    }
    out.flush()
}

fn write_line(out: &mut impl Write, record: &AccessRecord) -> io::Result<()> {
    let line = Line {
        at: record.at.to_rfc3339(),
        address: record.address,
        principal: record
            .principal
            .as_ref()
            .map_or(access::ANONYMOUS, PrincipalName::as_str),
        method: cut(record.method.as_str(), MAX_METHOD_BYTES),
        path: cut(record.uri.path(), MAX_FIELD_BYTES),
        status: record.status,
        sent_bytes: record.sent_bytes,
        duration_us: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
        user_agent: record
            .user_agent
            .as_ref()
            .and_then(|agent| agent.to_str().ok())
            .map(|agent| cut(agent, MAX_FIELD_BYTES)),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

#[derive(serde::Serialize)]
struct Line<'a> {
    at: String,
    address: IpAddr,
    principal: &'a str,
    method: &'a str,
    path: &'a str,
    status: u16,
    sent_bytes: u64,
    duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console that nobody reads.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Until the other end is dropped.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(path: &str) -> AccessRecord {
        AccessRecord {
            at: Timestamp(0),
            address: IpAddr::from([127, 0, 0, 1]),
            principal: None,
            method: Method::GET,
            uri: path.parse().unwrap(),
            status: 200,
            sent_bytes: 0,
            duration: Duration::ZERO,
            user_agent: None,
        }
    }

    #[test]
    fn what_was_noted_is_written_once_flushed() {
        let written = Written::default();
        let log = AccessLog::to(written.clone(), QUEUE_LINES).unwrap();
        for number in 0..100 {
            assert!(log.note(record(&format!("/v2/{number}"))));
        }
        assert!(log.flush(Duration::from_secs(10)));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let paths: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].clone())
            .collect();
        assert_eq!(paths.len(), 100);
        assert_eq!(paths[99], "/v2/99");
    }

    #[test]
    fn a_console_that_nobody_reads_costs_lines_and_no_waiting() {
        let (released, stuck) = bounded(0);
        let log = AccessLog::to(Stuck(stuck), 2).unwrap();
        // The thread takes what its own buffer holds, until it has to wait for the console.
        let kept = (0..10_000).take_while(|_| log.note(record("/v2/"))).count();
        assert!((2..10_000).contains(&kept), "{kept}");
        assert!(!log.flush(Duration::from_millis(10)), "nothing can be written");
        drop(released);
    }
}
