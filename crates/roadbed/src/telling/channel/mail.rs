//! Mail.

use std::fmt::Write as _;
use std::sync::Arc;

use outbound::{MailLogin, MailServer, MailTls, Url};
use road::message::{Message, email};
use road::names::Contact;
use time::format_description::well_known::Rfc2822;
use zeroize::Zeroizing;

use super::Channel;
use crate::telling::outcome::{NotTaken, Taken, of_error};
use crate::telling::plan::date_of;

/// Ports where the target names none: TLS from the start (RFC 8314), and submission (RFC 6409).
const TLS_PORT: u16 = 465;
const SUBMISSION_PORT: u16 = 587;

/// Recipients who are refused that a note names.
const REFUSED_SHOWN: usize = 5;

impl Channel<'_> {
    pub(super) async fn mail(&self, messages: &[&Message]) -> Result<Taken, NotTaken> {
        let contacts: Vec<Contact> = if self.spec.to.is_empty() {
            messages
                .iter()
                .flat_map(|message| message.contacts.clone())
                .collect()
        } else {
            self.spec.to.clone()
        };
        self.post_mail(messages, &contacts).await
    }

    /// To the addresses that the sink names, or back to where it comes from: no owner is meant.
    pub(super) async fn test_mail(&self, message: Message) -> Result<Taken, NotTaken> {
        let mut contacts = self.spec.to.clone();
        if contacts.is_empty() {
            contacts.extend(self.spec.from.clone());
        }
        self.post_mail(&[&message], &contacts).await
    }

    async fn post_mail(&self, messages: &[&Message], contacts: &[Contact]) -> Result<Taken, NotTaken> {
        let from = self.spec.from.as_ref().map_or("", Contact::as_str);
        let mail = email(messages, from, contacts)
            .map_err(|error| NotTaken::never(format!("{error}: give the owner one, or the sink `to`")))?;
        let now = date_of(self.service.store.now());
        let mut text = String::new();
        if let Ok(date) = now.format(&Rfc2822) {
            let _ = write!(text, "Date: {date}\r\n");
        }
        for (name, value) in &mail.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "\r\n{}", mail.body);
        let server = self.server()?;
        let posted = self.service.http.mail(&server, &mail.from, &mail.to, &text).await;
        let posted = posted.map_err(|error| of_error(&error))?;
        let shown: Vec<String> = posted
            .refused
            .iter()
            .take(REFUSED_SHOWN)
            .map(|(address, why)| format!("{address} ({why})"))
            .collect();
        let note = format!(
            "{} of {} refused: {}",
            posted.refused.len(),
            mail.to.len(),
            shown.join(", ")
        );
        Ok(Taken {
            status: None,
            note: (!posted.refused.is_empty()).then_some(note),
        })
    }

    fn server(&self) -> Result<MailServer, NotTaken> {
        let wrong = || NotTaken::later("the target names no mail server: set the sink anew");
        let url: Url = self.spec.target.parse().map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        let (tls, port) = match (url.scheme(), self.spec.plain_text) {
            ("smtps", _) => (MailTls::FromStart, TLS_PORT),
            (_, true) => (MailTls::Never, SUBMISSION_PORT),
            (_, false) => (MailTls::StartTls, SUBMISSION_PORT),
        };
        let login = match &self.spec.user {
            None => None,
            Some(user) => Some(MailLogin {
                user: user.clone(),
                password: Arc::new(Zeroizing::new(self.secret()?.to_owned())),
            }),
        };
        Ok(MailServer {
            host,
            port: url.port().unwrap_or(port),
            tls,
            login,
        })
    }
}
