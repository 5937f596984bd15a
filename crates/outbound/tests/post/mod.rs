//! A mail server on the loopback interface that takes what it is given, or does what a test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// How a server behaves.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a manner of its own")]
pub(crate) struct Manner {
    /// TLS from the start.
    pub(crate) tls: bool,
    /// STARTTLS is offered.
    pub(crate) start_tls: bool,
    /// Says something more before TLS begins.
    pub(crate) injects: bool,
    /// Only this login is let in, `user` and `password`; by LOGIN instead of PLAIN if the third is `true`.
    pub(crate) login: Option<(String, String, bool)>,
    /// Recipients that are refused.
    pub(crate) refuses: Vec<String>,
    /// Answered to the mail itself.
    pub(crate) after_data: Option<String>,
    /// Says nothing at all.
    pub(crate) mute: bool,
    /// Offers more than anybody wants to read.
    pub(crate) verbose: bool,
    /// Says one line that never ends.
    pub(crate) endless: bool,
}

/// A mail that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Headers and body, without the dots that the protocol adds.
    pub(crate) text: String,
    /// Whether it came over TLS.
    pub(crate) is_protected: bool,
    /// Who logged in.
    pub(crate) user: Option<String>,
}

/// A connection, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

type Letters = Mutex<Vec<Mail>>;

/// A running server. Ends with the value.
pub(crate) struct PostOffice {
    address: SocketAddr,
    mails: Arc<Letters>,
    task: JoinHandle<()>,
    authority: String,
}

impl PostOffice {
    pub(crate) async fn start(manner: Manner) -> Self {
        let (acceptor, authority) = tls();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has ports");
        let address = listener.local_addr().expect("the socket is bound");
        let mails: Arc<Letters> = Arc::default();
        let kept = Arc::clone(&mails);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (manner, kept, acceptor) = (manner.clone(), Arc::clone(&kept), acceptor.clone());
                tokio::spawn(async move {
                    // A client that goes away in the middle is what tests are about.
                    let _ = if manner.tls {
                        match acceptor.clone().accept(socket).await {
                            Ok(stream) => serve(Box::new(stream), &manner, &kept, None, true).await,
                            Err(error) => Err(error),
                        }
                    } else {
                        serve(Box::new(socket), &manner, &kept, Some(acceptor), false).await
                    };
                });
            }
        });
        Self {
            address,
            mails,
            task,
            authority,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate that its clients have to trust (PEM).
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Every mail that was taken.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tls() -> (TlsAcceptor, String) {
    let key = KeyPair::generate().expect("the system has random bytes");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).expect("the names are valid");
    let certificate = params.self_signed(&key).expect("the parameters are valid");
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("the key was just made");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("key and certificate belong together");
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

async fn serve(
    stream: Box<dyn Wire>,
    manner: &Manner,
    kept: &Arc<Letters>,
    tls: Option<TlsAcceptor>,
    is_protected: bool,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if manner.mute {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    if manner.endless {
        loop {
            stream.write_all(&[b'2'; 4_096]).await?;
        }
    }
    if !is_protected || manner.tls {
        say(&mut stream, "220 post.example ESMTP").await?;
    }
    let mut mail = Mail {
        is_protected,
        ..Mail::default()
    };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say(&mut stream, &offers(manner, is_protected)).await?,
            "STARTTLS" => {
                let more = if manner.injects { "\r\n250 injected" } else { "" };
                say(&mut stream, &format!("220 go ahead{more}")).await?;
                let Some(tls) = tls else { return Ok(()) };
                let inner = tls.accept(stream.into_inner()).await?;
                return Box::pin(serve(Box::new(inner), manner, kept, None, true)).await;
            }
            "AUTH" => log_in(&mut stream, manner, &line, &mut mail).await?,
            "MAIL" if manner.login.is_some() && mail.user.is_none() => {
                say(&mut stream, "530 log in first").await?;
            }
            "MAIL" => {
                mail.from = between(&line);
                say(&mut stream, "250 ok").await?;
            }
            "RCPT" if manner.refuses.contains(&between(&line)) => {
                say(&mut stream, "550 no such\u{1b} user").await?;
            }
            "RCPT" => {
                mail.to.push(between(&line));
                say(&mut stream, "250-fine\r\n250 ok").await?;
            }
            "DATA" => take(&mut stream, manner, kept, &mut mail).await?,
            _ => {
                say(&mut stream, "221 bye").await?;
                return Ok(());
            }
        }
    }
}

async fn take(
    stream: &mut BufReader<Box<dyn Wire>>,
    manner: &Manner,
    kept: &Arc<Letters>,
    mail: &mut Mail,
) -> std::io::Result<()> {
    say(stream, "354 go on").await?;
    mail.text = text(stream).await?;
    let answer = manner.after_data.as_deref().unwrap_or("250 taken");
    if answer.starts_with('2') {
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(mail.clone());
    }
    say(stream, answer).await
}

fn offers(manner: &Manner, is_protected: bool) -> String {
    let mut lines = vec!["post.example"];
    if manner.verbose {
        lines.extend(["X-OFFER"; 500]);
    }
    if manner.start_tls && !is_protected {
        lines.push("STARTTLS");
    }
    match &manner.login {
        Some((_, _, true)) => lines.push("AUTH LOGIN"),
        Some(_) => lines.push("AUTH LOGIN PLAIN"),
        None => {}
    }
    let last = lines.len() - 1;
    let lines = lines.iter().enumerate();
    let written: Vec<String> = lines
        .map(|(place, line)| format!("250{}{line}", if place == last { ' ' } else { '-' }))
        .collect();
    written.join("\r\n")
}

async fn log_in(
    stream: &mut BufReader<Box<dyn Wire>>,
    manner: &Manner,
    line: &str,
    mail: &mut Mail,
) -> std::io::Result<()> {
    let Some((user, password, by_login)) = &manner.login else {
        return say(stream, "502 no logins").await;
    };
    let is_right = if *by_login {
        let mut said = Vec::new();
        for asked in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
            say(stream, asked).await?;
            let mut answer = String::new();
            stream.read_line(&mut answer).await?;
            said.push(answer.trim_end().to_owned());
        }
        said == [base64(user.as_bytes()), base64(password.as_bytes())]
    } else {
        line == format!(
            "AUTH PLAIN {}",
            base64(format!("\0{user}\0{password}").as_bytes())
        )
    };
    if !is_right {
        return say(stream, "535 who are you?").await;
    }
    mail.user = Some(user.clone());
    say(stream, "235 welcome").await
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn between(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

async fn text(stream: &mut BufReader<Box<dyn Wire>>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

async fn say(stream: &mut BufReader<Box<dyn Wire>>, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}
