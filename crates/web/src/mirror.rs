//! What travels with the fields that the store gives it.

/// Both ways between a struct of the wire and the domain's with the same fields. A field that only one of them has does
/// not compile, so none is forgotten.
macro_rules! mirror {
    ($wire:ident, $domain:ident { $($field:ident),+ $(,)? }) => {
        impl From<$domain> for $wire {
            fn from(domain: $domain) -> Self {
                let $domain { $($field),+ } = domain;
                Self { $($field),+ }
            }
        }

        impl From<$wire> for $domain {
            fn from(wire: $wire) -> Self {
                let $wire { $($field),+ } = wire;
                Self { $($field),+ }
            }
        }
    };
}

pub(crate) use mirror;
