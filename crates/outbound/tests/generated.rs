//! The bodies of the fuzz targets on some thousand generated inputs each, on a stable toolchain. The seed is fixed: what
//! fails once fails again.

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "../../inspect/tests/generated/changes.rs"]
mod changes;

use changes::{changed, config, texts};
use proptest::prelude::*;

/// What servers say.
const SESSION: &str = "\
220 mail.shop.example ESMTP\r
250-mail.shop.example greets you\r
250-AUTH LOGIN PLAIN\r
250 STARTTLS\r
235 2.7.0 welcome\r
550 5.1.1 nobody of that name\r
354 go on\r
250 2.0.0 taken\r
";

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn nearly_what_a_mail_server_says(data in changed(texts(&[SESSION]))) {
        bodies::mail(&data);
    }

    #[test]
    fn long_answers(count in 0..300_usize, length in 0..3_000_usize) {
        let line = format!("250-{}\r\n", "x".repeat(length));
        bodies::mail(line.repeat(count).as_bytes());
    }
}
