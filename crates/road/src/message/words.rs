//! A message in words. Nothing is escaped here: that is for the format in which it is written.

use super::{About, Action, MAX_PARTS_WRITTEN, Message, Part, Why};
use crate::incident::{Remedy, moment};
use crate::names::VulnerabilityId;
use crate::page::Block;

/// What an owner must do, as a sentence.
pub(super) fn remedy(remedy: &Remedy) -> String {
    match remedy {
        Remedy::NewerTag { tag } => {
            format!(
                "the newer tag {tag} of the same line is without it: use that one, or move this one to it"
            )
        }
        Remedy::TakeBase { base, release } => {
            format!("take release {release} of the base {base}, by rebase or rebuild")
        }
        Remedy::AwaitBase { base } => {
            format!("the base {base} has no fixed release yet: its owner acts first, then rebase or rebuild")
        }
        Remedy::Upgrade {
            package,
            fixed_in,
            leaves,
        } => format!(
            "update {package} to {} and rebuild{}",
            fixed_in.join(" or "),
            left(leaves)
        ),
        Remedy::NoFix { package } => {
            format!("nothing fixes {package} yet: mitigate it, or take it out")
        }
        Remedy::Vendor { image } => {
            format!(
                "{image} is somebody else's: update it, ask for a statement (VEX), waive it until a date, or take it out"
            )
        }
        Remedy::Investigate { reason } => format!("have a look: {reason}"),
        Remedy::BuildAgain {
            from,
            to,
            why,
            fixes,
            remains,
            ..
        } => format!(
            "build it again: {from} becomes {to}, because {why}{}{}",
            fixed(fixes),
            stays(remains)
        ),
        Remedy::LetIn {
            base,
            release,
            why,
            fixes,
            remains,
        } => format!(
            "let it in: it can follow to release {release} of the base {base}, and its repository does not take the new image ({why}); it \
             is tried again each day{}{}",
            fixed(fixes),
            stays(remains)
        ),
        Remedy::Without {
            base,
            release,
            why,
            fixes,
            remains,
        } => format!(
            "it cannot follow to release {release} of the base {base}, because {why}, and it does not say where its source is: waive \
             it until a date, ask for a statement (VEX), or take it out{}{}",
            fixed(fixes),
            stays(remains)
        ),
    }
}

/// What would go.
fn fixed(ids: &[String]) -> String {
    match ids {
        [] => String::new(),
        ids => format!("; the release fixes {}", ids.join(", ")),
    }
}

/// What comes from the image's own layers.
fn stays(problems: &[String]) -> String {
    match problems {
        [] => String::new(),
        problems => format!("; still affected by its own {}", problems.join(", ")),
    }
}

/// What is there still after the update.
fn left(ids: &[VulnerabilityId]) -> String {
    if ids.is_empty() {
        return String::new();
    }
    let ids: Vec<&str> = ids.iter().map(VulnerabilityId::as_str).collect();
    format!("; nothing fixes {} yet: mitigate it", ids.join(", "))
}

/// The line above all others.
pub(super) fn subject(message: &Message) -> String {
    let open: usize = message.parts.iter().map(|part| part.open).sum();
    if message.about == About::Work {
        return work_subject(message, open);
    }
    let open = if message.at_least {
        format!("at least {open}")
    } else {
        open.to_string()
    };
    let what = match message.why {
        Why::Done => "nothing of yours is open any more".to_owned(),
        Why::Affected => format!("{open} affected"),
        Why::NewTarget => format!("{open} affected, the earlier fix is superseded"),
        Why::Reopened => format!("{open} affected, some of them again"),
        Why::DueSoon => format!("{open} affected, due soon"),
        Why::Overdue => format!("{open} affected, overdue"),
    };
    format!("[{}] {}: {what}", message.incident, message.title)
}

/// The same for what a release of a base asks for.
fn work_subject(message: &Message, open: usize) -> String {
    let is_superseded = message.parts.iter().any(|part| part.superseded > 0);
    match open {
        0 if is_superseded => format!("{}: asked for anew by a newer release, or no more", message.title),
        0 => format!("{}: nothing of yours is left to do", message.title),
        1 => format!("{}: 1 image of yours cannot follow by itself", message.title),
        open => format!(
            "{}: {open} images of yours cannot follow by themselves",
            message.title
        ),
    }
}

/// The line above a digest.
pub(super) fn digest_subject(messages: &[&Message]) -> String {
    let count = messages.len();
    let is_incident = |message: &&Message| message.about == About::Incident;
    if messages.iter().all(is_incident) {
        return format!("{count} incidents that touch what is yours");
    }
    format!("{count} messages about what is yours")
}

/// Who is meant and by when.
pub(super) fn opening(message: &Message) -> String {
    let owner = message.owner.as_ref().map_or_else(
        || "Nobody's: find the owner".to_owned(),
        |owner| format!("For {owner}"),
    );
    let due = message
        .due
        .map_or_else(String::new, |due| format!("; due {}", moment(due)));
    if message.about == About::Work {
        return format!(
            "{owner}. What goes with the release: {} at worst.",
            message.severity.as_str()
        );
    }
    let targets = if message.targets.is_empty() {
        "; no version with a fix is known yet".to_owned()
    } else {
        format!("; fixed in {}", message.targets.join(", "))
    };
    format!("{owner}. Severity {}{targets}{due}.", message.severity.as_str())
}

/// One line per action, and one for those that are only counted.
pub(super) fn actions(part: &Part) -> Vec<String> {
    let line = |action: &Action| {
        let more = match action.more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{} ({}{more})", remedy(&action.remedy), action.lines.join(", "))
    };
    let mut lines: Vec<String> = part.actions.iter().map(line).collect();
    if part.more_actions > 0 {
        lines.push(format!("and {} more things to do", part.more_actions));
    }
    lines
}

/// How an application stands.
pub(super) fn standing(part: &Part) -> String {
    let due = part
        .due
        .map_or_else(String::new, |due| format!(", due {}", moment(due)));
    let superseded = match part.superseded {
        0 => String::new(),
        count => format!(", {count} asked for anew by a newer release, or no more"),
    };
    format!(
        "{}: {} open, {} settled{superseded}{due}",
        part.subject, part.open, part.settled
    )
}

/// The whole message.
pub(super) fn blocks(message: &Message) -> Vec<Block> {
    let mut blocks = vec![
        Block::Heading(subject(message)),
        Block::Paragraph(opening(message)),
    ];
    let open: Vec<&Part> = message.parts.iter().filter(|part| part.open > 0).collect();
    for part in open.iter().take(MAX_PARTS_WRITTEN) {
        blocks.push(Block::Paragraph(standing(part)));
        blocks.push(Block::List(actions(part)));
    }
    let more = open.len().saturating_sub(MAX_PARTS_WRITTEN);
    if more > 0 {
        blocks.push(Block::Paragraph(format!("and {more} more applications")));
    }
    if let Some(link) = &message.link {
        blocks.push(Block::Paragraph(link.clone()));
    }
    blocks
}
