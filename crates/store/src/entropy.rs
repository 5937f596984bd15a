//! Random bytes for secrets, salts and keys.

/// Random bytes from the operating system.
///
/// # Panics
/// If the operating system has none: nothing that is secret could be made then.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
