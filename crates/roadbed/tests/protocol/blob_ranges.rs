//! end-2 with `Range`: resumed pulls, and nonsense.

use anyhow::{Result, ensure};

use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    push::blob_path,
    server::Server,
    tally::Tally,
};

const REPOSITORY: &str = "blobs/ranges";

/// Bytes of the blob that is read.
const LENGTH: usize = 2048;

/// What a `Range` header gets.
enum Part {
    /// 206 with these bytes.
    Bytes(usize, usize),
    /// 416.
    Unsatisfiable,
    /// Everything, or 416: RFC 9110 lets a server ignore what it cannot read.
    IgnoredOrRefused,
}

const RANGES: [(&str, Part); 27] = [
    ("bytes=500-1499", Part::Bytes(500, 1500)),
    ("bytes=500-", Part::Bytes(500, LENGTH)),
    ("bytes=-500", Part::Bytes(LENGTH - 500, LENGTH)),
    ("bytes=2000-5000", Part::Bytes(2000, LENGTH)),
    ("bytes=0-", Part::Bytes(0, LENGTH)),
    ("bytes=0-0", Part::Bytes(0, 1)),
    ("bytes=2047-", Part::Bytes(2047, LENGTH)),
    ("bytes=2047-2047", Part::Bytes(2047, LENGTH)),
    ("bytes=-1", Part::Bytes(LENGTH - 1, LENGTH)),
    ("bytes=-5000", Part::Bytes(0, LENGTH)),
    ("bytes=0-18446744073709551615", Part::Bytes(0, LENGTH)),
    ("bytes=500-0", Part::Unsatisfiable),
    ("bytes=5000-10000", Part::Unsatisfiable),
    ("bytes=2048-", Part::Unsatisfiable),
    ("bytes=2048-2048", Part::Unsatisfiable),
    ("bytes=-0", Part::Unsatisfiable),
    ("bytes=18446744073709551615-", Part::Unsatisfiable),
    ("bytes=99999999999999999999999999-", Part::IgnoredOrRefused),
    ("bytes=-99999999999999999999999999", Part::IgnoredOrRefused),
    ("bytes=abc", Part::IgnoredOrRefused),
    ("bytes=", Part::IgnoredOrRefused),
    ("bytes=-", Part::IgnoredOrRefused),
    ("bytes=1-2-3", Part::IgnoredOrRefused),
    ("bytes=0x10-0x20", Part::IgnoredOrRefused),
    ("bytes 0-5", Part::IgnoredOrRefused),
    ("lines=0-5", Part::IgnoredOrRefused),
    ("bytes=0-1,4-5", Part::IgnoredOrRefused),
];

async fn read(client: &Client, blob: &Blob, range: &str, part: &Part) -> Result<()> {
    let answer = client
        .get(blob_path(REPOSITORY, &blob.digest))
        .header("range", range)
        .send()
        .await?;
    match part {
        Part::Bytes(start, end) => {
            let content_range = format!("bytes {start}-{}/{LENGTH}", end - 1);
            answer
                .expect(&[206])?
                .expect_header("content-range", content_range)?
                .expect_body(&blob.bytes[*start..*end])?;
        }
        Part::Unsatisfiable => {
            answer
                .expect(&[416])?
                .expect_header("content-range", format!("bytes */{LENGTH}"))?;
        }
        Part::IgnoredOrRefused if answer.status == 416 => {}
        Part::IgnoredOrRefused => {
            answer.expect(&[200, 206])?.expect_body(&blob.bytes)?;
        }
    }
    Ok(())
}

/// A pull that breaks off and is resumed byte range by byte range gives the same bytes.
async fn resume(client: &Client, blob: &Blob) -> Result<()> {
    let mut pulled = Vec::new();
    while pulled.len() < blob.bytes.len() {
        let range = format!("bytes={}-{}", pulled.len(), pulled.len() + 299);
        let answer = client
            .get(blob_path(REPOSITORY, &blob.digest))
            .header("range", range)
            .send()
            .await?
            .expect(&[206])?;
        pulled.extend_from_slice(&answer.body);
    }
    ensure!(pulled == blob.bytes, "other bytes came");
    Ok(())
}

/// RFC 9110: a range means GET only.
async fn head_with_range(client: &Client, blob: &Blob) -> Result<()> {
    let answer = client
        .head(blob_path(REPOSITORY, &blob.digest))
        .header("range", "bytes=0-9")
        .send()
        .await?;
    let length = if answer.status == 206 { 10 } else { LENGTH };
    answer.expect(&[200, 206])?.expect_length(length)?;
    Ok(())
}

async fn announces_ranges(client: &Client, blob: &Blob) -> Result<()> {
    client
        .get(blob_path(REPOSITORY, &blob.digest))
        .send()
        .await?
        .expect(&[200])?
        .expect_header("accept-ranges", "bytes")?;
    Ok(())
}

async fn range_of_nothing(client: &Client) -> Result<()> {
    let empty = Blob::new(Algorithm::Sha256, "");
    client.push_blob(REPOSITORY, &empty).await?;
    client
        .get(blob_path(REPOSITORY, &empty.digest))
        .header("range", "bytes=0-0")
        .send()
        .await?
        .expect(&[416])?;
    client.check_blob(REPOSITORY, &empty).await
}

#[tokio::test]
async fn parts_of_blobs() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("blob ranges");
    for algorithm in Algorithm::ALL {
        let blob = Blob::noise(algorithm, "ranges", LENGTH);
        tally.record("push", client.push_blob(REPOSITORY, &blob).await.map(drop));
        for (range, part) in &RANGES {
            tally.record(
                format!("{} {range}", algorithm.name()),
                read(&client, &blob, range, part).await,
            );
        }
        tally.record("resume", resume(&client, &blob).await);
        tally.record("HEAD with a range", head_with_range(&client, &blob).await);
        tally.record("Accept-Ranges", announces_ranges(&client, &blob).await);
        tally.record("still whole", client.check_blob(REPOSITORY, &blob).await);
    }
    tally.record("range of an empty blob", range_of_nothing(&client).await);
    let large = Blob::noise(Algorithm::Sha256, "large", 3 * 1024 * 1024 + 17);
    tally.record("large blob", client.push_blob(REPOSITORY, &large).await.map(drop));
    tally.record("large blob whole", client.check_blob(REPOSITORY, &large).await);
    tally.finish(&server);
}
