//! What an image that cannot follow its base by itself asks of its owner: which line of the Dockerfile to change, which release to
//! use, and what that would fix.
//!
//! A [`Task`] is what is known of one image; [`messages`] tells each owner of all of theirs together.

mod step;
mod tell;

use findings::Severity;
use oci::{Digest, RepoName, Tag};
use serde::{Deserialize, Serialize};

use crate::incident::Remedy;
use crate::names::BaseName;

pub use step::Steps;
pub use tell::{Host, SUBJECT_PREFIX, messages, subject_of};

/// Most reasons that a task names; the rest is counted.
pub const MAX_REASONS: usize = 5;

/// Most findings that a task names, each of those that go and stay; the rest is counted.
pub const MAX_FINDINGS: usize = 20;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// It says where its source is (class C): build it again.
    Rebuild,
    /// It does not (class D): a waiver with an end, the vendor's word (VEX), or its removal.
    Vendor,
    /// It can follow (class A or B), and its repository does not take the new image: let that in.
    LetIn,
}

/// A release of a base, as an owner finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its manifest.
    pub digest: Digest,
    /// Its tag, or what it is called else.
    pub version: String,
}

/// Something that stands against an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// In words.
    pub text: String,
    /// The step of the Dockerfile that it stems from, as far as the image tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// A problem of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The vulnerability.
    pub id: String,
    /// In which package.
    pub package: String,
    /// In which version of it.
    pub version: String,
    /// How bad it is.
    pub severity: Severity,
}

/// What one image asks of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What.
    pub asks: Asks,
    /// Where the base lies.
    pub base_repository: RepoName,
    /// The release that it stands on.
    pub from: Named,
    /// The release to use.
    pub to: Named,
    /// Why it cannot follow by itself, at most [`MAX_REASONS`].
    pub reasons: Vec<Reason>,
    /// How much more stands against it.
    #[serde(default)]
    pub more_reasons: u64,
    /// What the new release would fix, the worst first, at most [`MAX_FINDINGS`].
    #[serde(default)]
    pub fixes: Vec<Problem>,
    /// How much more.
    #[serde(default)]
    pub more_fixes: u64,
    /// What goes from the base and stays in the application's own layers, likewise.
    #[serde(default)]
    pub remains: Vec<Problem>,
}

/// Where an item of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkState {
    /// Somebody has to do something.
    Open,
    /// The tag stands on the release.
    Done,
    /// The tag is there no more.
    Gone,
    /// A newer release asks for it anew, or the release does not count any more.
    Superseded,
    /// The tag names something that does not stand on the base, or can follow by itself.
    Left,
}

impl WorkState {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Superseded => "superseded",
            Self::Left => "left",
        }
    }

    /// The state of this spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Done, Self::Gone, Self::Superseded, Self::Left]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// An item of work: a tag whose image cannot follow to a release by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Of which base.
    pub base: BaseName,
    /// Where the image lies.
    pub repository: RepoName,
    /// The tag.
    pub tag: Tag,
    /// What is to be done.
    pub task: Task,
    /// Where it stands.
    pub state: WorkState,
}

impl Task {
    /// The line of the Dockerfile as it is, and as it should be. A line that names a digest is built on the same release each time.
    pub fn lines(&self, host: Option<&Host>) -> (String, String) {
        let repository = host.map_or_else(
            || self.base_repository.to_string(),
            |host| format!("{}/{}", host.as_str(), self.base_repository),
        );
        let tag = |version: &str| version.parse::<Tag>().ok().map(|tag| format!(":{tag}"));
        let old = tag(&self.from.version).unwrap_or_else(|| format!("@{}", self.from.digest));
        let new = tag(&self.to.version).unwrap_or_default();
        (
            format!("FROM {repository}{old}"),
            format!("FROM {repository}{new}@{}", self.to.digest),
        )
    }

    /// The worst that the new release would fix.
    pub fn severity(&self) -> Severity {
        let worst = self.fixes.iter().map(|problem| problem.severity).max();
        worst.unwrap_or(Severity::Negligible)
    }

    /// The first step of the Dockerfile that is in the way.
    pub fn step(&self) -> Option<&str> {
        self.reasons.iter().find_map(|reason| reason.step.as_deref())
    }

    /// The same for messages.
    pub fn remedy(&self, base: &BaseName, host: Option<&Host>) -> Remedy {
        let why = self.why();
        let remains = self.remains.iter().map(in_own).collect();
        let release = self.to.version.clone();
        let (base, fixes) = (base.clone(), self.fixed());
        match self.asks {
            Asks::Rebuild => {
                let (from, to) = self.lines(host);
                Remedy::BuildAgain {
                    base,
                    release,
                    from,
                    to,
                    why,
                    fixes,
                    remains,
                }
            }
            Asks::Vendor => Remedy::Without {
                base,
                release,
                why,
                fixes,
                remains,
            },
            Asks::LetIn => Remedy::LetIn {
                base,
                release,
                why,
                fixes,
                remains,
            },
        }
    }

    /// Why it cannot follow by itself, in words.
    pub fn why(&self) -> String {
        let reason = |reason: &Reason| match &reason.step {
            Some(step) => format!("{} (by `{step}`)", reason.text),
            None => reason.text.clone(),
        };
        let mut all: Vec<String> = self.reasons.iter().map(reason).collect();
        if self.more_reasons > 0 {
            all.push(format!("{} more", self.more_reasons));
        }
        all.join("; ")
    }

    /// What the new release would fix, in words: by id, each once.
    pub fn fixed(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for problem in &self.fixes {
            if !ids.contains(&problem.id) {
                ids.push(problem.id.clone());
            }
        }
        if self.more_fixes > 0 {
            ids.push(format!("{} more", self.more_fixes));
        }
        ids
    }
}

/// A problem that stays, in words.
pub fn in_own(problem: &Problem) -> String {
    format!("{} in {} {}", problem.id, problem.package, problem.version)
}

#[cfg(test)]
mod tests;
