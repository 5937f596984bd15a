//! The walls hold. They are for ever, so the test starts itself again and tries them from there.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    process::{Command, Stdio, exit},
    time::Duration,
};

use super::*;

/// Set for the process that locks itself in.
const INSIDE: &str = "ROADBED_TEST_INSIDE";

const WALLS: Walls = Walls {
    // The allocator of a test takes more ahead than that of a child.
    memory: 8 << 30,
    spool: 1 << 20,
    cpu: 60,
    children: 1,
};

/// Set for the process that computes for ever.
const SPINS: &str = "ROADBED_TEST_SPINS";

#[test]
fn who_computes_for_too_long_says_so_and_ends() {
    if std::env::var_os(SPINS).is_some() {
        enter(Walls { cpu: 1, ..WALLS }).expect("the test tells what it sees");
        loop {
            std::hint::spin_loop();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "worker::sandbox::tests::who_computes_for_too_long_says_so_and_ends",
            "--nocapture",
        ])
        .env(SPINS, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Meanwhile it is what the system would end first.
    let score = format!("/proc/{}/oom_score_adj", child.id());
    while std::fs::read_to_string(&score).is_ok_and(|score| score.trim() != "1000") {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was locked in"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.ends_with(CPU_OVER), "{said}");
}

/// What is on its way counts for all children together, against what one may have open.
#[test]
fn as_many_files_may_be_open_as_are_on_their_way_of_all_children() {
    let of = |children| Walls { children, ..WALLS }.open_files();
    assert_eq!(of(1) - OPEN_FILES, OUTSTANDING as u64 + 2);
    assert_eq!(of(64) - OPEN_FILES, 64 * (of(1) - OPEN_FILES));
}

#[test]
fn who_is_locked_in_reaches_nothing() {
    if std::env::var_os(INSIDE).is_some() {
        from_inside();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "worker::sandbox::tests::who_is_locked_in_reaches_nothing",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tried: Vec<&str> = said.lines().filter(|line| line.contains(": ")).collect();
    assert_eq!(tried.len(), ATTEMPTS.len() + 1, "{said}");
    for line in &tried[1..] {
        assert!(line.ends_with(": refused"), "{said}");
    }
    // Landlock is not everywhere; the calls are refused all the same.
    assert!(!tried[0].contains("seccomp"), "{said}");
}

type Attempt = fn() -> io::Result<()>;

const ATTEMPTS: [(&str, Attempt); 13] = [
    ("reading a file", || File::open("/etc/passwd").map(drop)),
    ("writing a file", || {
        File::create("/tmp/roadbed-sandbox-test").map(drop)
    }),
    ("listing a directory", || std::fs::read_dir("/").map(drop)),
    ("asking about a file", || {
        std::fs::metadata("/etc/passwd").map(drop)
    }),
    ("deleting a file", || {
        std::fs::remove_file("/tmp/roadbed-sandbox-test")
    }),
    ("starting a program", || {
        Command::new("/bin/true").status().map(drop)
    }),
    ("replacing itself", || {
        Err(std::os::unix::process::CommandExt::exec(&mut Command::new(
            "/bin/true",
        )))
    }),
    ("starting a thread", || {
        std::thread::Builder::new().spawn(|| ()).map(drop)
    }),
    ("connecting", || TcpStream::connect(("127.0.0.1", 1)).map(drop)),
    ("listening", || TcpListener::bind(("127.0.0.1", 0)).map(drop)),
    ("sending datagrams", || {
        UdpSocket::bind(("127.0.0.1", 0)).map(drop)
    }),
    ("sending its parent a signal", signal_to_parent),
    ("a socket of its own", || UnixStream::pair().map(drop)),
];

/// No signal at all, which is refused as every other one is.
#[expect(
    unsafe_code,
    reason = "nothing safe sends a signal to a thread of another process"
)]
fn signal_to_parent() -> io::Result<()> {
    let parent = PARENT.load(std::sync::atomic::Ordering::Relaxed);
    // SAFETY: no memory is handed over.
    match unsafe { libc::syscall(libc::SYS_tgkill, parent, parent, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The process that started the one inside; it could not ask any more.
static PARENT: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);

/// Says of each attempt what became of it.
fn from_inside() -> ! {
    let mut opened = File::open("/proc/thread-self/status").expect("the test tells what it sees");
    let parent = i32::try_from(std::os::unix::process::parent_id()).expect("process ids are positive");
    PARENT.store(parent, std::sync::atomic::Ordering::Relaxed);
    let missing = enter(WALLS).expect("the test tells what it sees");
    // The standard output of the test runner is locked by nobody here, and needs no more than `write`.
    let mut out = io::stdout();
    writeln!(out, "\nmissing: {missing:?}").expect("the test tells what it sees");
    for (what, attempt) in ATTEMPTS {
        let became = match attempt() {
            Ok(()) => "done".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => "refused".to_owned(),
            Err(error) => format!("another error, {error}"),
        };
        writeln!(out, "{what}: {became}").expect("the test tells what it sees");
    }
    // What is open already can be read: that is all that a child needs.
    let mut text = String::new();
    let could_read = opened.read_to_string(&mut text).is_ok() && text.contains("Seccomp:\t2");
    exit(i32::from(!could_read))
}
