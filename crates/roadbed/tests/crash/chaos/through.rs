//! Somebody who pulls through all the time, from an upstream that lies, is slow, hangs, is cut off and goes away: what is held is
//! served right, everything else is right or told, and a tag never goes back. Where the gate is on, what is bad is never served.

use std::{
    collections::BTreeSet,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::sleep;

use super::{
    super::{
        dice::Dice,
        faults::{Fault, Faults},
        images::{Image, Layer, log4j_core},
        kubelet::{Came, Kubelet},
        pusher::Shared,
        upstream::Upstream,
    },
    visitor::Pinned,
};
use crate::harness::{
    answer::Answer,
    client::Client,
    content::noise,
    login::basic_header,
    server::{ADMIN, ADMIN_PASSWORD, Options},
};

/// The repository of the upstream, and here.
const THERE: &str = "library/app";
pub(super) const HERE: &str = "hub/library/app";

/// Moves to each new image.
const LATEST: &str = "latest";

/// Pulled before each trouble, so that the server has it in memory.
const PINNED: &str = "pinned";

/// Most images of the upstream: with the gate on each is looked into.
const IMAGES: usize = 40;

/// Largest layer of noise, bytes.
const LARGEST: u64 = 200_000;

/// What is held is served within this, whatever the upstream does. A debug build beside others takes its time.
const SERVED_WITHIN: Duration = Duration::from_secs(8);

/// When the trouble is over, everything comes within this: an upstream that was gone is left alone for a minute at most, and a
/// look that was cut off is begun again when its lease is over.
const COMES_WITHIN: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(100);

/// An image of the upstream.
struct Version {
    tag: String,
    image: Image,
    is_bad: bool,
}

/// The one who pulls, and what was served.
pub(super) struct Through {
    upstream: Upstream,
    dice: Dice,
    seed: u64,
    is_judged: bool,
    versions: Vec<Version>,
    /// They are in the list of tags: here for good.
    held: BTreeSet<usize>,
    /// They were served, so that their decisions stand. What was not may still be undecided, however long it is here: the look at it
    /// was cut off by a trouble before.
    decided: BTreeSet<usize>,
    /// What `latest` was when it was last served.
    latest: Option<usize>,
    pinned: Image,
    served: usize,
    told: usize,
    broken: usize,
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            held,
            served,
            told,
            broken,
            ..
        } = self;
        write!(
            f,
            "{} images pulled through, {served} answers right, {told} refused, {broken} broken off",
            held.len()
        )
    }
}

/// What a server needs to know of the upstream, and to lose patience with it before a round is over.
pub(super) fn with_upstream(options: Options, faults: &Faults) -> Options {
    let upstream = format!(
        "[{{ name = \"hub\", url = \"{}\", library = true, fresh = \"0s\", allowed_private = [\"127.0.0.0/8\"] }}]",
        faults.url()
    );
    options
        .environment("ROADBED_PROXY__UPSTREAMS", &upstream)
        .environment("ROADBED_PROXY__IDLE_TIMEOUT", "1s")
        .environment("ROADBED_PROXY__MANIFEST_TIME", "1s")
        .environment("ROADBED_PROXY__CONNECT_TIMEOUT", "1s")
        .environment("ROADBED_PROXY__REVALIDATE_WAIT", "200ms")
        .environment("ROADBED_PROXY__ABSENT", "1s")
        .environment("ROADBED_PROXY__RESUMES", "2")
        .environment("ROADBED_GATE__FIRST_WAIT", "1s")
}

impl Through {
    /// With an upstream of its own and what lies before it. `is_judged`: some images are bad, and the gate is on.
    pub(super) async fn new(seed: u64, is_judged: bool) -> Result<(Self, Faults)> {
        let upstream = Upstream::start().await;
        let faults = Faults::before(upstream.address()).await?;
        let pinned = image(&format!("{seed:x} pinned"), 1_000, false);
        upstream.add(THERE, PINNED, &pinned.blobs, &pinned.document);
        let through = Self {
            upstream,
            dice: Dice::new(seed.rotate_left(7)),
            seed,
            is_judged,
            versions: Vec::new(),
            held: BTreeSet::new(),
            decided: BTreeSet::new(),
            latest: None,
            pinned,
            served: 0,
            told: 0,
            broken: 0,
        };
        Ok((through, faults))
    }

    /// What the server must serve whatever becomes of database and upstream, by its digest.
    pub(super) fn pinned(&self) -> Pinned {
        let digest = self.pinned.document.digest.clone();
        Pinned::new(HERE, &digest, &self.pinned.blobs, &self.pinned.document)
    }

    /// Waits until the pinned image is here.
    pub(super) async fn begin(&self, client: &Client) -> Result<()> {
        let is_whole = |answer: &Answer| answer.status == 200;
        until(client, &manifest(PINNED), is_whole).await?;
        self.pinned().until_decided(client).await
    }

    /// Pulls until it is over, or the server was killed. `weather` changes all the while; without it the trouble is the upstream's
    /// alone, and whatever is held must be served.
    pub(super) async fn visit(
        &mut self,
        client: &Client,
        server: SocketAddr,
        shared: &Arc<Shared>,
        weather: Option<&Faults>,
    ) -> Result<()> {
        while !shared.over.load(Ordering::SeqCst) {
            if let Some(faults) = weather.filter(|_| self.dice.chance(30)) {
                faults.set(self.any_fault());
            }
            let done = self.call(client, server, weather.is_none()).await;
            if shared.killed.load(Ordering::SeqCst) {
                break;
            }
            done?;
        }
        if let Some(faults) = weather {
            faults.set(Fault::None);
        }
        Ok(())
    }

    fn any_fault(&mut self) -> Fault {
        let place = self.dice.index(2_000);
        match self.dice.index(7) {
            0 => Fault::Gone,
            1 => Fault::Slow(Duration::from_millis(50)),
            2 => Fault::Cut(place),
            3 => Fault::HalfOpen(place),
            4 => Fault::WrongByte(place),
            _ => Fault::None,
        }
    }

    async fn call(&mut self, client: &Client, server: SocketAddr, is_strict: bool) -> Result<()> {
        if self.versions.is_empty() || (self.versions.len() < IMAGES && self.dice.chance(20)) {
            self.publish();
        }
        let newest = self.versions.len() - 1;
        let number = if self.dice.chance(40) {
            newest
        } else {
            self.dice.index(self.versions.len())
        };
        let must = is_strict && self.must_come(number);
        let begun = Instant::now();
        self.pull(server, number, must).await?;
        if must {
            let taken = begun.elapsed();
            ensure!(taken < SERVED_WITHIN, "v{number} is held, and took {taken:?}");
        }
        self.pull_latest(client).await?;
        self.note_held(client).await
    }

    /// Whether the upstream need not be asked, nor the gate wait.
    fn must_come(&self, number: usize) -> bool {
        let is_decided = !self.is_judged || self.decided.contains(&number);
        self.held.contains(&number) && is_decided && !self.versions[number].is_bad
    }

    /// The upstream has one more image, and `latest` is that.
    fn publish(&mut self) {
        let number = self.versions.len();
        let seed = format!("{:x} {number}", self.seed);
        let length = usize::try_from(self.dice.between(16, LARGEST)).unwrap_or(16);
        let is_bad = self.is_judged && self.dice.chance(30);
        let image = image(&seed, length, is_bad);
        let tag = format!("v{number}");
        self.upstream.add(THERE, &tag, &image.blobs, &image.document);
        if !is_bad {
            self.upstream.add(THERE, LATEST, &image.blobs, &image.document);
        }
        self.versions.push(Version { tag, image, is_bad });
    }

    /// The manifest and one blob, each right, or told.
    async fn pull(&mut self, server: SocketAddr, number: usize, must: bool) -> Result<()> {
        let version = &self.versions[number];
        let reference = if self.dice.chance(50) {
            version.tag.clone()
        } else {
            version.image.document.digest.clone()
        };
        let (bytes, is_bad) = (version.image.document.bytes.clone(), version.is_bad);
        let part = self.dice.pick(version.image.blobs.iter().cloned());
        let part = part.context("an image has blobs")?;
        let login = basic_header(ADMIN, ADMIN_PASSWORD);
        let mut node = Kubelet::new(server, Ipv4Addr::LOCALHOST, &login).hears_lies();
        let came = self.came(&mut node, &manifest(&reference), &bytes, must).await?;
        ensure!(
            !matches!(came, Came::Told(404, _)),
            "{reference} is there, and nobody knows it"
        );
        ensure!(
            !(is_bad && came == Came::Whole),
            "{reference} is bad, and is served"
        );
        ensure!(
            is_bad || !matches!(came, Came::Told(403, _)),
            "{reference} is good, and refused for good"
        );
        if came == Came::Whole {
            self.decided.insert(number);
        }
        // With the gate on nobody is told of a blob whose image was not served.
        let is_named = !self.is_judged || came == Came::Whole;
        let path = format!("/v2/{HERE}/blobs/{}", part.digest);
        match self.came(&mut node, &path, &part.bytes, must).await? {
            Came::Told(404, _) if is_named => bail!("{path} is there, and nobody knows it"),
            _ => Ok(()),
        }
    }

    /// Asks once and counts what came.
    async fn came(&mut self, node: &mut Kubelet, path: &str, bytes: &[u8], must: bool) -> Result<Came> {
        let came = node.get(path, bytes).await?;
        match came {
            Came::Whole => self.served += 1,
            Came::Told(..) => self.told += 1,
            Came::Broken | Came::Unanswered => self.broken += 1,
        }
        ensure!(!must || came == Came::Whole, "{path} is held, and: {came:?}");
        Ok(came)
    }

    /// `latest` is one of what it was there, and never one from before what it was here.
    async fn pull_latest(&mut self, client: &Client) -> Result<()> {
        if self.versions.iter().all(|version| version.is_bad) {
            return Ok(());
        }
        let Ok(answer) = client.get(manifest(LATEST)).send().await else {
            self.broken += 1;
            return Ok(());
        };
        if answer.status != 200 {
            let is_told = matches!(answer.status, 429 | 502 | 503 | 507);
            ensure!(is_told, "{}", answer.summary());
            self.told += 1;
            return Ok(());
        }
        let is_it = |version: &Version| !version.is_bad && version.image.document.bytes == answer.body;
        let Some(now) = self.versions.iter().position(is_it) else {
            bail!("latest was never that: {}", answer.summary());
        };
        let before = self.latest.replace(now);
        ensure!(
            before.is_none_or(|before| before <= now),
            "latest was {before:?} and is {now} again"
        );
        self.served += 1;
        Ok(())
    }

    async fn note_held(&mut self, client: &Client) -> Result<()> {
        let Ok(answer) = client.get(format!("/v2/{HERE}/tags/list")).send().await else {
            return Ok(());
        };
        if answer.status != 200 {
            return Ok(());
        }
        let list = answer.json()?;
        let tags: Vec<&str> = list["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| tag.as_str())
            .collect();
        for number in &self.held {
            let tag = &self.versions[*number].tag;
            ensure!(
                tags.contains(&tag.as_str()),
                "{tag} was held, and is not listed: {list}"
            );
        }
        let listed =
            |(number, version): (usize, &Version)| tags.contains(&version.tag.as_str()).then_some(number);
        self.held = self.versions.iter().enumerate().filter_map(listed).collect();
        Ok(())
    }

    /// When all is well: everything that the upstream has comes, and is right or refused as it must be.
    pub(super) async fn check_all(&mut self, client: &Client) -> Result<()> {
        let versions = std::mem::take(&mut self.versions);
        for version in &versions {
            let Version { tag, image, is_bad } = version;
            let is_decided = |answer: &Answer| matches!(answer.status, 200 | 403);
            let answer = until(client, &manifest(tag), is_decided).await?;
            if *is_bad {
                answer.expect_error(403, "DENIED")?;
                continue;
            }
            answer.expect(&[200])?.expect_body(&image.document.bytes)?;
            for part in &image.blobs {
                let path = format!("/v2/{HERE}/blobs/{}", part.digest);
                let answer = until(client, &path, |answer| answer.status == 200).await?;
                answer.expect_body(&part.bytes)?;
            }
        }
        self.versions = versions;
        Ok(())
    }

    /// All that was pulled, for whoever asks what was decided of it.
    pub(super) fn digests(&self) -> Vec<String> {
        let all = self.versions.iter();
        all.map(|version| version.image.document.digest.clone()).collect()
    }
}

/// An image like no other one; a bad one is known to be exploited.
fn image(seed: &str, length: usize, is_bad: bool) -> Image {
    let mut layers = vec![Layer::of_files(&[("data", noise(seed, length).to_vec())])];
    if is_bad {
        layers.push(Layer::of_files(&[(
            "app/lib/log4j-core-2.14.1.jar",
            log4j_core("2.14.1"),
        )]));
    }
    Image::of(seed, &layers)
}

fn manifest(reference: &str) -> String {
    format!("/v2/{HERE}/manifests/{reference}")
}

/// Asks until the answer is as wanted; an answer that breaks off is none.
async fn until(client: &Client, path: &str, wanted: impl Fn(&Answer) -> bool) -> Result<Answer> {
    let deadline = Instant::now() + COMES_WITHIN;
    loop {
        let asked = client.get(path).send().await;
        match asked {
            Ok(answer) if wanted(&answer) => return Ok(answer),
            Ok(answer) => ensure!(Instant::now() < deadline, "never as wanted: {}", answer.summary()),
            Err(error) => ensure!(Instant::now() < deadline, "never as wanted: {error:#}"),
        }
        sleep(PAUSE).await;
    }
}
