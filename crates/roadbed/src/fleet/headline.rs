//! The answer in a line.

use std::fmt::Write as _;

use findings::Severity;
use road::question::Question;
use web::wire::{AffectedBy, AffectedCounts, AffectedCoverage};

/// The answer in a line. It never says more than is known.
pub(super) fn headline(
    question: &Question,
    vulnerability: Option<&AffectedBy>,
    counts: AffectedCounts,
    (coverage, unseen): (&AffectedCoverage, u64),
) -> String {
    let about = vulnerability.map(|known| {
        let severity = known.severity.map_or("", Severity::as_str);
        let exploited = if known.kev { "known to be exploited" } else { "" };
        let words: Vec<&str> = [severity, exploited]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() {
            String::new()
        } else {
            format!(" ({})", words.join(", "))
        }
    });
    let is_whole = unseen == 0 && coverage.indexed_percent == 100 && !coverage.lost_images;
    let least = if is_whole { "" } else { "at least " };
    let uncertain = match question {
        Question::Class(_) => "uncertain (a package of its group, whose classes are not known)",
        _ => "uncertain",
    };
    let mut text = format!(
        "{question}{}: {least}{} of {} images {}",
        about.unwrap_or_default(),
        counts.affected,
        coverage.images,
        verb(question, counts.affected),
    );
    if let Some(seen) = counts.class_seen.filter(|_| counts.affected > 0) {
        let by_package = counts.affected - seen;
        let _ = write!(
            text,
            " (the class itself was seen in {seen}; {by_package} by a package that has it in this version)"
        );
    }
    for (count, word) in [
        (counts.mitigated, "mitigated"),
        (counts.uncertain, uncertain),
        (counts.not_affected, "not affected by VEX"),
        (counts.waived, "waived"),
        (counts.lower_layer, "only in a lower layer"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    if unseen > 0 {
        let percent = unseen.saturating_mul(100).div_ceil(coverage.images.max(1));
        let _ = write!(text, "; {percent} % of images not scannable or without owner");
    }
    if let (Some(searched), Some(layers)) = (coverage.layers_searched, coverage.layers) {
        let _ = write!(text, "; looked at the files of {searched} of {layers} layers");
    }
    if coverage.indexed_percent < 100 {
        let _ = write!(
            text,
            "; the index is being built, {} % of it stands",
            coverage.indexed_percent
        );
    }
    text
}

/// Nobody is affected by having a package.
fn verb(question: &Question, count: u64) -> &'static str {
    match (question, count) {
        (Question::Vulnerability(_), _) => "affected",
        (Question::Class(_), 1) => "has it",
        (Question::Class(_), _) => "have it",
        (_, 1) => "holds it",
        (_, _) => "hold it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(counts: [u64; 3], coverage: AffectedCoverage, unseen: u64) -> String {
        let [affected, mitigated, uncertain] = counts;
        line_of(
            AffectedCounts {
                affected,
                mitigated,
                uncertain,
                ..AffectedCounts::default()
            },
            coverage,
            unseen,
        )
    }

    fn line_of(counts: AffectedCounts, coverage: AffectedCoverage, unseen: u64) -> String {
        let known = AffectedBy {
            severity: Some(Severity::Critical),
            kev: true,
            ..AffectedBy::default()
        };
        let question = "CVE-2021-44228".parse().unwrap();
        headline(&question, Some(&known), counts, (&coverage, unseen))
    }

    #[test]
    fn the_headline_says_no_more_than_is_known() {
        let whole = AffectedCoverage {
            images: 200,
            indexed_percent: 100,
            ..AffectedCoverage::default()
        };
        assert_eq!(
            line([7, 0, 0], whole, 0),
            "CVE-2021-44228 (critical, known to be exploited): 7 of 200 images affected"
        );
        let some = line([7, 2, 1], whole, 1);
        assert!(
            some.contains("at least 7 of 200 images affected, 2 mitigated, 1 uncertain; 1 % of images not"),
            "{some}"
        );
        let apart = AffectedCounts {
            affected: 7,
            not_affected: 3,
            waived: 2,
            lower_layer: 1,
            ..AffectedCounts::default()
        };
        let apart = line_of(apart, whole, 0);
        assert!(
            apart.ends_with(
                "7 of 200 images affected, 3 not affected by VEX, 2 waived, 1 only in a lower layer"
            ),
            "{apart}"
        );
        let half = AffectedCoverage {
            indexed_percent: 50,
            ..whole
        };
        let building = line([0, 0, 0], half, 0);
        assert!(building.contains("at least 0 of 200"), "{building}");
        assert!(
            building.ends_with("the index is being built, 50 % of it stands"),
            "{building}"
        );
        let files = AffectedCoverage {
            layers_searched: Some(3),
            layers: Some(9),
            ..whole
        };
        assert!(line([0, 0, 1], files, 0).ends_with("looked at the files of 3 of 9 layers"));
    }

    #[test]
    fn what_is_no_vulnerability_affects_nobody() {
        let whole = AffectedCoverage {
            images: 200,
            indexed_percent: 100,
            ..AffectedCoverage::default()
        };
        let class = AffectedCounts {
            affected: 5,
            uncertain: 2,
            class_seen: Some(2),
            ..AffectedCounts::default()
        };
        let question = "org.apache.logging.log4j.core.lookup.JndiLookup".parse().unwrap();
        assert_eq!(
            headline(&question, None, class, (&whole, 0)),
            "class:org.apache.logging.log4j.core.lookup.JndiLookup: 5 of 200 images have it (the class itself was seen in 2; 3 by a \
             package that has it in this version), 2 uncertain (a package of its group, whose classes are not known)"
        );
        let package = "log4j-core@<2.15.0".parse().unwrap();
        assert_eq!(
            headline(
                &package,
                None,
                AffectedCounts {
                    affected: 1,
                    ..AffectedCounts::default()
                },
                (&whole, 0)
            ),
            "log4j-core@<2.15.0: 1 of 200 images holds it"
        );
    }
}
