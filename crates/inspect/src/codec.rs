//! What layers are compressed with.
