//! What the road would have saved an application: how long its images that are not on the road were affected in its own incidents, and
//! how long those on the road were in the same ones.

use std::collections::BTreeSet;

use oci::RepoName;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::cohort::Cohort;
use crate::incident::{Incident, Line, State};
use crate::names::{ApplicationName, IncidentId};

/// From so many teams on whose images nobody may see here, their figure is told to the second: of fewer it would be that of one of
/// them, and is rounded up.
const EXACT_OF: usize = 3;

const DAY: i64 = 24 * 60 * 60;

/// What a figure is rounded up to, in seconds; beyond, to as many of the last.
const STEPS: [i64; 5] = [60, 60 * 60, DAY, 7 * DAY, 30 * DAY];

/// One incident, here and there. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Which incident.
    pub incident: IncidentId,
    /// What it is about.
    pub title: String,
    /// How long images on the road were affected until they were fixed: the one in the middle.
    pub there_seconds: i64,
    /// Whether that was rounded up, to a minute, an hour, a day, a week or months: it is about few others, whose images whoever asks may
    /// not see.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub there_is_rounded: bool,
    /// How many of these there were.
    pub there_images: usize,
    /// How long the application was affected, or is: by the last of its images that is not on the road.
    pub here_seconds: i64,
    /// How many of these there are.
    pub here_images: usize,
    /// How many of these are affected still.
    pub open: usize,
}

/// What one incident says to somebody who may see some repositories: of the application only what is theirs, of the road one figure.
/// The cohorts are those of when each image was found: whoever came to the road later is compared as what they
/// were. `None`: there is nothing to compare: no image of the application was off the road, or none on it was fixed.
pub fn saved(
    incident: &Incident,
    application: &ApplicationName,
    may_see: impl Fn(&RepoName) -> bool,
    now: OffsetDateTime,
) -> Option<Saved> {
    let is_of_it =
        |line: &&Line| line.key.application.as_ref() == Some(application) && may_see(&line.key.repository);
    let is_gone = |line: &&Line| line.state(now) == State::Gone;
    let here: Vec<&Line> = incident
        .lines()
        .filter(|line| is_of_it(line) && line.cohort != Cohort::Paved && !is_gone(line))
        .collect();
    let last = here.iter().map(|line| line.spent(now)).max()?;
    let fixed = |line: &&Line| line.cohort == Cohort::Paved && line.state(now) == State::Fixed;
    let on_road: Vec<&Line> = incident.lines().filter(fixed).collect();
    let mut there: Vec<Duration> = on_road.iter().map(|line| line.spent(now)).collect();
    there.sort_unstable();
    let median = there.get(there.len().checked_sub(1)? / 2)?.whole_seconds();
    let hidden = on_road.iter().filter(|line| !may_see(&line.key.repository));
    let hidden: BTreeSet<String> = hidden.map(|line| team_of(line)).collect();
    let is_rounded = (1..EXACT_OF).contains(&hidden.len());
    Some(Saved {
        incident: incident.id().clone(),
        title: incident.title().to_owned(),
        there_seconds: if is_rounded { rounded_up(median) } else { median },
        there_is_rounded: is_rounded,
        there_images: there.len(),
        here_seconds: last.whole_seconds(),
        here_images: here.len(),
        open: here.iter().filter(|line| !line.state(now).is_over()).count(),
    })
}

/// Whose an image is: its owner's, or that of a repository without one.
fn team_of(line: &Line) -> String {
    let owner = line.owner.as_ref().map(ToString::to_string);
    owner.unwrap_or_else(|| line.key.repository.to_string())
}

fn rounded_up(seconds: i64) -> i64 {
    let month = STEPS[STEPS.len() - 1];
    let step = STEPS.into_iter().find(|step| seconds <= *step);
    step.unwrap_or_else(|| (seconds - 1) / month * month + month)
}

impl Saved {
    /// In words: `closed in 40 s there, open 6 days here`; `closed within 60 min there` where that was rounded up.
    pub fn words(&self) -> String {
        let (there, here) = (in_words(self.there_seconds), in_words(self.here_seconds));
        let closed = if self.there_is_rounded { "within" } else { "in" };
        let stands = if self.open > 0 { "open" } else { "closed in" };
        format!("closed {closed} {there} there, {stands} {here} here")
    }
}

/// The largest unit of which there are two, or the seconds.
fn in_words(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(24 * 60 * 60, "days"), (60 * 60, "h"), (60, "min")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= 2 * length);
    match unit {
        Some((length, name)) => format!("{} {name}", seconds / length),
        None => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::tests::{SHELL, T0, opening, sighting};
    use crate::incident::{ReliefKind, SeenRelief, Sighting};

    fn incident(lines: &[(&str, Cohort)]) -> Incident {
        let lines = lines
            .iter()
            .map(|(name, cohort)| sighting(name, *cohort, &[SHELL]));
        Incident::open(opening(lines.collect()), "sec", T0).unwrap().0
    }

    fn fix(incident: &mut Incident, name: &str, after: Duration) {
        let fixed = vec![sighting(name, Cohort::Paved, &[])];
        incident.see(fixed, "scan", T0 + after).unwrap();
    }

    fn of(incident: &Incident, name: &str, after: Duration) -> Option<Saved> {
        saved(incident, &name.parse().unwrap(), |_| true, T0 + after)
    }

    #[test]
    fn the_road_is_compared_by_its_median_with_the_last_image_here() {
        let on = |name| (name, Cohort::Paved);
        let mut incident = incident(&[on("a"), on("b"), on("c"), on("late"), ("video", Cohort::OwnRoad)]);
        assert_eq!(
            of(&incident, "video", Duration::days(1)),
            None,
            "nobody was fixed"
        );
        for (name, seconds) in [("a", 10), ("b", 40), ("c", 3_000)] {
            fix(&mut incident, name, Duration::seconds(seconds));
        }
        let saved = of(&incident, "video", Duration::days(6)).unwrap();
        assert_eq!((saved.there_images, saved.here_images, saved.open), (3, 1, 1));
        assert_eq!(saved.words(), "closed in 40 s there, open 6 days here");
        fix(&mut incident, "video", Duration::days(6));
        let saved = of(&incident, "video", Duration::days(9)).unwrap();
        assert_eq!(saved.words(), "closed in 40 s there, closed in 6 days here");
    }

    #[test]
    fn what_is_borne_for_a_while_is_not_closed() {
        let mut incident = incident(&[("a", Cohort::Paved), ("video", Cohort::OwnRoad)]);
        fix(&mut incident, "a", Duration::seconds(40));
        let relief = SeenRelief {
            kind: ReliefKind::Waiver,
            covers: vec![SHELL.parse().unwrap()],
            until: None,
            reason: "it is not reached".into(),
        };
        let borne = Sighting {
            reliefs: vec![relief],
            ..sighting("video", Cohort::OwnRoad, &[SHELL])
        };
        incident.see(vec![borne], "scan", T0 + Duration::days(1)).unwrap();
        let saved = of(&incident, "video", Duration::days(6)).unwrap();
        assert_eq!(saved.open, 1);
        assert!(saved.words().contains("there, open "), "{}", saved.words());
    }

    #[test]
    fn without_a_comparison_nothing_is_said() {
        let mut incident = incident(&[("a", Cohort::Paved), ("video", Cohort::Unknown)]);
        fix(&mut incident, "a", Duration::minutes(90));
        let later = Duration::hours(5);
        assert_eq!(of(&incident, "a", later), None, "it is on the road itself");
        assert_eq!(of(&incident, "other", later), None);
        let words = of(&incident, "video", later).unwrap().words();
        assert_eq!(words, "closed in 90 min there, open 5 h here");
        let unseen = saved(&incident, &"video".parse().unwrap(), |_| false, T0 + later);
        assert_eq!(unseen, None);
    }

    #[test]
    fn the_time_of_few_others_is_told_roughly_to_those_who_may_not_see_them() {
        let on = |name| (name, Cohort::Paved);
        let mut incident = incident(&[on("a"), on("b"), on("c"), ("video", Cohort::OwnRoad)]);
        let video = "video".parse().unwrap();
        let of = |incident: &Incident, seen: &[&str]| {
            let may_see = |repo: &RepoName| seen.iter().any(|name| repo.as_str().ends_with(name));
            let told = saved(incident, &video, may_see, T0 + Duration::days(6)).unwrap();
            (told.there_seconds, told.there_is_rounded)
        };
        fix(&mut incident, "a", Duration::seconds(61));
        assert_eq!(of(&incident, &["video", "a"]), (61, false), "they may see it");
        assert_eq!(of(&incident, &["video"]), (60 * 60, true));
        let told = saved(
            &incident,
            &video,
            |repo| repo.as_str().ends_with("video"),
            T0 + Duration::days(6),
        );
        assert_eq!(
            told.unwrap().words(),
            "closed within 60 min there, open 6 days here"
        );
        fix(&mut incident, "b", Duration::seconds(62));
        assert_eq!(of(&incident, &["video"]), (60 * 60, true), "of two others");
        fix(&mut incident, "c", Duration::seconds(63));
        assert_eq!(
            of(&incident, &["video"]),
            (62, false),
            "of many nobody knows whose it is"
        );
    }

    #[test]
    fn times_are_rounded_up_to_what_people_say() {
        for (seconds, up) in [
            (0, 60),
            (60, 60),
            (61, 60 * 60),
            (DAY, DAY),
            (DAY + 1, 7 * DAY),
            (30 * DAY, 30 * DAY),
            (30 * DAY + 1, 60 * DAY),
            (60 * DAY, 60 * DAY),
        ] {
            assert_eq!(rounded_up(seconds), up, "{seconds}");
        }
    }
}
