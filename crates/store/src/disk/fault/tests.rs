use std::fs::File;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Barrier;

use super::*;
use crate::disk::sys;

const PAGES: usize = 64;

/// A file of `PAGES` pages of ones, and its map.
fn file_and_map() -> (File, Mmap) {
    let file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut &file, &vec![1; PAGES * page_size()]).unwrap();
    let map = sys::map(&file, PAGES * page_size()).unwrap();
    (file, map)
}

fn guarded() -> (File, GuardedMap) {
    let (file, map) = file_and_map();
    let map = GuardedMap::new(map, Some(Table::of_process()));
    assert!(map.is_guarded() && !map.is_torn());
    (file, map)
}

/// The first byte of a page, touched.
fn touch(map: &Mmap, page: usize) -> u8 {
    black_box(black_box(map)[page * page_size()])
}

#[test]
fn what_cannot_be_read_is_zeros_and_the_map_is_torn() {
    let (file, map) = guarded();
    let (_other_file, other) = guarded();
    file.set_len(3 * page_size() as u64).unwrap();
    assert_eq!((touch(&map, 2), map.is_torn()), (1, false));
    assert_eq!((touch(&map, 10), map.is_torn()), (0, true));
    // Below the first fault is another.
    assert_eq!((touch(&map, 5), touch(&map, 2)), (0, 1));
    assert_eq!(touch(&map, PAGES - 1), 0);
    assert!((0..PAGES).all(|page| touch(&other, page) == 1) && !other.is_torn());
}

#[test]
fn many_threads_that_fault_at_once_survive() {
    const THREADS: usize = 16;
    for round in 0..50 {
        let (file, map) = guarded();
        let barrier = Barrier::new(THREADS);
        file.set_len((round % 4 * page_size()) as u64).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (map, barrier) = (&map, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for page in 4..PAGES {
                        assert_eq!(touch(map, 4 + (page * 7 + thread * 5) % (PAGES - 4)), 0);
                        assert!(map.is_torn());
                    }
                });
            }
        });
    }
}

#[test]
fn faults_while_other_maps_come_and_go_are_attributed_to_their_own() {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let (_file, map) = guarded();
                    assert!((0..PAGES).all(|page| touch(&map, page) == 1) && !map.is_torn());
                }
            });
        }
        for _ in 0..500 {
            let (file, map) = guarded();
            file.set_len(0).unwrap();
            assert_eq!((touch(&map, 9), map.is_torn()), (0, true));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn slots_are_given_back() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(10).unwrap();
    for _ in 0..3 * SLOTS {
        let map = GuardedMap::new(sys::map(&file, 10).unwrap(), Some(Table::of_process()));
        assert!(map.is_guarded());
    }
}

#[test]
fn a_table_without_a_free_slot_gives_no_guard() {
    static FEW: [Slot; 2] = [const { Slot::new() }; 2];
    let guard = || GuardedMap::new(file_and_map().1, Some(Table(&FEW)));
    let (first, second) = (guard(), guard());
    assert!(first.is_guarded() && second.is_guarded() && !guard().is_guarded());
    drop(first);
    assert!(guard().is_guarded());
    assert!(!GuardedMap::new(file_and_map().1, None).is_guarded());
    assert!(!GuardedMap::new(file_and_map().1, Some(Table::full())).is_guarded());
}

/// What a child of a test does; it names its own case in the environment.
const CASE: &str = "ROADBED_TEST_FAULT";

/// Runs the test `child` in a process of its own.
fn run(case: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["disk::fault::tests::child", "--exact", "--quiet"])
        .env(CASE, case)
        .output()
        .unwrap()
        .status
}

/// The process that the tests below start; no test of its own.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    let is = |word| case.split(' ').any(|given| given == word);
    rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .unwrap();
    if is("default") {
        dispose(libc::SIG_DFL);
    } else if is("ignored") {
        dispose(libc::SIG_IGN);
    }
    let (file, map) = guarded();
    file.set_len(0).unwrap();
    assert_eq!(touch(&map, 3), 0);
    if is("fault") {
        let (file, unguarded) = file_and_map();
        file.set_len(0).unwrap();
        touch(&unguarded, 3);
    } else if is("sent") {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::BUS).unwrap();
    }
    assert_eq!(touch(&map, 2), 0);
}

fn dispose(handler: libc::sighandler_t) {
    #[expect(unsafe_code, reason = "takes numbers only")]
    unsafe {
        libc::signal(libc::SIGBUS, handler);
    }
}

#[test]
fn a_fault_elsewhere_ends_the_process() {
    for case in ["fault", "fault default", "fault ignored", "sent default"] {
        assert_eq!(run(case).signal(), Some(libc::SIGBUS), "{case}");
    }
}

#[test]
fn a_process_that_meets_none_or_ignores_one_that_is_sent_goes_on() {
    for case in ["none", "none default", "sent ignored"] {
        assert!(run(case).success(), "{case}");
    }
}
