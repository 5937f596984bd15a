use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

fn config(threads: usize, queue: usize) -> PoolConfig {
    PoolConfig {
        queue,
        wait: Duration::from_millis(20),
        ..PoolConfig::with_threads("test", threads)
    }
}

/// A job that blocks its thread until the sender is dropped.
fn blocker() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (release, blocked) = mpsc::channel::<()>();
    let work = move || {
        let _ = blocked.recv();
    };
    (release, work)
}

#[tokio::test]
async fn results_come_back() {
    let pool = IoPool::start(config(2, 4)).unwrap();
    assert_eq!(pool.run(|| 40 + 2).await, Ok(42));
}

#[tokio::test]
async fn a_full_pool_refuses_after_the_wait_and_recovers() {
    let pool = IoPool::start(config(1, 1)).unwrap();
    let (release, block) = blocker();
    let running = pool.begin(pool.place().await.unwrap(), block).unwrap();
    let (also, block) = blocker();
    let waiting = pool.begin(pool.place().await.unwrap(), block).unwrap();
    assert!(matches!(
        pool.run(|| ()).await,
        Err(PoolError::Full { pool: "test", .. })
    ));
    assert!(
        pool.detach(|| ()).is_err(),
        "no place for work that nobody waits for either"
    );
    drop((release, also));
    running.await.unwrap();
    waiting.await.unwrap();
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn waiting_callers_get_their_turn() {
    let pool = IoPool::start(PoolConfig {
        wait: Duration::from_mins(1),
        ..config(1, 1)
    })
    .unwrap();
    let callers = (0..50).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(move || n).await })
    });
    for (n, caller) in callers.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(caller.await.unwrap(), Ok(n));
    }
}

#[tokio::test]
async fn a_panic_is_told_and_the_thread_goes_on() {
    let pool = IoPool::start(config(1, 1)).unwrap();
    for _ in 0..5 {
        let result: Result<(), _> = pool
            .run(|| std::panic::resume_unwind(Box::new("on purpose")))
            .await;
        assert_eq!(result, Err(PoolError::Panicked { pool: "test" }));
    }
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn a_job_ends_although_its_caller_has_gone() {
    let pool = IoPool::start(config(1, 4)).unwrap();
    let (release, block) = blocker();
    drop(pool.begin(pool.place().await.unwrap(), block).unwrap());
    let (done, finished) = tokio::sync::oneshot::channel();
    drop(
        pool.begin(pool.place().await.unwrap(), move || done.send(()))
            .unwrap(),
    );
    drop(release);
    finished.await.unwrap();
}

#[tokio::test]
async fn closing_waits_for_accepted_jobs_and_refuses_new_ones() {
    let pool = IoPool::start(config(2, 8)).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let count = Arc::clone(&count);
        let work = move || {
            std::thread::sleep(Duration::from_millis(1));
            count.fetch_add(1, Ordering::SeqCst);
        };
        drop(pool.begin(pool.place().await.unwrap(), work).unwrap());
    }
    pool.close().await;
    assert_eq!(count.load(Ordering::SeqCst), 8);
    assert_eq!(pool.run(|| ()).await, Err(PoolError::Closed { pool: "test" }));
    pool.close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_the_threads_of_the_pool_are_niced() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let pool = IoPool::start(config(1, 1).niced(3)).unwrap();
    let theirs = pool
        .run(|| rustix::process::getpriority_process(None).unwrap())
        .await
        .unwrap();
    assert_eq!(theirs, own + 3);
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), own);
}
