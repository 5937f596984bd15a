//! How fast an upload becomes a blob: `cargo test -p store --release --features measure throughput -- --nocapture`.

use std::time::Instant;

use super::*;

const FRAMES: usize = 1280;
const FRAME: usize = 400 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput() {
    let (_dir, files) = open();
    let frame = noise(FRAME);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let begun = Instant::now();
    (0..FRAMES).for_each(|_| hasher.update(&frame));
    println!("hashing alone: {:.0} MB/s", megabytes_per_second(begun));
    let digest = hasher.finish();
    for _ in 0..5 {
        files.create_upload(ID).await.unwrap();
        let begun = Instant::now();
        let frames = stream::iter((0..FRAMES).map(|_| Ok::<_, Infallible>(frame.clone())));
        let committed = files
            .append_and_commit(first(Algorithm::Sha256), frames, digest)
            .await
            .unwrap();
        println!(
            "append and commit, durable: {:.0} MB/s",
            megabytes_per_second(begun)
        );
        files.remove_blob(committed.location).await.unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes_per_second(begun: Instant) -> f64 {
    (FRAMES * FRAME) as f64 / 1e6 / begun.elapsed().as_secs_f64()
}
