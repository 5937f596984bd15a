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

/// Longest line of a coded body, in bytes (RFC 2045, 6.7: 76).
const MAX_CODED_LINE_BYTES: usize = 76;

/// A mail as it is handed to a server, all of it in ASCII: not every server takes anything else. Dots at the start of lines are the
/// server's protocol's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Envelope and header: from whom.
    pub from: String,
    /// Envelope: to whom.
    pub to: Vec<String>,
    /// Names and values, in order. Without line breaks, but for those that fold.
    pub headers: Vec<(&'static str, String)>,
    /// Lines that end with CR LF, in UTF-8, coded as the headers say.
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

/// One mail with one message, or a digest of several, to all mail addresses among the contacts.
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
        many => words::digest_subject(many),
    };
    let mut hasher = oci::Hasher::new(oci::Algorithm::Sha256);
    for message in messages {
        // Said again later, it is another mail: readers show one of those with the same id.
        hasher.update(
            format!(
                "{} {}\n",
                message.fingerprint(),
                message.as_of.unix_timestamp_nanos()
            )
            .as_bytes(),
        );
    }
    let text: Vec<String> = messages
        .iter()
        .map(|message| page::text(&words::blocks(message)))
        .collect();
    let text = body(&text.join("\n-----\n\n"));
    let (coding, body) = if text.is_ascii() {
        ("7bit", text)
    } else {
        ("quoted-printable", quoted_printable(&text))
    };
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
        ("Content-Transfer-Encoding", coding.to_owned()),
    ];
    Ok(Email {
        from: from.to_owned(),
        to,
        headers,
        body,
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

/// Lines that end with CR LF, coded (RFC 2045, 6.7).
fn quoted_printable(text: &str) -> String {
    let mut written = String::new();
    for line in text.split_terminator("\r\n") {
        let mut length = 0;
        let count = line.len();
        for (place, byte) in line.bytes().enumerate() {
            let is_last = place + 1 == count;
            let is_plain = (byte.is_ascii_graphic() && byte != b'=') || (byte == b' ' && !is_last);
            let size = if is_plain { 1 } else { 3 };
            // One place is for the mark of a line that goes on.
            if length + size > MAX_CODED_LINE_BYTES - 1 {
                written.push_str("=\r\n");
                length = 0;
            }
            if is_plain {
                written.push(char::from(byte));
            } else {
                let _ = write!(written, "={byte:02X}");
            }
            length += size;
        }
        written.push_str("\r\n");
    }
    written
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
