//! One line of JSON per request, written by a thread of its own.
//!
//! A request hands over what it knows and goes on; formatting and writing happen elsewhere, and a reader of the log that
//! is too slow costs lines (counted), never requests. Queries are not logged: they may hold what a client mistook for a
//! place for credentials. Neither are the `Authorization` header or tokens, ever.

use std::{
    io::{self, BufWriter, Write},
    net::IpAddr,
    thread,
    time::Duration,
};

use access::PrincipalName;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use http::{HeaderValue, Method, Uri};
use store::Timestamp;

/// Lines that may wait to be written, by default; one more is dropped and counted.
pub const QUEUE_LINES: usize = 8192;

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
    lines: Option<Sender<AccessRecord>>,
}

impl AccessLog {
    /// A log that writes nothing.
    pub fn off() -> Self {
        Self { lines: None }
    }

    /// A log that writes to `out`; at most `queue` lines wait for it. The thread ends when the last clone of the log is dropped.
    pub fn to(out: impl Write + Send + 'static, queue: usize) -> io::Result<Self> {
        let (lines, received) = bounded(queue);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&received, out))?;
        Ok(Self { lines: Some(lines) })
    }

    /// Whether records are wanted at all.
    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Hands over one record; `false` when the line is lost because the queue is full or nobody writes any more.
    pub fn note(&self, record: AccessRecord) -> bool {
        let Some(lines) = &self.lines else { return true };
        lines.try_send(record).is_ok()
    }
}

fn write_lines(lines: &Receiver<AccessRecord>, out: impl Write) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    loop {
        // Lines are gathered while more are waiting and flushed when the queue runs dry.
        let record = if let Ok(record) = lines.try_recv() {
            record
        } else {
            let _ = out.flush();
            match lines.recv_timeout(Duration::from_mins(1)) {
                Ok(record) => record,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        };
        if write_line(&mut out, &record).is_err() {
            // Nobody reads the log any more; requests go on.
            return;
        }
    }
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

    /// A console that nobody reads.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record() -> AccessRecord {
        AccessRecord {
            at: Timestamp(0),
            address: IpAddr::from([192, 0, 2, 1]),
            principal: None,
            method: Method::GET,
            uri: Uri::from_static("/v2/"),
            status: 200,
            sent_bytes: 2,
            duration: Duration::ZERO,
            user_agent: None,
        }
    }

    #[test]
    fn a_console_that_nobody_reads_costs_lines_and_no_waiting() {
        let (released, stuck) = bounded(0);
        let log = AccessLog::to(Stuck(stuck), 2).unwrap();
        // The thread takes what its own buffer holds, until it has to wait for the console.
        let mut kept = 0;
        while log.note(record()) {
            kept += 1;
            assert!(kept < 10_000, "the queue has no end");
        }
        assert!(kept >= 2, "{kept}");
        drop(released);
    }
}
