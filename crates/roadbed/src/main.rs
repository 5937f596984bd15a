//! roadbed
fn main() {}
