//! Layers of real images that stand against a newer base: refused with exactly that reason.

use road::rebase::{Obstacle, SafetyClass};

use super::{
    following::Bases,
    shapes::{Kind, bases, image},
};

/// What is said of the first layer of a recipe on the way to a release.
fn said(kind: Kind, new: &str, shape: &str) -> Option<Vec<Obstacle>> {
    let place = bases()?.0.join(kind.name());
    let bases = Bases::of(&place, new, kind.systems()).unwrap();
    let followed = bases.follow(&[image(kind, shape)?.join("0.tar")]).unwrap();
    assert!(followed.root.is_none(), "it must be refused");
    assert_eq!(followed.assessment.class, SafetyClass::C);
    assert_eq!(followed.assessment.more_obstacles, 0);
    Some(followed.assessment.obstacles)
}

#[test]
fn a_layer_that_deletes_files_of_the_base_is_refused_for_that() {
    let Some(said) = said(Kind::Debian, "new", "no documentation") else {
        return;
    };
    let deletes = |path: &str| Obstacle::Deletes {
        path: path.to_owned(),
    };
    assert_eq!(said, [deletes("usr/share/doc"), deletes("usr/share/man")]);
}

#[test]
fn a_layer_that_shadows_what_the_new_base_changes_is_refused_for_that() {
    let Some(said) = said(Kind::Distroless, "new", "its own libcrypto") else {
        return;
    };
    let path = "usr/lib/x86_64-linux-gnu/libcrypto.so.3".to_owned();
    assert_eq!(said, [Obstacle::Shadows { path }]);
}

#[test]
fn a_program_whose_library_the_new_base_lacks_is_refused_for_that() {
    let Some(said) = said(Kind::Distroless, "lacking", "c++") else {
        return;
    };
    let lacks = Obstacle::Library {
        path: "app/hello".to_owned(),
        library: "libstdc++.so.6".to_owned(),
    };
    assert_eq!(said, [lacks]);
}
