//! A clamd that is not one: what is asked and what is made of the answers.

use std::{net::TcpListener, os::unix::net::UnixListener, thread};

use super::*;

/// Answers each connection with the next of these after the whole stream was read, and gives the streams back.
fn fake(answers: Vec<&'static str>) -> (ClamdAddress, thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ClamdAddress::Tcp(listener.local_addr().unwrap().to_string());
    let served = thread::spawn(move || {
        let mut streams = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            streams.push(read_stream(&mut stream));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        streams
    });
    (address, served)
}

fn read_stream(from: &mut impl Read) -> Vec<u8> {
    let mut command = [0; 10];
    from.read_exact(&mut command).unwrap();
    assert_eq!(&command, b"zINSTREAM\0");
    let mut all = Vec::new();
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length).unwrap();
        let mut chunk = vec![0; u32::from_be_bytes(length) as usize];
        if chunk.is_empty() {
            return all;
        }
        from.read_exact(&mut chunk).unwrap();
        all.extend(chunk);
    }
}

fn file(bytes: &[u8]) -> (File, u64) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    (file, bytes.len() as u64)
}

fn clamd(address: ClamdAddress) -> Clamd {
    Clamd::new(ClamdConfig {
        file_time: Duration::from_millis(500),
        ..ClamdConfig::at(address)
    })
}

#[test]
fn all_bytes_are_streamed_and_answers_are_told_apart() {
    let (address, served) = fake(vec![
        "stream: OK\0",
        "stream: Test.Sig-1\x1b\n FOUND\0",
        "INSTREAM size limit exceeded. ERROR\0",
        "stream: Can't allocate memory ERROR\0",
    ]);
    let clamd = clamd(address);
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let (file, size) = file(&bytes);
    let ask = || clamd.ask(&file, size);
    assert_eq!(ask().unwrap(), None);
    assert_eq!(ask().unwrap().as_deref(), Some("Test.Sig-1??"));
    assert!(matches!(ask(), Err(ClamdError::TooLarge(200_000))));
    let said = ask().unwrap_err().to_string();
    assert_eq!(said, "clamd says: Can't allocate memory ERROR");
    assert!(served.join().unwrap().iter().all(|stream| *stream == bytes));
}

#[test]
fn one_that_is_away_silent_or_gone_is_never_clean() {
    let (file, size) = file(b"bytes");
    let nobody = ClamdAddress::Unix("/nonexistent/clamd.ctl".into());
    assert!(matches!(
        clamd(nobody.clone()).ask(&file, size),
        Err(ClamdError::Away { .. })
    ));
    assert!(!clamd(nobody).answers());

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clamd.ctl");
    let listener = UnixListener::bind(&path).unwrap();
    let silent = clamd(ClamdAddress::Unix(path));
    let begun = Instant::now();
    assert!(matches!(silent.ask(&file, size), Err(ClamdError::Away { .. })));
    assert!(begun.elapsed() < Duration::from_secs(5), "it was waited for");
    drop(listener);

    let (address, served) = fake(vec![""]);
    assert!(matches!(
        clamd(address).ask(&file, size),
        Err(ClamdError::Away { .. })
    ));
    served.join().unwrap();
}

#[test]
fn no_more_are_asked_about_at_the_same_time_than_may_be() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = ClamdAddress::Tcp(listener.local_addr().unwrap().to_string());
    let clamd = Clamd::new(ClamdConfig {
        streams: 1,
        file_time: Duration::from_millis(300),
        ..ClamdConfig::at(address)
    });
    let place = clamd.place(Instant::now() + Duration::from_secs(1)).unwrap();
    let (file, size) = file(b"bytes");
    assert!(matches!(clamd.ask(&file, size), Err(ClamdError::Busy)));
    drop(place);
    assert!(clamd.place(Instant::now()).is_some());
}

#[test]
fn addresses_are_paths_or_hosts_with_ports() {
    for good in [
        "unix:/run/clamav/clamd.ctl",
        "127.0.0.1:3310",
        "clamd.internal:3310",
        "[::1]:3310",
    ] {
        assert_eq!(good.parse::<ClamdAddress>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "unix:",
        "unix:clamd.ctl",
        "/run/clamd.ctl",
        "host",
        "host:",
        ":3310",
        "host:0",
        "host:99999",
    ] {
        assert!(bad.parse::<ClamdAddress>().is_err(), "{bad}");
    }
}

/// A clamd that hangs accepts nobody; once its queue is full, whoever connects would wait for ever.
#[test]
fn one_that_accepts_nobody_is_waited_for_so_long() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clamd.ctl");
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let wait = Duration::from_millis(100);
    let mut queue = Vec::new();
    while let Ok(waiting) = connect_unix(&path, wait) {
        queue.push(waiting);
        assert!(queue.len() < 100, "the queue has no end");
    }
    let (file, size) = file(b"bytes");
    let begun = Instant::now();
    let refused = clamd(ClamdAddress::Unix(path)).ask(&file, size).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(matches!(refused, ClamdError::Away { .. }));
    assert!(refused.to_string().contains("accepts no connection"), "{refused}");
}
