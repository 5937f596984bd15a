//! Nothing acknowledged is lost: the real server is killed with SIGKILL while it is being pushed to, more than 200 times,
//! and a disk is filled under it; then everything goes wrong in turns.
//!
//! `pusher.rs` pushes, tags, mounts and deletes, and writes down in a `ledger.rs` what was acknowledged and what was
//! under way. `judge.rs` compares the ledger with what the server serves after it was started again. `kills.rs` does
//! both in turns; `uploads.rs` follows one upload session across restarts; `full_disk.rs` and `reserve.rs` take the space away; `chaos.rs` kills,
//! locks, moves and fills at random while it is pushed and pulled, also through an upstream that fails.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of the server")]
#[path = "../../outbound/tests/server/mod.rs"]
mod feed_server;

mod crash {
    mod chaos;
    mod dice;
    #[path = "../proxy/faults.rs"]
    mod faults;
    mod full_disk;
    #[expect(dead_code, reason = "only some of what is pushed elsewhere is pulled here")]
    #[path = "../scan/images.rs"]
    mod images;
    mod judge;
    #[expect(dead_code, reason = "only what advisories say is needed here")]
    #[path = "../scan/world.rs"]
    mod judging;
    mod kills;
    #[expect(dead_code, reason = "nobody here asks until all has come")]
    #[path = "../proxy/kubelet.rs"]
    mod kubelet;
    mod ledger;
    mod pusher;
    mod reserve;
    mod small_disk;
    mod starting;
    mod uploads;
    #[expect(dead_code, reason = "what goes wrong lies before the upstream here")]
    #[path = "../proxy/upstream.rs"]
    mod upstream;
}
