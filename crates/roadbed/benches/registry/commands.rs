//! How the two servers are started.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use anyhow::Result;

use crate::{
    bench::{Bench, PEER_BINARY},
    tls::Certificate,
};

/// The user that the first start creates.
pub(crate) const ADMIN: &str = "admin";

/// Of that user.
pub(crate) const ADMIN_PASSWORD: &str = "a password for benchmarks only";

/// An address on which nobody listens now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Roadbed with its defaults; it takes a free port and writes its address into the ready file.
pub(crate) fn our_command(
    bench: &Bench,
    data: &Path,
    ready_file: &Path,
    certificate: Option<&Certificate>,
) -> Command {
    let mut command = Command::new(&bench.roadbed);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    if let Some(files) = certificate {
        command
            .arg("--tls-cert")
            .arg(&files.certificate)
            .arg("--tls-key")
            .arg(&files.key);
    }
    command
        .env_clear()
        .env("ROADBED_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("ROADBED_READY_FILE", ready_file)
        .envs(FEEDS)
        // Nobody balances load here: stop without the pause that lets load balancers turn away.
        .env("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s");
    command
}

/// Feeds are on, but lie where nobody answers: what is measured does not depend on what is outside.
const FEEDS: [(&str, &str); 4] = [
    ("ROADBED_FEEDS__OSV", "http://127.0.0.1:1/"),
    ("ROADBED_FEEDS__KEV", "http://127.0.0.1:1/kev"),
    ("ROADBED_FEEDS__EPSS", "http://127.0.0.1:1/epss"),
    ("ROADBED_FEEDS__ALLOWED_PRIVATE", "127.0.0.1/32"),
];

/// The peer as Debian ships it, on the given port and without its login (which favours it).
pub(crate) fn peer_command(
    directory: &Path,
    data: &Path,
    address: SocketAddr,
    certificate: Option<&Certificate>,
) -> Result<Command> {
    let file = directory.join("docker-registry.yml");
    fs::write(&file, peer_configuration(data, address, certificate))?;
    let mut command = Command::new(PEER_BINARY);
    command.env_clear().arg("serve").arg(file);
    Ok(command)
}

fn peer_configuration(data: &Path, address: SocketAddr, certificate: Option<&Certificate>) -> String {
    let tls = certificate.map_or_else(String::new, |files| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("  tls:\n    certificate: {certificate}\n    key: {key}\n")
    });
    format!(
        "version: 0.1\n\
         log:\n  fields:\n    service: registry\n\
         storage:\n  cache:\n    blobdescriptor: inmemory\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: {address}\n  headers:\n    X-Content-Type-Options: [nosniff]\n{tls}\
         health:\n  storagedriver:\n    enabled: true\n    interval: 10s\n    threshold: 3\n",
        data.display()
    )
}
