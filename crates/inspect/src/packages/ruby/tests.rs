//! Specifications and lockfiles.

use super::{GemLock, GemSpec};
use crate::Cataloger as _;
use crate::packages::testing::{is_malformed, names, packages};

const RAKE: &str = "usr/local/bundle/specifications/rake-13.0.6.gemspec";

#[test]
fn specifications() {
    let text = "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"other\".freeze\n  s.licenses = [\"MIT\".freeze, 'Ruby']\nend\n";
    let found = packages(&GemSpec, RAKE, text);
    assert_eq!(
        (found[0].name.as_str(), found[0].version.as_str()),
        ("rake", "13.0.6")
    );
    assert_eq!(found[0].licences, ["MIT", "Ruby"]);
    let plain = "Gem::Specification.new do |spec|\n  spec.name = 'rake'\n  spec.version = \"12.0\"\nend\n";
    assert_eq!(names(&GemSpec, RAKE, plain), ["rake@12.0"]);
    let native = "# stub: nokogiri 1.13.0 x86_64-linux lib\n";
    assert_eq!(names(&GemSpec, RAKE, native), ["nokogiri@1.13.0"]);
    assert!(is_malformed(&GemSpec, RAKE, "system('x')\n"));
}

#[test]
fn where_specifications_lie() {
    assert!(GemSpec.wants(
        "usr/lib/ruby/gems/3.0.0/specifications/default/json-2.5.1.gemspec",
        b""
    ));
    // Those inside gems are sources that may compute anything.
    assert!(!GemSpec.wants("usr/lib/ruby/gems/3.0.0/gems/json-2.5.1/json.gemspec", b""));
}

#[test]
fn lockfile() {
    let text = "PATH\n  remote: .\n  specs:\n    app (1.0)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.13.0-x86_64-linux)\n      racc (~> 1.4)\n    rails (6.1.0.rc1)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  rails (= 6)\n";
    assert_eq!(
        names(&GemLock, "app/Gemfile.lock", text),
        ["nokogiri@1.13.0", "rails@6.1.0.rc1"]
    );
}
