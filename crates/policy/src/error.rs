//! Why a policy cannot be used. Whoever wrote it has to mend it; no request is to blame.

use crate::{MAX_POLICY_LEN, MAX_RULES, MAX_VALUES};

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Longer than [`MAX_POLICY_LEN`].
    #[error("the policy is {0} bytes long, more than the {MAX_POLICY_LEN} allowed")]
    TooLong(usize),
    /// Not TOML, or with keys or types that a policy does not have.
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    /// More than [`MAX_RULES`] rules.
    #[error("the policy has {0} rules, more than the {MAX_RULES} allowed")]
    TooManyRules(usize),
    /// Two rules share a name, so that no decision could say which of them it was.
    #[error("two rules are called {0:?}")]
    NameTwice(String),
    /// A rule asks for nothing. If it is meant for everybody, it has to say so.
    #[error("rule {0:?} has no conditions; if it is meant for everybody, write anyone = true")]
    NoConditions(String),
    /// A rule is for everybody and asks for something all the same.
    #[error("rule {0:?} says anyone = true and has conditions; only one of them can be meant")]
    AnyoneWithConditions(String),
    /// A condition lists no values, too many, or an empty one.
    #[error("rule {rule:?}: {condition} must list 1 to {MAX_VALUES} values, none of them empty")]
    Values {
        /// The rule.
        rule: String,
        /// The condition.
        condition: &'static str,
    },
    /// A claim is compared with nothing, or in several ways at once.
    #[error("rule {0:?}: a claim needs exactly one of equals, any, all, none, glob and exists")]
    ClaimTest(String),
    /// The path of a claim is empty.
    #[error("rule {0:?}: the name of a claim is empty")]
    ClaimPath(String),
    /// Not a network such as `10.0.0.0/8`.
    #[error("rule {rule:?}: {text:?} is not a network such as 10.0.0.0/8 or 2001:db8::/32")]
    Network {
        /// The rule.
        rule: String,
        /// What it says.
        text: String,
    },
    /// Not the domain of an email address.
    #[error("rule {rule:?}: {text:?} is not a domain such as example.com")]
    Domain {
        /// The rule.
        rule: String,
        /// What it says.
        text: String,
    },
    /// Not a time such as `15m`.
    #[error("{0:?} is not a time such as 900, \"900s\", \"15m\", \"8h\" or \"7d\"")]
    Duration(String),
}

impl PolicyError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "policy_too_long",
            Self::Syntax(_) => "policy_syntax",
            Self::TooManyRules(_) => "too_many_rules",
            Self::NameTwice(_) => "rule_name_twice",
            Self::NoConditions(_) => "rule_without_conditions",
            Self::AnyoneWithConditions(_) => "anyone_with_conditions",
            Self::Values { .. } => "condition_values",
            Self::ClaimTest(_) => "claim_test",
            Self::ClaimPath(_) => "claim_path",
            Self::Network { .. } => "network",
            Self::Domain { .. } => "domain",
            Self::Duration(_) => "duration",
        }
    }
}
