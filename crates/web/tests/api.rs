//! The API over a real store in a temporary directory, in process.
//!
//! `world` makes the store, one caller of each kind and a repository; `routes` asks every route as every caller;
//! the others try one thing each.

#[cfg(test)]
mod api {
    mod administration;
    mod bodies;
    mod description;
    mod fleet;
    mod housekeeping;
    mod incidents;
    mod maturity;
    mod road;
    mod routes;
    mod rulings;
    mod sessions;
    mod shares;
    mod traffic;
    mod world;
}
