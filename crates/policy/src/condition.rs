//! Conditions, ready to be judged.
//!
//! Each is asked two things: whether it holds, which is on the path of every request, and why not,
//! which is only asked for an explanation.

use serde_json::Number;

use crate::evidence::{Evidence, Fact};
use crate::glob;
use crate::network::Network;
use crate::rule::Scalar;
use crate::shown::{self, list, quoted};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    AllScopes(Vec<String>),
    AnyScope(Vec<String>),
    Client(Vec<String>),
    Issuer(Vec<String>),
    Subject(Vec<String>),
    Group {
        path: Vec<String>,
        groups: Vec<String>,
    },
    Email(Vec<String>),
    EmailDomain(Vec<String>),
    Acr(Vec<String>),
    /// In seconds.
    AuthAge(u64),
    From(Vec<Network>),
    Claim {
        path: Vec<String>,
        test: Test,
    },
}

/// What a claim is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Equals(Scalar),
    Any(Vec<Scalar>),
    All(Vec<Scalar>),
    None(Vec<Scalar>),
    Glob(String),
    Exists(bool),
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Holds,
    Fails,
    /// It cannot be said, which counts against the caller.
    Undecided,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

impl Condition {
    pub(crate) fn judge(&self, evidence: &Evidence<'_>) -> Answer {
        match self {
            Self::AllScopes(scopes) => scopes.iter().all(|scope| has_scope(evidence, scope)).into(),
            Self::AnyScope(scopes) => scopes.iter().any(|scope| has_scope(evidence, scope)).into(),
            Self::Client(clients) => match evidence.client_id {
                Some(client) => contains(clients, client).into(),
                None => Answer::Undecided,
            },
            Self::Issuer(issuers) => one_of(evidence, "iss", issuers),
            Self::Subject(subjects) => one_of(evidence, "sub", subjects),
            Self::Acr(values) => match claim(evidence, &["acr"]) {
                None => Answer::Fails,
                Some(Fact::Text(acr)) => contains(values, acr).into(),
                Some(_) => Answer::Undecided,
            },
            Self::Group { path, groups } => {
                let wanted = |fact: &Fact<'_>| match fact {
                    Fact::Text(group) => Some(contains(groups, group)),
                    _ => None,
                };
                any(claim_at(evidence, path), wanted)
            }
            Self::Email(emails) => email(evidence, |email| {
                emails.iter().any(|known| known.eq_ignore_ascii_case(email))
            }),
            Self::EmailDomain(domains) => email(evidence, |email| {
                domain(email)
                    .is_some_and(|own| domains.iter().any(|known| known.eq_ignore_ascii_case(own)))
            }),
            Self::AuthAge(most) => match auth_age(evidence) {
                Some(age) => (age <= *most).into(),
                None => Answer::Undecided,
            },
            Self::From(networks) => match evidence.source {
                Some(source) => networks
                    .iter()
                    .any(|network| network.contains(source))
                    .into(),
                None => Answer::Undecided,
            },
            Self::Claim { path, test } => test.judge(claim_at(evidence, path)),
        }
    }

    /// Why it does not hold, for whoever wants to change that.
    pub(crate) fn why_not(&self, evidence: &Evidence<'_>) -> String {
        match self {
            Self::AllScopes(scopes) => {
                let missing = scopes.iter().filter(|scope| !has_scope(evidence, scope));
                format!(
                    "the token lacks the scope {}; it has {}",
                    list(missing.map(String::as_str)),
                    list(evidence.scopes.iter().copied())
                )
            }
            Self::AnyScope(scopes) => format!(
                "the token has none of the scopes {}; it has {}",
                all(scopes),
                list(evidence.scopes.iter().copied())
            ),
            Self::Client(clients) => match evidence.client_id {
                Some(client) => {
                    format!(
                        "the client is {}, not one of {}",
                        quoted(client),
                        all(clients)
                    )
                }
                None => "it is not known which client acts".to_owned(),
            },
            Self::Issuer(issuers) => other_value(evidence, &["iss"], &all(issuers)),
            Self::Subject(subjects) => other_value(evidence, &["sub"], &all(subjects)),
            Self::Group { path, groups } => other_value(evidence, &names(path), &all(groups)),
            Self::Acr(values) => other_value(evidence, &["acr"], &all(values)),
            Self::Email(emails) => why_not_email(evidence, &all(emails)),
            Self::EmailDomain(domains) => {
                why_not_email(evidence, &format!("in the domain {}", all(domains)))
            }
            Self::AuthAge(most) => match auth_age(evidence) {
                Some(age) => {
                    format!("the sign-in is {age} seconds old, at most {most} will do")
                }
                None => format!(
                    "there is no usable auth_time, so nobody knows whether the sign-in is at most \
                     {most} seconds old"
                ),
            },
            Self::From(networks) => match evidence.source {
                Some(source) => {
                    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                    format!(
                        "the request comes from {source}, not from {}",
                        networks.join(", ")
                    )
                }
                None => "it is not known where the request comes from".to_owned(),
            },
            Self::Claim { path, test } => test.why_not(evidence, path),
        }
    }
}

impl Test {
    fn judge(&self, fact: Option<Fact<'_>>) -> Answer {
        let among = |values: &[Scalar], fact: &Fact<'_>| match fact {
            Fact::List(_) | Fact::Other => None,
            fact => Some(values.iter().any(|value| same(value, fact))),
        };
        match self {
            Self::Exists(expected) => (fact.is_some() == *expected).into(),
            Self::Equals(value) => match fact {
                None => Answer::Fails,
                Some(Fact::List(_) | Fact::Other) => Answer::Undecided,
                Some(fact) => same(value, &fact).into(),
            },
            Self::Any(values) => any(fact, |fact| among(values, fact)),
            Self::None(values) => match any(fact, |fact| among(values, fact)) {
                Answer::Holds => Answer::Fails,
                Answer::Fails => Answer::Holds,
                Answer::Undecided => Answer::Undecided,
            },
            Self::All(values) => match fact {
                None => Answer::Fails,
                Some(Fact::Other) => Answer::Undecided,
                Some(Fact::List(facts)) => {
                    let held = |value| facts.iter().any(|fact| same(value, fact));
                    if values.iter().all(held) {
                        Answer::Holds
                    } else if facts.iter().any(is_incomparable) {
                        Answer::Undecided
                    } else {
                        Answer::Fails
                    }
                }
                Some(fact) => values.iter().all(|value| same(value, &fact)).into(),
            },
            Self::Glob(pattern) => any(fact, |fact| match fact {
                Fact::Text(text) => Some(glob::covers(pattern, text)),
                _ => None,
            }),
        }
    }

    fn why_not(&self, evidence: &Evidence<'_>, path: &[String]) -> String {
        let name = shown::path(&names(path));
        let values = |values: &[Scalar]| {
            let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
            shown.join(", ")
        };
        match self {
            Self::Exists(true) => format!("there is no claim {name}"),
            Self::Exists(false) => format!("there is a claim {name}"),
            Self::Equals(value) => other_value(evidence, &names(path), &value.to_string()),
            Self::Any(any) => other_value(evidence, &names(path), &values(any)),
            Self::All(all) => {
                other_value(evidence, &names(path), &format!("all of {}", values(all)))
            }
            Self::None(none) => {
                let found = found(claim_at(evidence, path));
                format!(
                    "the claim {name} is {found}, and must be none of {}",
                    values(none)
                )
            }
            Self::Glob(pattern) => other_value(evidence, &names(path), &quoted(pattern)),
        }
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn claim<'e>(evidence: &Evidence<'e>, path: &[&str]) -> Option<Fact<'e>> {
    evidence.claims.claim(path)
}

fn claim_at<'e>(evidence: &Evidence<'e>, path: &[String]) -> Option<Fact<'e>> {
    claim(evidence, &names(path))
}

fn has_scope(evidence: &Evidence<'_>, scope: &str) -> bool {
    evidence.scopes.contains(&scope)
}

fn contains(values: &[String], value: &str) -> bool {
    values.iter().any(|known| known == value)
}

/// A string claim that must be one of these.
fn one_of(evidence: &Evidence<'_>, name: &str, values: &[String]) -> Answer {
    match claim(evidence, &[name]) {
        Some(Fact::Text(text)) => contains(values, text).into(),
        // Every caller has these two; one that has none is not decided about.
        _ => Answer::Undecided,
    }
}

/// Whether a value, or one of an array, is wanted; `wanted` says nothing of what it cannot compare.
fn any(fact: Option<Fact<'_>>, wanted: impl Fn(&Fact<'_>) -> Option<bool>) -> Answer {
    let facts = match fact {
        None => return Answer::Fails,
        Some(Fact::List(facts)) => facts,
        Some(fact) => vec![fact],
    };
    let mut answer = Answer::Fails;
    for fact in &facts {
        match wanted(fact) {
            Some(true) => return Answer::Holds,
            Some(false) => {}
            None => answer = Answer::Undecided,
        }
    }
    answer
}

fn is_incomparable(fact: &Fact<'_>) -> bool {
    matches!(fact, Fact::List(_) | Fact::Other)
}

fn same(value: &Scalar, fact: &Fact<'_>) -> bool {
    match (value, fact) {
        (Scalar::Text(value), Fact::Text(text)) => value == text,
        (Scalar::Bool(value), Fact::Bool(fact)) => value == fact,
        (Scalar::Integer(value), Fact::Number(number)) => same_integer(*value, number),
        (Scalar::Float(value), Fact::Number(number)) => number.as_f64() == Some(*value),
        _ => false,
    }
}

/// Whole numbers are compared as such, because large ones are alike as doubles.
fn same_integer(value: i64, number: &Number) -> bool {
    match (number.as_i64(), number.is_f64()) {
        (Some(number), _) => number == value,
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared back as a whole number"
        )]
        (None, true) => number.as_f64() == Some(value as f64) && value.unsigned_abs() < 1 << 53,
        (None, false) => false,
    }
}

/// Judges the verified address. One that is wanted but not verified is not decided about.
fn email(evidence: &Evidence<'_>, wanted: impl Fn(&str) -> bool) -> Answer {
    match claim(evidence, &["email"]) {
        None => Answer::Fails,
        Some(Fact::Text(email)) if !wanted(email) => Answer::Fails,
        Some(Fact::Text(_)) if is_verified(evidence) => Answer::Holds,
        Some(_) => Answer::Undecided,
    }
}

/// `true`, and not `"true"`: the claim is a boolean (OpenID Connect Core, section 5.1).
fn is_verified(evidence: &Evidence<'_>) -> bool {
    claim(evidence, &["email_verified"]) == Some(Fact::Bool(true))
}

/// What stands behind the only `@` of an address.
fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.contains('@')).then_some(domain)
}

/// How many seconds ago the person signed in. A sign-in in the future is one of a clock that goes
/// ahead by a little, and has just been.
fn auth_age(evidence: &Evidence<'_>) -> Option<u64> {
    let auth_time = match claim(evidence, &["auth_time"])? {
        Fact::Number(number) => number.as_i64(),
        _ => None,
    }?;
    let age = evidence.now.checked_sub(auth_time)?;
    (auth_time >= 0).then(|| u64::try_from(age).unwrap_or(0))
}

fn all(values: &[String]) -> String {
    list(values.iter().map(String::as_str))
}

/// That a claim is missing, or what it is instead.
fn other_value(evidence: &Evidence<'_>, path: &[&str], wanted: &str) -> String {
    let name = shown::path(path);
    match claim(evidence, path) {
        None => format!("there is no claim {name}"),
        fact => format!("the claim {name} is {}, not {wanted}", found(fact)),
    }
}

fn why_not_email(evidence: &Evidence<'_>, wanted: &str) -> String {
    match claim(evidence, &["email"]) {
        Some(Fact::Text(_)) if !is_verified(evidence) => {
            format!("the email address is not verified, so it is not known to be {wanted}")
        }
        _ => other_value(evidence, &["email"], wanted),
    }
}

/// A value as an explanation shows it.
fn found(fact: Option<Fact<'_>>) -> String {
    match fact {
        None => "not there".to_owned(),
        Some(Fact::Text(text)) => quoted(text),
        Some(Fact::Number(number)) => number.to_string(),
        Some(Fact::Bool(value)) => value.to_string(),
        Some(Fact::Other) => "of a type that cannot be compared".to_owned(),
        Some(Fact::List(facts)) if facts.is_empty() => "an empty list".to_owned(),
        Some(Fact::List(facts)) => {
            let mut shown: Vec<String> = facts
                .iter()
                .take(10)
                .map(|fact| match fact {
                    Fact::List(_) => "a list".to_owned(),
                    fact => found(Some(fact.clone())),
                })
                .collect();
            if facts.len() > shown.len() {
                shown.push("…".to_owned());
            }
            format!("[{}]", shown.join(", "))
        }
    }
}
