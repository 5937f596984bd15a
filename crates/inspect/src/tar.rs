//! The reader of layers: bounded, and strict where parsers disagree.
