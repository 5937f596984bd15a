//! Maven's rule (maven.apache.org/pom.html, "Version Order Specification").
//!
//! Maven compares pairwise and pads the shorter version, which makes circles: `2.0.alpha` is older than `2`, `2` than `2-1`, and
//! `2-1` than `2.0.alpha`. Here a zero also knows whether what is behind it makes the version older or later than one that
//! ends before it. That keeps Maven's answer wherever versions that are published go, and makes the order a total one.
//!
//! `.jre11` and `.jdk17` at the end say what a jar was built for and are no part of the order.

use std::cmp::Ordering;

use super::digits;

/// Words before the release, oldest first.
const EARLY: [&str; 5] = ["alpha", "beta", "milestone", "rc", "snapshot"];

#[derive(Debug, Clone, Copy)]
enum Word<'a> {
    Early(usize),
    /// `final`, `ga`, `release`: says nothing.
    Release,
    ServicePack,
    Other(&'a [u8]),
}

#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Number(&'a [u8]),
    Word(Word<'a>),
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    has_hyphen: bool,
    kind: Kind<'a>,
}

impl Token<'_> {
    fn is_null(&self) -> bool {
        match self.kind {
            Kind::Number(number) => digits::is_zero(number),
            Kind::Word(word) => matches!(word, Word::Release),
        }
    }

    /// Whether it alone makes a version older than one that ends before it.
    const fn is_early(&self) -> bool {
        matches!(self.kind, Kind::Word(Word::Early(_)))
    }

    /// Its place among all that can follow the same tokens. The end of a version has place 4.
    fn place(&self, is_early_behind: bool) -> u8 {
        let has_hyphen = self.has_hyphen;
        match self.kind {
            Kind::Word(Word::Early(_)) => 0,
            Kind::Number(_) if self.is_null() && is_early_behind => 1 + u8::from(has_hyphen),
            Kind::Word(Word::Release) if is_early_behind => 3,
            Kind::Word(Word::Release) => 5,
            Kind::Word(Word::ServicePack) => 6,
            Kind::Word(Word::Other(_)) => 7,
            Kind::Number(_) if self.is_null() => {
                if has_hyphen {
                    8
                } else {
                    10
                }
            }
            Kind::Number(_) => {
                if has_hyphen {
                    9
                } else {
                    11
                }
            }
        }
    }

    fn compare_kind(&self, other: &Self) -> Ordering {
        match (self.kind, other.kind) {
            (Kind::Number(left), Kind::Number(right)) => digits::compare(left, right),
            (Kind::Word(Word::Early(left)), Kind::Word(Word::Early(right))) => left.cmp(&right),
            (Kind::Word(Word::Other(left)), Kind::Word(Word::Other(right))) => left.cmp(right),
            _ => Ordering::Equal,
        }
    }
}

const END: u8 = 4;

/// The tokens without what says nothing, each with its place.
fn places(text: &str) -> Vec<(u8, Token<'_>)> {
    let mut tokens = Vec::new();
    for token in Tokens::of(text) {
        if token.has_hyphen {
            trim_nulls(&mut tokens);
        }
        tokens.push(token);
    }
    trim_nulls(&mut tokens);
    let mut is_early_behind = false;
    let mut places: Vec<_> = tokens
        .into_iter()
        .rev()
        .map(|token| {
            if !token.is_null() {
                is_early_behind = token.is_early();
            }
            (token.place(is_early_behind), token)
        })
        .collect();
    places.reverse();
    places
}

fn trim_nulls(tokens: &mut Vec<Token<'_>>) {
    while tokens.last().is_some_and(Token::is_null) {
        tokens.pop();
    }
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(|text| without_platform(text).to_ascii_lowercase());
    let [left, right] = [places(&left), places(&right)];
    for at in 0..left.len().max(right.len()) {
        let ordering = match (left.get(at), right.get(at)) {
            (Some((left_place, left)), Some((right_place, right))) => {
                left_place.cmp(right_place).then_with(|| left.compare_kind(right))
            }
            (left, right) => {
                let [left, right] = [left, right].map(|token| token.map_or(END, |(place, _)| *place));
                left.cmp(&right)
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn without_platform(text: &str) -> &str {
    let is_platform = |word: &str| {
        let version = word.strip_prefix("jre").or_else(|| word.strip_prefix("jdk"));
        version.is_some_and(|version| digits::is_number(version.as_bytes()))
    };
    match text.rsplit_once('.') {
        Some((version, word)) if is_platform(word) => version,
        _ => text,
    }
}

/// `.` and `-` separate, and going from letters to digits or back counts as a `-`.
struct Tokens<'a> {
    rest: &'a [u8],
    has_hyphen: bool,
    is_done: bool,
}

impl<'a> Tokens<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
            has_hyphen: false,
            is_done: false,
        }
    }

    fn kind(&mut self) -> Kind<'a> {
        let (number, rest) = digits::split(self.rest);
        if !number.is_empty() {
            self.rest = rest;
            return Kind::Number(number);
        }
        let is_word = |byte: &u8| !byte.is_ascii_digit() && *byte != b'.' && *byte != b'-';
        let (word, rest) = digits::split_while(self.rest, is_word);
        self.rest = rest;
        match word {
            b"" => Kind::Number(b""),
            word => Kind::Word(Word::of(word, rest.first().is_some_and(u8::is_ascii_digit))),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.is_done {
            return None;
        }
        let token = Token {
            has_hyphen: self.has_hyphen,
            kind: self.kind(),
        };
        match self.rest.first() {
            None => self.is_done = true,
            Some(b'.') => {
                self.has_hyphen = false;
                self.rest = &self.rest[1..];
            }
            Some(b'-') => {
                self.has_hyphen = true;
                self.rest = &self.rest[1..];
            }
            Some(_) => self.has_hyphen = true,
        }
        Some(token)
    }
}

impl<'a> Word<'a> {
    fn of(word: &'a [u8], is_before_number: bool) -> Self {
        let word: &[u8] = match word {
            b"a" if is_before_number => b"alpha",
            b"b" if is_before_number => b"beta",
            b"m" if is_before_number => b"milestone",
            b"cr" => b"rc",
            word => word,
        };
        match word {
            b"final" | b"ga" | b"release" => Self::Release,
            b"sp" => Self::ServicePack,
            word => EARLY
                .iter()
                .position(|early| early.as_bytes() == word)
                .map_or(Self::Other(word), Self::Early),
        }
    }
}
