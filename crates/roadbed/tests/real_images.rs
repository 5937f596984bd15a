//! Images that the tools of distributions and languages made, scanned by the real binary: what those tools list is what is found,
//! no more and no less.
//!
//! `debian` makes an image in layers with `mmdebstrap`, pip, npm, Go, Cargo and cargo-auditable, and keeps it below the target
//! directory with the lists that `dpkg-query`, `pip list` and the others gave of it; `tree` cuts a directory into layers, `layout`
//! writes an image from them, `languages` and `programs` put things into it. `lists` reads the lists, `found` what was found.
//! `accuracy` compares them, offline and in a registry; `rpm` does the same for roots that rpm filled. `log4j_day` is the table of
//! December 2021 with the jars of those days. `shapes` puts images of fifty recipes on newer bases, `rebase` what must be refused;
//! `following` is how both do it. `end_to_end` goes through the registry with buildah, skopeo and containerd.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a failed test, and only tests use them"
)]

#[expect(dead_code, reason = "each test binary uses its part of the harness")]
mod harness;

#[expect(dead_code, reason = "each test binary uses its part of it")]
#[path = "../../inspect/tests/registries/fetch.rs"]
mod fetch;

mod real_images {
    mod accuracy;
    mod debian;
    mod end_to_end;
    mod following;
    mod found;
    mod languages;
    mod layout;
    mod lists;
    mod log4j_day;
    mod programs;
    mod rebase;
    mod rpm;
    mod shapes;
    mod tree;
}
