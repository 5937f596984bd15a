//! The rule of apk (apk-package(5)): `number{.number}{letter}{_suffix{number}}{~hash}{-rN}`.
//!
//! The order is apk 3's. Two texts that apk 2 still took and that its advisories hold are read as apk 2 did: digits after
//! the letter (`6.6.2p1`) and a revision without a number (`1-r`). What neither takes sorts just before the end of the
//! version that it begins with.

use std::cmp::Ordering;

use super::digits;

/// Suffixes in their order; those before [`POST`] sort before the version without one.
const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
const POST: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    Early(usize),
    Invalid(&'a [u8]),
    End,
    Revision(&'a [u8]),
    Hash(&'a [u8]),
    SuffixNumber(&'a [u8]),
    Late(usize),
    Letter(u8),
    Part(&'a [u8]),
    First(&'a [u8]),
}

impl Token<'_> {
    /// Where versions part ways, the one whose next token comes later in the grammar is the older one.
    const fn rank(&self) -> u8 {
        match self {
            Self::Early(_) => 0,
            Self::Invalid(_) => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Hash(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::Late(_) => 6,
            Self::Letter(_) => 7,
            Self::Part(_) => 8,
            Self::First(_) => 9,
        }
    }

    const fn is_last(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::End)
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Part(left), Self::Part(right)) => compare_parts(left, right),
            (Self::Revision(left), Self::Revision(right))
            | (Self::SuffixNumber(left), Self::SuffixNumber(right))
            | (Self::First(left), Self::First(right)) => digits::compare(left, right),
            (Self::Early(left), Self::Early(right)) | (Self::Late(left), Self::Late(right)) => {
                left.cmp(right)
            }
            (Self::Letter(left), Self::Letter(right)) => left.cmp(right),
            (Self::Hash(left), Self::Hash(right)) => left.cmp(right),
            (Self::Invalid(left), Self::Invalid(right)) => invalid_key(left).cmp(invalid_key(right)),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// A part after the first that begins with 0 is a fraction: compared as text (`1.05` before `1.1`).
fn compare_parts(left: &[u8], right: &[u8]) -> Ordering {
    if left.first() == Some(&b'0') || right.first() == Some(&b'0') {
        left.cmp(right)
    } else {
        digits::compare(left, right)
    }
}

/// Broken revisions are all alike.
fn invalid_key(rest: &[u8]) -> &[u8] {
    if rest.first() == Some(&b'-') { b"-" } else { rest }
}

struct Tokens<'a> {
    rest: &'a [u8],
    last: Option<Token<'a>>,
}

impl<'a> Tokens<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
            last: None,
        }
    }

    fn next(&mut self) -> Token<'a> {
        let token = match self.last {
            None => self.number(Token::First, 0),
            Some(last) => self.after(last),
        };
        self.last = Some(token);
        token
    }

    fn after(&mut self, last: Token<'a>) -> Token<'a> {
        let in_numbers = matches!(last, Token::First(_) | Token::Part(_));
        let before_hash = last.rank() > 4 || last.rank() == 0;
        match self.rest.first() {
            None => Token::End,
            Some(b'.') if in_numbers => self.number(Token::Part, 1),
            Some(letter @ b'a'..=b'z') if in_numbers => {
                self.rest = &self.rest[1..];
                Token::Letter(*letter)
            }
            Some(b'0'..=b'9') => match last {
                Token::Letter(_) => self.number(Token::Part, 0),
                Token::Early(_) | Token::Late(_) => self.number(Token::SuffixNumber, 0),
                _ => Token::Invalid(self.rest),
            },
            Some(b'_') if before_hash => self.suffix(),
            Some(b'~') if before_hash => self.hash(),
            Some(b'-') if !matches!(last, Token::Revision(_)) => self.revision(),
            Some(_) => Token::Invalid(self.rest),
        }
    }

    fn number(&mut self, make: impl Fn(&'a [u8]) -> Token<'a>, skip: usize) -> Token<'a> {
        let (number, rest) = digits::split(&self.rest[skip..]);
        if number.is_empty() {
            return Token::Invalid(self.rest);
        }
        self.rest = rest;
        make(number)
    }

    fn suffix(&mut self) -> Token<'a> {
        let (name, rest) = digits::split_while(&self.rest[1..], u8::is_ascii_lowercase);
        let Some(place) = SUFFIXES.iter().position(|known| known.as_bytes() == name) else {
            return Token::Invalid(self.rest);
        };
        self.rest = rest;
        if place < POST {
            Token::Early(place)
        } else {
            Token::Late(place)
        }
    }

    fn hash(&mut self) -> Token<'a> {
        let (hash, rest) =
            digits::split_while(&self.rest[1..], |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hash.is_empty() {
            return Token::Invalid(self.rest);
        }
        self.rest = rest;
        Token::Hash(hash)
    }

    fn revision(&mut self) -> Token<'a> {
        let Some(after) = self.rest.strip_prefix(b"-r") else {
            return Token::Invalid(self.rest);
        };
        let (number, rest) = digits::split(after);
        if number.is_empty() && !matches!(rest.first(), None | Some(b'-')) {
            return Token::Invalid(self.rest);
        }
        self.rest = rest;
        Token::Revision(number)
    }
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [mut left, mut right] = [Tokens::of(left), Tokens::of(right)];
    loop {
        let [left, right] = [left.next(), right.next()];
        let ordering = left.compare(&right);
        if ordering.is_ne() || left.is_last() {
            return ordering;
        }
    }
}

/// What `apk version --check` of apk 3 takes.
pub(super) fn is_valid(text: &str) -> bool {
    let mut tokens = Tokens::of(text);
    loop {
        let before = tokens.last;
        match (tokens.next(), before) {
            (Token::End, _) => return true,
            (Token::Invalid(_) | Token::Revision(b""), _) | (Token::Part(_), Some(Token::Letter(_))) => {
                return false;
            }
            _ => {}
        }
    }
}
