//! What is said to a mail server, and what it answers.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::answer::{Answer, Hearing, MAX_LINE_BYTES, ways};
use super::{MailLogin, MailServer, MailTls, Wire, failed};
use crate::OutboundError;

/// A connection to a server.
pub(super) struct Session<'s> {
    server: &'s MailServer,
    stream: BufReader<Box<dyn Wire>>,
    name: IpAddr,
    idle: Duration,
    /// What the server said that it can do, in upper case.
    offers: Vec<String>,
}

/// The own address of a connection: what a client is called that has no name (RFC 5321, 4.1.4).
pub(super) fn own_name(stream: &TcpStream) -> IpAddr {
    stream
        .local_addr()
        .map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

impl<'s> Session<'s> {
    pub(super) fn new(server: &'s MailServer, stream: Box<dyn Wire>, name: IpAddr, idle: Duration) -> Self {
        Self {
            server,
            stream: BufReader::new(stream),
            name,
            idle,
            offers: Vec::new(),
        }
    }

    /// Hears the greeting and says hello.
    pub(super) async fn begin(&mut self) -> Result<(), OutboundError> {
        let greeting = self.answer().await?;
        self.demand(&greeting)?;
        self.hello().await
    }

    /// Says hello and hears what the server can do.
    pub(super) async fn hello(&mut self) -> Result<(), OutboundError> {
        let name = match self.name {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let answer = self.ask(&format!("EHLO {name}")).await?;
        self.demand(&answer)?;
        self.offers = answer.offers();
        Ok(())
    }

    fn offers(&self, what: &str) -> bool {
        self.offers
            .iter()
            .any(|line| line.split(' ').next() == Some(what))
    }

    /// Asks for TLS; answers the bare stream. What came before TLS must not count after it.
    pub(super) async fn start_tls(mut self) -> Result<Box<dyn Wire>, OutboundError> {
        if !self.offers("STARTTLS") {
            let reason = "it offers no STARTTLS, so that everybody in between could read the mail".to_owned();
            return Err(failed(self.server, reason, false));
        }
        let answer = self.ask("STARTTLS").await?;
        self.demand(&answer)?;
        if !self.stream.buffer().is_empty() {
            let reason = "it said more than it was asked before TLS began".to_owned();
            return Err(failed(self.server, reason, true));
        }
        Ok(self.stream.into_inner())
    }

    /// Logs in (RFC 4954): PLAIN, or LOGIN where there is nothing else.
    pub(super) async fn log_in(&mut self, login: &MailLogin) -> Result<(), OutboundError> {
        if self.server.tls == MailTls::Never {
            let reason = "nobody logs in without TLS".to_owned();
            return Err(failed(self.server, reason, false));
        }
        let ways = ways(&self.offers);
        let [has_plain, has_login] = ["PLAIN", "LOGIN"].map(|way| ways.contains(&way));
        let (user, password) = (login.user.as_str(), login.password.as_str());
        let answer = if has_plain {
            let token = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask(&format!("AUTH PLAIN {token}")).await?
        } else if has_login {
            let first = self.ask("AUTH LOGIN").await?;
            self.demand(&first)?;
            let second = self.ask(&BASE64_STANDARD.encode(user)).await?;
            self.demand(&second)?;
            self.ask(&BASE64_STANDARD.encode(password)).await?
        } else {
            let reason = "it offers neither AUTH PLAIN nor AUTH LOGIN".to_owned();
            return Err(failed(self.server, reason, false));
        };
        if answer.code == 235 {
            return Ok(());
        }
        Err(self.refused(&answer))
    }

    /// Says from whom and to whom. One recipient that is refused does not keep the mail from the others; answered are those that
    /// are.
    pub(super) async fn envelope(
        &mut self,
        from: &str,
        to: &[String],
    ) -> Result<Vec<(String, String)>, OutboundError> {
        let answer = self.ask(&format!("MAIL FROM:<{from}>")).await?;
        self.demand(&answer)?;
        let mut refused = Vec::new();
        let mut last = None;
        for address in to {
            let answer = self.ask(&format!("RCPT TO:<{address}>")).await?;
            if !answer.is_positive() {
                refused.push((address.clone(), answer.shown()));
                last = Some(answer);
            }
        }
        match last {
            Some(answer) if refused.len() == to.len() => Err(self.refused(&answer)),
            _ => Ok(refused),
        }
    }

    /// Sends the mail. A dot at the start of a line gets a second one (RFC 5321, 4.5.2).
    pub(super) async fn data(&mut self, message: &str) -> Result<(), OutboundError> {
        let answer = self.ask("DATA").await?;
        if answer.code != 354 {
            return Err(self.refused(&answer));
        }
        let mut lines = String::with_capacity(message.len() + 64);
        for line in message.lines() {
            if line.starts_with('.') {
                lines.push('.');
            }
            lines.push_str(line);
            lines.push_str("\r\n");
        }
        lines.push_str(".\r\n");
        self.write(lines.as_bytes()).await?;
        let answer = self.answer().await?;
        self.demand(&answer)
    }

    /// Says goodbye; what is answered is no matter.
    pub(super) async fn quit(&mut self) {
        let _ = self.ask("QUIT").await;
    }

    async fn ask(&mut self, line: &str) -> Result<Answer, OutboundError> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.answer().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), OutboundError> {
        let stream = self.stream.get_mut();
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match tokio::time::timeout(self.idle, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broke(&error.to_string())),
            Err(_) => Err(self.broke("it reads nothing")),
        }
    }

    async fn answer(&mut self) -> Result<Answer, OutboundError> {
        let mut hearing = Hearing::default();
        loop {
            let line = self.line().await?;
            match hearing.hear(&line) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(reason) => return Err(self.broke(reason)),
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, OutboundError> {
        let mut bytes = Vec::new();
        let mut line = (&mut self.stream).take(MAX_LINE_BYTES);
        let read = line.read_until(b'\n', &mut bytes);
        let reason = match tokio::time::timeout(self.idle, read).await {
            Err(_) => "it says nothing".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(0)) => "it broke off".to_owned(),
            Ok(Ok(_)) if !bytes.ends_with(b"\n") => "its line is cut off, or too long".to_owned(),
            Ok(Ok(_)) => return Ok(bytes),
        };
        Err(self.broke(&reason))
    }

    fn demand(&self, answer: &Answer) -> Result<(), OutboundError> {
        if answer.is_positive() {
            return Ok(());
        }
        Err(self.refused(answer))
    }

    fn refused(&self, answer: &Answer) -> OutboundError {
        failed(self.server, answer.shown(), answer.code < 500)
    }

    fn broke(&self, reason: &str) -> OutboundError {
        failed(self.server, reason.to_owned(), true)
    }
}
