//! Keys, tokens and passwords in files and configuration.
