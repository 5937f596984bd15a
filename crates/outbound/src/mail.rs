//! Mail, handed to the server that takes it for delivery (RFC 5321, RFC 6409).
//!
//! Only what that needs: no extensions beside TLS and login, one mail per connection. The address that is connected to is the one
//! that was looked at; what the server says is read within bounds.

mod answer;
mod session;
pub(crate) mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::{Client, OutboundError};
use session::Session;

/// Whether a stream of bytes can be spoken over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// When a connection becomes one that nobody in between can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// At once (RFC 8314).
    FromStart,
    /// By STARTTLS (RFC 3207); a server that does not offer it gets nothing.
    StartTls,
    /// Never. Nobody logs in over such a connection.
    Never,
}

/// Who logs in.
#[derive(Clone)]
pub struct MailLogin {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Arc<Zeroizing<String>>,
}

impl fmt::Debug for MailLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailLogin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A server that takes mail.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// Its name, which its certificate must have, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// As whom.
    pub login: Option<MailLogin>,
}

/// How long a server may take to say farewell once the mail is taken.
const FAREWELL: Duration = Duration::from_secs(2);

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Recipients that the server does not take mail for, each with what it said.
    pub refused: Vec<(String, String)>,
}

impl Client {
    /// Hands over a mail: `from` and `to` are addresses of the envelope, `message` is headers and body as they stand, with lines
    /// that end with CR LF, in ASCII.
    ///
    /// # Errors
    /// [`OutboundError::Address`], [`OutboundError::Unconnected`], [`OutboundError::Mail`]: it was not taken for anybody.
    pub async fn mail(
        &self,
        server: &MailServer,
        from: &str,
        to: &[String],
        message: &str,
    ) -> Result<Posted, OutboundError> {
        let limit = self.settings.total_timeout;
        let done = tokio::time::timeout(limit, self.hand_over(server, from, to, message)).await;
        done.unwrap_or_else(|_| Err(failed(server, format!("not done after {limit:?}"), true)))
    }

    async fn hand_over(
        &self,
        server: &MailServer,
        from: &str,
        to: &[String],
        message: &str,
    ) -> Result<Posted, OutboundError> {
        if let Some(wrong) = std::iter::once(from)
            .chain(to.iter().map(String::as_str))
            .find(|address| !is_plain(address))
        {
            return Err(failed(server, format!("{wrong:?} is no address"), false));
        }
        if !message.is_ascii() || message.replace("\r\n", "").contains(['\r', '\n', '\0']) {
            let reason = "the mail is not lines of ASCII".to_owned();
            return Err(failed(server, reason, false));
        }
        let mut session = self.greet(server).await?;
        if let Some(login) = &server.login {
            session.log_in(login).await?;
        }
        let refused = session.envelope(from, to).await?;
        session.data(message).await?;
        // It is taken: a server that is silent from here on must not make it look as if it were not.
        let _ = tokio::time::timeout(FAREWELL, session.quit()).await;
        Ok(Posted { refused })
    }

    /// A connection that is protected as it should be, on which the server has said what it can do.
    async fn greet<'s>(&self, server: &'s MailServer) -> Result<Session<'s>, OutboundError> {
        let stream = self.connect(&server.host, server.port).await?;
        let name = session::own_name(&stream);
        let idle = self.settings.idle_timeout;
        let wrap = |stream: Box<dyn Wire>| tls::wrap(stream, &server.host, &self.settings.authorities);
        let tls_failed = |reason: String| failed(server, reason, true);
        let stream: Box<dyn Wire> = match server.tls {
            MailTls::FromStart => wrap(Box::new(stream)).await.map_err(tls_failed)?,
            MailTls::StartTls | MailTls::Never => Box::new(stream),
        };
        let mut session = Session::new(server, stream, name, idle);
        session.begin().await?;
        if server.tls == MailTls::StartTls {
            let stream = session.start_tls().await?;
            session = Session::new(server, wrap(stream).await.map_err(tls_failed)?, name, idle);
            session.hello().await?;
        }
        Ok(session)
    }
}

fn failed(server: &MailServer, reason: String, may_pass: bool) -> OutboundError {
    OutboundError::Mail {
        host: server.host.clone(),
        reason,
        may_pass,
    }
}

/// What may stand between the angles of a command: nothing that ends them or the line.
fn is_plain(address: &str) -> bool {
    let is_graphic = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
    address.len() <= 254 && address.contains('@') && address.bytes().all(is_graphic)
}
