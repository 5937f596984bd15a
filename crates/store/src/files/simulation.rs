//! Ten thousand lives of a data directory on a disk that forgets.
//!
//! Each schedule is a random interleaving of uploads in chunks, commits, removals, sweeps and restarts, cut off by
//! power failures at random operations and troubled by errors of the disk. [`Model`] keeps what was acknowledged;
//! after each crash every promised byte must be there, every committed blob must be whole under its location, and a
//! sweep must leave nothing that belongs to nobody. A failure prints its seed.

use std::sync::LazyLock;

use model::Model;

use super::protocol::Protocol;
use crate::disk::sim::{Lie, Plan, Rng, SimDisk};

mod model;

/// Schedules in all, spread over the tests below so that they run in parallel.
const SCHEDULES: u64 = 10_000;
/// Steps of one schedule.
const STEPS: usize = 40;

/// A disk with its upper directories, durable.
static FORMATTED: LazyLock<SimDisk> = LazyLock::new(|| {
    let disk = SimDisk::new(0);
    Protocol::open(disk.clone()).expect("an untroubled disk");
    disk
});

/// Runs one schedule; an error names what was lost.
fn run(seed: u64, lie: Option<Lie>) -> Result<(), String> {
    let disk = FORMATTED.fork(seed);
    if let Some(lie) = lie {
        disk.lie(lie);
    }
    let mut rng = Rng::new(!seed);
    let mut model = Model::open(disk.clone())?;
    disk.plan(trouble(&mut rng));
    for _ in 0..STEPS {
        model.step(&mut rng)?;
        if disk.is_down() {
            disk.crash();
            model = model.recover()?;
            disk.plan(trouble(&mut rng));
        }
    }
    disk.crash();
    model.recover().map(drop)
}

/// Most lives end by a crash within some dozen operations; every other one also meets errors.
fn trouble(rng: &mut Rng) -> Plan {
    Plan {
        crash_at: (!rng.one_in(8)).then(|| 1 + rng.next() % 90),
        error_at: None,
        error_one_in: if rng.one_in(2) { 12 } else { 0 },
    }
}

fn run_share(share: u64, of: u64) {
    for seed in (0..SCHEDULES).filter(|seed| seed % of == share) {
        if let Err(lost) = run(seed, None) {
            panic!("schedule {seed}: {lost}");
        }
    }
}

#[test]
fn acknowledged_bytes_survive_every_crash_1() {
    run_share(0, 4);
}

#[test]
fn acknowledged_bytes_survive_every_crash_2() {
    run_share(1, 4);
}

#[test]
fn acknowledged_bytes_survive_every_crash_3() {
    run_share(2, 4);
}

#[test]
fn acknowledged_bytes_survive_every_crash_4() {
    run_share(3, 4);
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    for lie in [Lie::Data, Lie::Names] {
        let caught = (0..200).filter(|seed| run(*seed, Some(lie)).is_err()).count();
        assert!(caught > 20, "{lie:?} was noticed in {caught} of 200 schedules");
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    let operations = |seed| {
        let disk = FORMATTED.fork(seed);
        let mut model = Model::open(disk.clone()).unwrap();
        let mut rng = Rng::new(seed);
        for _ in 0..STEPS {
            model.step(&mut rng).unwrap();
        }
        disk.operations()
    };
    assert_eq!(operations(7), operations(7));
}

#[test]
fn a_crash_while_the_directories_are_made_is_mended() {
    for seed in 0..500 {
        let disk = SimDisk::new(seed);
        disk.plan(Plan {
            crash_at: Some(seed % 14),
            ..Plan::default()
        });
        assert_eq!(Protocol::open(disk.clone()).is_err(), disk.is_down());
        disk.crash();
        Protocol::open(disk.clone()).unwrap();
        disk.crash();
        Model::open(disk).unwrap().recover().unwrap();
    }
}
