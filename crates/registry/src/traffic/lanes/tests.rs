use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::oneshot,
};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Runs what `make` makes of a course on the lanes, and waits for what it says.
async fn travel<T, C>(make: impl FnOnce(Course) -> C) -> T
where
    T: Send + 'static,
    C: Future<Output = T> + Send + 'static,
{
    let (said, heard) = oneshot::channel();
    let course = Course::default();
    let connection = make(course.clone());
    let lanes = Lanes::start().unwrap();
    lanes.admit(course, async move {
        let _ = said.send(connection.await);
    });
    tokio::time::timeout(SOON, heard).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_goes_where_its_traffic_belongs_and_comes_home() {
    let places = travel(|course| async move {
        let mut places = vec![thread_name()];
        for traffic in [Traffic::Upload, Traffic::Download] {
            course.take(traffic).await;
            places.push(thread_name());
        }
        course.end();
        tokio::task::yield_now().await;
        places.push(thread_name());
        places
    })
    .await;
    assert_eq!(places[0], "express");
    assert_eq!(places[1], "uploads");
    assert!(
        !["express", "uploads"].contains(&places[2].as_str()),
        "{places:?}"
    );
    assert_eq!(places[3], "express");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn taking_the_lane_that_it_is_on_costs_no_wait() {
    let is_immediate = travel(|course| async move {
        course.take(Traffic::Upload).await;
        futures_util::FutureExt::now_or_never(course.take(Traffic::Upload)).is_some()
    })
    .await;
    assert!(is_immediate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn uploads_have_a_lower_priority() {
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let [before, during] = travel(move |course| async move {
        let before = nice();
        course.take(Traffic::Upload).await;
        [before, nice()]
    })
    .await;
    assert_eq!(during, (before + UPLOAD_NICE).min(19));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_crowds_makes_room_until_they_are_calm() {
    let places = travel(|_| async move {
        let mut places = vec![thread_name()];
        crowd::join();
        tokio::task::yield_now().await;
        places.push(thread_name());
        for _ in 1..CALM_REQUESTS {
            crowd::calm();
            tokio::task::yield_now().await;
        }
        places.push(thread_name());
        crowd::calm();
        tokio::task::yield_now().await;
        places.push(thread_name());
        places
    })
    .await;
    assert_eq!(places, ["express", "crowds", "crowds", "express"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_crowds_comes_back_to_the_crowd_after_a_large_answer() {
    let places = travel(|course| async move {
        crowd::join();
        tokio::task::yield_now().await;
        course.take(Traffic::Upload).await;
        let during = thread_name();
        course.end();
        tokio::task::yield_now().await;
        [during, thread_name()]
    })
    .await;
    assert_eq!(places, ["uploads", "crowds"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_is_woken_wherever_it_goes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let course = Course::default();
    let mut stream = RoamingStream::new(accepted, course.clone());
    let lanes = Lanes::start().unwrap();
    lanes.admit(course.clone(), async move {
        let mut turn = 0_u8;
        let mut byte = [0; 1];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
            turn = (turn + 1) % 3;
            match turn {
                0 => course.end(),
                1 => course.take(Traffic::Upload).await,
                _ => course.take(Traffic::Download).await,
            }
        }
        stream.shutdown().await.unwrap();
    });
    for number in 0..200_u8 {
        client.write_all(&[number]).await.unwrap();
        let answer = tokio::time::timeout(SOON, client.read_u8()).await.unwrap();
        assert_eq!(answer.unwrap(), number);
    }
    client.shutdown().await.unwrap();
    let end = tokio::time::timeout(SOON, client.read_u8()).await.unwrap();
    assert!(end.is_err(), "the server's side is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_request_of_one_turn_waits_for_the_next() {
    let waits = travel(|course| async move {
        let begin = || {
            course.hear();
            futures_util::FutureExt::now_or_never(course.begin()).is_none()
        };
        let first = begin();
        let second = begin();
        tokio::task::yield_now().await;
        [first, second, begin()]
    })
    .await;
    assert_eq!(waits, [false, true, false]);
}

/// A connection that was accepted, and its peer.
async fn connected(course: &Course) -> (RoamingStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    (RoamingStream::new(accepted, course.clone()), peer)
}

#[tokio::test]
async fn what_lay_in_a_buffer_is_not_begun_for_a_peer_that_has_gone() {
    let course = Course::default();
    let (mut stream, mut peer) = connected(&course).await;
    peer.write_all(b"two requests").await.unwrap();
    let mut buffer = [0; 12];
    stream.read_exact(&mut buffer).await.unwrap();
    course.0.turn.store(1, Ordering::Relaxed);
    course.begin().await;
    stream.flush().await.unwrap();
    course.0.turn.store(2, Ordering::Relaxed);
    // Still there: it waits a turn, and the flush between says nothing.
    assert!(futures_util::FutureExt::now_or_never(course.begin()).is_none());
    stream.flush().await.unwrap();
    peer.set_zero_linger().unwrap();
    drop(peer);
    course.0.turn.store(3, Ordering::Relaxed);
    assert!(futures_util::FutureExt::now_or_never(course.begin()).is_none());
    let gone = stream.flush().await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_peer_that_only_stopped_sending_is_still_there() {
    let course = Course::default();
    let (mut stream, mut peer) = connected(&course).await;
    peer.shutdown().await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(course.begin()).is_none());
    stream.flush().await.unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_may_ask_for_short_slices() {
    let asked = thread::spawn(slice::shorten).join().unwrap();
    asked.unwrap();
}
