//! Everything goes wrong in turns, at random, while it is pushed and pulled: the server is killed, its database locked, moved away
//! and back, its disk filled, changes are stopped, and an upstream is slow, cut off, silent, gone, or lies. At the end every
//! acknowledged push is there, whole and unique, nothing was ever served that does not have its digest, and where the gate is on,
//! nothing that is refused, and everything is decided once more as it was decided.
//!
//! `trouble.rs` makes the trouble and undoes it; `visitor.rs` pushes and pulls all the time and holds the server to what it
//! acknowledged; `through.rs` does the same with what an upstream has; the pushers of the crash tests do everything else that a
//! client can do. `decisions.rs` asks what was decided.

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
    faults::{Fault, Faults},
    judge::{compare, resolve, resume},
    judging::facts,
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

mod decisions;
mod through;
mod trouble;
mod visitor;

use through::{HERE, Through, with_upstream};
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
const TROUBLES: [Trouble; 11] = [
    Trouble::Kill,
    Trouble::Lock,
    Trouble::MoveDatabase,
    Trouble::MoveLog,
    Trouble::KillWhileMoved,
    Trouble::Maintenance,
    Trouble::Upstream(Fault::Gone),
    Trouble::Upstream(Fault::Slow(Duration::from_millis(300))),
    Trouble::Upstream(Fault::Cut(200)),
    Trouble::Upstream(Fault::HalfOpen(100)),
    Trouble::Upstream(Fault::WrongByte(10)),
];

/// One server, those who use it, and where its files are.
struct World {
    server: Server,
    data: PathBuf,
    disk: Option<SmallDisk>,
    dice: Dice,
    pushers: Vec<Pusher>,
    visitor: Visitor,
    through: Through,
    faults: Faults,
    is_judged: bool,
    seed: u64,
}

/// What a lane is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Nothing is held until it was looked into: a look that an outage cut off is begun again when its lease is over, minutes later.
    Off,
    /// What is undecided is held, and nobody pushes: pushers would wait for decisions.
    On,
}

fn options() -> Options {
    with_settings(Options::default()).environment("ROADBED_STORAGE__COLLECT_INTERVAL", "1s")
}

fn with_settings(options: Options) -> Options {
    options
        .environment("ROADBED_STORAGE__UPLOADS_PER_PRINCIPAL", "100000")
        .environment("ROADBED_STORAGE__LOCK_WAIT", "300ms")
        .environment("ROADBED_LOG__ACCESS", "off")
}

impl World {
    async fn new(number: u64, disk: Option<SmallDisk>, gate: Gate) -> Result<Self> {
        let seed = seed_of(number);
        let is_judged = gate == Gate::On;
        let (through, faults) = Through::new(seed, is_judged).await?;
        let options = disk.as_ref().map_or_else(options, on_disk);
        let options = with_upstream(options, &faults)
            .environment("ROADBED_GATE__ENABLED", if is_judged { "true" } else { "false" });
        let server = Server::start_with(options).await;
        if is_judged {
            import_facts(&server)?;
        }
        let data = disk.as_ref().map_or_else(|| server.data(), SmallDisk::data);
        let visitor = Visitor::new(&server, seed).await?;
        through.begin(&server.admin()).await?;
        let pushers = if is_judged { 0 } else { PUSHERS };
        Ok(Self {
            server,
            data,
            disk,
            dice: Dice::new(seed),
            pushers: (0..pushers).map(|number| Pusher::new(seed, number)).collect(),
            visitor,
            through,
            faults,
            is_judged,
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
        let pinned = [self.visitor.pinned(), self.through.pinned()];
        pinned[1].pull(&client).await?;
        let shared = Arc::new(Shared::of_trouble());
        let quiet = Duration::from_millis(self.dice.between(QUIET_MS.0, QUIET_MS.1));
        let held = Duration::from_millis(self.dice.between(100, 1_000));
        let Self {
            server,
            data,
            disk,
            pushers,
            visitor,
            through,
            faults,
            ..
        } = self;
        let (address, faults) = (server.address(), &*faults);
        let weather = (!trouble.is_of_upstream()).then_some(faults);
        let making = async {
            sleep(quiet).await;
            let place = trouble::Place {
                server,
                data,
                disk: disk.as_ref(),
                client: &client,
                shared: &shared,
                pinned: &pinned,
                faults,
            };
            let made = trouble.make(place, held).await;
            shared.over.store(true, Ordering::SeqCst);
            made
        };
        let working = join_all(pushers.iter_mut().map(|pusher| pusher.work(&client, &shared)));
        let (made, _, visited, pulled) = tokio::join!(
            making,
            working,
            visitor.visit(&client, &shared),
            through.visit(&client, address, &shared, weather)
        );
        made?;
        visited?;
        pulled?;
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
            self.through.check_all(&client).await?;
        }
        Ok(())
    }

    /// All is there after a stop in good order and another start, and the files agree.
    async fn end(&mut self) -> Result<()> {
        self.judge(true).await?;
        if self.is_judged {
            decisions::check(&self.client(), HERE, &self.through.digests()).await?;
        }
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
            "chaos {name}: {rounds} rounds, {pushes} acknowledgements of pushers, {}, {} ({SEED}={:#x})\n",
            self.visitor, self.through, self.seed
        ));
    }
}

fn on_disk(disk: &SmallDisk) -> Options {
    with_settings(disk.serve())
}

/// What makes an image bad.
fn import_facts(server: &Server) -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (name, document) in facts() {
        std::fs::write(directory.path().join(name), document.to_string())?;
    }
    let mut command = server.command();
    command
        .args(["advisories", "import"])
        .arg(directory.path())
        .env("ROADBED_URL", server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nothing was imported: {said}");
    Ok(())
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
    let mut world = World::new(0x10, None, Gate::Off).await.unwrap();
    match run(&mut world).await {
        Ok(rounds) => world.tell("on a disk with room", rounds),
        Err(error) => panic!("{SEED}={:#x}: {error:#}", world.seed),
    }
}

#[tokio::test]
async fn nothing_refused_is_served_whatever_goes_wrong_at_random() {
    trouble::report_what_is_missing();
    let mut world = World::new(0x12, None, Gate::On).await.unwrap();
    match run(&mut world).await {
        Ok(rounds) => world.tell("with the gate on", rounds),
        Err(error) => panic!("{SEED}={:#x}: {error:#}", world.seed),
    }
}

#[tokio::test]
async fn filled_and_killed_at_random() {
    let disk = match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => disk,
        Err(unable) => return report(&unable),
    };
    let mut world = World::new(0x11, Some(disk), Gate::Off).await.unwrap();
    match run_on_a_small_disk(&mut world).await {
        Ok(rounds) => world.tell("on a small disk", rounds),
        Err(error) => panic!("{SEED}={:#x}: {error:#}", world.seed),
    }
}
