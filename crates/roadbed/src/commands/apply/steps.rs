//! A plan as lines that somebody reviews: what is new, what changes from what to what, what goes.

use ::road::application::Statement;
use ::road::base::{BaseImage, Lifecycle};
use ::road::names::{Contact, Environment};
use access::Grant;
use oci::{Algorithm, Digest, RepoPattern};
use signatures::SignerSpec;
use store::{Becoming, DeclaredInUse, DeclaredRobot, DeclaredUser, End, Rule, Step};

use crate::config::Size;

mod road;

/// One line.
pub(in crate::commands) fn describe(step: &Step) -> String {
    match step {
        Step::CreateUser(user) => new(&format!("user {}", user.name), &of_user(user)),
        Step::UpdateUser(user) => changed(&format!("user {}", user.to.name), user, of_user),
        Step::CreateRobot(robot) => new(&format!("robot {}", robot.name), &of_robot(robot)),
        Step::UpdateRobot(robot) => changed(&format!("robot {}", robot.to.name), robot, of_robot),
        Step::DeletePrincipal { kind, name } => format!("- {} {name}", kind.as_str()),
        Step::SetGrant(grant) => set_grant(grant),
        Step::RemoveGrant(grant) => format!("- {} {}", name_of(grant), grant.roles),
        Step::SetRule(rule) => changed(&format!("rule {}", rule.to.pattern), rule, of_rule),
        Step::SetSigner(signer) => changed(&format!("signer {}", signer.to.name), signer, of_signer),
        Step::RemoveSigner(signer) => format!("- signer {}: {}", signer.name, listed(&of_signer(signer))),
        Step::SetApplication(entry) => changed(
            &format!("application {}", entry.to.application),
            entry,
            of_application,
        ),
        Step::RemoveApplication(entry) => format!("- application {}", entry.application),
        Step::SetBase(base) => changed(&format!("base {}", base.to.name), base, of_base),
        Step::RemoveBase(base) => format!("- base {}", base.name),
        Step::SetRoad(entry) => road::set(entry),
        Step::RemoveRoad(entry) => format!("- {} {}", entry.kind().word(), entry.name()),
        Step::SetPolicy(policy) => match &policy.was {
            None => format!("+ policy {}", policy.to.digest),
            // Only its words: what it says is the same.
            Some(was) if was.digest == policy.to.digest => format!("~ policy text of {}", was.digest),
            Some(was) => format!("~ policy {} -> {}", was.digest, policy.to.digest),
        },
        Step::SetInUse(image) => changed(&image_of(&image.to), image, of_in_use),
        Step::RemoveInUse(image) => format!("- {}", image_of(image)),
        Step::RemoveRule(rule) => format!("- rule {}: {}", rule.pattern, listed(&of_rule(rule))),
    }
}

fn set_grant(grant: &Becoming<Grant>) -> String {
    let (name, roles) = (name_of(&grant.to), grant.to.roles);
    match &grant.was {
        None => format!("+ {name} {roles}"),
        Some(was) => format!("~ {name} {} -> {roles}", was.roles),
    }
}

fn name_of(grant: &Grant) -> String {
    format!("grant {} {}", grant.subject, grant.pattern)
}

/// Something that a user, robot or rule has.
struct Property {
    name: &'static str,
    /// What stands behind the name where it changes.
    value: String,
    /// How it reads alone; empty for what goes without saying.
    alone: String,
}

impl Property {
    fn new(name: &'static str, value: impl Into<String>, alone: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            alone: alone.into(),
        }
    }

    /// `name value`, or nothing where there is no value.
    fn of(name: &'static str, value: Option<String>) -> Self {
        let alone = value.as_ref().map(|value| format!("{name} {value}"));
        let value = value.unwrap_or_else(|| "none".to_owned());
        Self::new(name, value, alone.unwrap_or_default())
    }
}

fn new(what: &str, properties: &[Property]) -> String {
    format!("+ {what}: {}", listed(properties))
}

/// What stays as it is, is left out, unless all of it does.
fn changed<T>(what: &str, becoming: &Becoming<T>, properties: impl Fn(&T) -> Vec<Property>) -> String {
    let to = properties(&becoming.to);
    let Some(was) = becoming.was.as_ref().map(properties) else {
        return new(what, &to);
    };
    let both = was.iter().zip(&to).filter(|(was, to)| was.value != to.value);
    let changes: Vec<String> = both
        .map(|(was, to)| format!("{} {} -> {}", to.name, was.value, to.value))
        .collect();
    if changes.is_empty() {
        return format!("= {what}: {}", listed(&to));
    }
    format!("~ {what}: {}", changes.join(", "))
}

fn listed(properties: &[Property]) -> String {
    let alone = properties.iter().map(|property| property.alone.as_str());
    let said: Vec<&str> = alone.filter(|text| !text.is_empty()).collect();
    said.join(", ")
}

/// Whoever reviews a plan must see that it makes an administrator or sets a password.
fn of_user(user: &DeclaredUser) -> Vec<Property> {
    let is_administrator = user.administrator.unwrap_or(false);
    let administrator = if is_administrator { "administrator" } else { "" };
    let (password, set) = match &user.password_hash {
        Some(_) => ("new", "password set"),
        None => ("old", ""),
    };
    let mut properties = vec![
        Property::new("administrator", yes_or_no(is_administrator), administrator),
        Property::new("password", password, set),
    ];
    properties.extend(of_access(user.disabled, user.not_after));
    properties
}

fn of_robot(robot: &DeclaredRobot) -> Vec<Property> {
    of_access(robot.disabled, robot.not_after).into()
}

/// The steps of a plan say all of it; what they leave out is as it is for a new account.
fn of_access(disabled: Option<bool>, not_after: Option<End>) -> [Property; 2] {
    let disabled = disabled.unwrap_or(false);
    let state = if disabled { "disabled" } else { "enabled" };
    let end = not_after.unwrap_or(End::Never);
    let alone = match end {
        End::At(moment) => format!("ends {moment}"),
        End::Never => "never ends".to_owned(),
    };
    [
        Property::new("disabled", yes_or_no(disabled), state),
        Property::new("ends", end.to_string(), alone),
    ]
}

fn of_rule(rule: &Rule) -> Vec<Property> {
    let rules = &rule.rules;
    let deletion = if rules.deletion { "allowed" } else { "forbidden" };
    vec![
        Property::of(
            "immutable tags",
            rules.immutable_tags.as_ref().map(|tags| tags.0.join(",")),
        ),
        Property::of("quota", rules.quota_bytes.map(|bytes| Size(bytes).to_string())),
        Property::of("tag quota", rules.quota_tags.map(|tags| tags.to_string())),
        Property::new("deletion", deletion, format!("deletion {deletion}")),
    ]
}

fn image_of(image: &DeclaredInUse) -> String {
    format!("in use {} {}", image.repository, image.reference)
}

fn of_in_use(image: &DeclaredInUse) -> Vec<Property> {
    vec![
        Property::new("until", image.until.to_string(), format!("until {}", image.until)),
        Property::new("reason", image.reason.clone(), image.reason.clone()),
    ]
}

/// Whoever reviews a plan must see whom it trusts, where, and with what.
fn of_signer(signer: &SignerSpec) -> Vec<Property> {
    let digest = |text: &String| Digest::of(Algorithm::Sha256, text.trim().as_bytes()).to_string();
    let patterns: Vec<&str> = signer.repositories.iter().map(RepoPattern::as_str).collect();
    let identity = signer.identity.as_ref();
    let products = match (signer.vex, signer.products.is_empty()) {
        (false, _) => None,
        (true, true) => Some("everything there".to_owned()),
        (true, false) => Some(signer.products.join(",")),
    };
    let until = signer.until.map(|until| until.date().to_string());
    vec![
        Property::of("for", Some(patterns.join(","))),
        Property::of("key", signer.key.as_ref().map(digest)),
        Property::of(
            "identity",
            identity.map(|identity| format!("{} of {}", identity.subject, identity.issuer)),
        ),
        Property::of("author", signer.author.clone()),
        Property::of("roots", signer.roots.as_ref().map(digest)),
        Property::new("reference", yes_or_no(signer.match_reference), ""),
        Property::of("vex", products),
        Property::of("until", until),
    ]
}

fn of_application(entry: &Statement) -> Vec<Property> {
    let patterns: Vec<&str> = entry.repositories.iter().map(RepoPattern::as_str).collect();
    let environments: Vec<&str> = entry.environments.iter().map(Environment::as_str).collect();
    let contacts: Vec<&str> = entry.contacts.iter().map(Contact::as_str).collect();
    let listed = |names: &[&str]| (!names.is_empty()).then(|| names.join(","));
    vec![
        Property::of("repositories", listed(&patterns)),
        Property::of("owner", entry.owner.as_ref().map(ToString::to_string)),
        Property::of("tier", entry.tier.map(|tier| tier.to_string())),
        Property::of("environments", listed(&environments)),
        Property::of("contacts", listed(&contacts)),
        Property::of("system", entry.system.clone()),
    ]
}

/// What becomes of a base that is set anew, in a line.
pub(in crate::commands) fn base_changed(was: BaseImage, to: BaseImage) -> String {
    let what = format!("base {}", to.name);
    changed(&what, &Becoming { was: Some(was), to }, of_base)
}

fn of_base(base: &BaseImage) -> Vec<Property> {
    let channels = base.channels.iter();
    let channels: Vec<String> = channels
        .map(|(name, digest)| format!("{name}={digest}"))
        .collect();
    let lifecycle = Lifecycle::WORDS
        .iter()
        .find(|(_, lifecycle)| *lifecycle == base.lifecycle);
    // What is said of swapping and promised is long: that it changes must be seen.
    let promise = serde_json::to_string(&base.patch_within).unwrap_or_default();
    let rebase = base
        .rebase
        .as_ref()
        .and_then(|rebase| serde_json::to_string(rebase).ok());
    vec![
        Property::of("repository", Some(base.repository.to_string())),
        Property::of("owner", Some(base.owner.to_string())),
        Property::of("contact", base.contact.as_ref().map(ToString::to_string)),
        Property::of("lifecycle", lifecycle.map(|(word, _)| (*word).to_owned())),
        Property::of("supported until", Some(base.last_day().to_string())),
        Property::of("replaced by", base.replaced_by.as_ref().map(ToString::to_string)),
        Property::of("channels", (!channels.is_empty()).then(|| channels.join(","))),
        Property::new("seconds to patch", promise, ""),
        Property::of(
            "seconds of notice",
            base.retire_notice.map(|seconds| seconds.to_string()),
        ),
        Property::new("rebase", rebase.unwrap_or_default(), ""),
        Property::of("signer", base.signer.clone()),
    ]
}

fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
