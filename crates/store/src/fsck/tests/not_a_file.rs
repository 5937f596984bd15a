//! Something else under a blob's name: reported, not followed, not waited for, never served, and healed by a push.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::Caller;
use rustix::fs::{CWD, FileType, Mode};

use super::*;

const BLOB: &[u8] = b"layer";

/// What stands in for the file.
#[derive(Debug, Clone, Copy)]
enum Imposter {
    EmptyDirectory,
    FullDirectory,
    /// To a file with just the bytes that are expected: it would pass every other check.
    LinkToTheBytes,
    DanglingLink,
    LinkToItself,
    /// Opening it for reading waits for a writer, if one lets it.
    Pipe,
    Socket,
}

use Imposter::{DanglingLink, EmptyDirectory, FullDirectory, LinkToItself, LinkToTheBytes, Pipe, Socket};

const IMPOSTERS: [Imposter; 7] = [
    EmptyDirectory,
    FullDirectory,
    LinkToTheBytes,
    DanglingLink,
    LinkToItself,
    Pipe,
    Socket,
];

impl Imposter {
    fn take_the_place_of(self, path: &Path, outside: &Path) {
        fs::remove_file(path).unwrap();
        match self {
            EmptyDirectory => fs::create_dir(path).unwrap(),
            FullDirectory => {
                fs::create_dir(path).unwrap();
                fs::write(path.join("inside"), BLOB).unwrap();
            }
            LinkToTheBytes => symlink(outside, path).unwrap(),
            DanglingLink => symlink(outside.with_file_name("no-such-file"), path).unwrap(),
            LinkToItself => symlink(path, path).unwrap(),
            Pipe => make_pipe(path),
            Socket => {
                // The path of a socket may have a hundred bytes only, so it is made beside.
                let short = outside.with_file_name("s");
                drop(UnixListener::bind(&short).unwrap());
                fs::rename(short, path).unwrap();
            }
        }
    }
}

fn make_pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// No check may wait for a pipe.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.unwrap()
}

async fn disguised(imposter: Imposter) -> (Kit, Caller, Digest, PathBuf) {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", BLOB).await.unwrap();
    let path = path_of(&kit, &digest).await;
    let outside = kit.path().join("outside");
    fs::write(&outside, BLOB).unwrap();
    kit.restart().await;
    imposter.take_the_place_of(&path, &outside);
    (kit, ci, digest, path)
}

#[tokio::test]
async fn what_is_no_file_is_reported_and_healed_and_never_followed() {
    for imposter in IMPOSTERS {
        let (kit, ci, digest, path) = disguised(imposter).await;
        for quick in [false, true] {
            let options = FsckOptions {
                quick,
                ..FsckOptions::default()
            };
            let report = in_time(kit.store.fsck(options, |_| {})).await.unwrap();
            assert_eq!(report.damaged, 1, "{imposter:?}");
            let damage = &report.damages[0];
            assert_eq!(
                (damage.kind, damage.digest),
                (DamageKind::Corrupt, Some(digest)),
                "{imposter:?}"
            );
            assert_eq!(report.progress.bytes, 0, "{imposter:?} was read");
        }
        assert!(fs::symlink_metadata(&path).is_ok(), "reporting moves nothing");
        let report = in_time(check(&kit, true)).await;
        assert!(report.damages[0].quarantined, "{imposter:?}");
        assert!(fs::symlink_metadata(&path).is_err(), "{imposter:?} stayed");
        assert_eq!(fs::read(kit.path().join("outside")).unwrap(), BLOB);
        kit.push_blob(&ci, "r", BLOB).await.unwrap();
        assert_eq!(kit.read_blob(&ci, "r", &digest).await.unwrap(), BLOB);
        assert_eq!(in_time(check(&kit, false)).await.damaged, 0);
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_served_and_not_backed_up() {
    for imposter in IMPOSTERS {
        let (kit, ci, digest, _) = disguised(imposter).await;
        let backup = in_time(kit.store.backup(&Kit::operator(), std::io::sink())).await;
        assert!(
            matches!(backup, Err(crate::BackupError::SourceDamaged { digest: damaged }) if damaged == digest),
            "{imposter:?}: {backup:?}"
        );
        let served = in_time(kit.read_blob(&ci, "r", &digest)).await;
        assert!(served.is_none(), "{imposter:?}");
        in_time(kit.push_blob(&ci, "r", BLOB)).await.unwrap();
        assert_eq!(kit.read_blob(&ci, "r", &digest).await.unwrap(), BLOB);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_and_left_where_it_is() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", BLOB).await.unwrap();
    let path = path_of(&kit, &digest).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        return; // Whoever may read everything cannot be kept from it.
    }
    let report = check(&kit, true).await;
    assert_eq!(report.damages[0].kind, DamageKind::Unreadable);
    assert!(!report.damages[0].quarantined && path.exists());
}

/// Links and pipes that no row names are taken away, not followed.
#[tokio::test]
async fn the_sweep_removes_a_link_and_not_what_it_leads_to() {
    let mut kit = Kit::new().await;
    let outside = kit.path().join("outside");
    fs::write(&outside, BLOB).unwrap();
    let fan_out = kit.path().join("blobs/sha256/00");
    fs::create_dir_all(&fan_out).unwrap();
    let orphan = |digit: &str| fan_out.join(format!("{}.{}", "0".repeat(64), digit.repeat(32)));
    symlink(&outside, orphan("1")).unwrap();
    make_pipe(&orphan("2"));
    kit.restart().await;
    assert_eq!(in_time(check(&kit, false)).await.orphans, 2);
    kit.advance(kit.grace());
    assert_eq!(in_time(kit.collect()).await.orphans, 2);
    assert_eq!(fs::read(outside).unwrap(), BLOB);
}
