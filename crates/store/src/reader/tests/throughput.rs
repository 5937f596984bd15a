//! How fast a stream is: `cargo test -p store --release --features measure throughput -- --nocapture`.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SIZE: usize = 200 << 20;
const ROUNDS: u32 = 10;

/// Streams the blob over loopback and returns GB per second.
async fn over_loopback(blob: &OpenBlob) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let begun = Instant::now();
    let receiver = tokio::spawn(async move {
        let (mut buffer, mut sum) = (vec![0; 256 << 10], 0);
        loop {
            match client.read(&mut buffer).await.unwrap() {
                0 => return sum,
                got => sum += got,
            }
        }
    });
    let mut stream = blob.stream(0..u64::MAX);
    while let Some(slice) = stream.next().await {
        server.write_all(&slice.unwrap()).await.unwrap();
    }
    drop(server);
    assert_eq!(receiver.await.unwrap(), SIZE);
    gigabytes_per_second(SIZE, begun)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn gigabytes_per_second(bytes: usize, begun: Instant) -> f64 {
    bytes as f64 / 1e9 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput() {
    let fixture = Fixture::new(SIZE);
    let begun = Instant::now();
    for _ in 0..ROUNDS * 100 {
        let blob = fixture.open().await;
        blob.stream(0..u64::MAX)
            .for_each(|slice| async move { drop(slice.unwrap()) })
            .await;
    }
    let slices = ROUNDS * 100 * 200;
    println!("per slice, warm: {:?}", begun.elapsed() / slices);
    for _ in 0..ROUNDS {
        println!(
            "warm over loopback: {:.2} GB/s",
            over_loopback(&fixture.open().await).await
        );
    }
    for _ in 0..3 {
        fixture.reader.forget(&fixture.location).await;
        fixture.reader.shared.maps.run_pending_tasks().await;
        make_cold(&fixture.path());
        let blob = fixture.open().await;
        let Body::Mapped(map) = &blob.body else {
            panic!("large blobs are mapped")
        };
        let cold = !map.is_resident(0..SIZE);
        println!(
            "cold ({cold}) over loopback: {:.2} GB/s",
            over_loopback(&blob).await
        );
    }
}
