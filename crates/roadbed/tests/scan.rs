//! What is pushed is looked into, judged, and held: the real binary with its real children.
//!
//! `images` builds what is pushed, `world` is a server with the processes that look into blobs and what advisories say.
//! `story` is the whole way from a push to a refusal and back, `undecided` what a pull meets before there is a decision,
//! `feeds` advisories that are fetched, `fleet` who is affected, `moments` who was, `excused` what of that does not count, `incidents` what is
//! followed, `pushes` what is refused before it comes in, `in_use` what runs by
//! somebody's word, `brake` what is in use and would be refused, `grace` days in which a fix can be taken, `clamd` another scanner
//! that is asked, `reevaluation` what an import asks again and tells, `rebase` images that follow a patched base, `rebased` what of
//! them must not get lost, `mass` all of them together, `mass_day` on the day of `Log4Shell`, `mass_kills` while the server is
//! killed, `mass_work` what those that cannot follow ask of their owners, `paving` the catalogue of the road with its ends and promises, `maturity` where
//! applications stand, `signing` and `cosign`
//! signatures as conditions, and VEX, `signer` who makes them, `catalogue` one that is pushed, `deaths` children and servers
//! that are ended, `bombs` and `floods` layers that want to cost too much.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of the server")]
#[path = "../../outbound/tests/server/mod.rs"]
mod feed_server;

mod scan {
    mod bombs;
    mod brake;
    mod catalogue;
    mod clamd;
    mod configuration;
    mod cosign;
    mod deaths;
    mod excused;
    mod feeds;
    mod fleet;
    mod floods;
    mod grace;
    mod images;
    mod in_use;
    mod incidents;
    mod mass;
    mod mass_day;
    mod mass_kills;
    mod mass_work;
    mod maturity;
    mod moments;
    mod paving;
    mod pushes;
    mod rebase;
    mod rebased;
    mod reevaluation;
    mod road;
    mod signer;
    mod signing;
    mod story;
    mod undecided;
    mod world;
}
