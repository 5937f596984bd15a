//! Whether the programs and libraries of an application find on the new base what they found on the old one.

use std::collections::{BTreeSet, HashMap, HashSet};

use findings::Linkage;

use super::obstacle::Obstacle;
use super::tree::Tree;

/// What a stack of layers offers to programs.
#[derive(Debug, Clone, Default)]
pub struct Libraries {
    /// Names of files that could be libraries, wherever they lie.
    names: HashSet<String>,
    /// By machine and soname: the versions of symbols.
    offers: HashMap<(u16, u8, String), HashSet<String>>,
}

/// The file name of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl Libraries {
    /// Of a tree and what its files link with.
    pub fn of<'a>(tree: &Tree, linkages: impl IntoIterator<Item = &'a Linkage>) -> Self {
        let names = tree.iter().map(|(path, _)| file_name(path));
        let names = names.filter(|name| name.contains(".so")).map(str::to_owned);
        let mut libraries = Self {
            names: names.collect(),
            offers: HashMap::new(),
        };
        for linkage in linkages {
            let name = linkage
                .soname
                .as_deref()
                .unwrap_or_else(|| file_name(&linkage.path));
            libraries.names.insert(name.to_owned());
            let (machine, width) = linkage.machine;
            let offers = libraries
                .offers
                .entry((machine, width, name.to_owned()))
                .or_default();
            offers.extend(linkage.offers.iter().cloned());
        }
        libraries
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// `None`: nothing is known about that library.
    fn offers(&self, linkage: &Linkage, library: &str, version: &str) -> Option<bool> {
        let (machine, width) = linkage.machine;
        let offers = self.offers.get(&(machine, width, library.to_owned()))?;
        Some(offers.contains(version))
    }
}

/// What was there before and no longer is. What was missing before is not the rebase's doing.
pub(super) fn missing(
    app: &[Linkage],
    own: &Libraries,
    old: &Libraries,
    new: &Libraries,
) -> BTreeSet<Obstacle> {
    let mut obstacles = BTreeSet::new();
    for linkage in app {
        let path = &linkage.path;
        let libraries = linkage.needed.iter().filter(|name| !name.contains('/'));
        for library in libraries {
            if !own.has(library) && old.has(library) && !new.has(library) {
                obstacles.insert(Obstacle::Library {
                    path: path.clone(),
                    library: library.clone(),
                });
            }
        }
        for (library, version) in &linkage.wants {
            let was = old.offers(linkage, library, version) == Some(true);
            if !own.has(library) && was && new.offers(linkage, library, version) == Some(false) {
                obstacles.insert(Obstacle::SymbolVersion {
                    path: path.clone(),
                    library: library.clone(),
                    version: version.clone(),
                });
            }
        }
        if let Some(interpreter) = &linkage.interpreter {
            let name = file_name(interpreter);
            if !own.has(name) && old.has(name) && !new.has(name) {
                obstacles.insert(Obstacle::Library {
                    path: path.clone(),
                    library: interpreter.clone(),
                });
            }
        }
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebase::tree::tests::layer;

    fn library(path: &str, offers: &[&str]) -> Linkage {
        Linkage {
            path: path.to_owned(),
            machine: (62, 64),
            soname: Some(file_name(path).to_owned()),
            needed: Vec::new(),
            interpreter: None,
            wants: Vec::new(),
            offers: offers.iter().map(|&version| version.to_owned()).collect(),
        }
    }

    fn libraries(files: &[Linkage], names: &[&str]) -> Libraries {
        Libraries::of(&Tree::of([&layer(names)]).unwrap(), files)
    }

    fn program() -> Linkage {
        let mut program = library("app/main", &[]);
        program.soname = None;
        program.needed = ["libc.so.6", "libssl.so.1.1", "libown.so", "libnever.so"]
            .map(str::to_owned)
            .to_vec();
        program.wants = vec![("libc.so.6".to_owned(), "GLIBC_2.38".to_owned())];
        program.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
        program
    }

    fn missing_on(new: &Libraries) -> Vec<String> {
        let old = libraries(
            &[library("lib/libc.so.6", &["GLIBC_2.38"])],
            &["lib64/ld-linux-x86-64.so.2", "usr/lib/libssl.so.1.1"],
        );
        let own = libraries(&[library("app/libown.so", &[])], &[]);
        let missing = missing(&[program()], &own, &old, new);
        missing.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_still_there_is_enough() {
        let libc = library("usr/lib/libc.so.6", &["GLIBC_2.38", "GLIBC_2.39"]);
        let names = [
            "usr/lib/ld-linux-x86-64.so.2",
            "usr/lib/libssl.so.1.1>libssl.so.1.1.1",
        ];
        assert_eq!(missing_on(&libraries(&[libc], &names)), [""; 0]);
    }

    #[test]
    fn what_is_gone_is_named() {
        let libc = library("usr/lib/libc.so.6", &["GLIBC_2.36"]);
        assert_eq!(
            missing_on(&libraries(&[libc], &["usr/lib/libssl.so.3"])),
            [
                "`app/main` needs `/lib64/ld-linux-x86-64.so.2`, which the new base lacks",
                "`app/main` needs `libssl.so.1.1`, which the new base lacks",
                "`app/main` needs `GLIBC_2.38` of `libc.so.6`, which the new base's does not have",
            ]
        );
    }
}
