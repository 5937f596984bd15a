//! Everything goes wrong in turns, at random, while it is pushed and pulled: the server is killed, its database locked, moved away
//! and back, its disk filled, changes are stopped. At the end every acknowledged push is there, whole and unique, and nothing was
//! ever served that does not have its digest.
//!
//! `trouble.rs` makes the trouble and undoes it; `visitor.rs` pushes and pulls all the time and holds the server to what it
//! acknowledged; the pushers of the crash tests do everything else that a client can do.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    dice::Dice,
    judge::{compare, resolve, resume},
    kills::{SEED, check_files, seed_of, tell},
    pusher::{Pusher, Shared},
    small_disk::SmallDisk,
};
use crate::harness::{
    client::Client,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
    unable::report,
};

mod trouble;
mod visitor;

use trouble::{Trouble, until_ready};
use visitor::Visitor;

/// For how long trouble is made, in seconds; `./test` says 300 in CI.
const SECONDS: &str = "ROADBED_CHAOS_SECONDS";

/// The same where nothing is said.
const DEFAULT_SECONDS: u64 = 30;

/// Rounds on a small disk, which are bounded by what fits there.
const ROUNDS_ON_A_SMALL_DISK: u32 = 5;

/// Its size.
const DISK_MEBIBYTES: u32 = 256;

/// Repositories that are pushed to at the same time.
const PUSHERS: u64 = 3;

/// How long it is worked before the trouble begins, in milliseconds.
const QUIET_MS: (u64, u64) = (50, 600);

/// What is tried without a file system of its own.
const TROUBLES: [Trouble; 6] = [
    Trouble::Kill,
    Trouble::Lock,
    Trouble::MoveDatabase,
    Trouble::MoveLog,
    Trouble::KillWhileMoved,
    Trouble::Maintenance,
];

/// One server, those who use it, and where its files are.
struct World {
    server: Server,
    data: PathBuf,
    disk: Option<SmallDisk>,
    dice: Dice,
    pushers: Vec<Pusher>,
    visitor: Visitor,
    seed: u64,
}

fn options() -> Options {
    with_settings(Options::default()).environment("ROADBED_STORAGE__COLLECT_INTERVAL", "1s")
}

/// Nothing is held until it was looked into: a look that an outage cut off is begun again when its lease is over, minutes later.
fn with_settings(options: Options) -> Options {
    options
        .environment("ROADBED_GATE__ENABLED", "false")
        .environment("ROADBED_STORAGE__UPLOADS_PER_PRINCIPAL", "100000")
        .environment("ROADBED_STORAGE__LOCK_WAIT", "300ms")
        .environment("ROADBED_LOG__ACCESS", "off")
}

impl World {
    async fn new(number: u64, disk: Option<SmallDisk>) -> Result<Self> {
        let seed = seed_of(number);
        let options = disk.as_ref().map_or_else(options, on_disk);
        let server = Server::start_with(options).await;
        let data = disk.as_ref().map_or_else(|| server.data(), SmallDisk::data);
        let visitor = Visitor::new(&server, seed).await?;
        Ok(Self {
            server,
            data,
            disk,
            dice: Dice::new(seed),
            pushers: (0..PUSHERS).map(|number| Pusher::new(seed, number)).collect(),
            visitor,
            seed: seed ^ number,
        })
    }

    fn client(&self) -> Client {
        self.server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
    }

    /// Everybody works, the trouble comes and goes, and what came of it is judged.
    async fn round(&mut self, trouble: Trouble) -> Result<()> {
        let client = self.client();
        self.visitor.warm(&client).await?;
        let shared = Arc::new(Shared::of_trouble());
        let quiet = Duration::from_millis(self.dice.between(QUIET_MS.0, QUIET_MS.1));
        let held = Duration::from_millis(self.dice.between(100, 1_000));
        let Self {
            server,
            data,
            disk,
            pushers,
            visitor,
            ..
        } = self;
        let pinned = visitor.pinned();
        let making = async {
            sleep(quiet).await;
            let place = trouble::Place {
                server,
                data,
                disk: disk.as_ref(),
                client: &client,
                shared: &shared,
                pinned: &pinned,
            };
            let made = trouble.make(place, held).await;
            shared.over.store(true, Ordering::SeqCst);
            made
        };
        let working = join_all(pushers.iter_mut().map(|pusher| pusher.work(&client, &shared)));
        let (made, _, visited) = tokio::join!(making, working, visitor.visit(&client, &shared));
        made?;
        visited?;
        if shared.killed.load(Ordering::SeqCst) {
            self.server.start_again().await;
        }
        until_ready(&self.client()).await?;
        self.judge(false).await
    }

    async fn judge(&mut self, all: bool) -> Result<()> {
        let client = self.client();
        let mut dice = self.dice.clone();
        self.dice.next();
        for pusher in &mut self.pushers {
            let ledger = &mut pusher.ledger;
            let step = format!("{} with {:?} under way", ledger.repository, ledger.under_way);
            resolve(&client, ledger).await.with_context(|| step.clone())?;
            resume(&client, ledger, &mut dice)
                .await
                .with_context(|| step.clone())?;
            compare(&client, ledger, &mut dice, all).await.context(step)?;
        }
        if all {
            self.visitor.check_all(&client).await?;
        }
        Ok(())
    }

    /// All is there after a stop in good order and another start, and the files agree.
    async fn end(&mut self) -> Result<()> {
        self.judge(true).await?;
        ensure!(
            self.server.terminate().await.success(),
            "the server did not end in good order"
        );
        check_files(&self.server);
        self.server.start_again().await;
        self.judge(true).await
    }

    fn tell(&self, name: &str, rounds: u32) {
        let pushes: usize = self.pushers.iter().map(|pusher| pusher.ledger.acknowledged).sum();
        tell(&format!(
            "chaos {name}: {rounds} rounds, {pushes} acknowledgements of pushers, {} ({SEED}={:#x})\n",
            self.visitor, self.seed
        ));
    }
}

fn on_disk(disk: &SmallDisk) -> Options {
    with_settings(disk.serve())
}

fn seconds() -> u64 {
    let given = std::env::var(SECONDS).ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_SECONDS)
}

/// All kinds once, in an order by chance, and then again until the time is over.
async fn run(world: &mut World) -> Result<u32> {
    let until = Instant::now() + Duration::from_secs(seconds());
    let (mut rounds, mut left) = (0, Vec::new());
    while Instant::now() < until {
        if left.is_empty() {
            left = TROUBLES.to_vec();
            left.retain(|trouble| trouble.is_possible());
        }
        let trouble = left.swap_remove(world.dice.index(left.len()));
        rounds += 1;
        world
            .round(trouble)
            .await
            .with_context(|| format!("round {rounds}: {trouble:?}"))?;
    }
    world.end().await?;
    Ok(rounds)
}

async fn run_on_a_small_disk(world: &mut World) -> Result<u32> {
    for round in 1..=ROUNDS_ON_A_SMALL_DISK {
        let trouble = if round % 2 == 0 {
            Trouble::KillOnAFullDisk
        } else {
            Trouble::FillDisk
        };
        world
            .round(trouble)
            .await
            .with_context(|| format!("round {round}: {trouble:?}"))?;
    }
    world.end().await?;
    Ok(ROUNDS_ON_A_SMALL_DISK)
}

#[tokio::test]
async fn killed_locked_moved_and_maintained_at_random() {
    trouble::report_what_is_missing();
    let mut world = World::new(0x10, None).await.unwrap();
    match run(&mut world).await {
        Ok(rounds) => world.tell("on a disk with room", rounds),
        Err(error) => panic!("{SEED}={:#x}: {error:#}", world.seed),
    }
}

#[tokio::test]
async fn filled_and_killed_at_random() {
    let disk = match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => disk,
        Err(unable) => return report(&unable),
    };
    let mut world = World::new(0x11, Some(disk)).await.unwrap();
    match run_on_a_small_disk(&mut world).await {
        Ok(rounds) => world.tell("on a small disk", rounds),
        Err(error) => panic!("{SEED}={:#x}: {error:#}", world.seed),
    }
}
