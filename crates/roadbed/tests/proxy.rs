//! What is pulled through: the real binary with an upstream of the tests' own.
//!
//! `upstream` is that upstream, which counts what it is asked and fails as it is told; `world` is a registry that pulls through
//! it, perhaps through `faults`. `pulls` is what a client meets, `storms` many at once and what goes wrong on the way, `kubelets`
//! two thousand nodes with a connection each, `clusters` forty clusters that start again, `away` an upstream that is gone, `refused`
//! what must not be pulled or pushed, `charts` Helm charts of a classic repository and `chart_files` what belongs to them, `ahead` what
//! is fetched before somebody pulls it, `judged` images that are looked into as they come in, `unnamed` blobs of images that are not,
//! `trying` what operators are told and secrets that change, `skopeo` the same with Debian's registry and a client of others.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of the server")]
#[path = "../../outbound/tests/server/mod.rs"]
mod feed_server;

mod proxy {
    mod ahead;
    mod away;
    mod chart_files;
    mod chart_repository;
    mod charts;
    mod clusters;
    #[expect(dead_code, reason = "all else that it does is tried by the tests of crashes")]
    mod faults;
    #[expect(dead_code, reason = "only some of what is pushed elsewhere is pulled here")]
    #[path = "../scan/images.rs"]
    mod images;
    mod judged;
    #[expect(dead_code, reason = "only what advisories say is needed here")]
    #[path = "../scan/world.rs"]
    mod judging;
    #[expect(dead_code, reason = "no upstream lies to nodes here")]
    mod kubelet;
    mod kubelets;
    mod pulls;
    mod refused;
    mod skopeo;
    mod storms;
    mod trying;
    mod unnamed;
    mod upstream;
    mod world;
}
