//! Who is affected, in fleets of stated size: `cargo bench -p road --bench fleet -- [IMAGES …]`.
//!
//! Prints what the fleet is made from, how long the index takes to build, write and read, what it takes in memory, and p50, p99
//! and the slowest of each kind of question, each with counts and the first page.

use std::{
    fmt::Display,
    io::Write as _,
    time::{Duration, Instant},
};

use findings::advisory::{AdvisoryIndex, Knowledge};
use road::{
    fleet::{Answer, Fleet, Scope, load},
    question::{JavaClass, PackageQuestion, Question},
    synthetic::{Parameters, Synthetic},
};

/// Rows of a page.
const PAGE: usize = 100;
/// Advisories that the vulnerabilities of the questions are taken from.
const ADVISORIES: u32 = 4_000;
/// Questions of each kind.
const QUESTIONS: u32 = 250;

fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Bytes that the process has in memory, where the system says so.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn main() {
    let mut sizes: Vec<u32> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes = vec![22_000, 100_000];
    }
    for images in sizes {
        bench(Parameters::of(images));
    }
}

fn bench(parameters: Parameters) {
    say(format_args!("{parameters:?}"));
    let mut synthetic = Synthetic::new(parameters);
    let mut fleet = Fleet::default();
    let mut adding = Duration::ZERO;
    synthetic.for_each(|key, facts, moment| {
        let start = Instant::now();
        fleet.add_image(key, facts, moment);
        adding += start.elapsed();
    });
    let knowledge = synthetic.advisories(ADVISORIES);
    drop(synthetic);
    say(format_args!(
        "images, layers, units, versions {:?}; added in {adding:.2?}; estimated {} MiB",
        fleet.sizes(),
        mib(fleet.bytes() as u64),
    ));
    let start = Instant::now();
    let bytes = fleet.encode(1);
    drop(fleet);
    let written = start.elapsed();
    let before = resident();
    let start = Instant::now();
    let (fleet, _) = load(&bytes).expect("what was written is read");
    say(format_args!(
        "written in {written:.2?}, {} MiB; read in {:.2?}; resident {} MiB more, {} MiB in all; estimated {} MiB",
        mib(bytes.len() as u64),
        start.elapsed(),
        mib(resident().saturating_sub(before)),
        mib(resident()),
        mib(fleet.bytes() as u64),
    ));
    say(format_args!(
        "texts, packages, layers, images: {:?} MiB",
        fleet.bytes_by_part().map(|bytes| mib(bytes as u64))
    ));
    drop(bytes);
    let index = AdvisoryIndex::build(knowledge).expect("the advisories fit");
    ask(&fleet, &index);
}

fn ask(fleet: &Fleet, index: &AdvisoryIndex) {
    let start = Instant::now();
    let all = fleet.scope(|_| true, None);
    say(format_args!("scope of all in {:.2?}", start.elapsed()));
    let start = Instant::now();
    let some = fleet.scope(
        |name| name.starts_with("team1"),
        Some(road::fleet::Moment(1 << 41)),
    );
    say(format_args!(
        "scope of {} images then in {:.2?}",
        some.len(),
        start.elapsed()
    ));
    let knowledge = Knowledge {
        index,
        kev: None,
        epss: None,
    };
    let mut every = Vec::new();
    let mut run = |what: &str, ask: &dyn Fn(u32) -> Option<Answer>| {
        let times = timed(fleet, what, ask);
        every.extend(times);
    };
    run("vulnerability", &|number| {
        fleet.by_vulnerability(
            &format!("CVE-2021-{}", 40_000 + number * 13 % ADVISORIES),
            &knowledge,
            &all,
        )
    });
    run("package", &|number| Some(package(fleet, number, "", &all)));
    run("range", &|number| {
        Some(package(fleet, number, "@>=2.1.0,<2.9.0", &all))
    });
    run("class", &|number| class(fleet, number, &all));
    run("package, then and a few", &|number| {
        Some(package(fleet, number, "", &some))
    });
    tell("all of them", &mut every);
}

fn package(fleet: &Fleet, number: u32, range: &str, scope: &Scope) -> Answer {
    let name = match number % 5 {
        0 => "log4j-core".to_owned(),
        1 => format!(
            "maven:org.example.group{}:artifact{}",
            number / 5,
            number / 5 * 5 + 1
        ),
        2 => format!("npm:module{}", number * 7 + 1),
        3 => "deb:openssl".to_owned(),
        _ => format!("pypi:distribution{number}"),
    };
    // The distribution's versions are of another form.
    let range = if number % 5 == 3 && !range.is_empty() {
        "@<1.0.2-1"
    } else {
        range
    };
    match format!("{name}{range}").parse() {
        Ok(Question::Package(question)) => fleet.by_package(&question, scope),
        _ => fleet.by_package(&PackageQuestion::named(name), scope),
    }
}

fn class(fleet: &Fleet, number: u32, scope: &Scope) -> Option<Answer> {
    let name = match number % 2 {
        0 => "org.apache.logging.log4j.core.lookup.JndiLookup".to_owned(),
        _ => format!("org.example.group{number}.inner.Name"),
    };
    let class: JavaClass = name.parse().ok()?;
    Some(fleet.by_class(&class, scope))
}

fn timed(fleet: &Fleet, what: &str, ask: &dyn Fn(u32) -> Option<Answer>) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut asking = Vec::new();
    let mut images = 0;
    for number in 0..QUESTIONS {
        let start = Instant::now();
        let answer = ask(number).expect("it is known");
        let counts = answer.counts();
        asking.push(start.elapsed());
        let page = fleet.page(&answer, None, PAGE).expect("nothing changed");
        times.push(start.elapsed());
        images = images.max(counts.affected + counts.mitigated + counts.uncertain);
        std::hint::black_box(page.rows.len());
    }
    tell(format_args!("{what}, counts alone"), &mut asking);
    let mut sorted = times.clone();
    tell(format_args!("{what} (up to {images} images)"), &mut sorted);
    times
}

fn tell(what: impl Display, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    say(format_args!(
        "{what}: p50 {:.2?}, p99 {:.2?}, slowest {:.2?}",
        at(50),
        at(99),
        at(100)
    ));
}
