//! What becomes of a blob that no child and no server survives.

use oci::Algorithm;
use store::{JobPriority, StoreConfig, SystemClock};

use super::*;
use crate::worker::PoolConfig;

const LEASE: Duration = Duration::from_mins(1);

async fn broker(dir: &std::path::Path) -> Broker {
    let config = StoreConfig {
        data_dir: dir.to_owned(),
        touches_blobs: false,
        limits: store::StoreLimits::default(),
    };
    let pool = PoolConfig {
        starts_ahead: false,
        ..PoolConfig::default()
    };
    let config_of_broker = BrokerConfig {
        back_off: Duration::ZERO,
        ..BrokerConfig::default()
    };
    Broker {
        store: Store::open(config, Arc::new(SystemClock)).await.unwrap(),
        pool: Pool::new(pool),
        config: config_of_broker,
        name: "test".to_owned(),
        left: jobs::Left::default(),
    }
}

async fn claim(broker: &Broker) -> Option<Job> {
    let claimed = broker.store.claim_job(JobKind::Scan, "test", LEASE);
    claimed.await.unwrap()
}

async fn request(broker: &Broker, blob: &Digest) {
    let blob = blob.to_string();
    let requested = broker
        .store
        .request_job(JobKind::Scan, &blob, JobPriority::Backfill);
    requested.await.unwrap();
}

async fn known(broker: &Broker, blob: &Digest) -> Option<String> {
    let report = broker.store.layer_report(blob).await.unwrap();
    report.map(|report| report.not_scannable[0].limit.clone())
}

/// Analysers have changed, and the new ones do not survive the blob: what the old ones found still counts.
#[tokio::test]
async fn a_look_again_that_fails_keeps_what_was_found_before() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let blob = Digest::of(Algorithm::Sha256, b"blob");
    request(&broker, &blob).await;
    let job = claim(&broker).await.unwrap();
    let before = not_scannable(blob, "before", "found before");
    broker.store.finish_scan(&job, before).await.unwrap();
    request(&broker, &blob).await;
    for _ in 0..broker.config.attempts {
        assert_eq!(known(&broker, &blob).await.as_deref(), Some("before"));
        let job = claim(&broker).await.expect("it is tried again");
        let died = PoolError::Died(std::io::ErrorKind::UnexpectedEof.into());
        broker.failed(&job, blob, &died).await.unwrap();
    }
    assert_eq!(claim(&broker).await, None);
    assert_eq!(known(&broker, &blob).await.as_deref(), Some("before"));
}

#[tokio::test]
async fn a_blob_that_ends_servers_is_not_scannable_or_what_was_found_before() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let blob = Digest::of(Algorithm::Sha256, b"blob");
    for expected in ["layer.worker", "before"] {
        request(&broker, &blob).await;
        for _ in 0..store::LOSSES {
            assert!(!claim(&broker).await.unwrap().is_fatal());
            broker.store.release_jobs().await.unwrap();
        }
        let job = claim(&broker).await.unwrap();
        assert!(job.is_fatal());
        broker.give_up(&job, blob).await.unwrap();
        assert_eq!(known(&broker, &blob).await.as_deref(), Some(expected));
        assert_eq!(claim(&broker).await, None);
        // Looked into by others meanwhile.
        request(&broker, &blob).await;
        if let Some(job) = claim(&broker).await {
            let before = not_scannable(blob, "before", "found before");
            broker.store.finish_scan(&job, before).await.unwrap();
        }
    }
    assert_eq!(claim(&broker).await, None, "every start asks for it");
}

#[test]
fn why_there_is_no_report_is_told_by_the_limit() {
    let blob = Digest::of(Algorithm::Sha256, b"blob");
    let too_large = std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than scan.report_memory");
    for (error, limit, told) in [
        (PoolError::Cpu(7), "layer.cpu", "7 s of processor time"),
        (PoolError::Time(LEASE), "layer.time", "longer than 60s"),
        (
            PoolError::TooLarge(too_large),
            "layer.report",
            "scan.report_memory",
        ),
    ] {
        let report = gave_up(blob, &error);
        assert_eq!(report.not_scannable[0].limit, limit);
        assert!(report.not_scannable[0].detail.contains(told));
    }
}
