//! Who belongs to whom: applications as they are declared, placed with their teams and tiers. Pure.

use std::collections::BTreeMap;

use maturity::{
    facts::{EntryKind, Facts, Placement},
    words::{Subject, SubjectName},
};
use road::{
    application::{Application, Applications},
    names::OwnerKind,
};

/// What of the catalogue is otherwise than it is known: applications that came, moved or went. Targets stay as they are.
pub(super) fn differences(applications: &Applications, facts: &Facts) -> Vec<EntryKind> {
    let declared: BTreeMap<SubjectName, &Application> = applications
        .iter()
        .filter_map(|of| Some((of.name.as_str().parse().ok()?, of)))
        .collect();
    let gone = facts.apps().filter(|known| !declared.contains_key(&known.app));
    let mut kinds: Vec<EntryKind> = gone
        .map(|known| EntryKind::Gone(Subject::app(known.app.clone())))
        .collect();
    for (name, application) in declared {
        let known = facts.placement(&name);
        let placement = placed(name, application, known);
        if known != Some(&placement) {
            kinds.push(EntryKind::Placed(Box::new(placement)));
        }
    }
    kinds
}

fn placed(app: SubjectName, application: &Application, known: Option<&Placement>) -> Placement {
    Placement {
        app,
        team: team_of(application),
        platform: None,
        tier: application.tier.as_ref().map(|tier| *tier.value()),
        targets: known.map(|known| known.targets.clone()).unwrap_or_default(),
    }
}

/// The team that owns it. A person is no team: there are no figures about persons.
fn team_of(application: &Application) -> Option<SubjectName> {
    let owner = application.owner.as_ref()?.value();
    if owner.kind() == OwnerKind::User {
        return None;
    }
    owner.name().parse().ok()
}

#[cfg(test)]
mod tests {
    use maturity::{
        evidence::EvidenceLimits,
        facts::{Entry, Targets},
        model::Model,
        words::EventId,
    };
    use road::application::{Source, Statement};
    use time::OffsetDateTime;

    use super::*;

    fn statement(name: &str, owner: &str, tier: u8) -> Statement {
        Statement {
            owner: Some(owner.parse().unwrap()),
            tier: Some(tier),
            ..Statement::new(name.parse().unwrap(), Source::Declared, "test")
        }
    }

    fn take(facts: &mut Facts, kinds: Vec<EntryKind>) {
        let model = Model::cnmm().unwrap();
        for kind in kinds {
            let entry = Entry {
                event: EventId(1),
                at: OffsetDateTime::UNIX_EPOCH,
                kind,
            };
            facts.add(&model, entry, &EvidenceLimits::default()).unwrap();
        }
    }

    #[test]
    fn what_moves_is_placed_anew_with_its_targets_and_what_is_undeclared_goes() {
        let of = |statements| Applications::build(statements).unwrap();
        let first = of(vec![
            statement("shop/checkout", "team-a", 1),
            statement("old", "user:ann", 2),
        ]);
        let mut facts = Facts::default();
        let kinds = differences(&first, &facts);
        assert_eq!(kinds.len(), 2);
        take(&mut facts, kinds);
        assert!(differences(&first, &facts).is_empty());
        assert_eq!(facts.placement(&"old".parse().unwrap()).unwrap().team, None);
        let targets = Targets {
            categories: [("technology".parse().unwrap(), 3)].into(),
            ..Targets::default()
        };
        let mut aimed = facts
            .placement(&"shop/checkout".parse().unwrap())
            .unwrap()
            .clone();
        aimed.targets = targets.clone();
        take(&mut facts, vec![EntryKind::Placed(Box::new(aimed))]);
        let moved = of(vec![statement("shop/checkout", "team-b", 1)]);
        let kinds = differences(&moved, &facts);
        assert_eq!(kinds.len(), 2);
        take(&mut facts, kinds);
        let now = facts.placement(&"shop/checkout".parse().unwrap()).unwrap();
        assert_eq!(now.team.as_ref().unwrap().as_str(), "team-b");
        assert_eq!(now.targets, targets);
        assert_eq!(facts.apps().count(), 1);
    }
}
