//! Where peers are by SRV records (RFC 2782): `_roadbed-mirror._tcp.NAME`, with the port of each record.
//!
//! The system's resolver tells addresses alone, so the name servers of `/etc/resolv.conf` are asked here, over UDP (RFC 1035). Their
//! answer may be anybody's: whoever it names has to show a certificate of the authority of all peers before anything is sent.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What a mirror is called in names of services.
const SERVICE: &str = "_roadbed-mirror._tcp";

/// Where the name servers are named.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Bytes of that file that are read.
const CONF_BYTES: u64 = 64 << 10;

/// Name servers that are asked (the system's own resolver asks as many).
const SERVERS: usize = 3;

/// Domains in which a name is looked for.
const DOMAINS: usize = 6;

/// How long one name server may take.
const SERVER_WAIT: Duration = Duration::from_millis(300);

/// Bytes of an answer; what would be longer comes cut, and what came counts.
const ANSWER_BYTES: u16 = 4_096;

/// Records of one answer that are read.
const RECORDS: u16 = 64;

/// Bytes of a name, and how often one may go on elsewhere in its message.
const NAME_BYTES: usize = 255;
const JUMPS: usize = 16;

/// Numbers of record types and of the class of all (RFC 1035, 2782, 6891).
const TYPE_SRV: u16 = 33;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The name servers of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameServers {
    servers: Vec<SocketAddr>,
    domains: Vec<String>,
}

impl NameServers {
    /// Those that the system asks.
    pub(super) async fn of_system() -> io::Result<Self> {
        let mut text = Vec::new();
        let file = tokio::fs::File::open(RESOLV_CONF).await?;
        file.take(CONF_BYTES).read_to_end(&mut text).await?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            domains: Vec::new(),
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse().ok());
                    found
                        .servers
                        .extend(address.map(|address| SocketAddr::new(address, 53)));
                }
                // The last one counts.
                Some("search" | "domain") => found.domains = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        found.servers.truncate(SERVERS);
        found.domains.truncate(DOMAINS);
        found
    }

    /// The peers that a name stands for: as it is, else in the domains in which this machine looks for names.
    pub(super) async fn targets(&self, name: &str) -> io::Result<Vec<Target>> {
        let whole = name.strip_suffix('.');
        let mut names = vec![format!("{SERVICE}.{}", whole.unwrap_or(name))];
        if whole.is_none() {
            names.extend(self.domains.iter().map(|domain| {
                let domain = domain.trim_end_matches('.');
                format!("{SERVICE}.{name}.{domain}")
            }));
        }
        let mut last = Ok(Vec::new());
        for name in names {
            match self.ask(&name).await {
                Ok(targets) if !targets.is_empty() => return Ok(targets),
                Ok(_) => {}
                // Some answer so of what is only known in another domain.
                error => last = error,
            }
        }
        last
    }

    /// What the first name server says that answers.
    async fn ask(&self, name: &str) -> io::Result<Vec<Target>> {
        let mut last = io::Error::other("no name server is known");
        for server in &self.servers {
            match timeout(SERVER_WAIT, ask(*server, name)).await {
                Ok(Ok(targets)) => return Ok(targets),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

async fn ask(server: SocketAddr, name: &str) -> io::Result<Vec<Target>> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| io::Error::other(error.to_string()))?;
    let question = Question::new(u16::from_be_bytes(id), name);
    let question = question.ok_or_else(|| io::Error::other("it is no name"))?;
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(server).await?;
    socket.send(&question.message()).await?;
    let mut message = vec![0; usize::from(ANSWER_BYTES)];
    loop {
        let count = socket.recv(&mut message).await?;
        // Whatever is no answer to this question may be a stranger's.
        match question.answer(&message[..count]) {
            None => {}
            Some(Answer::Targets(targets)) => return Ok(targets),
            Some(Answer::Refused) => return Err(io::Error::other("the name server does not answer this")),
        }
    }
}

/// What is asked, as it stands in a message and comes back in its answer.
struct Question {
    id: u16,
    /// Name, type and class.
    section: Vec<u8>,
}

enum Answer {
    Targets(Vec<Target>),
    Refused,
}

impl Question {
    /// `None`: it is no name.
    fn new(id: u16, name: &str) -> Option<Self> {
        let mut section = Vec::new();
        for label in name.split('.') {
            let length = u8::try_from(label.len()).ok();
            section.push(length.filter(|length| (1..=63).contains(length))?);
            section.extend_from_slice(label.as_bytes());
        }
        section.push(0);
        if section.len() > NAME_BYTES {
            return None;
        }
        section.extend(TYPE_SRV.to_be_bytes());
        section.extend(CLASS_IN.to_be_bytes());
        Some(Self { id, section })
    }

    /// One question, asked for recursion, with room for more than 512 bytes (RFC 6891).
    fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for number in [self.id, 0x0100, 1, 0, 0, 1] {
            message.extend(number.to_be_bytes());
        }
        message.extend_from_slice(&self.section);
        message.push(0);
        for number in [TYPE_OPT, ANSWER_BYTES, 0, 0, 0] {
            message.extend(number.to_be_bytes());
        }
        message
    }

    /// What a message answers to it; `None`: it is no answer to it.
    fn answer(&self, message: &[u8]) -> Option<Answer> {
        let mut reader = Reader { message, at: 0 };
        let (id, flags, questions) = (reader.number()?, reader.number()?, reader.number()?);
        let answers = reader.number()?;
        reader.skip(4)?;
        let section = message.get(reader.at..reader.at + self.section.len())?;
        let is_answer = flags & 0xf800 == 0x8000;
        if id != self.id || !is_answer || questions != 1 || !section.eq_ignore_ascii_case(&self.section) {
            return None;
        }
        reader.skip(self.section.len())?;
        match flags & 0xf {
            0 => {}
            // There is no such name.
            3 => return Some(Answer::Targets(Vec::new())),
            _ => return Some(Answer::Refused),
        }
        let mut targets = Vec::new();
        for _ in 0..answers.min(RECORDS) {
            // What is cut in the middle ends there.
            if reader.record(&mut targets).is_none() {
                break;
            }
        }
        Some(Answer::Targets(targets))
    }
}

/// Reads a message of a stranger.
struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.message.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self
            .at
            .checked_add(count)
            .filter(|at| *at <= self.message.len())?;
        Some(())
    }

    /// A name, perhaps in pieces. Each piece lies before the one that leads to it, so it ends.
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut after, mut jumps) = (Vec::new(), None, 0);
        loop {
            let start = self.at;
            let length = self.byte()?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = self.message.get(self.at..self.at + usize::from(length))?;
                    if !name.is_empty() {
                        name.push(b'.');
                    }
                    name.extend_from_slice(label);
                    self.skip(label.len())?;
                }
                3 => {
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, self.byte()?]));
                    after.get_or_insert(self.at);
                    jumps += 1;
                    if to >= start || jumps > JUMPS {
                        return None;
                    }
                    self.at = to;
                }
                _ => return None,
            }
            if name.len() > NAME_BYTES {
                return None;
            }
        }
        if let Some(after) = after {
            self.at = after;
        }
        Some(name)
    }

    /// The next record, which may be a target. `None`: there is no whole one.
    fn record(&mut self, targets: &mut Vec<Target>) -> Option<()> {
        self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        self.skip(4)?;
        let length = usize::from(self.number()?);
        let mut data = Reader {
            message: self.message,
            at: self.at,
        };
        self.skip(length)?;
        if (kind, class) != (TYPE_SRV, CLASS_IN) {
            return Some(());
        }
        // Priority and weight: all are asked by digest.
        data.skip(4)?;
        let (port, host) = (data.number()?, data.name()?);
        let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
        // A single dot is a service that is not there.
        let is_target = port > 0 && !host.is_empty() && host.iter().all(is_host);
        if is_target && let Ok(host) = String::from_utf8(host) {
            targets.push(Target { host, port });
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
