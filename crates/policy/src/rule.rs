//! A rule as somebody writes it: in TOML, or with the methods of [`Rule`].
//!
//! Not responsible for judging anything; see `condition`.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::PolicyError;
use crate::condition::{Condition, Test};
use crate::network::InvalidNetwork;

/// The most values that one condition may list.
pub const MAX_VALUES: usize = 1000;

/// What a rule does when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Lets pass, unless a rule that denies holds too.
    Allow,
    /// Refuses.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// A rule: conditions, all of which must hold.
///
/// It can be read from any format of serde, on its own or as a part of something larger; keys that
/// it does not have are errors. What it says is checked when a [`Policy`](crate::Policy) is built.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    name: Option<String>,
    anyone: bool,
    scopes: Option<Vec<String>>,
    any_scope: Option<Vec<String>>,
    clients: Option<Vec<String>>,
    issuers: Option<Vec<String>>,
    subjects: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    groups_claim: Option<Path>,
    emails: Option<Vec<String>>,
    email_domains: Option<Vec<String>>,
    acr: Option<Vec<String>>,
    max_auth_age: Option<Age>,
    from: Option<Vec<String>>,
    claims: Vec<ClaimTest>,
}

impl Rule {
    /// A rule of this name, without conditions.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    /// Says that it is meant for everybody whose claims are verified. Such a rule has no conditions.
    #[must_use]
    pub fn anyone(mut self) -> Self {
        self.anyone = true;
        self
    }

    /// Asks for all of these scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(strings(scopes));
        self
    }

    /// Asks for one of these scopes.
    #[must_use]
    pub fn any_scope<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.any_scope = Some(strings(scopes));
        self
    }

    /// Asks for one of these clients.
    #[must_use]
    pub fn clients<S: Into<String>>(mut self, clients: impl IntoIterator<Item = S>) -> Self {
        self.clients = Some(strings(clients));
        self
    }

    /// Asks for one of these issuers (`iss`). A `sub` means nothing without one where several are
    /// trusted.
    #[must_use]
    pub fn issuers<S: Into<String>>(mut self, issuers: impl IntoIterator<Item = S>) -> Self {
        self.issuers = Some(strings(issuers));
        self
    }

    /// Asks for one of these subjects (`sub`).
    #[must_use]
    pub fn subjects<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Self {
        self.subjects = Some(strings(subjects));
        self
    }

    /// Asks for one of these groups, by exact name, in the claim `groups` unless said otherwise.
    #[must_use]
    pub fn groups<S: Into<String>>(mut self, groups: impl IntoIterator<Item = S>) -> Self {
        self.groups = Some(strings(groups));
        self
    }

    /// Says which claim has the groups.
    #[must_use]
    pub fn groups_claim(mut self, path: impl Into<Path>) -> Self {
        self.groups_claim = Some(path.into());
        self
    }

    /// Asks for one of these addresses (`email`), which the issuer must have verified.
    #[must_use]
    pub fn emails<S: Into<String>>(mut self, emails: impl IntoIterator<Item = S>) -> Self {
        self.emails = Some(strings(emails));
        self
    }

    /// Asks for an address (`email`) in one of these domains, which the issuer must have verified.
    #[must_use]
    pub fn email_domains<S: Into<String>>(mut self, domains: impl IntoIterator<Item = S>) -> Self {
        self.email_domains = Some(strings(domains));
        self
    }

    /// Asks for one of these authentication context classes (`acr`).
    #[must_use]
    pub fn acr<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.acr = Some(strings(values));
        self
    }

    /// Asks that the person signed in (`auth_time`) at most so long ago.
    #[must_use]
    pub fn max_auth_age(mut self, age: Duration) -> Self {
        self.max_auth_age = Some(Age::Seconds(age.as_secs()));
        self
    }

    /// Asks that the request comes from one of these networks.
    #[must_use]
    pub fn from<S: Into<String>>(mut self, networks: impl IntoIterator<Item = S>) -> Self {
        self.from = Some(strings(networks));
        self
    }

    /// Asks for a claim. Several of these must all hold.
    #[must_use]
    pub fn claim(mut self, test: ClaimTest) -> Self {
        self.claims.push(test);
        self
    }

    pub(crate) fn name_or(&self, number: usize) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("#{number}"),
        }
    }

    /// Checks what is asked for, in the order in which it is cheap to look at.
    pub(crate) fn conditions(&self, rule: &str) -> Result<Vec<Condition>, PolicyError> {
        let mut conditions = Vec::new();
        let mut add =
            |condition, values: &Option<Vec<String>>, make: fn(Vec<String>) -> Condition| {
                if let Some(values) = values {
                    conditions.push(make(checked(rule, condition, values)?));
                }
                Ok::<(), PolicyError>(())
            };
        add("issuers", &self.issuers, Condition::Issuer)?;
        add("clients", &self.clients, Condition::Client)?;
        add("subjects", &self.subjects, Condition::Subject)?;
        add("scopes", &self.scopes, Condition::AllScopes)?;
        add("any_scope", &self.any_scope, Condition::AnyScope)?;
        add("emails", &self.emails, Condition::Email)?;
        add("acr", &self.acr, Condition::Acr)?;
        if let Some(groups) = &self.groups {
            conditions.push(Condition::Group {
                path: match &self.groups_claim {
                    Some(path) => path.checked(rule)?,
                    None => vec!["groups".to_owned()],
                },
                groups: checked(rule, "groups", groups)?,
            });
        } else if self.groups_claim.is_some() {
            return Err(PolicyError::Values {
                rule: rule.to_owned(),
                condition: "groups",
            });
        }
        if let Some(domains) = &self.email_domains {
            let domains = checked(rule, "email_domains", domains)?;
            if let Some(unfit) = domains.iter().find(|domain| !is_domain(domain)) {
                return Err(PolicyError::Domain {
                    rule: rule.to_owned(),
                    text: unfit.clone(),
                });
            }
            conditions.push(Condition::EmailDomain(domains));
        }
        if let Some(age) = &self.max_auth_age {
            conditions.push(Condition::AuthAge(age.seconds()?));
        }
        if let Some(networks) = &self.from {
            let networks = checked(rule, "from", networks)?;
            let parse = |text: &String| {
                text.parse().map_err(|InvalidNetwork| PolicyError::Network {
                    rule: rule.to_owned(),
                    text: text.clone(),
                })
            };
            conditions.push(Condition::From(
                networks.iter().map(parse).collect::<Result<_, _>>()?,
            ));
        }
        for test in &self.claims {
            conditions.push(test.condition(rule)?);
        }
        match (self.anyone, conditions.is_empty()) {
            (false, true) => Err(PolicyError::NoConditions(rule.to_owned())),
            (true, false) => Err(PolicyError::AnyoneWithConditions(rule.to_owned())),
            _ => Ok(conditions),
        }
    }
}

fn strings<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Vec<String> {
    values.into_iter().map(Into::into).collect()
}

fn checked(
    rule: &str,
    condition: &'static str,
    values: &[String],
) -> Result<Vec<String>, PolicyError> {
    let fits = (1..=MAX_VALUES).contains(&values.len()) && !values.iter().any(String::is_empty);
    fits.then(|| values.to_vec())
        .ok_or_else(|| PolicyError::Values {
            rule: rule.to_owned(),
            condition,
        })
}

/// The part of an address behind the `@`, and nothing that could be a part of one only.
fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|label| !label.is_empty())
        && !text.contains(|c: char| matches!(c, '@' | '*') || c.is_whitespace() || c.is_control())
}

/// Where a claim is: the name of a member, or several, from the outside in. A single name is taken
/// as it stands, dots and all, because names such as `https://example.com/roles` are common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Path {
    /// A claim of the top level.
    Name(String),
    /// A claim inside of others, such as `["realm_access", "roles"]`.
    Names(Vec<String>),
}

impl Path {
    fn checked(&self, rule: &str) -> Result<Vec<String>, PolicyError> {
        let names = match self {
            Self::Name(name) => vec![name.clone()],
            Self::Names(names) => names.clone(),
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(PolicyError::ClaimPath(rule.to_owned()));
        }
        Ok(names)
    }
}

impl From<&str> for Path {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(names: [&str; N]) -> Self {
        Self::Names(strings(names))
    }
}

/// A value that a claim is compared with. Types are part of the value: `"1"` is not `1`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// A string.
    Text(String),
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(&crate::shown::quoted(value)),
        }
    }
}

/// A condition on one claim.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimTest {
    claim: Path,
    equals: Option<Scalar>,
    any: Option<Vec<Scalar>>,
    all: Option<Vec<Scalar>>,
    none: Option<Vec<Scalar>>,
    glob: Option<String>,
    exists: Option<bool>,
}

impl ClaimTest {
    fn of(claim: impl Into<Path>) -> Self {
        Self {
            claim: claim.into(),
            equals: None,
            any: None,
            all: None,
            none: None,
            glob: None,
            exists: None,
        }
    }

    /// The claim that is looked at.
    pub fn path(&self) -> &Path {
        &self.claim
    }

    /// The claim is this value. An array is not equal to the value that it holds.
    pub fn equals(claim: impl Into<Path>, value: impl Into<Scalar>) -> Self {
        Self {
            equals: Some(value.into()),
            ..Self::of(claim)
        }
    }

    /// The claim is one of these values, or an array that holds one of them.
    pub fn any<S: Into<Scalar>>(
        claim: impl Into<Path>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            any: Some(values.into_iter().map(Into::into).collect()),
            ..Self::of(claim)
        }
    }

    /// The claim is an array that holds all of these values; a single value counts as an array of one.
    pub fn all<S: Into<Scalar>>(
        claim: impl Into<Path>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            all: Some(values.into_iter().map(Into::into).collect()),
            ..Self::of(claim)
        }
    }

    /// The claim is none of these values, and no array that holds one of them. A claim that is not
    /// there is none of them.
    pub fn none<S: Into<Scalar>>(
        claim: impl Into<Path>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            none: Some(values.into_iter().map(Into::into).collect()),
            ..Self::of(claim)
        }
    }

    /// The claim is a string that this pattern covers as a whole, or an array that holds one. `*`
    /// stands for any characters.
    pub fn glob(claim: impl Into<Path>, pattern: impl Into<String>) -> Self {
        Self {
            glob: Some(pattern.into()),
            ..Self::of(claim)
        }
    }

    /// The claim is there, of whatever type, or is not.
    pub fn exists(claim: impl Into<Path>, exists: bool) -> Self {
        Self {
            exists: Some(exists),
            ..Self::of(claim)
        }
    }

    fn condition(&self, rule: &str) -> Result<Condition, PolicyError> {
        let mut tests = Vec::new();
        tests.extend(self.equals.clone().map(Test::Equals));
        let list = |condition, values: &Option<Vec<Scalar>>| match values {
            Some(values) if !(1..=MAX_VALUES).contains(&values.len()) => Err(PolicyError::Values {
                rule: rule.to_owned(),
                condition,
            }),
            values => Ok(values.clone()),
        };
        tests.extend(list("any", &self.any)?.map(Test::Any));
        tests.extend(list("all", &self.all)?.map(Test::All));
        tests.extend(list("none", &self.none)?.map(Test::None));
        tests.extend(self.glob.clone().map(Test::Glob));
        tests.extend(self.exists.map(Test::Exists));
        match (tests.pop(), tests.is_empty()) {
            (Some(test), true) => Ok(Condition::Claim {
                path: self.claim.checked(rule)?,
                test,
            }),
            _ => Err(PolicyError::ClaimTest(rule.to_owned())),
        }
    }
}

/// A time in seconds, or with a unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Age {
    Seconds(u64),
    Text(String),
}

impl Age {
    fn seconds(&self) -> Result<u64, PolicyError> {
        let text = match self {
            Self::Seconds(seconds) => return Ok(*seconds),
            Self::Text(text) => text,
        };
        let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let digits = text.strip_suffix(unit)?;
            let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            let count: u64 = digits.parse().ok().filter(|_| all_digits)?;
            count.checked_mul(seconds)
        });
        parsed.ok_or_else(|| PolicyError::Duration(text.clone()))
    }
}

/// The names must differ, or no decision could say which rule it was.
pub(crate) fn check_names<'r>(names: impl IntoIterator<Item = &'r str>) -> Result<(), PolicyError> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(PolicyError::NameTwice(name.to_owned())),
        None => Ok(()),
    }
}
