//! What the `[log]` section can say.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Which log lines are written: a level, or a filter per module such as `info,registry=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// The filter as `tracing_subscriber::EnvFilter` reads it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything from this level on.
    pub(super) fn level(level: &'static str) -> Self {
        Self(level.to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        let reads = tracing_subscriber::EnvFilter::try_new(text).is_ok();
        // A lone word is a module's name to the library, and so a mistyped level would silence everything.
        let is_level = ["off", "error", "warn", "info", "debug", "trace"].contains(&text);
        if reads && (is_level || text.contains('=')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LogError::Filter)
        }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Declares an enum that is written as one of a few words.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $help:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[doc = $help])+ $variant),+ }

        impl FromStr for $name {
            type Err = LogError;

            fn from_str(text: &str) -> Result<Self, LogError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(LogError::Choice { words: [$($word),+].join(", ") }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

choice! {
    /// How a log line looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// Where the access log goes.
    LogTarget {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error, among the other log lines.
        Stderr = "stderr",
        /// Nowhere.
        Off = "off",
    }
}

/// Why a text says nothing about logging.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LogError {
    /// Neither a level nor a filter.
    #[error(
        "write off, error, warn, info, debug or trace, or module=level pairs such as info,registry=debug"
    )]
    Filter,
    /// Not one of the words.
    #[error("write one of {words}")]
    Choice {
        /// The words.
        words: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_level_is_refused() {
        for good in ["info", "off", "info,registry=debug", "store=trace"] {
            assert_eq!(good.parse::<LogFilter>().unwrap().as_str(), good);
        }
        for bad in ["", "inof", "INFO!", "registry=loud"] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
    }
}
