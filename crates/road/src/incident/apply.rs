//! What each event does. Everything is checked before anything is changed.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::line::Lost;
use super::{
    Event, EventKind, Generation, Incident, IncidentError, LINES_PER_EVENT, Line, LineKey, MAX_FIXES,
    MAX_GENERATIONS, MAX_LINES, MAX_RELIEFS, MAX_REMEDIES, MAX_TEXT_BYTES, MAX_VULNERABILITIES, ReliefKind,
    Sighting, Vulnerability,
};
use crate::names::VulnerabilityId;

/// The incident that an opening makes.
pub(super) fn opened(event: &Event) -> Result<Incident, IncidentError> {
    let EventKind::Opened {
        id,
        title,
        vulnerabilities,
        deadlines,
        coverage,
        targets,
    } = &event.kind
    else {
        return Err(IncidentError::Opening);
    };
    check_text("title", title)?;
    if vulnerabilities.is_empty() {
        return Err(IncidentError::NoVulnerability);
    }
    let mut incident = Incident {
        id: id.clone(),
        title: title.clone(),
        opened_at: event.at,
        last_at: event.at,
        closed_at: None,
        vulnerabilities: Vec::new(),
        generations: vec![Generation::new(1, event.at)],
        deadlines: *deadlines,
        coverage: *coverage,
        lines: std::collections::BTreeMap::new(),
        log: super::Log::default(),
    };
    for vulnerability in vulnerabilities {
        incident.add(vulnerability, false, event.at)?;
    }
    incident.aim_at(targets)?;
    incident.log.note(event);
    Ok(incident)
}

pub(super) fn apply(incident: &mut Incident, event: &Event) -> Result<(), IncidentError> {
    let (at, last) = (event.at, incident.last_at);
    if at < last {
        return Err(IncidentError::Backwards { at, last });
    }
    match &event.kind {
        EventKind::Opened { .. } => return Err(IncidentError::Opening),
        EventKind::Seen { lines } => incident.saw(lines, at)?,
        EventKind::VulnerabilityAdded {
            vulnerability,
            supersedes,
            targets,
        } => {
            check_count("versions to go to", targets.len(), MAX_FIXES)?;
            incident.add(vulnerability, *supersedes, at)?;
            incident.aim_at(targets)?;
        }
        EventKind::FixChanged {
            vulnerability,
            fixed_in,
            supersedes,
            targets,
        } => {
            check_count("versions to go to", targets.len(), MAX_FIXES)?;
            incident.change_fix(vulnerability, fixed_in, *supersedes, at)?;
            incident.aim_at(targets)?;
        }
        EventKind::SeverityChanged {
            vulnerability,
            severity,
            by_source,
        } => {
            check_count("sources", by_source.len(), MAX_FIXES)?;
            let place = incident.place(vulnerability)?;
            let known = &mut incident.vulnerabilities[place];
            known.severity = *severity;
            known.by_source.clone_from(by_source);
        }
        EventKind::Mitigated {
            line,
            covers,
            until,
            reason,
        } => incident.relieve(ReliefKind::Mitigation, event, (line, covers), *until, reason)?,
        EventKind::Waived {
            line,
            covers,
            until,
            reason,
        } => incident.relieve(ReliefKind::Waiver, event, (line, covers), *until, reason)?,
        EventKind::MitigationEnded { line, reason } => {
            incident.end(ReliefKind::Mitigation, event, line, reason)?;
        }
        EventKind::WaiverEnded { line, reason } => incident.end(ReliefKind::Waiver, event, line, reason)?,
        EventKind::Gone { line, reason } => incident.gone(line, reason, at)?,
        EventKind::Running {
            line,
            affected_by,
            replicas,
        } => incident.running(line, affected_by, *replicas, at)?,
        EventKind::Covered { coverage } => incident.coverage = *coverage,
        EventKind::Closed { note } => incident.close(note, at)?,
    }
    incident.last_at = at;
    incident.log.note(event);
    Ok(())
}

/// Whether a sighting would change anything.
pub(super) fn is_news(incident: &Incident, sighting: &Sighting) -> bool {
    let Some(line) = incident.lines.get(&sighting.line) else {
        return !sighting.affected_by.is_empty();
    };
    let offered = incident.mask(&sighting.affected_by);
    let stays_gone = line.is_withdrawn && offered == Ok(0);
    offered != Ok(line.offered)
        || (line.gone.is_some() && !stays_gone)
        || sighting.fixes.iter().any(|fix| !line.has_fix(fix))
        || line.key.application != sighting.line.application
        || line.digest != sighting.digest
        || line.owner != sighting.owner
        || line.contacts != sighting.contacts
        || line.remedies != sighting.remedies
        || incident.reliefs_of(sighting).as_ref() != Ok(&line.seen)
}

fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), IncidentError> {
    if count > limit {
        return Err(IncidentError::Long { what, count, limit });
    }
    Ok(())
}

pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), IncidentError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(IncidentError::Text(what));
    }
    Ok(())
}

impl Incident {
    fn place(&self, id: &VulnerabilityId) -> Result<usize, IncidentError> {
        let place = self.vulnerabilities.iter().position(|known| known.id == *id);
        place.ok_or_else(|| IncidentError::UnknownVulnerability(id.clone()))
    }

    pub(super) fn mask(&self, ids: &[VulnerabilityId]) -> Result<u64, IncidentError> {
        check_count("vulnerabilities", ids.len(), MAX_VULNERABILITIES)?;
        ids.iter()
            .try_fold(0, |mask, id| self.place(id).map(|place| mask | 1 << place))
    }

    pub(super) fn followed(&mut self, key: &LineKey) -> Result<&mut Line, IncidentError> {
        let line = self.lines.get_mut(key);
        line.ok_or_else(|| IncidentError::UnknownLine(key.to_string()))
    }

    /// The generation that something new belongs to.
    fn generation(&mut self, supersedes: bool, at: OffsetDateTime) -> Result<&mut Generation, IncidentError> {
        let count = self.generations.len();
        if supersedes || count == 0 {
            if count >= MAX_GENERATIONS {
                return Err(IncidentError::Generations);
            }
            self.generations.push(Generation::new(count + 1, at));
        }
        let last = self.generations.last_mut();
        last.ok_or(IncidentError::Generations)
    }

    fn add(
        &mut self,
        vulnerability: &Vulnerability,
        supersedes: bool,
        at: OffsetDateTime,
    ) -> Result<(), IncidentError> {
        check_count("versions with the fix", vulnerability.fixed_in.len(), MAX_FIXES)?;
        check_count("sources", vulnerability.by_source.len(), MAX_FIXES)?;
        if self.place(&vulnerability.id).is_ok() {
            return Err(IncidentError::Known(vulnerability.id.clone()));
        }
        let place = self.vulnerabilities.len();
        if place >= MAX_VULNERABILITIES {
            return Err(IncidentError::Vulnerabilities);
        }
        let generation = self.generation(supersedes, at)?;
        generation.members |= 1 << place;
        generation.active |= 1 << place;
        generation.aim_at(&vulnerability.fixed_in);
        self.vulnerabilities.push(vulnerability.clone());
        Ok(())
    }

    fn change_fix(
        &mut self,
        id: &VulnerabilityId,
        fixed_in: &[String],
        supersedes: bool,
        at: OffsetDateTime,
    ) -> Result<(), IncidentError> {
        check_count("versions with the fix", fixed_in.len(), MAX_FIXES)?;
        let place = self.place(id)?;
        let bit = 1_u64 << place;
        if supersedes {
            let generation = self.generation(true, at)?;
            generation.members |= bit;
            generation.aim_at(fixed_in);
            for generation in &mut self.generations {
                generation.active &= !bit;
            }
            if let Some(last) = self.generations.last_mut() {
                last.active |= bit;
            }
            for line in self.lines.values_mut() {
                line.wind(at, &self.generations);
            }
        } else if let Some(own) = self.generations.iter_mut().rfind(|own| own.active & bit != 0) {
            own.aim_at(fixed_in);
        }
        self.vulnerabilities[place].fixed_in = fixed_in.to_vec();
        Ok(())
    }

    /// What is to be gone to from now on, where that was told.
    fn aim_at(&mut self, targets: &[String]) -> Result<(), IncidentError> {
        check_count("versions to go to", targets.len(), MAX_FIXES)?;
        if let Some(last) = self.generations.last_mut().filter(|_| !targets.is_empty()) {
            last.targets = targets.to_vec();
        }
        Ok(())
    }

    /// The masks of the sightings, if all of them can be taken in.
    pub(super) fn check_seen(&self, sightings: &[Sighting]) -> Result<Vec<u64>, IncidentError> {
        let mut masks = Vec::with_capacity(sightings.len());
        let mut added = 0;
        for sighting in sightings {
            check_count("remedies", sighting.remedies.len(), MAX_REMEDIES)?;
            check_count(
                "contacts",
                sighting.contacts.len(),
                crate::application::MAX_LISTED,
            )?;
            check_count("mitigations and waivers", sighting.reliefs.len(), MAX_RELIEFS)?;
            check_count("versions with the fix", sighting.fixes.len(), MAX_FIXES)?;
            self.reliefs_of(sighting)?;
            if let Some(withdrawal) = &sighting.withdrawal {
                check_text("reason", &withdrawal.reason)?;
                self.mask(&withdrawal.ids)?;
            }
            let mask = self.mask(&sighting.affected_by)?;
            added += usize::from(mask != 0 && !self.lines.contains_key(&sighting.line));
            masks.push(mask);
        }
        if self.lines.len() + added > MAX_LINES {
            return Err(IncidentError::Lines);
        }
        Ok(masks)
    }

    fn saw(&mut self, sightings: &[Sighting], at: OffsetDateTime) -> Result<(), IncidentError> {
        check_count("lines", sightings.len(), LINES_PER_EVENT)?;
        let masks = self.check_seen(sightings)?;
        for (sighting, mask) in sightings.iter().zip(masks) {
            if mask != 0 || self.lines.contains_key(&sighting.line) {
                self.saw_one(sighting, mask, at);
            }
        }
        Ok(())
    }

    fn saw_one(&mut self, sighting: &Sighting, mask: u64, at: OffsetDateTime) {
        let at_opening = at == self.opened_at;
        let seen = self.reliefs_of(sighting).unwrap_or_default();
        let withdrawn = sighting.withdrawal.as_ref();
        let withdrawn_mask = withdrawn.map_or(0, |withdrawn| self.mask(&withdrawn.ids).unwrap_or(0));
        let line = self.lines.entry(sighting.line.clone()).or_insert_with(|| Line {
            key: sighting.line.clone(),
            since: at,
            at_opening,
            cohort: sighting.cohort,
            owner: None,
            contacts: Vec::new(),
            digest: sighting.digest,
            remedies: Vec::new(),
            clocks: Vec::new(),
            reliefs: Vec::new(),
            seen: Vec::new(),
            reopened: 0,
            last_reopening: None,
            replicas: None,
            gone: None,
            is_withdrawn: false,
            fixes: BTreeSet::new(),
            offered: 0,
            running: 0,
            ever: 0,
        });
        line.key.application.clone_from(&sighting.line.application);
        line.seen = seen;
        line.owner.clone_from(&sighting.owner);
        line.contacts.clone_from(&sighting.contacts);
        line.remedies.clone_from(&sighting.remedies);
        line.digest = sighting.digest;
        let room = MAX_FIXES.saturating_sub(line.fixes.len());
        line.fixes.extend(sighting.fixes.iter().take(room).cloned());
        let (before, was_gone) = (line.exposed(), line.gone.is_some());
        line.offered = mask;
        let lost = before & !line.exposed();
        let lost = Lost {
            withdrawn: lost & withdrawn_mask,
            fixed: lost & !withdrawn_mask,
        };
        // Who was gone by advisories comes back by advisories.
        if !line.is_withdrawn || mask != 0 {
            (line.gone, line.is_withdrawn) = (None, false);
        }
        if let Some(withdrawn) = withdrawn
            && line.exposed() == 0
            && lost.withdrawn != 0
            && lost.fixed == 0
        {
            (line.gone, line.is_withdrawn) = (Some(withdrawn.reason.clone()), true);
        }
        line.wind_after(lost, at, &self.generations);
        if was_gone {
            line.settle_return();
        }
    }

    fn gone(&mut self, key: &LineKey, reason: &str, at: OffsetDateTime) -> Result<(), IncidentError> {
        check_text("reason", reason)?;
        let generations = std::mem::take(&mut self.generations);
        let done = self.followed(key).map(|line| {
            // What was fixed before stays so.
            if line.exposed() != 0 {
                line.offered = 0;
                line.gone = Some(reason.to_owned());
                line.wind(at, &generations);
            }
        });
        self.generations = generations;
        done
    }

    fn running(
        &mut self,
        key: &LineKey,
        affected_by: &[VulnerabilityId],
        replicas: u32,
        at: OffsetDateTime,
    ) -> Result<(), IncidentError> {
        let mask = self.mask(affected_by)?;
        let generations = std::mem::take(&mut self.generations);
        let done = self.followed(key).map(|line| {
            line.replicas = Some(replicas);
            line.running = if replicas == 0 { 0 } else { mask };
            line.wind(at, &generations);
        });
        self.generations = generations;
        done
    }

    fn close(&mut self, note: &str, at: OffsetDateTime) -> Result<(), IncidentError> {
        check_text("note", note)?;
        let open = self
            .lines
            .values()
            .filter(|line| line.state(at).is_open())
            .count();
        if open > 0 {
            return Err(IncidentError::StillOpen(open));
        }
        self.closed_at = Some(at);
        Ok(())
    }
}
