//! What has to be looked at again after an import: the images that hold what it touches.

use std::collections::HashSet;

use findings::advisory::Touched;

use super::{
    Fleet,
    answer::{Answer, Found, State},
    scope::Scope,
    vulnerability::kind_of,
};

impl Fleet {
    /// The images that hold a package that is touched, affected or not. All others read as before.
    pub fn holding(&self, touched: &Touched, scope: &Scope) -> Answer {
        let mut found = Found::of(self);
        let mut versions: HashSet<u32> = HashSet::new();
        for (ecosystem, name) in &touched.packages {
            versions.extend(self.known_as(*ecosystem, name));
        }
        let kinds: HashSet<_> = touched
            .ecosystems
            .iter()
            .filter_map(|ecosystem| kind_of(*ecosystem))
            .collect();
        if !kinds.is_empty() {
            let all = self
                .versions
                .iter()
                .filter(|(_, version)| kinds.contains(&version.kind));
            versions.extend(all.map(|(number, _)| number));
        }
        for version in versions {
            self.for_each_image(version, true, |image| found.put(image, State::Uncertain));
        }
        found.into_answer(scope)
    }
}
