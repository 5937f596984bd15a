//! Advisories: what is known to be wrong with which versions of a package.
