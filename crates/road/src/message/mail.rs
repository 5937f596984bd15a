//! Mail in plain text (RFC 5322, 2045, 2047).

use std::fmt::Write as _;

use thiserror::Error;

use super::{Message, words};
use crate::escape;
use crate::names::Contact;
use crate::page;

/// Most recipients of one mail.
pub const MAX_RECIPIENTS: usize = 50;

/// Longest line, in bytes (RFC 5322, 2.1.1: 998 without its end).
pub const MAX_MAIL_LINE_BYTES: usize = 900;

/// Longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 250;

/// A mail as it is handed to a server; dots at the start of lines are the server's protocol's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Envelope and header: from whom.
    pub from: String,
    /// Envelope: to whom.
    pub to: Vec<String>,
    /// Names and values, in order. Without line breaks, but for those that fold.
    pub headers: Vec<(&'static str, String)>,
    /// Lines that end with CR LF, in UTF-8.
    pub body: String,
}

/// Why there is no mail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// Nobody has an address.
    #[error("none of the contacts is a mail address")]
    NoRecipient,
    /// The sender has none.
    #[error("`{0}` is no mail address to send from")]
    From(String),
}

/// One mail with one message, or a digest of several, to all mail addresses among the contacts. `id` names the mail among those
/// of the sender's domain.
pub fn email(messages: &[&Message], from: &str, contacts: &[Contact]) -> Result<Email, MailError> {
    let from: Contact = from.parse().map_err(|_| MailError::From(escape::line(from)))?;
    let from = from.email().ok_or_else(|| MailError::From(from.to_string()))?;
    let mut to: Vec<String> = contacts
        .iter()
        .filter_map(|contact| contact.email().map(str::to_owned))
        .collect();
    to.sort();
    to.dedup();
    to.truncate(MAX_RECIPIENTS);
    if to.is_empty() {
        return Err(MailError::NoRecipient);
    }
    let subject = match messages {
        [one] => words::subject(one),
        many => words::digest_subject(many.len()),
    };
    let mut hasher = oci::Hasher::new(oci::Algorithm::Sha256);
    for message in messages {
        hasher.update(message.fingerprint().to_string().as_bytes());
    }
    let domain = from.rsplit('@').next().unwrap_or("localhost");
    let headers = vec![
        ("From", from.to_owned()),
        ("To", to.join(",\r\n ")),
        ("Subject", header(&subject)),
        ("Message-ID", format!("<{}@{domain}>", hasher.finish().hex())),
        // No out-of-office answers (RFC 3834).
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", "8bit".to_owned()),
    ];
    let text: Vec<String> = messages
        .iter()
        .map(|message| page::text(&words::blocks(message)))
        .collect();
    Ok(Email {
        from: from.to_owned(),
        to,
        headers,
        body: body(&text.join("\n-----\n\n")),
    })
}

/// A value of a header: on one line, what is not ASCII as encoded words of at most 75 bytes, folded.
fn header(text: &str) -> String {
    let text = policy::yaml::one_line(text, MAX_SUBJECT_BYTES);
    if text.is_ascii() && !text.contains("=?") {
        return text;
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        let mut bytes = [0; 4];
        let mut encoded = String::new();
        for byte in character.encode_utf8(&mut bytes).bytes() {
            match byte {
                b' ' => encoded.push('_'),
                byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
                byte => {
                    let _ = write!(encoded, "={byte:02X}");
                }
            }
        }
        if word.len() + encoded.len() > 60 {
            words.push(std::mem::take(&mut word));
        }
        word += &encoded;
    }
    words.push(word);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?Q?{word}?=")).collect();
    words.join("\r\n ")
}

fn body(text: &str) -> String {
    let mut written = String::new();
    for line in text.lines() {
        let mut rest = line;
        while rest.len() > MAX_MAIL_LINE_BYTES {
            let (first, other) = rest.split_at(rest.floor_char_boundary(MAX_MAIL_LINE_BYTES));
            let _ = write!(written, "{first}\r\n");
            rest = other;
        }
        let _ = write!(written, "{rest}\r\n");
    }
    written
}
