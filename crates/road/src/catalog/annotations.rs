//! What a component of `catalog-info.yaml` says about its road, in annotations: so that teams need no second file.

use policy::yaml::one_line;

use super::Problem;
use crate::app_road::{AppRoad, AutoRebase, FreezeWindow, MAX_FREEZES, Ring, end_of};
use crate::names::ApplicationName;
use crate::paving::RoadEntry;

/// In front of the annotations of the road.
pub(super) const ROAD_PREFIX: &str = "road/";

type At = (u64, Problem);

/// An annotation of the road, without its prefix, with its line.
pub(super) struct Said {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) line: u64,
}

/// What they say together; `None`: there is none of them. All is as in `kind: AppRoad`, lists have commas or blanks between their words.
pub(super) fn road_of(
    application: &ApplicationName,
    said: &[Said],
    first: u64,
) -> Result<Option<RoadEntry>, At> {
    if said.is_empty() {
        return Ok(None);
    }
    let mut road = AppRoad {
        application: application.clone(),
        owner: None,
        path: None,
        ring: Ring::default(),
        tier: None,
        auto_rebase: AutoRebase::default(),
        freezes: Vec::new(),
        target_levels: std::collections::BTreeMap::new(),
        until: None,
    };
    for said in said {
        set(&mut road, said).map_err(|problem| (said.line, problem))?;
    }
    let entry = RoadEntry::AppRoad(road);
    match entry.check() {
        Ok(()) => Ok(Some(entry)),
        Err(error) => Err((first, error.into())),
    }
}

fn set(road: &mut AppRoad, said: &Said) -> Result<(), Problem> {
    let text = said.text.trim();
    let value = |key: &'static str, wanted: &'static str| Problem::Value {
        key,
        text: one_line(text, 80),
        wanted,
    };
    let name = |key: &'static str| move |error| Problem::Name { key, error };
    match said.key.as_str() {
        "path" => road.path = Some(text.parse().map_err(name("road/path"))?),
        "ring" => {
            let wanted = "no ring: write canary, early, normal or late";
            road.ring = word(&Ring::WORDS, text).ok_or_else(|| value("road/ring", wanted))?;
        }
        "auto-rebase" | "autoRebase" => {
            let wanted = "none of true, ask and never";
            road.auto_rebase =
                word(&AutoRebase::WORDS, text).ok_or_else(|| value("road/auto-rebase", wanted))?;
        }
        "tier" => {
            let tier = text.parse().map_err(|_| value("road/tier", "no small number"))?;
            road.tier = Some(tier);
        }
        "until" => {
            let wanted = "no date before 2101: write 2027-09-30";
            road.until = Some(end_of(text).ok_or_else(|| value("road/until", wanted))?);
        }
        "freeze" => road.freezes = freezes(text)?,
        other => {
            return Err(Problem::Value {
                key: "metadata.annotations",
                text: one_line(&format!("{ROAD_PREFIX}{other}"), 80),
                wanted: "no annotation of the road: there are path, ring, auto-rebase, tier, freeze and until",
            });
        }
    }
    Ok(())
}

fn word<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words
        .iter()
        .find(|(known, _)| *known == text)
        .map(|(_, word)| *word)
}

fn freezes(text: &str) -> Result<Vec<FreezeWindow>, Problem> {
    let windows: Vec<&str> = text
        .split([',', ' ', '\n', '\t'])
        .filter(|window| !window.is_empty())
        .collect();
    if windows.len() > MAX_FREEZES {
        return Err(Problem::Long {
            key: "road/freeze",
            count: windows.len(),
            limit: MAX_FREEZES,
        });
    }
    let parse = |window: &&str| {
        window.parse().map_err(|error| Problem::Freeze {
            text: one_line(window, 80),
            error,
        })
    };
    windows.iter().map(parse).collect()
}
