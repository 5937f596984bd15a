//! Nothing acknowledged is lost: the real server is killed with SIGKILL while it is being pushed to, more than 200 times,
//! and a disk is filled under it; then everything goes wrong in turns.
//!
//! `pusher.rs` pushes, tags, mounts and deletes, and writes down in a `ledger.rs` what was acknowledged and what was
//! under way. `judge.rs` compares the ledger with what the server serves after it was started again. `kills.rs` does
//! both in turns; `uploads.rs` follows one upload session across restarts; `full_disk.rs` takes the space away; `chaos.rs` kills,
//! locks, moves and fills at random while it is pushed and pulled.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod crash {
    mod chaos;
    mod dice;
    mod full_disk;
    mod judge;
    mod kills;
    mod ledger;
    mod pusher;
    mod small_disk;
    mod starting;
    mod uploads;
}
