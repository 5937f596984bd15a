//! Slow clients, many clients, and what must go on meanwhile, against the real binary with short windows.
//!
//! `abuse.rs`: somebody asks for all there is; throttles, bans. `bounds.rs`: every key at its smallest and at its largest. `slow.rs`: heads, bodies and readers that are too slow are
//! cut, honest ones are not. `gone.rs`: clients that stop sending, go away, or ask before they send. `caps.rs`: what is over
//! a cap is turned away and told when to come again. `shares.rs`: nobody takes what others need, `interface.rs`: nor of
//! the JSON API, `together.rs`: nor of a thread. `mute.rs`: nobody reads the console. `memory.rs`: manifests in
//! memory are bounded, coming and going. `strangers.rs`: what somebody without a name may cost. `drain.rs`: SIGTERM.
//! `certificates.rs`: reload. `cached.rs`: what is cached asks no database. `revocation.rs`: what is revoked ends at once.
//! `torn.rs`: a blob's file is cut while it is served. `away.rs`: the database is, or changes are stopped.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

mod traffic {
    mod abuse;
    mod away;
    mod bounds;
    mod cached;
    mod caps;
    mod certificates;
    mod drain;
    mod gone;
    mod interface;
    mod memory;
    mod mute;
    mod revocation;
    mod shares;
    mod slow;
    mod strangers;
    mod together;
    mod torn;
    mod wire;
}
