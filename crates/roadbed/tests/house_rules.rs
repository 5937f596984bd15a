//! The rules of the house, asked of the files themselves: which crate may use which, how long a file or function may
//! get, what every crate starts with, and what must never be committed.
//!
//! Rules about dependencies are read from `cargo metadata`, the others from the files of the checkout. Every violation
//! is listed with its place, so that one run shows all that is to be done.

mod house_rules {
    mod checkout;
    mod dependencies;
    mod files;
    mod functions;
    mod strangers;
}
