//! Sinks are told, for real: the real binary, servers that take what it sends, and those that do what they should not.
//!
//! `world` is a server with sinks, `receiver` reads what webhooks got and checks its signature as a receiver does, `post` is a mail
//! server. `webhooks` is the way of an event, `failures` sinks that fail in every way, `kills` a server that is ended in the middle,
//! `formats` chats, ticket systems and mail, `administration` who may set sinks, and what is never shown.

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of the server")]
#[path = "../../outbound/tests/server/mod.rs"]
mod http_server;

#[path = "../../outbound/tests/post/mod.rs"]
mod post;

mod telling {
    mod administration;
    mod failures;
    mod formats;
    mod kills;
    mod receiver;
    mod webhooks;
    mod world;
}
