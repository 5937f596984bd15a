//! What belongs to charts of a classic repository: provenance files, archives that lie in a registry, and images that are fetched ahead.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    chart_repository::{ChartRepository, packed},
    charts::{ARCHIVE, Charts, INDEX, TAG, VERSION, listed, of_repository},
    upstream::Upstream,
    world::{World, manifest, until_stored},
};
use crate::{
    feed_server::Reply,
    harness::{
        content::{Algorithm, Blob, sha256_hex},
        login::Login,
        manifest::{Draft, small_image},
    },
};

/// Bytes of a provenance file that is larger than is taken (256 KiB).
const TOO_MANY: usize = (256 << 10) + 1;

async fn signed() -> Result<()> {
    let charts = Charts::unlooked("").await?;
    let archive = charts.repository.add("app", VERSION, &[]);
    let file = format!("files/app-{VERSION}.tgz.prov");
    charts.repository.spoil(&file, Reply::ok("signed by ann"));
    let path = format!("{ARCHIVE}.prov");
    let anonymous = charts.world.server.client(Login::Anonymous);
    anonymous.get(&path).send().await?.expect(&[401])?;
    for _ in 0..2 {
        let signed = charts.deployer.get(&path).send().await?.expect(&[200])?;
        signed.expect_body(b"signed by ann")?;
    }
    let pulled = charts.deployer.get(ARCHIVE).send().await?.expect(&[200])?;
    pulled.expect_body(&archive)?;
    ensure!(charts.repository.count(".prov") == 1, "fetched once");
    ensure!(charts.repository.count(".tgz") == 2, "with the archive");
    Ok(())
}

async fn unsigned() -> Result<()> {
    let charts = Charts::unlooked("").await?;
    let large = Reply::ok(vec![b'x'; TOO_MANY]);
    charts.repository.spoil("files/app-2.0.0.tgz.prov", large);
    let archives = ["1.0.0", "2.0.0"].map(|version| (version, charts.repository.add("app", version, &[])));
    for (version, archive) in archives {
        let path = format!("/helm/charts/charts/app/app-{version}.tgz");
        let unsigned = charts.deployer.get(format!("{path}.prov")).send().await?;
        ensure!(
            unsigned.error_message()?.contains("no provenance file"),
            "{}",
            unsigned.summary()
        );
        unsigned.expect(&[404])?;
        let pulled = charts.deployer.get(path).send().await?.expect(&[200])?;
        pulled.expect_body(&archive)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_chart_without_a_provenance_file_or_with_a_large_one_is_pulled_all_the_same() {
    unsigned().await.unwrap();
}

#[tokio::test]
async fn provenance_files_are_pulled_through() {
    signed().await.unwrap();
}

async fn in_a_registry() -> Result<()> {
    let registry = Upstream::start().await;
    let archive = Blob::new(Algorithm::Sha256, packed("app", "1.0.0", &[]));
    let signed = Blob::new(Algorithm::Sha256, &b"signed by ann"[..]);
    let config = Blob::new(Algorithm::Sha256, &br#"{"name":"app","version":"1.0.0"}"#[..]);
    let document = Draft::image(
        config.descriptor("application/vnd.cncf.helm.config.v1+json"),
        vec![
            archive.descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
            signed.descriptor("application/vnd.cncf.helm.chart.provenance.v1.prov"),
        ],
    )
    .finish();
    registry.add(
        "stable/app",
        "1.0.0",
        &[archive.clone(), signed, config],
        &document,
    );
    let index = |digest: &str| {
        Reply::ok(format!(
            "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    digest: {digest}\n    \
             urls: [\"oci://{}/stable/app\"]\n",
            registry.address()
        ))
    };
    for (more, digest, status) in [
        ("", sha256_hex(&archive.bytes), 200),
        ("", sha256_hex(b"another one"), 502),
        (
            "blob_hosts = [\"charts.example\"]",
            sha256_hex(&archive.bytes),
            502,
        ),
    ] {
        let charts = Charts::unlooked(more).await?;
        charts.repository.spoil("index.yaml", index(&digest));
        let answer = charts.deployer.get(INDEX).send().await?.expect(&[200])?;
        ensure!(listed(&answer)? == ["app"]);
        let path = "/helm/charts/charts/app/app-1.0.0.tgz";
        let pulled = charts.deployer.get(path).send().await?.expect(&[status])?;
        if status != 200 {
            continue;
        }
        pulled.expect_body(&archive.bytes)?;
        let signed = charts.deployer.get(format!("{path}.prov")).send().await?;
        signed.expect(&[200])?.expect_body(b"signed by ann")?;
    }
    Ok(())
}

#[tokio::test]
async fn charts_that_an_index_has_in_a_registry_are_pulled_through() {
    in_a_registry().await.unwrap();
}

const VALUES: &str = "image:\n  repository: library/app\n  tag: \"1\"\n";

async fn ahead() -> Result<()> {
    let repository = ChartRepository::start().await;
    repository.add("app", VERSION, &[("values.yaml", VALUES)]);
    let upstream = Upstream::start().await;
    let (blobs, image) = small_image("of a chart that is fetched ahead");
    upstream.add("library/app", "1", &blobs, &image);
    let more = format!(
        "{}\n[[proxy.prefetch]]\nimages = [\"charts/app:{TAG}\"]\nchart_images = true\nevery = \"1m\"\n",
        of_repository(&repository.url(), "")
    );
    let environment = [
        ("ROADBED_SCAN__WORKERS", "1"),
        ("ROADBED_GATE__FIRST_WAIT", "20s"),
    ];
    let url = upstream.url();
    let world = World::start_at(upstream, &url, &more, &environment).await?;
    let stored = until_stored(&world.node, "library/app", "1");
    tokio::time::timeout(Duration::from_mins(1), stored).await??;
    ensure!(
        world.upstream.count("GET", &blobs[1].digest) == 1,
        "its layer came"
    );
    // Nobody has pulled it, and it is there when the upstream is gone.
    let (_server, node, _configuration) = world.without_upstream();
    node.get(manifest("library/app", "1"))
        .send()
        .await?
        .expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn the_images_of_a_chart_are_fetched_with_it() {
    ahead().await.unwrap();
}
