//! A peer that answers every question for a blob with other bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::harness::authority::Files;

/// A peer that lies. Ends with the value.
pub(super) struct Liar {
    pub(super) port: u16,
    lies: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Liar {
    /// With a certificate of the peers' authority, for blobs of so many bytes.
    pub(super) async fn start(authority: &str, files: &Files, length: usize) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(
                CertificateDer::from_pem_slice(authority.as_bytes())
                    .expect("the certificates of this test are right"),
            )
            .expect("the certificates of this test are right");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .build()
            .expect("the certificates of this test are right");
        let chain = vec![
            CertificateDer::from_pem_file(&files.cert).expect("the certificates of this test are right"),
        ];
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("the certificates of this test are right");
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("the certificates of this test are right");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let socket = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("there is a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let lies = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lies);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut head = vec![0; 8_192];
                    let Ok(read) = stream.read(&mut head).await else {
                        return;
                    };
                    let head = String::from_utf8_lossy(&head[..read]).into_owned();
                    let answer = if head.contains("/blobs/") {
                        counted.fetch_add(1, Ordering::SeqCst);
                        let mut answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                        )
                        .into_bytes();
                        answer.resize(answer.len() + length, b'x');
                        answer
                    } else {
                        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()
                    };
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, lies, task }
    }

    /// How often it has lied.
    pub(super) fn lies(&self) -> usize {
        self.lies.load(Ordering::SeqCst)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}
