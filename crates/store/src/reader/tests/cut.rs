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
    let len = 4 * SLICE;
    for rest in [0, 5, SLICE, SLICE + 100, len - 5000, len - 1] {
        let fixture = Fixture::with(len, copying());
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
    for config in [ReaderConfig::default(), copying()] {
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
        let slices: Vec<_> = stream.collect().await;
        let sent: usize = slices.iter().flatten().map(Bytes::len).sum();
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
