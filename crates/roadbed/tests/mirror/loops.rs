//! Mirrors that name each other, or themselves.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::process::{Mirror, free_port};

async fn asked(mirror: &Mirror) -> Result<()> {
    let begun = Instant::now();
    for path in [
        "/v2/team/app/manifests/1",
        "/v2/library/tool/manifests/1?ns=docker.io",
        "/v2/team/app/tags/list",
    ] {
        let answer = mirror
            .node()
            .get(path)
            .send()
            .await?
            .expect_error(508, "UNSUPPORTED")?;
        ensure!(
            answer.error_message()?.contains("mirror.centre"),
            "{}",
            answer.summary()
        );
    }
    ensure!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Ok(())
}

/// Waits until it does not leave its centre alone any more.
async fn until_reached(mirror: &Mirror) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while mirror.node().get("/v2/team/app/tags/list").send().await?.status == 503 {
        ensure!(Instant::now() < deadline, "never reaches its centre");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn mirror(listen: u16, centre: u16) -> Mirror {
    Mirror::start(&[
        ("ROADBED_MIRROR__LISTEN", &format!("127.0.0.1:{listen}")),
        ("ROADBED_MIRROR__CENTRE", &format!("http://127.0.0.1:{centre}")),
        ("ROADBED_MIRROR__NAMESPACES", "docker.io"),
    ])
    .await
}

async fn circles() -> Result<()> {
    let port = free_port();
    let alone = mirror(port, port).await;
    asked(&alone).await?;
    let (one, other) = (free_port(), free_port());
    let (first, second) = (mirror(one, other).await, mirror(other, one).await);
    // It was there before the other one, and leaves alone for a moment whom it did not reach.
    until_reached(&first).await?;
    asked(&first).await?;
    asked(&second).await?;
    // One question each for what was asked, and one now and then whether anybody is there.
    let answered = second.metric("requests_total").await?;
    ensure!(answered < 40, "{answered} requests");
    ensure!(
        first.log().contains("mirror.centre names this mirror, or one"),
        "{}",
        first.log()
    );
    Ok(())
}

#[tokio::test]
async fn a_circle_is_one_request_long() {
    circles().await.unwrap();
}
