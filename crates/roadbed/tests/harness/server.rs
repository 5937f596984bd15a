//! One `roadbed serve` process per value, on a directory of its own.

use std::{
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{client::Client, login::Login};

/// The user that the first start creates.
pub(crate) const ADMIN: &str = "admin";

/// The password that the harness gives to [`ADMIN`].
pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";

/// A debug build on a machine that compiles beside it may take long to be ready.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Between SIGTERM and the end: the drain delay, and then requests in flight.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(20);

/// Feeds lie outside, and no test depends on what is outside: a test that is about them switches them on and names a server of
/// its own.
pub(crate) const FEEDS_ENABLED: &str = "ROADBED_FEEDS__ENABLED";

/// Lines of the server's log that a failure shows.
const LOG_TAIL_LINES: usize = 60;

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    listen: Option<String>,
    data: Option<PathBuf>,
    wrapper: Vec<String>,
    authority: Option<String>,
}

impl Options {
    /// Adds arguments behind `serve --data … --listen …`.
    pub(crate) fn arguments<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens on this address instead of a free port of the loopback interface.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.to_owned());
        self
    }

    /// Keeps its data here instead of beside its log.
    pub(crate) fn data(mut self, directory: &Path) -> Self {
        self.data = Some(directory.to_owned());
        self
    }

    /// Starts the binary as the last argument of this command, which must replace itself by it (`nsenter …`).
    pub(crate) fn wrapped_in(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The server speaks TLS; its certificate is issued by this authority (PEM).
    pub(crate) fn trusting(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }
}

/// A running registry. Ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    directory: TempDir,
    options: Options,
    child: Child,
    address: SocketAddr,
    starts: u32,
}

impl Server {
    /// Starts with defaults and waits until it is ready.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts with arguments or environment of the test's own and waits until it is ready.
    pub(crate) async fn start_with(options: Options) -> Self {
        let directory = TempDir::with_prefix("roadbed-test-").expect("a temporary directory can be made");
        let child = spawn(directory.path(), &options, 0);
        let mut server = Self {
            directory,
            options,
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            starts: 0,
        };
        server.await_ready().await;
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.options.authority.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// The directory given as `--data`.
    pub(crate) fn data(&self) -> PathBuf {
        data_path(self.directory.path(), &self.options)
    }

    /// A command of the binary as the server was started: in the same place, with nothing of the user's.
    pub(crate) fn command(&self) -> Command {
        wrapped_command(self.directory.path(), &self.options.wrapper)
    }

    /// The directory that holds the data directory, the log and nothing else.
    pub(crate) fn surroundings(&self) -> &Path {
        self.directory.path()
    }

    /// The id of the process that serves.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The administrator, logging in by the token flow.
    pub(crate) fn admin(&self) -> Client {
        self.client(Login::token(ADMIN, ADMIN_PASSWORD))
    }

    /// A client with a login.
    pub(crate) fn client(&self, login: Login) -> Client {
        Client::trusting(&self.url(), login, self.options.authority.as_deref())
    }

    /// Everything that all starts wrote to standard output and standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log_path(self.directory.path())).unwrap_or_default()
    }

    /// The last lines of [`Self::log`].
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// SIGKILL: what was not durable is gone.
    pub(crate) fn kill(&mut self) {
        // Fails only if it ended by itself, which the wait tells.
        let _ = self.child.kill();
        self.child.wait().expect("the server was started by this process");
    }

    /// SIGTERM, and waits for the drain to end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.end().await
    }

    /// SIGTERM: the drain begins.
    pub(crate) fn ask_to_end(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the server is running");
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_DEADLINE;
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("the server was started by this process")
            {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the server did not end in {STOP_DEADLINE:?}\n{}",
                self.log_tail()
            );
            sleep(POLL).await;
        }
    }

    /// Starts again on the same data, on a new port; the server must have ended.
    pub(crate) async fn start_again(&mut self) {
        self.starts += 1;
        self.child = spawn(self.directory.path(), &self.options, self.starts);
        self.await_ready().await;
    }

    async fn await_ready(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        let ready_file = ready_path(self.directory.path(), self.starts);
        let http = super::client::builder(self.options.authority.as_deref())
            .build()
            .expect("a plain client needs nothing");
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("the server was started by this process")
            {
                panic!(
                    "the server ended with {status} before it was ready\n{}",
                    self.log_tail()
                );
            }
            assert!(
                Instant::now() < deadline,
                "the server was not ready in {START_DEADLINE:?}\n{}",
                self.log_tail()
            );
            if let Some(mut address) = read_address(&ready_file) {
                if address.ip().is_unspecified() {
                    address.set_ip(Ipv4Addr::LOCALHOST.into());
                }
                self.address = address;
                if is_ready(&http, &self.url()).await {
                    break;
                }
            }
            sleep(POLL).await;
        }
        self.assert_answers_itself(&http).await;
    }

    /// Another program may hold the port of a server that died: the one that answers must know this start's name.
    async fn assert_answers_itself(&self, http: &reqwest::Client) {
        let answer = http
            .get(format!("{}/healthz", self.url()))
            .send()
            .await
            .expect("a ready server answers");
        let instance = answer
            .headers()
            .get("roadbed-instance")
            .and_then(|value| value.to_str().ok());
        let wanted = instance_id(self.directory.path(), self.starts);
        assert_eq!(
            instance,
            Some(wanted.as_str()),
            "another server answers on {}",
            self.address
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- end of the server's log ---\n{}", self.log_tail());
        }
    }
}

/// The binary with an environment that holds nothing of the user's.
pub(crate) fn command(home: &Path) -> Command {
    wrapped_command(home, &[])
}

fn wrapped_command(home: &Path, wrapper: &[String]) -> Command {
    let binary = env!("CARGO_BIN_EXE_roadbed");
    let mut words = wrapper.iter().map(String::as_str).chain([binary]);
    let mut command = Command::new(words.next().unwrap_or(binary));
    command
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env(FEEDS_ENABLED, "false")
        .current_dir(home);
    command
}

fn spawn(directory: &Path, options: &Options, start: u32) -> Child {
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(log_path(directory))
        .expect("the log can be made");
    writeln!(log, "--- start {start} ---").expect("the log can be written");
    let errors = log.try_clone().expect("a file can be cloned");
    let listen = options.listen.as_deref().unwrap_or("127.0.0.1:0");
    wrapped_command(directory, &options.wrapper)
        .args(["serve", "--listen", listen, "--data"])
        .arg(data_path(directory, options))
        .args(&options.arguments)
        .env("ROADBED_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("ROADBED_READY_FILE", ready_path(directory, start))
        .env("ROADBED_INSTANCE_ID", instance_id(directory, start))
        // Many servers run at the same time, and temporary files may lie in memory.
        .env("ROADBED_STORAGE__RESERVE", "1MiB")
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("the binary can be started")
}

fn data_path(directory: &Path, options: &Options) -> PathBuf {
    options.data.clone().unwrap_or_else(|| directory.join("data"))
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn ready_path(directory: &Path, start: u32) -> PathBuf {
    directory.join(format!("ready-{start}"))
}

/// A UUID that only this start of this server knows: made from its directory, which no other server has.
fn instance_id(directory: &Path, start: u32) -> String {
    let digest = super::content::sha256_hex(format!("{} {start}", directory.display()).as_bytes());
    format!(
        "{}-{}-4{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}

/// The file holds `http://ADDRESS:PORT` (or `https`), perhaps not yet all of it.
fn read_address(file: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(file).ok()?;
    text.strip_suffix('\n')
        .unwrap_or(&text)
        .trim()
        .rsplit("://")
        .next()?
        .trim_end_matches('/')
        .parse()
        .ok()
}

async fn is_ready(http: &reqwest::Client, url: &str) -> bool {
    http.get(format!("{url}/readyz"))
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
}
