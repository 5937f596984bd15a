//! What is pushed is looked into, judged, and held: the real binary with its real children.
//!
//! `images` builds what is pushed, `world` is a server with the processes that look into blobs and what advisories say.
//! `story` is the whole way from a push to a refusal and back, `undecided` what a pull meets before there is a decision,
//! `signing` and `cosign` are signatures as conditions, and VEX; `signer` is who makes them. `deaths` children and servers that are ended, `bombs` layers that want to cost too much.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod scan {
    mod bombs;
    mod configuration;
    mod cosign;
    mod deaths;
    mod images;
    mod signer;
    mod signing;
    mod story;
    mod undecided;
    mod world;
}
