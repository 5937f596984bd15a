//! `[telling]`: how people and their systems are told what happens.

use std::path::PathBuf;
use std::time::Duration;

use outbound::Settings;

use super::feeds::FeedUrl;
use super::key::section;
use super::units::Span;
use crate::telling::TellingLimits;
use access::Cidr;

const MILLISECONDS: Span = Span(Duration::from_millis(10));
const SECOND: Span = Span::seconds(1);
const MINUTE: Span = Span::seconds(60);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const YEAR: Span = Span::seconds(365 * 24 * 60 * 60);

fn client() -> Settings {
    Settings::default()
}

fn limits() -> TellingLimits {
    TellingLimits::default()
}

section! {
    /// How sinks are told what happens: webhooks, chats, ticket systems, mail servers.
    Telling = "telling" {
        /// Whether anybody is told anything.
        enabled: bool = true;
        /// Networks that are no public ones and that sinks may lie in all the same.
        allowed_private: Vec<Cidr> = Vec::new();
        /// File of certificates (PEM) to trust besides the system's own.
        ca_file: Option<PathBuf> = None;
        /// HTTP proxy through which everything but mail is sent; those that the environment names are not used.
        proxy: Option<FeedUrl> = None;
        /// Longest time until a connection is there.
        connect_timeout: Span = Span(client().connect_timeout), MILLISECONDS => MINUTE;
        /// Longest time until a sink has taken what it is told.
        answer_timeout: Span = Span(client().idle_timeout), MILLISECONDS => HOUR;
        /// Redirects that are followed (307 and 308), never to addresses that are not public and never from https to http.
        redirects: usize = 3, 0 => 20;
        /// Between two looks for something to tell.
        look_every: Span = Span(limits().look_every), MILLISECONDS => HOUR;
        /// Between two looks at open incidents, for what is due soon or overdue.
        remind_every: Span = Span(limits().remind_every), SECOND => DAY;
        /// Longest pause after the first failure; each further one may be twice as long.
        first_pause: Span = Span(limits().first_pause), MILLISECONDS => HOUR;
        /// Longest pause between two tries.
        longest_pause: Span = Span(limits().longest_pause), MILLISECONDS => DAY;
        /// How often something is tried before it is given up and shown as dead.
        attempts: u64 = limits().attempts, 1 => 1_000_000;
        /// How long something is tried before that.
        give_up_after: Span = Span(limits().give_up_after), MILLISECONDS => YEAR;
        /// What one sink may be still to be told; what comes on top is dropped and counted.
        pending: u64 = limits().pending, 1 => 1_000_000;
        /// Deliveries that are over and kept to be looked at.
        kept: u64 = limits().kept, 0 => 1_000_000;
        /// How long they are kept.
        kept_for: Span = Span(limits().kept_for), MINUTE => YEAR;
    }
}

impl Telling {
    /// How much is told, how often, and for how long it is tried.
    pub(crate) fn limits(&self) -> TellingLimits {
        TellingLimits {
            look_every: self.look_every.0,
            remind_every: self.remind_every.0,
            first_pause: self.first_pause.0,
            longest_pause: self.longest_pause.0,
            attempts: self.attempts,
            give_up_after: self.give_up_after.0,
            pending: self.pending,
            kept: self.kept,
            kept_for: self.kept_for.0,
        }
    }
}
