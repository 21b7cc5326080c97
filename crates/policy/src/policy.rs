//! A policy: rules that allow and rules that deny, checked as a whole.

use serde::Deserialize;

use crate::PolicyError;
use crate::condition::{Answer, Condition};
use crate::decision::{Decision, Explanation, Mend, RuleReport};
use crate::evidence::Evidence;
use crate::rule::{Effect, Rule, check_names};
use crate::suggest::line_of;

/// The longest policy file in bytes.
pub const MAX_POLICY_LEN: usize = 256 * 1024;

/// The most rules in a policy.
pub const MAX_RULES: usize = 1000;

/// Who may pass. Without any rule, nobody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    deny: Vec<Checked>,
    allow: Vec<Checked>,
}

/// A rule that has been checked.
#[derive(Debug, Clone, PartialEq)]
struct Checked {
    name: String,
    conditions: Vec<Condition>,
}

/// A policy being put together; in TOML, a table with the arrays `allow` and `deny`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[must_use]
pub struct PolicyBuilder {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

impl PolicyBuilder {
    /// Lets pass whom this rule fits, unless a rule that denies does too.
    pub fn allow(mut self, rule: Rule) -> Self {
        self.allow.push(rule);
        self
    }

    /// Refuses whom this rule fits.
    pub fn deny(mut self, rule: Rule) -> Self {
        self.deny.push(rule);
        self
    }

    /// Checks every rule; one that is not sound spoils the policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`], which names the rule.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let count = self.allow.len().saturating_add(self.deny.len());
        if count > MAX_RULES {
            return Err(PolicyError::TooManyRules(count));
        }
        let check = |kind: Effect, rules: Vec<Rule>| {
            let numbered = rules.into_iter().zip(1..);
            let checked = numbered.map(|(rule, number)| {
                let name = rule.name_or(number);
                let shown = format!("{kind} {name}");
                let conditions = rule.conditions(&shown)?;
                Ok(Checked { name, conditions })
            });
            checked.collect::<Result<Vec<_>, PolicyError>>()
        };
        let policy = Policy {
            deny: check(Effect::Deny, self.deny)?,
            allow: check(Effect::Allow, self.allow)?,
        };
        for rules in [&policy.deny, &policy.allow] {
            check_names(rules.iter().map(|rule| rule.name.as_str()))?;
        }
        Ok(policy)
    }
}

impl Policy {
    /// Begins a policy.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Syntax`] for what is no TOML, or has keys that no policy has, and whatever
    /// [`PolicyBuilder::build`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_LEN {
            return Err(PolicyError::TooLong(text.len()));
        }
        let builder: PolicyBuilder =
            toml::from_str(text).map_err(|error| PolicyError::Syntax(place(text, &error)))?;
        builder.build()
    }

    /// Whether the caller may pass, and by which rule.
    pub fn decide(&self, evidence: &Evidence<'_>) -> Decision<'_> {
        let holds = |effect| move |rule: &&Checked| rule.holds(effect, evidence);
        if let Some(rule) = self.deny.iter().find(holds(Effect::Deny)) {
            return Decision::by(Effect::Deny, &rule.name);
        }
        if let Some(rule) = self.allow.iter().find(holds(Effect::Allow)) {
            return Decision::by(Effect::Allow, &rule.name);
        }
        Decision {
            effect: Effect::Deny,
            rule: None,
            mend: self.allow.iter().find_map(|rule| rule.mend(evidence)),
        }
    }

    /// The same decision, with what became of each rule.
    pub fn explain(&self, evidence: &Evidence<'_>) -> Explanation<'_> {
        let mut rules = Vec::with_capacity(self.deny.len() + self.allow.len());
        for (effect, list) in [(Effect::Deny, &self.deny), (Effect::Allow, &self.allow)] {
            rules.extend(list.iter().map(|rule| RuleReport {
                name: &rule.name,
                effect,
                holds: rule.holds(effect, evidence),
                reasons: rule.reasons(evidence),
            }));
        }
        Explanation {
            decision: self.decide(evidence),
            rules,
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.deny.len() + self.allow.len()
    }

    /// Whether there are no rules, so that nobody may pass.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Checked {
    fn holds(&self, effect: Effect, evidence: &Evidence<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| match (condition.judge(evidence), effect) {
                (Answer::Holds, _) | (Answer::Undecided, Effect::Deny) => true,
                (Answer::Fails, _) | (Answer::Undecided, Effect::Allow) => false,
            })
    }

    fn reasons(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let conditions = self.conditions.iter();
        conditions
            .filter(|condition| condition.judge(evidence) != Answer::Holds)
            .map(|condition| condition.why_not(evidence))
            .collect()
    }

    /// What another token would need for this rule; nothing, when no token would do.
    fn mend(&self, evidence: &Evidence<'_>) -> Option<Mend> {
        let mut mend = Mend::default();
        for condition in &self.conditions {
            if condition.judge(evidence) == Answer::Holds {
                // A new sign-in must not lose what this one had.
                match condition {
                    Condition::Acr(values) => mend.acr_values.clone_from(values),
                    Condition::AuthAge(most) => mend.max_auth_age = Some(*most),
                    _ => {}
                }
                continue;
            }
            match condition {
                Condition::AllScopes(scopes) => mend.scopes.extend(scopes.iter().cloned()),
                Condition::AnyScope(scopes) => mend.scopes.extend(scopes.first().cloned()),
                Condition::Acr(values) => mend.acr_values.clone_from(values),
                Condition::AuthAge(most) => mend.max_auth_age = Some(*most),
                _ => return None,
            }
        }
        Some(mend)
    }
}

/// The parser's complaint on one line, with its place.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| line_of(text, span.start));
    let message = error.message().trim().replace('\n', " ");
    match line {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}
