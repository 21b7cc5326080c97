//! What came out, and why.

use std::fmt;

use crate::rule::Effect;
use crate::shown::quoted;

/// What a policy decides about a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision<'p> {
    pub(crate) effect: Effect,
    pub(crate) rule: Option<&'p str>,
    pub(crate) mend: Option<Mend>,
}

impl<'p> Decision<'p> {
    pub(crate) fn by(effect: Effect, rule: &'p str) -> Self {
        Self {
            effect,
            rule: Some(rule),
            mend: None,
        }
    }

    /// Whether the caller may pass.
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// The name of the rule that decided; none when no rule allows.
    pub fn rule(&self) -> Option<&'p str> {
        self.rule
    }

    /// What the caller could do about a refusal, when another token would help.
    pub fn mend(&self) -> Option<&Mend> {
        self.mend.as_ref()
    }
}

/// What another token of the same caller would need: the first rule that allows and lacks no more
/// than this. Nothing is said when a rule denies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mend {
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// Authentication context classes of which one will do.
    pub acr_values: Vec<String>,
    /// How old the sign-in may be, in seconds.
    pub max_auth_age: Option<u64>,
}

/// A decision with the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation<'p> {
    /// The decision.
    pub decision: Decision<'p>,
    /// Every rule: those that deny first.
    pub rules: Vec<RuleReport<'p>>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleReport<'p> {
    /// Its name, or its number in its list.
    pub name: &'p str,
    /// What it does when it holds.
    pub effect: Effect,
    /// Whether it holds.
    pub holds: bool,
    /// Which conditions do not hold, and why. In a rule that denies, one that cannot be decided is
    /// listed too, although it counts as a match.
    pub reasons: Vec<String>,
}

impl fmt::Display for Explanation<'_> {
    /// One line for the decision, and one for each rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.decision.effect, self.decision.rule) {
            (Effect::Allow, Some(rule)) => write!(f, "allowed by {}", quoted(rule))?,
            (Effect::Deny, Some(rule)) => write!(f, "refused by {}", quoted(rule))?,
            (_, None) => f.write_str("refused: no rule allows it")?,
        }
        // What allows is what most people want to read first.
        let (denies, allows): (Vec<_>, Vec<_>) = self
            .rules
            .iter()
            .partition(|report| report.effect == Effect::Deny);
        for report in allows.into_iter().chain(denies) {
            write!(f, "\n  {} {}: ", report.effect, quoted(report.name))?;
            if report.holds && report.reasons.is_empty() {
                f.write_str("holds")?;
            } else if report.holds {
                write!(f, "counts as holding: {}", report.reasons.join("; "))?;
            } else {
                f.write_str(&report.reasons.join("; "))?;
            }
        }
        Ok(())
    }
}
