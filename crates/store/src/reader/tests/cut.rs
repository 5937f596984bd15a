//! A file that somebody cuts while it is read: an error of the stream, never a signal, never a whole answer.

use std::task::Poll;

use super::*;

fn cut(path: &Path, len: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(len as u64).unwrap();
}

/// Reads to the end, touching every byte; answers how many there were and whether an error came last.
async fn touch(mut stream: BlobStream) -> (usize, bool) {
    let (mut len, mut sum) = (0, 0_u64);
    while let Some(slice) = stream.next().await {
        let Ok(slice) = slice else {
            assert!(stream.next().await.is_none(), "a stream ends after an error");
            return (len, true);
        };
        sum += slice.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        len += slice.len();
    }
    (std::hint::black_box((len, sum)).0, false)
}

#[tokio::test]
async fn whoever_touches_copied_bytes_gets_an_error_and_no_signal() {
    touched_bytes_give_an_error(copying()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_touches_a_guarded_map_gets_an_error_and_no_signal() {
    touched_bytes_give_an_error(guarding()).await;
}

async fn touched_bytes_give_an_error(config: ReaderConfig) {
    let len = 4 * SLICE;
    for rest in [0, 5, SLICE, SLICE + 100, len - 5000, len - 1] {
        let fixture = Fixture::with(len, config.clone());
        let blob = fixture.open().await;
        let mut stream = blob.stream(0..u64::MAX);
        let first = stream.next().await.unwrap().unwrap().to_vec();
        cut(&fixture.path(), rest);
        let (got, failed) = touch(stream).await;
        assert!(failed && first.len() + got < len, "{got} bytes of {rest}");
        let noticed = fixture.open_error(len).await;
        assert!(matches!(&*noticed, FilesError::Damaged { .. }), "{noticed:?}");
    }
}

/// What was evicted and cannot be read again is to a reader what was cut. Here the whole map is gone from memory first.
#[tokio::test]
async fn a_cold_file_that_is_cut_is_an_error_too() {
    for config in [ReaderConfig::default(), guarding(), copying()] {
        let fixture = Fixture::with(4 * SLICE, config);
        let blob = fixture.open().await;
        make_cold(&fixture.path());
        cut(&fixture.path(), 0);
        assert_eq!(touch(blob.stream(0..u64::MAX)).await, (0, true));
    }
}

/// The last page of a map that reaches over the end of its file reads as zeros, without any error.
#[tokio::test]
async fn no_stream_of_a_map_comes_to_its_end_if_the_file_is_too_short() {
    let len = 2 * SLICE;
    for (range, rest) in [
        (0..len, len - 1),
        (0..len, len - 4000),
        (SLICE + 10..SLICE + 3000, SLICE + 100),
        (len - 10..len, len - 1),
        (0..10, 9),
    ] {
        let fixture = Fixture::new(len);
        let blob = fixture.open().await;
        let stream = blob.stream(range.start as u64..range.end as u64);
        cut(&fixture.path(), rest);
        let lengths = stream.map(|slice| slice.map(|bytes| bytes.len()));
        let slices: Vec<_> = lengths.collect().await;
        let sent: usize = slices.iter().flatten().sum();
        assert!(
            slices.last().unwrap().is_err() && sent < range.len(),
            "{range:?} of {rest}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_cut_while_it_is_mapped_is_an_error_and_no_signal() {
    let fixture = Fixture::new(4 * SLICE);
    let blob = fixture.open().await;
    let mut stream = blob.stream(0..u64::MAX);
    assert!(stream.next().await.unwrap().is_ok());
    cut(&fixture.path(), SLICE);
    let rest: Vec<_> = stream.collect().await;
    // The slice looked at before the cut may still be yielded (nobody touches it here), then comes the error.
    assert_eq!(
        rest.last().unwrap().as_ref().unwrap_err().raw_os_error(),
        Some(libc::EIO)
    );
    assert!(rest.len() <= 2);
}

/// A slice that is touched after the cut, while the end could still be read: nothing but the guard knows of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_stream_of_a_torn_map_comes_to_its_end_if_the_file_has_grown_again() {
    let len = 2 * SLICE;
    let fixture = Fixture::with(len, guarding());
    let blob = fixture.open().await;
    let (mut stream, mut other) = (blob.stream(0..u64::MAX), blob.stream(0..u64::MAX));
    let other_first = other.next().await.unwrap().unwrap().to_vec();
    let first = stream.next().await.unwrap().unwrap();
    let second = stream.next().await.unwrap().unwrap();
    assert!(matches!(futures_util::poll!(stream.next()), Poll::Pending));
    cut(&fixture.path(), SLICE);
    assert!(std::hint::black_box(&second).iter().all(|byte| *byte == 0));
    std::fs::write(fixture.path(), &fixture.bytes).unwrap();
    drop((first, second));
    assert_eq!(touch(stream).await, (0, true));
    assert_eq!(touch(other).await, (0, true), "of the same map");
    assert!(other_first == fixture.bytes[..SLICE]);
    // The file is right, so the next request gets it whole, from a new map.
    assert!(read(&fixture.open().await, 0..u64::MAX).await == fixture.bytes);
}

/// Nobody polls a stream again whose client went away.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_torn_map_is_thrown_away_although_its_stream_was_dropped() {
    let fixture = Fixture::with(2 * SLICE, guarding());
    let mut stream = fixture.open().await.stream(0..u64::MAX);
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    cut(&fixture.path(), 0);
    assert!(std::hint::black_box(&first).iter().all(|byte| *byte == 0));
    let noticed = fixture.open_error(2 * SLICE).await;
    assert!(matches!(&*noticed, FilesError::Damaged { .. }), "{noticed:?}");
}

/// Many clients of one blob, each on a thread of its own.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn many_who_touch_a_file_that_is_cut_get_errors() {
    let len = 8 * SLICE;
    for round in 0..8 {
        let fixture = Fixture::with(len, guarding());
        let blob = fixture.open().await;
        let readers: Vec<_> = (0..16)
            .map(|_| {
                let mut stream = blob.stream(0..u64::MAX);
                tokio::spawn(async move {
                    let first = stream.next().await.unwrap().unwrap().to_vec();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    (first.len(), touch(stream).await)
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(18 + round % 3)).await;
        cut(&fixture.path(), SLICE + 100);
        for reader in readers {
            // One that was faster than the cut has read what was there.
            let (first, (rest, failed)) = reader.await.unwrap();
            assert!(failed || first + rest == len);
        }
        assert!(matches!(
            &*fixture.open_error(len).await,
            FilesError::Damaged { .. }
        ));
    }
}

#[tokio::test]
async fn the_last_piece_waits_until_the_others_are_dropped() {
    for config in [ReaderConfig::default(), guarding()] {
        let fixture = Fixture::with(2 * SLICE, config);
        let mut stream = fixture.open().await.stream(0..u64::MAX);
        let slices = [stream.next().await, stream.next().await].map(|slice| slice.unwrap().unwrap());
        let clone = slices[1].slice(5..6);
        assert!(matches!(futures_util::poll!(stream.next()), Poll::Pending));
        let last = tokio::spawn(async move { stream.next().await.unwrap().unwrap() });
        tokio::task::yield_now().await;
        drop(slices);
        tokio::task::yield_now().await;
        assert!(!last.is_finished(), "a clone is held");
        drop(clone);
        assert!(
            !last.await.unwrap().is_empty(),
            "dropping the last one wakes the reader"
        );
    }
}

#[tokio::test]
async fn a_reader_that_holds_a_piece_gets_no_other() {
    let fixture = Fixture::with(2 * SLICE, copying());
    let blob = fixture.open().await;
    let mut stream = blob.stream(0..u64::MAX);
    let piece = stream.next().await.unwrap().unwrap();
    assert!(piece.len() <= window::PIECE);
    assert!(matches!(futures_util::poll!(stream.next()), Poll::Pending));
    let next = tokio::spawn(async move { stream.next().await.unwrap().unwrap() });
    tokio::task::yield_now().await;
    drop(piece);
    assert!(!next.await.unwrap().is_empty(), "dropping it wakes the reader");
}
