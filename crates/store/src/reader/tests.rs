use std::path::Path;

use futures_util::StreamExt;
use oci::Algorithm;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::disk::sim::Rng;

mod cut;
#[cfg(feature = "measure")]
mod throughput;

const SLICE: usize = stream::SLICE;

/// A data directory with one blob file, its reader, and what the file holds.
struct Fixture {
    dir: TempDir,
    reader: BlobReader,
    location: Location,
    bytes: Vec<u8>,
}

impl Fixture {
    fn new(len: usize) -> Self {
        Self::with(len, ReaderConfig::default())
    }

    fn with(len: usize, config: ReaderConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bytes = Rng::new(len as u64).bytes(len);
        let location = write(dir.path(), 1, &bytes);
        let reader = BlobReader::start(dir.path().to_owned(), config).unwrap();
        Self {
            dir,
            reader,
            location,
            bytes,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(self.location.path())
    }

    async fn open(&self) -> OpenBlob {
        self.reader
            .open(self.location, self.bytes.len() as u64)
            .await
            .unwrap()
    }

    async fn open_error(&self, size: usize) -> Arc<FilesError> {
        self.reader
            .open(self.location, size as u64)
            .await
            .map(drop)
            .unwrap_err()
    }
}

fn write(dir: &Path, nonce: u128, bytes: &[u8]) -> Location {
    let location = Location::new(Digest::of(Algorithm::Sha256, bytes), Uuid::from_u128(nonce));
    let path = dir.join(location.path());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    location
}

async fn read(blob: &OpenBlob, range: Range<u64>) -> Vec<u8> {
    let (mut stream, mut all) = (blob.stream(range), Vec::new());
    while let Some(slice) = stream.next().await {
        let slice = slice.unwrap();
        assert!(!slice.is_empty() && slice.len() <= SLICE);
        all.extend_from_slice(&slice);
    }
    all
}

/// Has the kernel drop the file's pages from memory.
fn make_cold(path: &Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

/// Streams of maps that are guarded, as TLS needs them.
fn guarding() -> ReaderConfig {
    ReaderConfig {
        touched: Some(Table::of_process()),
        ..ReaderConfig::default()
    }
}

/// Streams of maps that get no guard, so that everything is copied.
fn copying() -> ReaderConfig {
    ReaderConfig {
        touched: Some(Table::full()),
        ..ReaderConfig::default()
    }
}

#[tokio::test]
async fn every_range_is_the_bytes_of_the_file() {
    every_range(ReaderConfig::default()).await;
}

#[tokio::test]
async fn every_range_is_the_bytes_of_the_file_when_maps_are_guarded() {
    every_range(guarding()).await;
}

#[tokio::test]
async fn every_range_is_the_bytes_of_the_file_when_they_are_copied() {
    every_range(copying()).await;
}

async fn every_range(config: ReaderConfig) {
    for len in [1, 4095, 4096, 65_535, 65_536, SLICE, SLICE + 1, 3 * SLICE + 777] {
        let fixture = Fixture::with(len, config.clone());
        let blob = fixture.open().await;
        assert_eq!(
            (blob.size(), blob.digest()),
            (len as u64, fixture.location.digest())
        );
        let edges = [
            0,
            1,
            500,
            4096,
            SLICE - 1,
            SLICE,
            SLICE + 1,
            2 * SLICE,
            len.saturating_sub(1),
            len,
            len + 9,
        ];
        for start in edges {
            for end in edges {
                let expected = fixture
                    .bytes
                    .get(start.min(len)..end.min(len))
                    .unwrap_or_default();
                assert!(
                    read(&blob, start as u64..end as u64).await == expected,
                    "{start}..{end} of {len}"
                );
            }
        }
        assert!(read(&blob, u64::MAX - 1..u64::MAX).await.is_empty());
    }
}

#[tokio::test]
async fn cold_pages_are_read_before_they_are_yielded() {
    let fixture = Fixture::new(9 * SLICE + 4321);
    make_cold(&fixture.path());
    let blob = fixture.open().await;
    let Body::Mapped(map) = &blob.body else {
        panic!("large blobs are mapped")
    };
    let mut stream = blob.stream(100..u64::MAX);
    let mut at = 100;
    while let Some(slice) = stream.next().await {
        let slice = slice.unwrap();
        assert!(map.is_resident(at..at + slice.len()));
        assert!(slice == fixture.bytes[at..at + slice.len()]);
        at += slice.len();
    }
    assert_eq!(at, fixture.bytes.len());
}

#[tokio::test]
async fn residency_is_told_truly() {
    let fixture = Fixture::new(4 * SLICE);
    make_cold(&fixture.path());
    let blob = fixture.open().await;
    let Body::Mapped(map) = &blob.body else {
        panic!("large blobs are mapped")
    };
    let cold = !map.is_resident(0..4 * SLICE);
    map.populate(SLICE..2 * SLICE, 0..0).unwrap();
    assert!(map.is_resident(SLICE..2 * SLICE) && map.is_resident(SLICE + 1..2 * SLICE - 1));
    assert!(map.is_resident(0..0) && !map.is_resident(0..4 * SLICE + 1));
    // A file system in memory (tmpfs) has no cold pages.
    let in_memory = rustix::fs::statfs(fixture.dir.path()).unwrap().f_type == 0x0102_1994;
    assert!(cold || in_memory, "a dropped file was said to be in memory");
}

#[tokio::test]
async fn a_file_that_is_not_what_its_row_says_is_an_error_before_anything_is_sent() {
    for len in [100, 2 * SLICE] {
        let fixture = Fixture::new(len);
        for size in [len - 1, len + 1, 2 * len, 0] {
            let error = fixture.open_error(size).await;
            let FilesError::Damaged { expected, found, .. } = &*error else {
                panic!("{error:?}")
            };
            assert_eq!((*expected, *found), (size as u64, len as u64));
        }
        assert_eq!(
            read(&fixture.open().await, 0..u64::MAX).await,
            fixture.bytes,
            "an error is not kept"
        );
        std::fs::remove_file(fixture.path()).unwrap();
        fixture.reader.forget(&fixture.location).await;
        assert!(matches!(
            &*fixture.open_error(len).await,
            FilesError::BlobMissing { .. }
        ));
    }
}

#[tokio::test]
async fn a_blob_removed_while_it_is_streamed_is_streamed_to_its_end() {
    for len in [1000, 5 * SLICE] {
        let fixture = Fixture::new(len);
        make_cold(&fixture.path());
        let blob = fixture.open().await;
        let mut stream = blob.stream(0..u64::MAX);
        drop(blob);
        let mut all = stream.next().await.unwrap().unwrap().to_vec();
        std::fs::remove_file(fixture.path()).unwrap();
        fixture.reader.forget(&fixture.location).await;
        while let Some(slice) = stream.next().await {
            all.extend_from_slice(&slice.unwrap());
        }
        assert!(all == fixture.bytes);
        assert!(matches!(
            &*fixture.open_error(len).await,
            FilesError::BlobMissing { .. }
        ));
    }
}

#[tokio::test]
async fn what_is_hot_is_opened_once() {
    for len in [1000, 2 * SLICE] {
        let fixture = Fixture::new(len);
        fixture.open().await;
        std::fs::remove_file(fixture.path()).unwrap();
        assert!(read(&fixture.open().await, 0..u64::MAX).await == fixture.bytes);
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_number_and_bytes_and_time() {
    let config = ReaderConfig {
        maps_kept: 3,
        small_kept: 5_000,
        idle: Duration::from_millis(300),
        ..ReaderConfig::default()
    };
    let fixture = Fixture::with(10, config);
    for nonce in 2..30 {
        for bytes in [vec![1; 1000], vec![1; 100_000]] {
            let location = write(fixture.dir.path(), nonce, &bytes);
            drop(fixture.reader.open(location, bytes.len() as u64).await.unwrap());
        }
    }
    let Shared { small, maps, .. } = &*fixture.reader.shared;
    small.run_pending_tasks().await;
    maps.run_pending_tasks().await;
    assert!(maps.entry_count() <= 3 && small.weighted_size() <= 5_000);
    tokio::time::sleep(Duration::from_millis(400)).await;
    small.run_pending_tasks().await;
    maps.run_pending_tasks().await;
    assert_eq!((maps.entry_count(), small.entry_count()), (0, 0));
}

#[tokio::test]
async fn a_reader_that_cannot_populate_says_so_and_ends() {
    let fixture = Fixture::new(3 * SLICE);
    make_cold(&fixture.path());
    let blob = fixture.open().await;
    let Body::Mapped(map) = &blob.body else {
        panic!("large blobs are mapped")
    };
    if map.is_resident(0..SLICE) {
        return; // A file system in memory has no cold pages.
    }
    fixture.reader.close().await;
    let mut stream = blob.stream(0..u64::MAX);
    assert!(stream.next().await.unwrap().is_err());
    assert!(stream.next().await.is_none());
}

#[test]
fn reading_through_fetches_the_pages() {
    let fixture = Fixture::new(SLICE + 5);
    let file = File::open(fixture.path()).unwrap();
    map::read_through(&file, 7..SLICE + 5).unwrap();
    assert!(map::read_through(&file, 0..SLICE + 6).is_err(), "beyond the end");
}
