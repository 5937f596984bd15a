//! Paths that try to leave where they belong, written to the socket as they are: libraries would clean them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::witness::Witness;
use crate::harness::{
    login::basic_header,
    raw::exchange,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

/// Request targets. `{repo}` is a repository that exists, `{digest}` a blob in it.
const TARGETS: &[&str] = &[
    "/v2/{repo}/../paths/manifests/witness",
    "/v2/{repo}/./manifests/witness",
    "/v2/./{repo}/manifests/witness",
    "/v2/../v2/{repo}/manifests/witness",
    "/v2/../../etc/passwd",
    "/../../../../etc/passwd",
    "/v2/%2e%2e/manifests/witness",
    "/v2/{repo}/%2e%2e/manifests/witness",
    "/v2/{repo}/%2e%2e%2fpaths/manifests/witness",
    "/v2/bad%2fpaths/manifests/witness",
    "/v2/bad%2Fpaths/manifests/witness",
    "/v2/bad%252fpaths/manifests/witness",
    "/v2/bad%5cpaths/manifests/witness",
    "/v2/bad\\paths/manifests/witness",
    "/v2//{repo}/manifests/witness",
    "/v2/bad//paths/manifests/witness",
    "/v2/{repo}//manifests/witness",
    "/v2/{repo}/manifests//witness",
    "/v2/{repo}/manifests/",
    "/v2/{repo}/manifests",
    "/v2/manifests/witness",
    "/v2//manifests/witness",
    "/v2/{repo}/manifests/witness/",
    "/v2/{repo}/manifests/witness%00",
    "/v2/{repo}/manifests/%00",
    "/v2/{repo}%00/manifests/witness",
    "/v2/{repo}/manifests/witness%0d%0aX:%20y",
    "/v2/{repo}/manifests/..",
    "/v2/{repo}/manifests/%2e%2e",
    "/v2/{repo}/manifests/..%2f..%2f..%2fetc%2fpasswd",
    "/v2/{repo}/manifests/witness%20",
    "/v2/{repo}/manifests/%77itness%2f..",
    "/v2/{repo}/blobs/..",
    "/v2/{repo}/blobs/../blobs/{digest}",
    "/v2/{repo}/blobs/..%2f{digest}",
    "/v2/{repo}/blobs/sha256:..%2f..%2f..%2f..%2froadbed.db",
    "/v2/{repo}/blobs/sha256:../../roadbed.db",
    "/v2/{repo}/blobs/sha256:%2e%2e",
    "/v2/{repo}/blobs/sha256%2f{hex}",
    "/v2/{repo}/blobs//{digest}",
    "/v2/{repo}/blobs/{digest}/",
    "/v2/{repo}/blobs/{digest}/..",
    "/v2/{repo}/blobs/{digest}%00",
    "/v2/{repo}/blobs/{digest};x=y",
    "/v2/{repo}/blobs/uploads/..",
    "/v2/{repo}/blobs/uploads/../../../../../etc/passwd",
    "/v2/{repo}/blobs/uploads/%2e%2e%2f%2e%2e%2froadbed.db",
    "/v2/{repo}/blobs/uploads//etc/passwd",
    "/v2/{repo}/referrers/..",
    "/v2/{repo}/tags/../tags/list",
    "/v2/{repo}/tags/list/..",
    "/v2/%c0%ae%c0%ae/manifests/witness",
    "/v2/%ef%bc%8e%ef%bc%8e/manifests/witness",
    "/v2/%ff%fe/manifests/witness",
    "/v2/{repo}/manifests/%",
    "/v2/{repo}/manifests/%2",
    "/v2/{repo}/manifests/%zz",
    "/v2/{repo}/manifests/%u0077itness",
    "/V2/{repo}/manifests/witness",
    "/v2/BAD/PATHS/manifests/witness",
    "//v2/{repo}/manifests/witness",
    "/v2;x/{repo}/manifests/witness",
    "/v2/{repo};x/manifests/witness",
    "/v2/con/../aux/manifests/witness",
];

/// Requests that HTTP itself forbids, or that a server must not read as something else.
const BROKEN: &[&str] = &[
    "GET /v2/{repo}/manifests/witness\0 HTTP/1.1",
    "GET /v2/{repo}/manifests/witness\u{7f} HTTP/1.1",
    "GET  /v2/{repo}/manifests/witness HTTP/1.1",
    "GET v2/{repo}/manifests/witness HTTP/1.1",
    "GET /v2/{repo}/manifests/wit ness HTTP/1.1",
    "G\0T /v2/ HTTP/1.1",
    "GET /v2/",
    "GET /v2/ HTTP/9.9",
    "GET /v2/ HTTP/1.1\r\nbad header: x",
    "GET /v2/ HTTP/1.1\r\nX: a\0b",
    "GET /v2/ HTTP/1.1\r\n folded",
    "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
    "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nContent-Length: -1",
    "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nContent-Length: 99999999999999999999999999",
    "POST /v2/{repo}/blobs/uploads/ HTTP/1.1\r\nTransfer-Encoding: gzip, identity",
];

fn fill(template: &str, witness: &Witness) -> String {
    let digest = &witness.blobs[0].digest;
    template
        .replace("{repo}", &witness.repository)
        .replace("{digest}", digest)
        .replace("{hex}", &digest["sha256:".len()..])
}

/// Refused as not there or not valid: no success, no redirect that cleans the path, no fault of the server's.
async fn refused(server: &Server, witness: &Witness, method: &str, target: &str) -> Result<()> {
    let target = fill(target, witness);
    let (body, length) = if method == "GET" {
        (&b""[..], String::new())
    } else {
        (&b"{}"[..], "\r\nContent-Length: 2".to_owned())
    };
    let head = format!("{method} {target} HTTP/1.1{length}");
    let answer = exchange(
        server.address(),
        &head,
        &basic_header(ADMIN, ADMIN_PASSWORD),
        body,
    )
    .await?;
    ensure!(
        [400, 404, 405, 414].contains(&answer.status),
        "{method} {target}: {}",
        answer.text
    );
    ensure!(
        !answer.text.contains("root:") && !answer.text.contains("SQLite format"),
        "a file came out: {}",
        answer.text
    );
    let line = answer.text.lines().next().unwrap_or_default();
    ensure!(!line.contains("X: y"), "a header was smuggled in: {line}");
    Ok(())
}

async fn broken(server: &Server, witness: &Witness, head: &str) -> Result<()> {
    let head = fill(head, witness);
    let answer = exchange(server.address(), &head, &basic_header(ADMIN, ADMIN_PASSWORD), b"").await?;
    ensure!(
        [0, 400, 404, 405, 413, 414, 501, 505].contains(&answer.status),
        "{head:?}: {}",
        answer.text
    );
    Ok(())
}

/// Two requests in one: whatever the second one is, it must not be answered on its own.
async fn smuggled(server: &Server, witness: &Witness) -> Result<()> {
    for lengths in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Transfer-Encoding: xchunked\r\nContent-Length: 0",
    ] {
        let inner = format!(
            "DELETE {} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            witness.path("manifests/witness"),
            basic_header(ADMIN, ADMIN_PASSWORD)
        );
        let head = format!(
            "POST {} HTTP/1.1\r\n{lengths}",
            witness.path("blobs/uploads/?digest=x")
        );
        let body = format!("0\r\n\r\n{inner}");
        let answer = exchange(
            server.address(),
            &head,
            &basic_header(ADMIN, ADMIN_PASSWORD),
            body.as_bytes(),
        )
        .await?;
        ensure!(
            answer.text.matches("HTTP/1.1 ").count() <= 1,
            "two answers for one request: {}",
            answer.text
        );
        witness.unharmed().await?;
    }
    Ok(())
}

/// The names of what lies beside and in the data directory, without what grows by itself.
fn names(server: &Server) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for directory in [server.surroundings().to_path_buf(), server.data()] {
        for entry in std::fs::read_dir(directory)
            .expect("the directory is there")
            .flatten()
        {
            names.insert(entry.path().display().to_string());
        }
    }
    names
}

#[tokio::test]
async fn paths_that_climb() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/paths").await;
    let mut tally = Tally::new("bad paths");
    let before = names(&server);
    for target in TARGETS {
        for method in ["GET", "PUT", "DELETE", "POST", "PATCH"] {
            tally.record(
                format!("{method} {target}"),
                refused(&server, &witness, method, target).await,
            );
        }
        tally.record(format!("after {target}"), witness.unharmed().await);
    }
    for head in BROKEN {
        tally.record(format!("{head:?}"), broken(&server, &witness, head).await);
    }
    tally.record("smuggled requests", smuggled(&server, &witness).await);
    tally.record("the image", witness.unharmed().await);
    tally.check("no file appeared or went", names(&server) == before);
    tally.finish(&server);
}

/// An absolute form names another host: it is served as what its path says, or refused, never fetched.
#[tokio::test]
async fn absolute_targets() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/absolute").await;
    let mut tally = Tally::new("absolute targets");
    for target in [
        "http://example.invalid/v2/",
        "http://127.0.0.1:1/v2/",
        "ftp://example.invalid/x",
        "example.invalid:443",
        "*",
    ] {
        for method in ["GET", "OPTIONS", "CONNECT", "TRACE"] {
            let head = format!("{method} {target} HTTP/1.1");
            let answer = exchange(server.address(), &head, &basic_header(ADMIN, ADMIN_PASSWORD), b"").await;
            let fine = answer.is_ok_and(|answer| {
                answer.status < 300 && method == "GET" || [0, 400, 404, 405, 501].contains(&answer.status)
            });
            tally.check(head, fine);
        }
    }
    tally.record("the image", witness.unharmed().await);
    tally.finish(&server);
}
