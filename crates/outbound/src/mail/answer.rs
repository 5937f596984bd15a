//! What a mail server answers: lines that begin with one code (RFC 5321, 4.2). Nothing but text comes in here, so that it can be
//! tried on any.

/// Longest line of an answer, in bytes (RFC 5321, 4.5.3.1.5: 512).
pub(crate) const MAX_LINE_BYTES: u64 = 2_048;

/// Most lines of one answer.
pub(crate) const MAX_LINES: usize = 128;

/// Characters of an answer that an error repeats.
const SHOWN: usize = 200;

/// An answer: its code, and its lines without it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) lines: Vec<String>,
}

impl Answer {
    pub(crate) fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// On one line, without what could steer a terminal.
    pub(crate) fn shown(&self) -> String {
        let text = format!("{} {}", self.code, self.lines.join(" "));
        let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
        plain.take(SHOWN).collect()
    }

    /// What the server says to hello that it can do, in upper case.
    pub(crate) fn offers(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.to_ascii_uppercase()).collect()
    }
}

/// The ways to log in among what a server can do.
pub(crate) fn ways(offers: &[String]) -> Vec<&str> {
    let ways = offers.iter().find_map(|line| line.strip_prefix("AUTH "));
    ways.unwrap_or_default().split(' ').collect()
}

/// The lines of an answer that came so far.
#[derive(Debug, Default)]
pub(crate) struct Hearing(Vec<String>);

impl Hearing {
    /// Takes a line with its end. The answer, once that was its last one.
    ///
    /// # Errors
    /// What is said of it, if it is no answer.
    pub(crate) fn hear(&mut self, line: &[u8]) -> Result<Option<Answer>, &'static str> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        let (Some(code), rest) = (code, line.get(3..).unwrap_or_default()) else {
            return Err("what it says is no SMTP");
        };
        self.0.push(rest.get(1..).unwrap_or_default().to_owned());
        if !rest.starts_with('-') {
            let lines = std::mem::take(&mut self.0);
            return Ok(Some(Answer { code, lines }));
        }
        if self.0.len() >= MAX_LINES {
            return Err("its answer has too many lines");
        }
        Ok(None)
    }
}
