//! How the C library copies memory on processors where its choice is a bad one.
//!
//! glibc before 2.40 copies more than 2 KiB with `rep movsb` wherever a processor says that it is fast. From Zen 3 on AMD's say so, and
//! copy at a tenth of their speed when the destination is not aligned (glibc bug 30994), which the plaintext of a TLS record, five
//! bytes behind its beginning, never is. A tunable of glibc has it copy with vectors, and is read once, when a process begins: so the
//! process begins once more. ADR 0031 has the figures.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    process::Command,
};

/// The variable that glibc reads.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Bytes from which on `rep movsb` is used.
const THRESHOLD: &str = "glibc.cpu.x86_rep_movsb_threshold";

/// More than anybody copies. glibc of Debian 12 takes it.
const NEVER: u64 = 1 << 62;

/// The first processor is enough, and is described in fewer bytes.
const DESCRIBED_BYTES: u64 = 16 * 1024;

/// Zen 3. It has the number of Zen 4 too.
const FIRST_FAMILY: u32 = 0x19;

/// Begins this process once more, under the same number and with the same arguments, if glibc would choose badly and nobody has told
/// it what to choose. Where that cannot be done everything is as it was, only slower.
pub(crate) fn choose_well() {
    if !cfg!(all(
        target_os = "linux",
        target_env = "gnu",
        target_arch = "x86_64"
    )) {
        return;
    }
    let given = env::var_os(TUNABLES).unwrap_or_default();
    let Some(tunables) = described().ok().and_then(|text| better(&text, &given)) else {
        return;
    };
    if let Err(error) = again(&tunables) {
        tracing::debug!(%error, "memory is copied as the C library chooses");
    }
}

/// What Linux says of the processors.
fn described() -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open("/proc/cpuinfo")?
        .take(DESCRIBED_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What to tell glibc on the processor of that description; nothing where its choice is good, or somebody has made it.
fn better(described: &str, given: &OsString) -> Option<OsString> {
    let said = |name: &str| {
        let lines = described.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.trim() == name);
        values.next().map(|(_, value)| value.trim())
    };
    let is_concerned = said("vendor_id") == Some("AuthenticAMD")
        && said("cpu family")
            .is_some_and(|family| family.parse().is_ok_and(|family: u32| family >= FIRST_FAMILY));
    if !is_concerned || given.to_string_lossy().contains(THRESHOLD) {
        return None;
    }
    let mut tunables = given.clone();
    if !tunables.is_empty() {
        tunables.push(":");
    }
    tunables.push(format!("{THRESHOLD}={NEVER}"));
    Some(tunables)
}

/// Comes back only if it could not be done.
fn again(tunables: &OsString) -> io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "roadbed".into());
    Err(Command::new(env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(TUNABLES, tunables)
        .exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILAN: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n";

    #[test]
    fn it_is_told_once_and_only_where_it_chooses_badly() {
        let told = better(MILAN, &OsString::new()).unwrap();
        assert_eq!(told, "glibc.cpu.x86_rep_movsb_threshold=4611686018427387904");
        assert_eq!(better(MILAN, &told), None, "a process that has begun once more");
        let rome = MILAN.replace("25", "23");
        assert_eq!(better(&rome, &OsString::new()), None);
        let intel = MILAN.replace("AuthenticAMD", "GenuineIntel");
        assert_eq!(better(&intel, &OsString::new()), None);
        for nonsense in ["", ":", "vendor_id", "vendor_id: AuthenticAMD\ncpu family: x"] {
            assert_eq!(better(nonsense, &OsString::new()), None, "{nonsense:?}");
        }
    }

    #[test]
    fn what_others_told_it_stays() {
        let others = OsString::from("glibc.malloc.check=1");
        let told = better(MILAN, &others).unwrap();
        assert_eq!(
            told,
            "glibc.malloc.check=1:glibc.cpu.x86_rep_movsb_threshold=4611686018427387904"
        );
        let chosen = OsString::from("glibc.cpu.x86_rep_movsb_threshold=4096");
        assert_eq!(better(MILAN, &chosen), None);
    }
}
