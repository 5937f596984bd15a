//! Entries of the road that are no bases.

use road::app_road::AppRoad;
use road::ends::last_day;
use road::exemption::Exemption;
use road::golden_path::{GoldenPath, Toolchain};
use road::names::Owner;
use road::paving::RoadEntry;
use store::Becoming;

use super::{Property, changed};

pub(super) fn set(entry: &Becoming<RoadEntry>) -> String {
    let what = format!("{} {}", entry.to.kind().word(), entry.to.name());
    changed(&what, entry, properties)
}

fn properties(entry: &RoadEntry) -> Vec<Property> {
    match entry {
        RoadEntry::Toolchain(toolchain) => of_toolchain(toolchain),
        RoadEntry::GoldenPath(path) => of_path(path),
        RoadEntry::AppRoad(road) => of_app(road),
        RoadEntry::Exemption(exemption) => of_exemption(exemption),
    }
}

fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn of_toolchain(toolchain: &Toolchain) -> Vec<Property> {
    vec![
        Property::of("owner", Some(toolchain.owner.to_string())),
        Property::of("contact", toolchain.contact.as_ref().map(ToString::to_string)),
        Property::of("builders", Some(toolchain.builders.join(","))),
        Property::of("SLSA level", Some(toolchain.slsa_level.to_string())),
        Property::of(
            "supported until",
            Some(last_day(toolchain.supported_until).to_string()),
        ),
    ]
}

fn of_path(path: &GoldenPath) -> Vec<Property> {
    vec![
        Property::of("owner", Some(path.owner.to_string())),
        Property::of("contact", path.contact.as_ref().map(ToString::to_string)),
        Property::of("template", path.template.clone()),
        Property::of("bases", listed(path.bases.iter().map(ToString::to_string))),
        Property::of(
            "toolchains",
            listed(path.toolchains.iter().map(ToString::to_string)),
        ),
        Property::of("policies", listed(path.policies.iter().cloned())),
        Property::new("gives", path.gives.join("; "), ""),
        Property::of(
            "supported until",
            Some(last_day(path.supported_until).to_string()),
        ),
    ]
}

fn of_app(road: &AppRoad) -> Vec<Property> {
    let freezes = road.freezes.iter();
    let freezes = freezes.map(|window| format!("{}/{}", window.from.date(), last_day(window.until)));
    let targets = road.target_levels.iter();
    let targets = targets.map(|(topic, level)| format!("{topic}={level}"));
    vec![
        Property::of("owner", road.owner.as_ref().map(Owner::to_string)),
        Property::of("path", road.path.as_ref().map(ToString::to_string)),
        Property::of("ring", Some(road.ring.as_str().to_owned())),
        Property::of("tier", road.tier.map(|tier| tier.to_string())),
        Property::of("rebase", Some(road.auto_rebase.as_str().to_owned())),
        Property::of("frozen", listed(freezes)),
        Property::of("aims at", listed(targets)),
        Property::of("until", road.until.map(|end| last_day(end).to_string())),
    ]
}

fn of_exemption(of: &Exemption) -> Vec<Property> {
    vec![
        Property::of("owner", Some(of.owner.to_string())),
        Property::of("approved by", listed(of.approved_by.iter().map(Owner::to_string))),
        Property::of("from", Some(of.from.date().to_string())),
        Property::of("until", Some(last_day(of.until).to_string())),
        Property::of("renewals", Some(of.max_renewals.to_string())),
        Property::of("reason", Some(of.reason.clone())),
        Property::of("instead", of.compensating.clone()),
    ]
}
