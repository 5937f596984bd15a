//! Real clients against the real binary: skopeo, buildah, podman, containerd's `ctr` and the Docker CLI with its daemon,
//! as Debian packages them, and crane and crictl, which `ci/tools.sh` builds.
//!
//! `clients/client.rs` says what a client must be able to do; one file per client says how it is told. `scenarios.rs`
//! holds what every client goes through, the table at its end makes one test of each pair. What only one client can do
//! (delete, mirror another registry, copy an artifact) has a file of its own; crictl can only pull. `refused.rs` is an image that
//! policy refuses, and what has to be on the screen of whoever pulls it. Images are made by `layout.rs`, nothing is
//! downloaded. Each test has a server, a home directory, a storage and, where the client needs one, a daemon of its own.
//!
//! A client that is not installed is skipped with a line that says so; with `CI=true` that is a failure. A daemon that
//! this machine cannot run is reported as not possible, with what is missing.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod clients {
    mod archive;
    mod artifacts;
    mod buildah;
    mod client;
    mod containerd;
    mod crane;
    mod crictl;
    mod daemon;
    mod deletion;
    mod docker;
    mod layout;
    mod machine;
    mod mirror;
    #[expect(dead_code, reason = "the tests of the mirror itself use the rest")]
    #[path = "../mirror/process.rs"]
    mod mirror_process;
    mod node_mirror;
    mod podman;
    mod refused;
    mod scenarios;
    mod skopeo;
    mod storage;
    mod world;
}
