use super::*;
use crate::config::{Config, Sources};
use crate::dice::Dice;

fn load(text: &str) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roadbed.toml");
    std::fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    Config::load(&sources).map_err(|error| error.to_string())
}

const HUB: &str = r#"
[[proxy.upstreams]]
name = "hub"
url = "https://registry-1.docker.io"
ns = ["docker.io"]
username = "bot"
password_file = "/etc/roadbed/hub"
realm_hosts = ["auth.docker.io"]
allowed_private = ["10.0.0.0/8"]
requests_per_hour = 100
bytes_per_hour = "10GiB"
allow = ["library/**"]
fresh = "5m"

[[proxy.upstreams.rules]]
pattern = "library/busy*"
undecided = "stream"
gone = "drop"

[[proxy.upstreams]]
name = "quay"
url = "https://quay.io"
prefix = "mirrors/quay"
"#;

#[test]
fn upstreams_are_read_with_their_rules() {
    let config = load(HUB).unwrap();
    let [hub, quay] = config.proxy.upstreams.0.as_slice() else {
        panic!("two")
    };
    assert_eq!((hub.prefix.as_str(), hub.library), ("hub", true));
    assert_eq!(
        hub.login,
        Some(("bot".into(), SecretFrom::File("/etc/roadbed/hub".into())))
    );
    assert_eq!(hub.bytes_per_hour.map(NonZeroU64::get), Some(10 << 30));
    assert_eq!(hub.rule.fresh.as_secs(), 300);
    let (_, busy) = &hub.rules[0];
    assert_eq!(
        (busy.undecided, busy.gone, busy.fresh.as_secs()),
        (Undecided::Stream, Gone::Drop, 300)
    );
    assert_eq!((quay.prefix.as_str(), quay.library), ("mirrors/quay", false));
    assert_eq!(
        (quay.rule.undecided, quay.rule.gone),
        (Undecided::Hold, Gone::Keep)
    );
    let namespaces = config.registry_config().namespaces;
    assert_eq!(namespaces.get("docker.io").map(String::as_str), Some("hub"));
}

#[test]
fn what_is_printed_reads_back() {
    let config = load(HUB).unwrap();
    let printed = config.proxy.upstreams.to_toml();
    let again = load(&format!("[proxy]\nupstreams = {printed}\n")).unwrap();
    assert_eq!(again.proxy.upstreams, config.proxy.upstreams);
    assert_eq!(UpstreamList::default().to_toml(), "[]");
}

#[test]
fn the_environment_has_them_in_one_line() {
    let of = |text: &str| UpstreamList::read(&ValueKind::String(text.to_owned()));
    let line = r#"[{ name = "quay", url = "https://quay.io", ns = ["quay.io"] }]"#;
    assert_eq!(of(line).unwrap().0[0].ns, ["quay.io"]);
    assert_eq!(of(" ").unwrap(), UpstreamList::default());
    assert!(of("quay").unwrap_err().contains("expected"));
}

/// The key with its place and its line, for whoever has twenty upstreams.
#[test]
fn what_is_wrong_has_its_key_and_its_line() {
    for (more, told) in [
        ("allowed_private = [\"10.0.0.0/64\"]", "[1].allowed_private: "),
        ("requests_per_hour = \"many\"", "[1].requests_per_hour: "),
        ("password_env = \"P\"", "[1].username: "),
        ("urls = 1", "[1]: unknown field `urls`"),
        ("prefix = \"hub\"", "[1].prefix: two upstreams"),
        (
            "[[proxy.upstreams.rules]]\npattern = \"a\"\nundecided = \"?\"",
            "[1].rules[0].undecided: ",
        ),
    ] {
        let text = format!(
            "[[proxy.upstreams]]\nname = \"hub\"\nurl = \"https://hub.example\"\n\n\
             [[proxy.upstreams]]\nname = \"quay\"\nurl = \"https://quay.io\"\n{more}\n"
        );
        let error = load(&text).unwrap_err();
        assert!(
            error.contains(&format!("proxy.upstreams{told}")),
            "{more}: {error}"
        );
        let at_table = ["[1]: ", "[1].username", "[1].rules[0]"];
        let line = if at_table.iter().any(|place| told.starts_with(place)) {
            5
        } else {
            8
        };
        assert!(
            error.contains(&format!("roadbed.toml:{line}: ")),
            "{more}: {error}"
        );
    }
    let line = r#"[{ name = "a", url = "https://a.example" }, { name = "b", url = "https://b.example", library = 1 }]"#;
    let error = UpstreamList::read(&ValueKind::String(line.to_owned())).unwrap_err();
    assert!(error.starts_with("[1]: ") && error.contains("library"), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    let quay = "[[proxy.upstreams]]\nname = \"quay\"\nurl = \"https://quay.io\"\n";
    for (more, named) in [
        ("urls = 1", "urls"),
        ("undecided = \"wait\"", "hold or stream"),
        ("gone = \"?\"", "keep or drop"),
        ("fresh = \"soon\"", "fresh"),
        ("username = \"bot\"", "password_file"),
        ("password_env = \"P\"", "username"),
        ("prefix = \"Hub\"", "prefix"),
        ("allow = [\"**/**/\"]", "allow"),
        ("proxy = \"ftp://x\"", "proxy"),
        ("requests_per_hour = 0", "leave it out"),
        ("bytes_per_hour = \"0B\"", "leave it out"),
        (
            "[[proxy.upstreams]]\nname = \"quay\"\nurl = \"https://other.example\"",
            "two upstreams",
        ),
        (
            "[[proxy.upstreams]]\nname = \"b\"\nprefix = \"quay\"\nurl = \"https://other.example\"",
            "prefix quay",
        ),
    ] {
        let error = load(&format!("{quay}{more}\n")).unwrap_err();
        assert!(error.contains(named), "{more}: {error}");
    }
    for url in [
        "quay.io",
        "https://quay.io/v2",
        "https://ann:hunter2@quay.io",
        "ftp://quay.io",
    ] {
        let error = load(&format!(
            "[[proxy.upstreams]]\nname = \"quay\"\nurl = \"{url}\"\n"
        ))
        .unwrap_err();
        assert!(
            error.contains("url") && !error.contains("hunter2"),
            "{url}: {error}"
        );
    }
    let many: Vec<String> = (0..=MAX_UPSTREAMS)
        .map(|number| format!("[[proxy.upstreams]]\nname = \"u{number}\"\nurl = \"https://quay.io\"\n"))
        .collect();
    assert!(load(&many.concat()).unwrap_err().contains("at most"));
    let taken =
        format!("[registry]\nnamespaces = {{ \"quay.io\" = \"elsewhere\" }}\n{quay}ns = [\"quay.io\"]\n");
    assert!(load(&taken).unwrap_err().contains("quay.io"));
}

/// Values, right and wrong ones.
const TEXTS: [&str; 29] = [
    "hub",
    "quay",
    "",
    "Hub",
    "a/b",
    "docker.io",
    "registry",
    "helm",
    "5m",
    "0s",
    "-1s",
    "1GiB",
    "0B",
    "**",
    "library/*",
    "[",
    "10.0.0.0/8",
    "300.0.0.0/8",
    "https://quay.io",
    "http://127.0.0.1:5000",
    "https://charts.example/stable",
    "https://a@b.example",
    "ftp://a.example",
    "hold",
    "stream",
    "keep",
    "drop",
    "/etc/roadbed/secret",
    "\u{e9}",
];

/// Keys with one value.
const KEYS: [&str; 13] = [
    "name",
    "kind",
    "url",
    "prefix",
    "username",
    "password_file",
    "password_env",
    "ca_file",
    "proxy",
    "bytes_per_hour",
    "fresh",
    "undecided",
    "gone",
];

/// Keys with a list.
const LISTS: [&str; 6] = [
    "ns",
    "realm_hosts",
    "blob_hosts",
    "allowed_private",
    "allow",
    "deny",
];

fn text(dice: &mut Dice) -> String {
    toml::Value::from(*dice.pick(&TEXTS)).to_string()
}

/// A key with a value, right or wrong.
fn pair(dice: &mut Dice) -> String {
    match dice.roll(8) {
        0 => format!("library = {}", dice.pick(&["true", "false", "1"])),
        1 => format!(
            "requests_per_hour = {}",
            dice.pick(&["0", "1", "4294967296", "-1", "x"])
        ),
        2 | 3 => {
            let items: Vec<String> = (0..dice.roll(4)).map(|_| text(dice)).collect();
            format!("{} = [{}]", dice.pick(&LISTS), items.join(", "))
        }
        4 => format!("rules = [{{ pattern = {}, gone = {} }}]", text(dice), text(dice)),
        _ => {
            let value = text(dice);
            format!("{} = {value}", dice.pick(&KEYS))
        }
    }
}

#[test]
fn whatever_is_written_is_refused_or_read_back_as_it_was() {
    let mut read = 0;
    for seed in 0..4_000 {
        let mut dice = Dice::new(seed);
        let tables: Vec<String> = (0..=dice.roll(2))
            .map(|number| {
                let mut pairs = vec![
                    format!("name = \"u{number}\""),
                    "url = \"https://registry.example\"".to_owned(),
                ];
                pairs.extend((0..dice.roll(4)).map(|_| pair(&mut dice)));
                format!("{{ {} }}", pairs.join(", "))
            })
            .collect();
        let line = format!("[{}]", tables.join(", "));
        let Ok(list) = UpstreamList::read(&ValueKind::String(line.clone())) else {
            continue;
        };
        read += 1;
        let printed = list.to_toml();
        let again = UpstreamList::read(&ValueKind::String(printed)).unwrap();
        assert_eq!(again, list, "{line}");
        for entry in &list.0 {
            assert!(
                entry.requests_per_hour.is_none_or(|most| most.get() > 0),
                "{line}"
            );
            assert!(
                entry.url.username().is_empty() && entry.url.host_str().is_some(),
                "{line}"
            );
        }
    }
    // Otherwise nothing was tried.
    assert!(read > 400, "{read}");
}
