//! Ten thousand clients that have asked once and keep their connection.

use std::{thread::sleep, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::Bench,
    files::want_files,
    http::Connection,
    process::anonymous_mib,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
};

/// Anonymous memory of the server with all of them, in MiB.
const MEMORY: f64 = 150.0;

/// What each of them asks for.
const PATH: &str = "/v2/";

/// After the last question, before memory counts as idle.
const CALM: Duration = Duration::from_secs(5);

/// Longer than it takes to connect all.
const SETTINGS: [(&str, &str); 3] = [
    ("ROADBED_CONNECTIONS__TOTAL", "20000"),
    ("ROADBED_CONNECTIONS__PER_ADDRESS", "20000"),
    ("ROADBED_CONNECTIONS__IDLE_TIMEOUT", "10m"),
];

/// Measures it, plain and over TLS.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let count = bench.scale.connections;
    // Each end is a process of its own.
    want_files(count as u64 + 1_000)?;
    let mut section = Section::new("Anonymous resident memory (`RssAnon`) with 10,000 idle connections");
    for (transport, name, bar) in [
        (Transport::Plain, "plain HTTP", Some(Bar::AtMost(MEMORY))),
        (Transport::Tls, "TLS", None),
    ] {
        let (ours, ours_before) = with_all(bench, Who::Ours, transport, count)?;
        let (peer, _) = with_all(bench, Who::Peer, transport, count)?;
        section.row(
            name,
            format!("{ours:.1} MiB"),
            format!("{peer:.1} MiB"),
            Judged {
                value: ours,
                unit: " MiB",
                bar,
            },
        );
        #[expect(clippy::cast_precision_loss, reason = "thousands of connections")]
        let each = (ours - ours_before) * 1024.0 / count as f64;
        section.note(format!(
            "{name}: {count} connections, {ours_before:.1} MiB before them, {each:.1} KiB each"
        ));
    }
    Ok(section)
}

/// Memory with all connections, and without.
fn with_all(bench: &Bench, who: Who, transport: Transport, count: usize) -> Result<(f64, f64)> {
    let directory = bench.directory()?;
    let server = Server::start_with(who, bench, directory.path(), transport, &SETTINGS)?;
    sleep(CALM);
    let before = anonymous_mib(server.pid())?;
    let dialer = server.endpoint.dialer()?;
    let login = server.basic();
    let headers: Vec<(&str, &str)> = login
        .iter()
        .map(|login| ("Authorization", login.as_str()))
        .collect();
    let head = server.endpoint.head("GET", PATH, &headers);
    let mut connections: Vec<Connection> = Vec::with_capacity(count);
    for number in 0..count {
        let mut connection = dialer
            .connect()
            .with_context(|| format!("after {number} connections"))?;
        let answer = connection.exchange(&head, &[])?;
        connection.skip_body(&answer)?;
        ensure!(answer.status == 200, "{PATH}: {}", answer.status);
        connections.push(connection);
    }
    sleep(CALM);
    let after = anonymous_mib(server.pid())?;
    for (number, connection) in connections.iter_mut().enumerate() {
        let answer = connection.exchange(&head, &[]);
        let answer = answer.with_context(|| format!("connection {number} was not kept"))?;
        connection.skip_body(&answer)?;
    }
    Ok((after, before))
}
