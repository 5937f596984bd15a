//! How files lie in a layer: permissions and devices.

use findings::{ByteFinding, ByteFindingKind, Severity};

use crate::tar::EntryKind;

/// The pack that these rules are of.
const PACK: &str = "roadbed";

struct Rule {
    id: &'static str,
    title: &'static str,
    severity: Severity,
    fix: &'static str,
}

const SETUID: Rule = Rule {
    id: "setuid-file",
    title: "a file that runs with its owner's rights (setuid)",
    severity: Severity::Low,
    fix: "chmod u-s, or run with no-new-privileges",
};
const SETGID: Rule = Rule {
    id: "setgid-file",
    title: "a file that runs with its group's rights (setgid)",
    severity: Severity::Low,
    fix: "chmod g-s, or run with no-new-privileges",
};
const WRITABLE_FILE: Rule = Rule {
    id: "world-writable-file",
    title: "a file that everybody may write",
    severity: Severity::Medium,
    fix: "chmod o-w",
};
const WRITABLE_DIRECTORY: Rule = Rule {
    id: "world-writable-directory",
    title: "a directory in which everybody may replace others' files",
    severity: Severity::Medium,
    fix: "chmod o-w, or +t as for /tmp",
};
const DEVICE: Rule = Rule {
    id: "device-node",
    title: "a device in the image",
    severity: Severity::Medium,
    fix: "leave devices to the runtime",
};

/// What is to be said of an entry.
pub(crate) fn of_entry(path: &str, kind: EntryKind, mode: u32) -> Vec<ByteFinding> {
    let has = |bits: u32| mode & bits != 0;
    let rules = match kind {
        EntryKind::File => vec![
            (has(0o4000), SETUID),
            // Without execution by the group it is an old mark for locking.
            (has(0o2000) && has(0o010), SETGID),
            (has(0o002), WRITABLE_FILE),
        ],
        EntryKind::Directory => vec![(has(0o002) && !has(0o1000), WRITABLE_DIRECTORY)],
        EntryKind::CharacterDevice | EntryKind::BlockDevice => vec![(true, DEVICE)],
        EntryKind::HardLink | EntryKind::SymbolicLink | EntryKind::Fifo => Vec::new(),
    };
    let broken = rules.into_iter().filter(|(is_broken, _)| *is_broken);
    broken.map(|(_, rule)| finding(path, &rule)).collect()
}

fn finding(path: &str, rule: &Rule) -> ByteFinding {
    ByteFinding {
        kind: ByteFindingKind::Configuration,
        rule: rule.id.to_owned(),
        title: rule.title.to_owned(),
        severity: rule.severity,
        path: path.to_owned(),
        inner_path: Vec::new(),
        line: None,
        excerpt: None,
        fingerprint: None,
        fix: Some(rule.fix.to_owned()),
        is_example: false,
        pack: PACK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_judged() {
        let rules = |kind, mode| -> Vec<String> {
            let findings = of_entry("p", kind, mode);
            findings.into_iter().map(|finding| finding.rule).collect()
        };
        assert_eq!(rules(EntryKind::File, 0o644), [""; 0]);
        assert_eq!(rules(EntryKind::File, 0o4755), ["setuid-file"]);
        assert_eq!(
            rules(EntryKind::File, 0o6777),
            ["setuid-file", "setgid-file", "world-writable-file"]
        );
        assert_eq!(rules(EntryKind::File, 0o2640), [""; 0]);
        assert_eq!(rules(EntryKind::Directory, 0o1777), [""; 0]);
        assert_eq!(rules(EntryKind::Directory, 0o2777), ["world-writable-directory"]);
        assert_eq!(rules(EntryKind::SymbolicLink, 0o777), [""; 0]);
        assert_eq!(rules(EntryKind::CharacterDevice, 0o666), ["device-node"]);
    }
}
