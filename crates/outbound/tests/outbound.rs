//! The client against servers that do what they should not.
//!
//! `server` is what answers; `addresses` is about where the client goes, `answers` about what comes, `downloads` about what comes
//! in parts, `sending` about what is sent, `mails` about mail, which `post` takes, `distribution` about upstream registries.

mod post;
mod server;

#[cfg(test)]
mod outbound {
    mod addresses;
    mod answers;
    mod distribution {
        mod blobs;
        mod files;
        mod lists;
        mod manifests;
        mod probes;
        mod pushes;
        mod redirects;
        mod tokens;
        mod world;
    }
    mod downloads;
    mod mails;
    mod sending;
    mod world;
}
