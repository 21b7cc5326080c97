//! Which person may use which account: verified claims against the rules of the configuration.
//!
//! A person is known by `sub` at the one configured issuer, or by a claim that the administrator named.
//! Names are compared byte by byte: nothing is cut off, folded or put in front. Without a rule that fits,
//! nobody gets in; root and system accounts are closed unless a rule names them.
//!
//! Not responsible for whether claims are true, nor for whether an account exists.

use std::net::IpAddr;
use std::time::Duration;

use countersign_client::Timestamp;
use countersign_jose::json;
use countersign_policy::{
    Claims as _, Evidence, Fact, Network, Policy, PolicyError, Rule as Conditions,
};
use serde_json::{Map, Value};

use crate::SignIn;

/// The longest set of claims that is looked at.
const MAX_CLAIMS: usize = 64 * 1024;
/// The longest name of an account.
const MAX_ACCOUNT: usize = 256;
/// What is known from the sign-in on, and from nowhere else: whose it is, for whom, and how it was done.
const SIGN_IN: [&str; 8] = ["iss", "sub", "aud", "azp", "acr", "amr", "auth_time", "sid"];

/// All rules of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    all: Vec<Rule>,
    account_claim: Option<Vec<String>>,
    min_uid: u32,
    allow_root: bool,
}

/// One rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    name: String,
    reach: Reach,
    /// Of one rule that allows.
    policy: Policy,
    max_session: Duration,
    acr: Option<Vec<String>>,
    max_auth_age: Option<Duration>,
    from: Option<Vec<Network>>,
    /// The claims about the person that it looks at, by their outermost names.
    claims: Vec<String>,
}

/// What a rule is about: these accounts, by way of these services.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// The services of PAM, as they are called in `/etc/pam.d`.
    pub(crate) services: Vec<String>,
    /// The accounts by name.
    pub(crate) named: Vec<String>,
    /// And the one that is called as the person's `account_claim` says.
    pub(crate) own: bool,
}

/// What a login is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'t> {
    /// The service of PAM that asks.
    pub(crate) service: &'t str,
    pub(crate) account: &'t str,
    pub(crate) uid: u32,
    /// Where it comes from, if that is an address.
    pub(crate) source: Option<IpAddr>,
}

/// Why nobody at all can get in, said before anybody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Closed {
    #[error("no rule is for the service")]
    Service,
    #[error("the account is root, and allow_root is not set or no rule names it")]
    Root,
    #[error("the account is a system account (below min_uid), and no rule names it")]
    System,
    #[error("no rule is about the account")]
    NoRule,
    #[error("every rule about the account asks for another source network")]
    Source,
}

/// What a sign-in is asked to prove, because every rule that could fit wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) acr_values: Vec<String>,
    pub(crate) max_age: Option<Duration>,
}

/// What the rules say about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed {
        rule: String,
        max_session: Duration,
    },
    /// Why not, by rule, for the journal.
    Refused {
        why: String,
    },
}

/// The claims of a person, from whoever verified them.
#[derive(Clone)]
pub(crate) struct Person(Map<String, Value>);

impl Rule {
    /// Checks what a rule asks for. `claims` are those that it looks at, by their outermost names.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a rule")]
    pub(crate) fn new(
        name: String,
        reach: Reach,
        conditions: Conditions,
        max_session: Duration,
        acr: Option<Vec<String>>,
        max_auth_age: Option<Duration>,
        from: Option<Vec<String>>,
        mut claims: Vec<String>,
    ) -> Result<Self, PolicyError> {
        let policy = Policy::builder().allow(conditions).build()?;
        // The policy has refused what is no network.
        let parse =
            |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        claims.retain(|name| !SIGN_IN.contains(&name.as_str()));
        Ok(Self {
            name,
            reach,
            claims,
            policy,
            max_session,
            acr,
            max_auth_age,
            from: from.map(parse),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(crate) fn max_session(&self) -> Duration {
        self.max_session
    }

    /// The ways to sign in that it asks for; none where any will do.
    pub(crate) fn acr(&self) -> Option<&[String]> {
        self.acr.as_deref()
    }

    /// How long ago the person may have signed in; nothing where that does not matter.
    pub(crate) fn max_auth_age(&self) -> Option<Duration> {
        self.max_auth_age
    }

    pub(crate) fn is_for(&self, service: &str) -> bool {
        self.reach.services.iter().any(|name| name == service)
    }

    fn names(&self, account: &str) -> bool {
        self.reach.named.iter().any(|name| name == account)
    }

    fn may_come_from(&self, source: Option<IpAddr>) -> bool {
        match (&self.from, source) {
            (None, _) => true,
            (Some(networks), Some(source)) => networks.iter().any(|one| one.contains(source)),
            (Some(_), None) => false,
        }
    }
}

impl Rules {
    pub(crate) fn new(
        rules: Vec<Rule>,
        account_claim: Option<Vec<String>>,
        min_uid: u32,
        allow_root: bool,
    ) -> Self {
        Self {
            all: rules,
            account_claim,
            min_uid,
            allow_root,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.all.iter()
    }

    pub(crate) fn account_claim(&self) -> Option<&[String]> {
        self.account_claim.as_deref()
    }

    pub(crate) fn allows_root(&self) -> bool {
        self.allow_root
    }

    /// Whether somebody could get in, and what that person is asked to prove.
    ///
    /// # Errors
    /// [`Closed`] when nobody could, whoever it is: then nobody need be asked.
    pub(crate) fn could_fit(&self, target: Target<'_>) -> Result<Asked, Closed> {
        if !self.is_empty() && !self.all.iter().any(|rule| rule.is_for(target.service)) {
            return Err(Closed::Service);
        }
        if target.uid == 0 && !self.allow_root {
            return Err(Closed::Root);
        }
        let about: Vec<&Rule> = self.about(target).collect();
        if about.is_empty() {
            return Err(match target.uid {
                0 => Closed::Root,
                uid if uid < self.min_uid => Closed::System,
                _ => Closed::NoRule,
            });
        }
        let fitting = about
            .into_iter()
            .filter(|rule| rule.may_come_from(target.source));
        let fitting: Vec<&Rule> = fitting.collect();
        if fitting.is_empty() {
            return Err(Closed::Source);
        }
        // What only some of them want is not asked of everybody.
        let acr = fitting.iter().map(|rule| rule.acr.as_ref());
        let acr: Option<Vec<&Vec<String>>> = acr.collect();
        let mut acr_values: Vec<String> = acr.into_iter().flatten().flatten().cloned().collect();
        acr_values.dedup();
        let ages = fitting.iter().map(|rule| rule.max_auth_age);
        let ages: Option<Vec<Duration>> = ages.collect();
        Ok(Asked {
            acr_values,
            max_age: ages.and_then(|ages| ages.into_iter().max()),
        })
    }

    /// The claims that the rules about an account look at, by their outermost names, without what is known
    /// from the sign-in.
    pub(crate) fn claims(&self, target: Target<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.about(target).flat_map(|rule| &rule.claims) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether any rule looks at more than at whom somebody is and how they signed in.
    pub(crate) fn look_at_claims(&self) -> bool {
        self.all.iter().any(|rule| !rule.claims.is_empty())
    }

    /// The rules that are about an account and the service: those that name it, and for an account of a
    /// person those that are about everybody's own.
    fn about<'r>(&'r self, target: Target<'r>) -> impl Iterator<Item = &'r Rule> {
        let is_persons = target.uid != 0 && target.uid >= self.min_uid;
        self.all
            .iter()
            .filter(move |rule| rule.is_for(target.service))
            .filter(move |rule| rule.names(target.account) || (is_persons && rule.reach.own))
    }

    /// Whether this person may use the account now. `now` is what an age of a sign-in is measured by.
    pub(crate) fn decide(&self, target: Target<'_>, person: &Person, now: Timestamp) -> Decision {
        if let Err(closed) = self.could_fit(target) {
            return Decision::Refused {
                why: closed.to_string(),
            };
        }
        let evidence = person.evidence(target, now);
        let mut reasons = Vec::new();
        for rule in self.about(target) {
            if let Some(other) = self.not_own(rule, target, person) {
                reasons.push(format!("rule {:?}: {other}", rule.name));
                continue;
            }
            if rule.policy.decide(&evidence).is_allowed() {
                return Decision::Allowed {
                    rule: rule.name.clone(),
                    max_session: rule.max_session,
                };
            }
            let explained = rule.policy.explain(&evidence);
            let why = explained.rules.iter().flat_map(|report| &report.reasons);
            let why: Vec<&str> = why.map(String::as_str).collect();
            reasons.push(format!("rule {:?}: {}", rule.name, why.join(", ")));
        }
        Decision::Refused {
            why: reasons.join("; "),
        }
    }

    /// Why a rule that is about everybody's own account is not about this one; nothing if it is.
    fn not_own(&self, rule: &Rule, target: Target<'_>, person: &Person) -> Option<String> {
        if rule.names(target.account) {
            return None;
        }
        let path = self.account_claim.as_deref().unwrap_or_default();
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let shown = names.join(".");
        match person.0.claim(&names) {
            Some(Fact::Text(_)) if names == ["email"] && !person.has_verified_email() => {
                Some("the email address is not verified".to_owned())
            }
            Some(Fact::Text(own)) if own == target.account && is_account(own) => None,
            Some(Fact::Text(own)) => Some(format!("the claim {shown} is {own:?}")),
            Some(_) => Some(format!("the claim {shown} is no text")),
            None => Some(format!("there is no claim {shown}")),
        }
    }
}

impl Person {
    /// Reads claims strictly: an object, no member twice, no more than 64 KiB.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(claims: &[u8]) -> Result<Self, json::JsonError> {
        let claims = json::parse(claims, MAX_CLAIMS)?;
        // What is an object has members.
        Ok(Self(claims.to().unwrap_or_default()))
    }

    /// Somebody of whom nothing new is said.
    pub(crate) fn known_as(sub: &str) -> Self {
        Self(Map::from_iter([("sub".to_owned(), sub.into())]))
    }

    /// How the person signed in.
    pub(crate) fn sign_in(&self) -> SignIn {
        let read = |name: &str| self.0.get(name).cloned();
        SignIn {
            acr: self.text("acr").map(str::to_owned),
            amr: read("amr")
                .and_then(|amr| serde_json::from_value(amr).ok())
                .unwrap_or_default(),
            auth_time: self.0.get("auth_time").and_then(Value::as_i64),
        }
    }

    /// The same person, who signed in like that, where nothing else is said about it.
    pub(crate) fn having(mut self, sign_in: &SignIn) -> Self {
        let SignIn {
            acr,
            amr,
            auth_time,
        } = sign_in.clone();
        let amr = Some(amr).filter(|amr| !amr.is_empty());
        let facts = [
            ("acr", acr.map(Value::from)),
            ("amr", amr.map(Value::from)),
            ("auth_time", auth_time.map(Value::from)),
        ];
        for (name, fact) in facts {
            if let Some(fact) = fact {
                self.0.entry(name).or_insert(fact);
            }
        }
        self
    }

    fn evidence<'e>(&'e self, target: Target<'_>, now: Timestamp) -> Evidence<'e> {
        Evidence::new(&self.0, now.as_secs()).source(target.source)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn has_verified_email(&self) -> bool {
        self.0.get("email_verified") == Some(&Value::Bool(true))
    }

    /// `sub`, which verified claims always have.
    pub(crate) fn sub(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// What the person is called in a greeting: fit for a terminal, and never empty.
    pub(crate) fn name(&self) -> String {
        let names = ["name", "preferred_username", "email", "sub"];
        let found = names.into_iter().filter_map(|name| self.text(name));
        let mut shown = found.map(countersign_client::printable);
        shown
            .find(|name| !name.is_empty())
            .map_or_else(|| "somebody".to_owned(), |name| cut(&name, 60))
    }

    /// How the person recognises the account that was used at the provider.
    pub(crate) fn login_name(&self) -> String {
        let names = ["email", "preferred_username", "sub"];
        let found = names.into_iter().filter_map(|name| self.text(name));
        let mut shown = found.map(countersign_client::printable);
        shown
            .find(|name| !name.is_empty())
            .map_or_else(|| "somebody".to_owned(), |name| cut(&name, 60))
    }
}

/// Names alone: the rest is personal.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn cut(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// Whether a text can be the name of an account, here or in a directory: nothing that a shell, a path or
/// a pattern takes for something else.
pub(crate) fn is_account(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-\\".contains(&byte);
    (1..=MAX_ACCOUNT).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with(['-', '.', '+', '@'])
}

#[cfg(test)]
mod tests;
