//! The node mirror: the real mirror before the real registry.
//!
//! `process` is a running mirror, `world` one with its centre. `pulls` is what nodes meet while the centre is there, gone and back;
//! `permits` who gets what; `refused` what policy refuses; `disk` the cap and the pinned; `peers` mirrors that ask each other;
//! `loops` mirrors that name each other; `install` what is written for containerd.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod mirror {
    mod disk;
    #[expect(dead_code, reason = "only one kind of image is pulled here")]
    #[path = "../scan/images.rs"]
    mod images;
    mod install;
    #[expect(dead_code, reason = "only what advisories say is needed here")]
    #[path = "../scan/world.rs"]
    mod judging;
    mod liar;
    mod loops;
    mod peers;
    mod permits;
    mod process;
    mod pulls;
    mod refused;
    mod world;
}
