//! roadbed
mod config;
fn main() {}
