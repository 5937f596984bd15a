//! Requests that break off: fewer bytes than promised, in every place where bytes are taken.

use anyhow::{Result, ensure};

use super::{uploads::NOTICE, witness::Witness};
use crate::harness::{
    content::{Algorithm, Blob},
    login::basic_header,
    manifest::{IMAGE, small_image},
    raw::Connection,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

/// Bytes that are promised, and those that come.
const PROMISED: usize = 100_000;
const SENT: usize = 60_000;

/// How a body that ends early is sent.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// `Content-Length` says more than comes.
    Length,
    /// The last chunk is missing.
    Chunked,
    /// A chunk is shorter than its size says.
    InsideChunk,
}

const CUTS: [Cut; 3] = [Cut::Length, Cut::Chunked, Cut::InsideChunk];

/// Sends a request whose body breaks off, and returns the status of the answer, 0 if there was none.
async fn send(
    server: &Server,
    method: &str,
    target: &str,
    content_type: &str,
    cut: Cut,
    body: &[u8],
) -> Result<u16> {
    let mut connection = Connection::open(server.address()).await?;
    let length = match cut {
        Cut::Length => format!("Content-Length: {}", body.len()),
        _ => "Transfer-Encoding: chunked".to_owned(),
    };
    let authorization = basic_header(ADMIN, ADMIN_PASSWORD);
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nContent-Type: {content_type}\r\n{length}\r\n\r\n",
        server.address()
    );
    connection.send(head).await?;
    let part = &body[..body.len() * SENT / PROMISED];
    match cut {
        Cut::Length => connection.send(part).await?,
        Cut::Chunked => {
            connection.send(format!("{:x}\r\n", part.len())).await?;
            connection.send(part).await?;
            connection.send("\r\n").await?;
        }
        Cut::InsideChunk => {
            connection.send(format!("{:x}\r\n", body.len())).await?;
            connection.send(part).await?;
        }
    }
    connection.finish_sending().await;
    Ok(connection.read_to_end().await?.status)
}

/// No success, and nothing under the promised digest or that of what came.
async fn cut_blob(server: &Server, witness: &Witness, way: &str, cut: Cut) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, &format!("{way} {cut:?}"), PROMISED);
    let uploads = witness.path("blobs/uploads/");
    let status = if way == "POST" {
        send(
            server,
            "POST",
            &format!("{uploads}?digest={}", blob.digest),
            "application/octet-stream",
            cut,
            &blob.bytes,
        )
        .await?
    } else {
        let session = witness.client.open_upload(&witness.repository).await?;
        let target = format!("{}?digest={}", session.path(), blob.digest);
        let status = send(server, way, &target, "application/octet-stream", cut, &blob.bytes).await?;
        let offset = settled_offset(witness, &session).await?;
        ensure!(offset <= SENT, "{offset} bytes are there, {SENT} came");
        // The client goes on from where the server says.
        let rest = blob.bytes.slice(offset..);
        witness
            .client
            .send_chunk(&session, offset, &rest)
            .send()
            .await?
            .expect(&[202])?;
        witness
            .client
            .finish_upload(&session, &blob.digest)
            .send()
            .await?
            .expect(&[201])?;
        witness.client.check_blob(&witness.repository, &blob).await?;
        witness
            .client
            .delete(witness.path(&format!("blobs/{}", blob.digest)))
            .send()
            .await?
            .expect(&[202])?;
        status
    };
    ensure!(
        [0, 400, 408, 499].contains(&status),
        "a body that broke off got {status}"
    );
    witness
        .client
        .check_no_blob(&witness.repository, &blob.digest)
        .await?;
    witness
        .client
        .check_no_blob(
            &witness.repository,
            &Algorithm::Sha256.digest(&blob.bytes[..SENT]),
        )
        .await?;
    witness.unharmed().await
}

/// The offset once the server has noticed that nobody sends any more: until then the session may be busy.
async fn settled_offset(witness: &Witness, session: &reqwest::Url) -> Result<usize> {
    let deadline = std::time::Instant::now() + NOTICE;
    loop {
        let answer = witness.client.get(session.as_str()).send().await?;
        if answer.status == 204 || std::time::Instant::now() > deadline {
            return crate::harness::push::offset_of(&answer.expect(&[204])?);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn cut_manifest(server: &Server, witness: &Witness, cut: Cut) -> Result<()> {
    let (_, document) = small_image(&witness.repository);
    let status = send(
        server,
        "PUT",
        &witness.path("manifests/cut"),
        IMAGE,
        cut,
        &document.bytes,
    )
    .await?;
    ensure!(
        [0, 400, 408, 499].contains(&status),
        "a body that broke off got {status}"
    );
    witness
        .client
        .check_no_manifest(&witness.repository, "cut")
        .await?;
    witness.unharmed().await
}

#[tokio::test]
async fn bodies_that_break_off() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/bytes").await;
    let mut tally = Tally::new("bodies that break off");
    for cut in CUTS {
        for way in ["POST", "PATCH", "PUT"] {
            tally.record(
                format!("{way} of a blob, {cut:?}"),
                cut_blob(&server, &witness, way, cut).await,
            );
        }
        tally.record(
            format!("PUT of a manifest, {cut:?}"),
            cut_manifest(&server, &witness, cut).await,
        );
    }
    tally.finish(&server);
}
