//! The registry itself: what its policy does, who has accounts, how fresh what it knows is.

use std::sync::Arc;

use access::PrincipalKind;
use anyhow::Result;
use maturity::{
    facts::Entry,
    signal::Fact,
    words::{Subject, SubjectKind},
};
use policy::{Effect, Point, Policy, Rule};
use store::{EventKind, LogLine, OPERATOR, Store};
use time::{Duration, OffsetDateTime};

use super::ground::{Ground, before};
use super::newest::{matched_minutes, minutes};
use super::notes::Notes;
use crate::maturity::collector::{Asked, Collected, Collector, ORGANISATION, PLATFORM};

/// How accounts are called that several people use. What is called otherwise is taken for one person's.
const SHARED_NAMES: [&str; 20] = [
    "admin",
    "administrator",
    "build",
    "ci",
    "common",
    "deploy",
    "dev",
    "developer",
    "developers",
    "guest",
    "jenkins",
    "operations",
    "ops",
    "registry",
    "root",
    "shared",
    "team",
    "test",
    "user",
    "users",
];

/// What is asked of the platform.
const ASKED: [&str; 5] = [
    "rebase.approve",
    "rebase.reject",
    "road.set",
    "waiver.request",
    "waiver.set",
];

/// How far back it is looked at that, and of how much: the latest.
const ASKED_WITHIN: Duration = Duration::days(180);
const MAX_ASKED: usize = 300;

/// Tells of the registry.
pub(super) struct Registry(pub(super) Arc<Ground>);

impl Collector for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            let Some(kind) = EventKind::from_name(&event.kind) else {
                return Ok(Vec::new());
            };
            let mut entries = Vec::new();
            if is_about_policy_or_people(kind) {
                entries.extend(self.of_platform(asked).await?);
                entries.extend(self.of_organisation(asked).await?);
            }
            if matches!(kind, EventKind::AdvisoriesImport | EventKind::AdvisoriesEvaluate) {
                entries.extend(self.of_platform(asked).await?);
            }
            if ASKED.contains(&event.kind.as_str()) {
                let mut notes = Notes::about(asked, ORGANISATION.parse()?);
                self.note_asked(&mut notes, event).await?;
                entries.extend(notes.into_entries());
            }
            Ok(entries)
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            if subject.to_string() == PLATFORM {
                return self.of_platform(asked).await;
            }
            if subject.kind != SubjectKind::Org {
                return Ok(Vec::new());
            }
            let mut entries = self.of_organisation(asked).await?;
            let mut notes = Notes::about(asked, ORGANISATION.parse()?);
            let since = before(asked.at, ASKED_WITHIN);
            for line in self.0.store.last_lines(&ASKED, since, MAX_ASKED).await? {
                self.note_asked(&mut notes, &line).await?;
            }
            entries.extend(notes.into_entries());
            Ok(entries)
        })
    }
}

fn is_about_policy_or_people(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::PolicySet
            | EventKind::GrantSet
            | EventKind::GrantRemove
            | EventKind::UserCreate
            | EventKind::UserUpdate
            | EventKind::UserDelete
    )
}

impl Registry {
    async fn of_platform(&self, asked: Asked) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let (policy, is_own) = self.0.policy().await?;
        let repositories = store.known_repositories().await?;
        let refuses = |rule: &&Rule| rule.decide == Effect::Refuse;
        let refusing: Vec<&Rule> = policy.rules().iter().filter(refuses).collect();
        let is_enforced = |repository: &&store::KnownRepository| {
            refusing
                .iter()
                .any(|rule| rule.applies(&repository.name, Point::Pull))
        };
        let enforced = repositories.iter().filter(is_enforced).count();
        let reasoned = refusing.iter().filter(|rule| is_reasoned(rule)).count();
        let last = store.last_line("policy", &["policy.set"]).await?;
        let matched = matched_minutes(store, asked.at).await?;
        let mut notes = Notes::about(asked, PLATFORM.parse()?);
        let mut page = notes.states(store).await?;
        page.by([last]).flag(Fact::PolicyInForce, is_own);
        if let Some(percent) = percent(enforced, repositories.len()) {
            page.number(Fact::DecisionsEnforced, percent);
        }
        if let Some(percent) = percent(reasoned, refusing.len()) {
            page.number(Fact::RefusalsReasoned, percent);
        }
        page.by([])
            .number(Fact::SharedAccounts, shared_accounts(store, asked.at));
        if let Some(matched) = matched {
            page.number(Fact::RematchAge, minutes(matched));
        }
        Ok(notes.into_entries())
    }

    async fn of_organisation(&self, asked: Asked) -> Result<Vec<Entry>> {
        let store = &self.0.store;
        let (policy, _) = self.0.policy().await?;
        let last = store.last_line("policy", &["policy.set"]).await?;
        let is_open = store.access().has_any_grant_for_anonymous();
        let mut notes = Notes::about(asked, ORGANISATION.parse()?);
        let mut page = notes.states(store).await?;
        page.flag(Fact::NoAnonymous, !is_open)
            // There are names and passwords of the registry's own and nothing else to sign in with.
            .flag(Fact::SingleSignOn, false)
            .by([last])
            .flag(Fact::PolicyDeadlines, has_deadlines(&policy));
        Ok(notes.into_entries())
    }

    /// Whether somebody had done what they wanted themselves, or an administrator had to.
    async fn note_asked(&self, notes: &mut Notes, line: &LogLine) -> Result<()> {
        let store = &self.0.store;
        let key = format!("event:{}", line.seq);
        let mut page = notes.item(store, &key, line.at.to_utc()).await?;
        page.by([Some(line.seq)])
            .flag(Fact::SelfServiceAction, !is_operator(store, &line.actor));
        Ok(())
    }
}

/// Whether a rule says why it refuses.
fn is_reasoned(rule: &Rule) -> bool {
    let about = rule.about.as_deref().unwrap_or_default();
    !about.trim().is_empty()
}

/// Whether what is refused is so after a time that is stated.
fn has_deadlines(policy: &Policy) -> bool {
    let mut rules = policy.rules().iter();
    rules.any(|rule| rule.decide == Effect::Refuse && rule.after > 0)
}

fn is_operator(store: &Store, actor: &str) -> bool {
    let is_administrator = || {
        let book = store.access();
        let name = actor.parse().ok()?;
        Some(book.principal(&name)?.administrator)
    };
    actor == OPERATOR || is_administrator().unwrap_or(false)
}

fn shared_accounts(store: &Store, now: OffsetDateTime) -> i64 {
    let book = store.access();
    let now = store::Timestamp::from(now).micros();
    let is_used = |name: &&&str| {
        let principal = name.parse().ok().and_then(|name| book.principal(&name).cloned());
        principal.is_some_and(|principal| principal.kind == PrincipalKind::User && principal.is_valid_at(now))
    };
    i64::try_from(SHARED_NAMES.iter().filter(is_used).count()).unwrap_or(i64::MAX)
}

/// Rounded down. `None` of nothing.
pub(super) fn percent(part: usize, whole: usize) -> Option<i64> {
    let percent = (part * 100).checked_div(whole)?;
    i64::try_from(percent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_and_reasons_are_those_of_rules_that_refuse() {
        let policy = |extra: &str| {
            let text = format!("version: 1\nrules:\n- id: a\n  when: finding.kev\n  decide: refuse\n{extra}");
            Policy::parse("p", &text).unwrap()
        };
        assert!(!has_deadlines(&policy("")) && has_deadlines(&policy("  after: 7\n")));
        let reasoned = |policy: &Policy| is_reasoned(&policy.rules()[0]);
        assert!(!reasoned(&policy("")) && reasoned(&policy("  about: it is attacked\n")));
        assert!(!has_deadlines(&Policy::default_policy()));
        assert_eq!((percent(2, 3), percent(0, 0)), (Some(66), None));
    }
}
