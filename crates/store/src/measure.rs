//! Measurements with 100,000 rows, to be run by hand: `cargo test --release -p store --features measure measure -- --nocapture`.
//! Nothing fails here because a machine is busy.

use std::time::{Duration, Instant};

use oci::Reference;

use crate::db::sql;
use crate::testing::Kit;

const ROWS: i64 = 100_000;

/// As many images and tags in one repository, written directly into the tables.
async fn fill(kit: &Kit) {
    kit.store
        .write(|tx| {
            Box::pin(async move {
                let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)";
                let digest = "'sha256:' || lower(hex(zeroblob(28))) || printf('%08x', i)";
                for statement in [
                    "UPDATE repository SET tags = tags + 100000, manifests = manifests + 100000".to_owned(),
                    format!(
                        "{numbers} INSERT INTO manifest_content (digest, holders, bytes) \
                         SELECT {digest}, 1, zeroblob(1024) FROM n"
                    ),
                    format!(
                        "INSERT INTO manifest (repository_id, digest, content_id, media_type, kind, annotations, \
                         depth, size, pushed_at, pushed_by) SELECT 1, digest, id, '{}', 0, '{{}}', 0, 1024, 0, 'x' \
                         FROM manifest_content WHERE holders = 1 AND bytes = zeroblob(1024)",
                        oci::media_type::OCI_IMAGE_MANIFEST
                    ),
                    "INSERT INTO tag (repository_id, name, manifest_id, set_at, set_by) \
                     SELECT 1, printf('v%06d', id), id, 0, 'x' FROM manifest WHERE size = 1024 AND depth = 0 \
                     AND pushed_at = 0"
                        .to_owned(),
                ] {
                    sql::execute(tx.sql(), &statement, []).await?;
                }
                Ok::<_, crate::StoreError>(())
            })
        })
        .await
        .unwrap();
}

fn report(what: &str, took: Duration) {
    println!("{what}: {:.3} ms", took.as_secs_f64() * 1e3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["latest"]).await;
    fill(&kit).await;
    kit.store.clone().close().await.unwrap();
    let start = Instant::now();
    kit.reopen().await;
    report(&format!("start with {ROWS} manifests"), start.elapsed());

    let permit = kit.pull(&ci, "r");
    for (what, after) in [
        ("first", None),
        ("middle", Some("v050000")),
        ("middle again", Some("v050000")),
    ] {
        let start = Instant::now();
        let page = kit.store.tags(&permit, after, 1_000).await.unwrap().unwrap();
        report(
            &format!("{what} page of {} tags", page.items.len()),
            start.elapsed(),
        );
    }
    for tag in ["v000010", "v070000", "v070001", "v099000"] {
        let start = Instant::now();
        kit.store
            .delete_tag(&kit.delete(&ci, "r"), &tag.parse().unwrap())
            .await
            .unwrap();
        report(&format!("deletion of tag {tag}"), start.elapsed());
    }
    let start = Instant::now();
    kit.push_image(&ci, "r", "b", &["latest"]).await;
    report("push of an image with two blobs", start.elapsed());
    let start = Instant::now();
    kit.store.gc_step(100).await.unwrap();
    report("a step of the collection", start.elapsed());
    hits(&kit, &ci).await;
}

async fn hits(kit: &Kit, ci: &access::Caller) {
    const PULLS: u32 = 500_000;
    let permit = kit.pull(ci, "r");
    let reference: Reference = "latest".parse().unwrap();
    kit.store.manifest(&permit, &reference).await.unwrap().unwrap();
    let start = Instant::now();
    for _ in 0..PULLS {
        kit.store.manifest(&permit, &reference).await.unwrap().unwrap();
    }
    println!(
        "cached manifest by tag: {} ns",
        start.elapsed().as_nanos() / u128::from(PULLS)
    );
    let digest = crate::testing::sha256(b"layer a");
    kit.store.blob(&permit, &digest).await.unwrap().unwrap();
    let start = Instant::now();
    for _ in 0..PULLS {
        kit.store.blob(&permit, &digest).await.unwrap().unwrap();
    }
    println!(
        "cached blob: {} ns",
        start.elapsed().as_nanos() / u128::from(PULLS)
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| line.starts_with("Rss") || line.starts_with("Threads"))
        .for_each(|l| println!("{l}"));
}
