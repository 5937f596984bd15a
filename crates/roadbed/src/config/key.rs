//! One table per section: each row is a key with its type, default, bounds and explanation. The structs, the reader, the
//! printed defaults and the page `docs/configuration.md` are all made from it, so none of them can drift.

use std::fmt::Display;

use super::layers::Layers;
use super::problem::Problem;
use super::setting::Setting;

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// `section.name`.
    pub(crate) name: &'static str,
    /// What it is for, in one line.
    pub(crate) help: &'static str,
    /// What to write.
    pub(crate) unit: &'static str,
    /// The smallest and the largest value, where there are bounds.
    pub(crate) range: Option<(String, String)>,
    /// The default, as TOML.
    pub(crate) default: String,
}

/// A key and the value that is in effect.
#[derive(Debug, Clone)]
pub(crate) struct Effective {
    /// `section.name`.
    pub(crate) name: &'static str,
    /// The value, as TOML.
    pub(crate) value: String,
}

/// Reads typed values out of the layers and gathers what is wrong with them.
pub(crate) struct Reader<'l> {
    layers: &'l Layers,
    problems: Vec<Problem>,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(layers: &'l Layers) -> Self {
        Self {
            layers,
            problems: Vec::new(),
        }
    }

    /// The value of a key; its default where it is not set or cannot be used.
    pub(crate) fn read<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        let Some(value) = self.layers.value(key) else {
            return default;
        };
        match T::read(value) {
            Ok(value) => value,
            Err(reason) => {
                self.complain(key, &reason);
                default
            }
        }
    }

    /// The same for a value with bounds.
    pub(crate) fn read_within<T>(&mut self, key: &'static str, default: T, least: &T, most: &T) -> T
    where
        T: Setting + PartialOrd + Display,
    {
        let value = self.read(key, default);
        if value < *least || value > *most {
            self.complain(key, &format!("{value} is out of range: write {least} to {most}"));
        }
        value
    }

    /// Notes that the value of a key cannot be used. What is wrong within a list of tables begins with its place there:
    /// `[2].ca_file: …`.
    pub(crate) fn complain(&mut self, key: &str, reason: &str) {
        let place = reason.split_once(": ").map(|(place, _)| place);
        let problem = match place.filter(|place| is_place(place)) {
            Some(place) => Problem::at(self.layers.origin_within(key, place), format!("{key}{reason}")),
            None => Problem::at(self.layers.origin(key), format!("{key}: {reason}")),
        };
        self.problems.push(problem);
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// Whether it begins with `[` and a number.
fn is_place(text: &str) -> bool {
    text.strip_prefix('[')
        .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

/// Declares a section: a struct with its defaults, its rows of the table, and how it is read.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident = $table:literal {
            $(
                #[doc = $help:literal]
                $field:ident: $type:ty = $default:expr $(, $least:expr => $most:expr)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $(#[doc = $help] pub(crate) $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            pub(crate) const TABLE: &str = $table;
            pub(crate) const ABOUT: &[&str] = &[$($about),+];

            pub(crate) fn keys() -> Vec<$crate::config::key::Key> {
                vec![$($crate::config::key::Key {
                    name: concat!($table, ".", stringify!($field)),
                    help: $help.trim_ascii(),
                    unit: <$type as $crate::config::setting::Setting>::UNIT,
                    range: section!(@range $type $(, $least, $most)?),
                    default: {
                        let default: $type = $default;
                        $crate::config::setting::Setting::to_toml(&default)
                    },
                }),+]
            }

            pub(crate) fn read(reader: &mut $crate::config::key::Reader<'_>) -> Self {
                Self {
                    $($field: section!(
                        @read reader, concat!($table, ".", stringify!($field)), $type, $default $(, $least, $most)?
                    ),)+
                }
            }

            pub(crate) fn effective(&self) -> Vec<$crate::config::key::Effective> {
                vec![$($crate::config::key::Effective {
                    name: concat!($table, ".", stringify!($field)),
                    value: $crate::config::setting::Setting::to_toml(&self.$field),
                }),+]
            }
        }
    };
    (@range $type:ty) => { None };
    (@range $type:ty, $least:expr, $most:expr) => {{
        let (least, most): ($type, $type) = ($least, $most);
        Some((least.to_string(), most.to_string()))
    }};
    (@read $reader:ident, $key:expr, $type:ty, $default:expr) => { $reader.read::<$type>($key, $default) };
    (@read $reader:ident, $key:expr, $type:ty, $default:expr, $least:expr, $most:expr) => {
        $reader.read_within::<$type>($key, $default, &$least, &$most)
    };
}

pub(crate) use section;
