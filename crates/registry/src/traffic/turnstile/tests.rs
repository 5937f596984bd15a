use std::sync::atomic::AtomicU64;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn asker(class: Class, principal: i64, address: u8) -> Asker {
    Who {
        class,
        principal: Some(PrincipalId(principal)),
        address: IpAddr::from([192, 0, 2, address]),
    }
}

fn turnstile(limit: usize) -> Arc<Turnstile> {
    Turnstile::with_limit(limit, FairLimits::default())
}

#[tokio::test]
async fn who_finds_room_passes_and_who_does_not_waits_until_somebody_leaves() {
    let turnstile = turnstile(2);
    let first = turnstile.try_pass().unwrap();
    let second = turnstile.pass(asker(Class::Ci, 1, 1), PATIENCE).await.unwrap();
    assert!(turnstile.try_pass().is_none());
    let waits = tokio::spawn({
        let turnstile = Arc::clone(&turnstile);
        async move { turnstile.pass(asker(Class::Ci, 1, 1), PATIENCE).await }
    });
    while !turnstile.is_waited_for() {
        tokio::task::yield_now().await;
    }
    drop(first);
    let third = waits.await.unwrap().unwrap();
    assert!(!turnstile.is_waited_for());
    assert_eq!(turnstile.state().serving, 2);
    drop((third, second));
    assert_eq!(turnstile.state().serving, 0);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_or_waits_too_long_leaves_nothing_behind() {
    let turnstile = turnstile(1);
    let held = turnstile.try_pass().unwrap();
    let shed = turnstile
        .pass(asker(Class::Ci, 1, 1), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(shed, Shed::TooLong { .. }));
    let gone = tokio::time::timeout(
        Duration::from_secs(1),
        turnstile.pass(asker(Class::Ci, 1, 1), PATIENCE),
    );
    assert!(gone.await.is_err());
    assert!(!turnstile.is_waited_for());
    drop(held);
    assert_eq!(turnstile.state().serving, 0);
    assert!(turnstile.try_pass().is_some());
}

#[tokio::test]
async fn nodes_pass_a_line_of_a_thousand() {
    let turnstile = turnstile(1);
    let held = turnstile.try_pass().unwrap();
    let order = Arc::new(AtomicU64::new(0));
    let wait = |class, principal| {
        let (turnstile, order) = (Arc::clone(&turnstile), Arc::clone(&order));
        tokio::spawn(async move {
            let turn = turnstile
                .pass(asker(class, principal, 1), PATIENCE)
                .await
                .unwrap();
            let place = order.fetch_add(1, Ordering::SeqCst);
            drop(turn);
            place
        })
    };
    let crowd: Vec<_> = (0..1_000).map(|_| wait(Class::Ci, 1)).collect();
    let all_wait = |wanted| {
        let turnstile = Arc::clone(&turnstile);
        async move {
            while turnstile.state().waiting.iter().sum::<usize>() < wanted {
                tokio::task::yield_now().await;
            }
        }
    };
    all_wait(1_000).await;
    let nodes: Vec<_> = (0..5).map(|node| wait(Class::Node, 10 + node)).collect();
    all_wait(1_005).await;
    drop(held);
    for node in nodes {
        assert!(node.await.unwrap() < 8);
    }
    for one in crowd {
        one.await.unwrap();
    }
    assert_eq!(turnstile.state().serving, 0);
}

/// One thread, which reads what has come and answers it from memory: nobody ever waits for anything but the thread.
#[tokio::test]
async fn a_thread_reads_all_that_has_come_before_it_answers() {
    let turnstile = turnstile(4);
    let order = Arc::new(AtomicU64::new(0));
    let ask = |class| {
        let (turnstile, order) = (Arc::clone(&turnstile), Arc::clone(&order));
        tokio::spawn(async move {
            let turn = turnstile.wait(asker(class, 1, 1), PATIENCE).await.unwrap();
            let place = order.fetch_add(1, Ordering::SeqCst);
            drop(turn);
            place
        })
    };
    let crowd: Vec<_> = (0..100).map(|_| ask(Class::Ci)).collect();
    let node = ask(Class::Node);
    assert!(node.await.unwrap() <= 5, "only those with a turn are before it");
    for one in crowd {
        one.await.unwrap();
    }
    assert_eq!(turnstile.state().serving, 0);
}

/// Many threads, many who go away while they wait: no turn is lost and none is given twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_turn_is_lost() {
    let turnstile = turnstile(3);
    let most = Arc::new(AtomicUsize::new(0));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..400_u32)
        .map(|number| {
            let (turnstile, inside, most) = (Arc::clone(&turnstile), Arc::clone(&inside), Arc::clone(&most));
            tokio::spawn(async move {
                let class = Class::ALL[number as usize % 5];
                let asker = asker(class, i64::from(number % 7), 1);
                let pass = turnstile.pass(asker, PATIENCE);
                let limit = Duration::from_micros(if number % 3 == 0 { 200 } else { 60_000_000 });
                if let Ok(Ok(turn)) = tokio::time::timeout(limit, pass).await {
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_eq!(turnstile.state().serving, 0);
    assert!(!turnstile.is_waited_for());
}

#[tokio::test]
async fn what_gets_slow_is_asked_for_less_at_a_time() {
    let bounds = Bounds { least: 2, most: 64 };
    let turnstile = Turnstile::adaptive(bounds, FairLimits::default());
    assert_eq!(turnstile.state().limit, 2);
    for _ in 0..64 {
        let both = [turnstile.try_pass(), turnstile.try_pass()];
        assert!(both.iter().all(Option::is_some));
    }
    assert!(turnstile.state().limit > 2, "nobody is slow");
}

#[tokio::test]
async fn bytes_count_as_turns_while_somebody_waits() {
    let turnstile = turnstile(1);
    let held = turnstile.try_pass().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..40_i64)
        .map(|number| {
            let (turnstile, order) = (Arc::clone(&turnstile), Arc::clone(&order));
            tokio::spawn(async move {
                let principal = number % 2;
                let turn = turnstile
                    .pass(asker(Class::Ci, principal, 1), PATIENCE)
                    .await
                    .unwrap();
                order.lock().unwrap().push(principal);
                drop(turn);
            })
        })
        .collect();
    while turnstile.state().waiting.iter().sum::<usize>() < 40 {
        tokio::task::yield_now().await;
    }
    turnstile.charge(&asker(Class::Ci, 0, 1), 30);
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    let late = order.iter().rposition(|principal| *principal == 1).unwrap();
    assert!(late < 24, "{order:?}");
}
