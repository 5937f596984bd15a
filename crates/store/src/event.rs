//! The audit log: every change of state with who, what, why and when. Append-only; the database refuses to change it.

use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};

use crate::db::sql;
use crate::{Actor, Page, Store, StoreError, Timestamp};

pub(crate) mod line;
mod names;
mod write;

pub use line::LogLine;
pub(crate) use write::{record, record_all_ruled, record_numbered, record_ruled};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// Somebody logged in. Gathered for some seconds: one event per name and address, with how often the credential was
    /// verified. `from` is `null` for further addresses of a name that came from very many.
    #[serde(rename = "login")]
    Login,
    /// Somebody failed to. Gathered like [`EventKind::Login`], under `anonymous` for names that do not exist; beyond a
    /// number of different ones only counted, under `others`.
    #[serde(rename = "login.failed")]
    LoginFailed,
    /// A user was made.
    #[serde(rename = "user.create")]
    UserCreate,
    /// A user was changed: password, administrator, disabled, end.
    #[serde(rename = "user.update")]
    UserUpdate,
    /// A user was deleted.
    #[serde(rename = "user.delete")]
    UserDelete,
    /// A robot was made.
    #[serde(rename = "robot.create")]
    RobotCreate,
    /// A robot was changed: disabled, end, secrets.
    #[serde(rename = "robot.update")]
    RobotUpdate,
    /// A robot was deleted.
    #[serde(rename = "robot.delete")]
    RobotDelete,
    /// A grant was set.
    #[serde(rename = "grant.set")]
    GrantSet,
    /// A grant was removed.
    #[serde(rename = "grant.remove")]
    GrantRemove,
    /// A rule was set.
    #[serde(rename = "rule.set")]
    RuleSet,
    /// A rule was removed.
    #[serde(rename = "rule.remove")]
    RuleRemove,
    /// A blob came into a repository by upload.
    #[serde(rename = "blob.push")]
    BlobPush,
    /// A blob came into a repository from another one.
    #[serde(rename = "blob.mount")]
    BlobMount,
    /// A blob was unlinked from a repository by a caller.
    #[serde(rename = "blob.delete")]
    BlobDelete,
    /// A manifest was stored.
    #[serde(rename = "manifest.push")]
    ManifestPush,
    /// A manifest was deleted.
    #[serde(rename = "manifest.delete")]
    ManifestDelete,
    /// A tag was set or moved.
    #[serde(rename = "tag.set")]
    TagSet,
    /// A tag was deleted.
    #[serde(rename = "tag.delete")]
    TagDelete,
    /// A repository was deleted.
    #[serde(rename = "repository.delete")]
    RepositoryDelete,
    /// A setting was changed.
    #[serde(rename = "settings.change")]
    SettingsChange,
    /// The registry became read-only.
    #[serde(rename = "maintenance.begin")]
    MaintenanceBegin,
    /// It takes changes again.
    #[serde(rename = "maintenance.end")]
    MaintenanceEnd,
    /// The collection removed something.
    #[serde(rename = "gc.collect")]
    GcCollect,
    /// A backup was written.
    #[serde(rename = "backup.create")]
    BackupCreate,
    /// The data directory came from a backup.
    #[serde(rename = "backup.restore")]
    BackupRestore,
    /// The decision about an image has changed: outcome or reasons.
    #[serde(rename = "image.decide")]
    Decide,
    /// A policy was set.
    #[serde(rename = "policy.set")]
    PolicySet,
    /// A change would refuse more of what is in use than may be without a person, and is held at warn.
    #[serde(rename = "policy.hold")]
    PolicyHold,
    /// A person let happen what was held.
    #[serde(rename = "policy.approve")]
    PolicyApprove,
    /// Somebody asked that a finding be waived.
    #[serde(rename = "waiver.request")]
    WaiverRequest,
    /// A finding was waived.
    #[serde(rename = "waiver.set")]
    WaiverSet,
    /// A waiver was withdrawn.
    #[serde(rename = "waiver.remove")]
    WaiverRemove,
    /// Somebody said that images of a repository are in use.
    #[serde(rename = "in-use.set")]
    InUseSet,
    /// Somebody took that back.
    #[serde(rename = "in-use.remove")]
    InUseRemove,
    /// A signer was trusted.
    #[serde(rename = "signer.set")]
    SignerSet,
    /// A signer is trusted no more.
    #[serde(rename = "signer.remove")]
    SignerRemove,
    /// A sink was set: somebody is told.
    #[serde(rename = "sink.set")]
    SinkSet,
    /// A sink was removed.
    #[serde(rename = "sink.remove")]
    SinkRemove,
    /// Somebody could not be told something, and it is not tried any more.
    #[serde(rename = "delivery.dead")]
    DeliveryDead,
    /// Somebody had what a sink could not be told tried again.
    #[serde(rename = "delivery.retry")]
    DeliveryRetry,
    /// The SBOM of an image was not attached: its repository has no room for it.
    #[serde(rename = "sbom.refuse")]
    SbomRefuse,
    /// An application was declared, or changed by a catalogue.
    #[serde(rename = "application.set")]
    ApplicationSet,
    /// What was said of an application was taken back.
    #[serde(rename = "application.remove")]
    ApplicationRemove,
    /// A catalogue of applications was imported.
    #[serde(rename = "catalog.import")]
    CatalogImport,
    /// A catalogue that was pushed does not count.
    #[serde(rename = "catalog.refuse")]
    CatalogRefuse,
    /// A person has allowed a catalogue that is older than the one that counts.
    #[serde(rename = "catalog.allow")]
    CatalogAllow,
    /// A base was approved.
    #[serde(rename = "base.set")]
    BaseSet,
    /// A base is approved no more.
    #[serde(rename = "base.remove")]
    BaseRemove,
    /// An image that was pushed to the repository of a base is known as a release of it.
    #[serde(rename = "base.release")]
    BaseRelease,
    /// Somebody approved that a tag follows its base.
    #[serde(rename = "rebase.approve")]
    RebaseApprove,
    /// Somebody is to approve that a tag follows its base.
    #[serde(rename = "rebase.ask")]
    RebaseAsk,
    /// An image was put on a newer release of its base; no tag names it yet.
    #[serde(rename = "rebase.make")]
    RebaseMake,
    /// The tag followed to a rebased image.
    #[serde(rename = "rebase.move")]
    RebaseMove,
    /// The tag did not follow: the image is worse than the one before, or the tag has moved.
    #[serde(rename = "rebase.refuse")]
    RebaseRefuse,
    /// Somebody does not want that a tag follows its base, or has seen that it failed.
    #[serde(rename = "rebase.reject")]
    RebaseReject,
    /// Rebases go on.
    #[serde(rename = "rebase.resume")]
    RebaseResume,
    /// All rebases were stopped.
    #[serde(rename = "rebase.stop")]
    RebaseStop,
    /// An incident lets a tag follow its base in spite of a freeze.
    #[serde(rename = "rebase.thaw")]
    RebaseThaw,
    /// A rebase was undone.
    #[serde(rename = "rebase.undo")]
    RebaseUndo,
    /// An entry of the road's catalogue was set: a toolchain, a golden path, what an application says, an exemption.
    #[serde(rename = "road.set")]
    RoadSet,
    /// Such an entry was taken back.
    #[serde(rename = "road.remove")]
    RoadRemove,
    /// The end of an entry of the road, or of a base's support, is near. Once for each number of days.
    #[serde(rename = "road.ends")]
    RoadEnds,
    /// An entry of the road, or a base's support, has ended.
    #[serde(rename = "road.end")]
    RoadEnd,
    /// Images that cannot follow a release of their base ask something of their owners, or some of them do no more. One per release
    /// and look.
    #[serde(rename = "road.work")]
    RoadWork,
    /// The owner of a base has not kept their promise to patch it.
    #[serde(rename = "base.late")]
    BaseLate,
    /// A base was patched: a release is without a problem that the one before had.
    #[serde(rename = "base.patched")]
    BasePatched,
    /// Advisories were imported.
    #[serde(rename = "advisories.import")]
    AdvisoriesImport,
    /// Somebody brought a bundle of advisories: it was taken in, or not, and by whose signature.
    #[serde(rename = "advisories.bundle")]
    AdvisoriesBundle,
    /// An import of advisories would let pass too much of what is refused, or a source has lost too much: it waits for a person.
    #[serde(rename = "advisories.hold")]
    AdvisoriesHold,
    /// Images were found to have a vulnerability that they had not before. One per vulnerability and import.
    #[serde(rename = "advisory.affects")]
    AdvisoryAffects,
    /// Images have a vulnerability no more. Likewise.
    #[serde(rename = "advisory.clears")]
    AdvisoryClears,
    /// Sources have come to disagree about a vulnerability that images have. Likewise.
    #[serde(rename = "advisory.conflict")]
    AdvisoryConflict,
    /// Another version fixes a vulnerability that images have. Likewise.
    #[serde(rename = "advisory.fix")]
    AdvisoryFix,
    /// A vulnerability that images have is rated otherwise. Likewise.
    #[serde(rename = "advisory.severity")]
    AdvisorySeverity,
    /// What an import touches was asked to be judged again, and all else is right by it.
    #[serde(rename = "advisories.evaluate")]
    AdvisoriesEvaluate,
    /// An incident was opened.
    #[serde(rename = "incident.open")]
    IncidentOpen,
    /// Something happened to an incident: tags or images are affected or not any more, it is about something else, something was
    /// mitigated or waived.
    #[serde(rename = "incident.change")]
    IncidentChange,
    /// Somebody said that an incident is over.
    #[serde(rename = "incident.close")]
    IncidentClose,
    /// A repository came from an upstream for the first time, and its name is nearly that of one in use.
    #[serde(rename = "upstream.lookalike")]
    UpstreamLookalike,
    /// Pulls were allowed whatever is decided, or not any more.
    #[serde(rename = "gate.break-glass")]
    BreakGlass,
    /// Somebody's requests are answered 429 for a while.
    #[serde(rename = "traffic.ban")]
    TrafficBan,
    /// Somebody may ask only so much for a while.
    #[serde(rename = "traffic.throttle")]
    TrafficThrottle,
    /// One of these was ended before its time.
    #[serde(rename = "traffic.lift")]
    TrafficLift,
    /// Somebody told facts about applications, teams or the organisation.
    #[serde(rename = "evidence.push")]
    EvidencePush,
    /// Somebody vouched for a criterion, or vouched on.
    #[serde(rename = "maturity.attest")]
    MaturityAttest,
    /// A second person confirmed what somebody vouched for.
    #[serde(rename = "maturity.confirm")]
    MaturityConfirm,
    /// Nobody vouches for it any more.
    #[serde(rename = "maturity.revoke")]
    MaturityRevoke,
    /// What an application aims at was set.
    #[serde(rename = "maturity.target")]
    MaturityTarget,
    /// It was said who may vouch in a role.
    #[serde(rename = "maturity.role")]
    MaturityRoleSet,
    /// A model of maturity was applied.
    #[serde(rename = "maturity.model")]
    MaturityModel,
    /// All that is known of everybody is to be looked at.
    #[serde(rename = "maturity.evaluate")]
    MaturityEvaluate,
    /// A topic fell back.
    #[serde(rename = "maturity.fall")]
    MaturityFall,
    /// Something on which a level rests ends soon. Once for each end.
    #[serde(rename = "maturity.ends")]
    MaturityEnds,
    /// A change that was agreed on by a date was set.
    #[serde(rename = "campaign.set")]
    CampaignSet,
    /// A team is reminded of such a change. Once for each number of days before its end.
    #[serde(rename = "campaign.remind")]
    CampaignRemind,
    /// Such a change is agreed on no more.
    #[serde(rename = "campaign.remove")]
    CampaignRemove,
    /// The weeks that figures are compared with were set, or taken back.
    #[serde(rename = "baseline.set")]
    BaselineSet,
    /// Something was found to be wrong with a blob, or with the reasons of decisions.
    #[serde(rename = "fsck.damage")]
    FsckDamage,
    /// A check has ended.
    #[serde(rename = "fsck.finish")]
    FsckFinish,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Position, without gaps; the cursor of [`Store::events`].
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To what: `team/app`, `team/app:1.0`, `team/app@sha256:…`, a principal's name, a pattern.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub cause: String,
    /// Version of the rule that decided, if one did.
    pub rule_version: Option<String>,
    /// What else there is to know.
    pub body: serde_json::Value,
}

/// Which events to list; everything that is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// About exactly this.
    pub subject: Option<String>,
    /// By exactly this one.
    pub actor: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
}

impl EventKind {
    /// Its name in the database and in the API.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

#[derive(FromQueryResult)]
pub(crate) struct EventRow {
    seq: i64,
    at: i64,
    kind: String,
    subject: String,
    actor: String,
    cause: String,
    rule_version: Option<String>,
    body: String,
}

impl EventRow {
    pub(crate) fn into_event(self) -> Result<Event, StoreError> {
        let damaged = || StoreError::damaged(format!("event {} cannot be read", self.seq));
        Ok(Event {
            seq: self.seq,
            at: Timestamp(self.at),
            kind: EventKind::from_name(&self.kind).ok_or_else(damaged)?,
            body: serde_json::from_str(&self.body).map_err(|_| damaged())?,
            subject: self.subject,
            actor: self.actor,
            cause: self.cause,
            rule_version: self.rule_version,
        })
    }
}

impl Store {
    /// The audit log in order, from the first line behind `after`.
    pub async fn events(
        &self,
        _permit: &access::SystemPermit,
        filter: &EventFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page<Event>, StoreError> {
        let limit = self.page_limit(limit);
        let rows: Vec<EventRow> = sql::Filter::new("seq >", after.unwrap_or(0))
            .and("kind =", filter.kind.map(EventKind::name))
            .and("subject =", filter.subject.clone())
            .and("actor =", filter.actor.clone())
            .and("at >=", filter.since.map(Timestamp::micros))
            .rows(
                self.inner.db.read(),
                "SELECT seq, at, kind, subject, actor, cause, rule_version, body FROM event",
                "seq",
                limit as u64 + 1,
            )
            .await?;
        let events = rows
            .into_iter()
            .map(EventRow::into_event)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(events, limit))
    }

    /// Notes a change of settings that is made outside of the store (configuration reloaded, read-only mode).
    pub async fn note_setting(
        &self,
        actor: &Actor,
        what: &str,
        body: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.note(actor, EventKind::SettingsChange, what.to_owned(), body)
            .await
    }

    /// Notes that the glass was broken or mended on the machine, as its file said.
    pub async fn note_break_glass(
        &self,
        actor: &Actor,
        pulls: &str,
        body: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.note(actor, EventKind::BreakGlass, pulls.to_owned(), body)
            .await
    }

    /// What was noted so since a moment, in order; at most 10,000 of it.
    pub async fn break_glass_notes(&self, since: Timestamp) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT seq, at, kind, subject, actor, cause, rule_version, body FROM event \
                   WHERE kind = $1 AND at >= $2 ORDER BY seq LIMIT 10000";
        let values = [EventKind::BreakGlass.name().into(), since.micros().into()];
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.into_iter().map(EventRow::into_event).collect()
    }

    /// The last event of a kind whose subject is like a pattern of `LIKE`.
    pub(crate) async fn last_event(
        &self,
        kind: EventKind,
        subject: &str,
    ) -> Result<Option<Event>, StoreError> {
        let sql = "SELECT seq, at, kind, subject, actor, cause, rule_version, body FROM event \
                   WHERE kind = $1 AND subject LIKE $2 ORDER BY seq DESC LIMIT 1";
        let values = [kind.name().into(), subject.into()];
        let row: Option<EventRow> = sql::first(self.inner.db.read(), sql, values).await?;
        row.map(EventRow::into_event).transpose()
    }

    /// Writes an event that belongs to no other change.
    pub(crate) async fn note(
        &self,
        actor: &Actor,
        kind: EventKind,
        subject: String,
        body: serde_json::Value,
    ) -> Result<(), StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { record(tx, &actor, kind, &subject, body).await }))
            .await
    }
}

#[cfg(test)]
mod tests;
