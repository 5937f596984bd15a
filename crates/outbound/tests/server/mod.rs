//! A server on the loopback interface that answers what a test wants, however wrong.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// Bytes of the head of a request.
const HEAD: usize = 64 * 1024;

/// Bytes of the body of a request.
const BODY: usize = 4 << 20;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query; from a client that goes through a proxy, the whole URL.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The first header of this name (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A piece of a body.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, for so long.
    Pause(Duration),
    /// These bytes, again and again.
    Endless(Vec<u8>),
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Piece>,
    /// What `Content-Length` says; without it the body ends with the connection.
    length: Option<u64>,
    /// How long nothing is said at first.
    silence: Duration,
}

impl Reply {
    /// 200 with a body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// An empty answer.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            pieces: Vec::new(),
            length: Some(0),
            silence: Duration::ZERO,
        }
    }

    /// Sends elsewhere.
    pub(crate) fn redirect(to: &str) -> Self {
        Self::status(302).header("Location", to)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The whole body, with its length.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            length: Some(body.len() as u64),
            pieces: vec![Piece::Bytes(body)],
            ..self
        }
    }

    /// A body in pieces, which ends with the connection.
    pub(crate) fn pieces(self, pieces: Vec<Piece>) -> Self {
        Self {
            pieces,
            length: None,
            ..self
        }
    }

    /// Says nothing for so long.
    pub(crate) fn after(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Says this length, whatever the body has.
    pub(crate) fn announcing(self, length: u64) -> Self {
        Self {
            length: Some(length),
            ..self
        }
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server. Ends with the value.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
    authority: Option<String>,
}

impl Server {
    /// Answers each request with what `handler` makes of it.
    pub(crate) async fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(handler), None, None).await
    }

    /// The same over TLS, with a certificate that nobody knows.
    pub(crate) async fn start_tls(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let key = KeyPair::generate().expect("the system has random bytes");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
            .expect("the names are valid");
        let certificate = params.self_signed(&key).expect("the parameters are valid");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("the key was just made");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("key and certificate belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::listen(Arc::new(handler), Some(acceptor), Some(certificate.pem())).await
    }

    async fn listen(handler: Arc<Handler>, tls: Option<TlsAcceptor>, authority: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has ports");
        let address = listener.local_addr().expect("the socket is bound");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, tls.clone(), Arc::clone(&handler), Arc::clone(&log)));
            }
        });
        Self {
            address,
            asked,
            task,
            authority,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The certificate that its clients have to trust (PEM).
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or_default()
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }

    /// Forgets what it was asked, and says what that was.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *asked)
            .into_iter()
            .map(|asked| asked.path)
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    // A client that goes away in the middle is what tests are about.
    let _ = match tls {
        None => answer(socket, &handler, &log).await,
        Some(tls) => match tls.accept(socket).await {
            Ok(stream) => answer(stream, &handler, &log).await,
            Err(error) => Err(error),
        },
    };
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: &Arc<Handler>,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let Some(mut asked) = read_head(&mut stream).await? else {
        return Ok(());
    };
    let length = asked.header("content-length").and_then(|text| text.parse().ok());
    asked.body = vec![0; length.unwrap_or(0).min(BODY)];
    stream.read_exact(&mut asked.body).await?;
    log.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    let reply = handler(&asked);
    tokio::time::sleep(reply.silence).await;
    let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = reply.length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    for piece in &reply.pieces {
        match piece {
            Piece::Bytes(bytes) => stream.write_all(bytes).await?,
            Piece::Pause(time) => {
                stream.flush().await?;
                tokio::time::sleep(*time).await;
            }
            Piece::Endless(bytes) => loop {
                stream.write_all(bytes).await?;
            },
        }
    }
    stream.flush().await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Asked>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = lines.filter_map(|line| line.split_once(':'));
    Ok(Some(Asked {
        method: method.to_owned(),
        body: Vec::new(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
    }))
}
