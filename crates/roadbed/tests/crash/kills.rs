//! SIGKILL in the middle of everything, again and again.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    dice::Dice,
    judge::{compare, resolve, resume},
    pusher::{Pusher, Shared},
};
use crate::harness::{
    client::Client,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

/// Kills of one test. There are [`LANES`] of them, so that the whole is more than 200 kills.
const KILLS: u32 = 52;

const LANES: u64 = 4;

const _: () = assert!(KILLS as u64 * LANES >= 200);

/// Repositories that are pushed to at the same time.
const PUSHERS: u64 = 5;

/// When a server is killed, in milliseconds after the pushers begin.
const KILL_AFTER_MS: (u64, u64) = (5, 350);

/// Repeats the choices of a failed run; the moments of the kills can only be similar.
pub(super) const SEED: &str = "ROADBED_CRASH_SEED";

/// One server, its pushers, and what was counted.
struct Lane {
    server: Server,
    dice: Dice,
    pushers: Vec<Pusher>,
    under_way: usize,
    resumed: usize,
}

impl Lane {
    async fn new(seed: u64) -> Self {
        let options = Options::default()
            .environment("ROADBED_STORAGE__UPLOADS_PER_PRINCIPAL", "100000")
            .environment("ROADBED_STORAGE__COLLECT_INTERVAL", "1s")
            .environment("ROADBED_LOG__ACCESS", "off");
        Self {
            server: Server::start_with(options).await,
            dice: Dice::new(seed),
            pushers: (0..PUSHERS).map(|number| Pusher::new(seed, number)).collect(),
            under_way: 0,
            resumed: 0,
        }
    }

    fn client(&self) -> Client {
        self.server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
    }

    /// Pushes for a moment, kills the server in the middle, and starts it again.
    async fn crash(&mut self) {
        let client = self.client();
        let shared = Arc::new(Shared::default());
        let moment = Duration::from_millis(self.dice.between(KILL_AFTER_MS.0, KILL_AFTER_MS.1));
        let Self { server, pushers, .. } = self;
        let killing = async {
            sleep(moment).await;
            shared.killed.store(true, Ordering::SeqCst);
            server.kill();
        };
        let working = join_all(pushers.iter_mut().map(|pusher| pusher.work(&client, &shared)));
        tokio::join!(killing, working);
        self.under_way += self
            .pushers
            .iter()
            .filter(|pusher| pusher.ledger.under_way.is_some())
            .count();
        self.server.start_again().await;
    }

    /// Everything that was acknowledged is there, what was under way is there or not, and nothing is torn.
    async fn judge(&mut self, all: bool) -> Result<()> {
        let client = self.client();
        let mut dice = self.dice.clone();
        self.dice.next();
        for pusher in &mut self.pushers {
            let ledger = &mut pusher.ledger;
            let step = format!("{} with {:?} under way", ledger.repository, ledger.under_way);
            resolve(&client, ledger).await.with_context(|| step.clone())?;
            self.resumed += resume(&client, ledger, &mut dice)
                .await
                .with_context(|| step.clone())?;
            compare(&client, ledger, &mut dice, all).await.context(step)?;
        }
        Ok(())
    }

    fn acknowledged(&self) -> usize {
        self.pushers.iter().map(|pusher| pusher.ledger.acknowledged).sum()
    }
}

pub(super) fn seed_of(lane: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let given = std::env::var(SEED)
        .ok()
        .and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    given.unwrap_or_else(|| Dice::new(u64::try_from(now.as_nanos()).unwrap_or(lane)).next()) ^ lane
}

async fn run_lane(number: u64) {
    let seed = seed_of(number);
    let mut lane = Lane::new(seed).await;
    for kill in 1..=KILLS {
        lane.crash().await;
        if let Err(error) = lane.judge(kill == KILLS).await {
            panic!("kill {kill} of {KILLS}, {SEED}={:#x}: {error:#}", seed ^ number);
        }
    }
    let status = lane.server.terminate().await;
    assert!(status.success(), "the server ended with {status}");
    check_files(&lane.server);
    tell(&format!(
        "crash lane {number}: {KILLS} kills, {} acknowledgements, {} requests cut, {} uploads resumed ({SEED}={:#x})\n",
        lane.acknowledged(),
        lane.under_way,
        lane.resumed,
        seed ^ number
    ));
    lane.server.start_again().await;
    lane.judge(true)
        .await
        .unwrap_or_else(|error| panic!("after the last start: {error:#}"));
}

/// `roadbed fsck` finds nothing wrong on a stopped server.
pub(super) fn check_files(server: &Server) {
    let output = server
        .command()
        .args(["fsck", "--data"])
        .arg(server.data())
        .output();
    let output = output.expect("the binary can be started");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "fsck ended with {}:\n{told}",
        output.status
    );
}

/// A file of a blob that some ledger holds.
fn some_blob_file(lane: &Lane) -> PathBuf {
    let known = lane.pushers.iter().flat_map(|pusher| pusher.ledger.blobs.keys());
    let digest = known.max().expect("something was acknowledged");
    let (algorithm, hex) = digest.split_once(':').expect("a digest names its algorithm");
    let directory = lane.server.data().join("blobs").join(algorithm).join(&hex[..2]);
    let files = fs::read_dir(&directory).expect("blobs lie in files");
    let mut paths = files.map(|entry| entry.expect("the directory can be read").path());
    let is_its = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(hex))
    };
    paths
        .find(is_its)
        .expect("the file's name begins with its digest")
}

/// The judge judges: what is damaged behind the server's back is found by it and by fsck.
#[tokio::test]
async fn a_lost_or_torn_blob_would_be_noticed() {
    let mut lane = Lane::new(7).await;
    while lane.pushers.iter().all(|pusher| pusher.ledger.blobs.is_empty()) {
        lane.crash().await;
        lane.judge(true).await.unwrap();
    }
    let file = some_blob_file(&lane);
    let bytes = fs::read(&file).unwrap();
    let torn: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for damage in [Some(torn), None] {
        lane.server.kill();
        match damage {
            Some(torn) => fs::write(&file, torn).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let checked = lane
            .server
            .command()
            .args(["fsck", "--data"])
            .arg(lane.server.data())
            .output()
            .unwrap();
        assert_eq!(
            checked.status.code(),
            Some(1),
            "fsck: {}",
            String::from_utf8_lossy(&checked.stdout)
        );
        lane.server.start_again().await;
        lane.judge(true).await.expect_err("the damage must be noticed");
    }
}

/// Prints past the capture of the test runner.
pub(super) fn tell(line: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[tokio::test]
async fn killed_while_pushed_to_first_lane() {
    run_lane(0).await;
}

#[tokio::test]
async fn killed_while_pushed_to_second_lane() {
    run_lane(1).await;
}

#[tokio::test]
async fn killed_while_pushed_to_third_lane() {
    run_lane(2).await;
}

#[tokio::test]
async fn killed_while_pushed_to_fourth_lane() {
    run_lane(3).await;
}
