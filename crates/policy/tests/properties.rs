//! What holds of every policy and every caller.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::Duration;

use countersign_policy::{ClaimTest, Evidence, Policy, Rule};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Conditions = Vec<fn(Rule) -> Rule>;

/// Conditions over few names, so that rules and claims meet.
const CONDITIONS: &[fn(Rule) -> Rule] = &[
    |rule| rule.scopes(["a"]),
    |rule| rule.any_scope(["a", "b"]),
    |rule| rule.groups(["a", "b"]),
    |rule| rule.subjects(["a"]),
    |rule| rule.clients(["a"]),
    |rule| rule.acr(["a"]),
    |rule| rule.max_auth_age(Duration::from_secs(5)),
    |rule| rule.from(["10.0.0.0/8"]),
    |rule| rule.email_domains(["a"]),
    |rule| rule.claim(ClaimTest::equals("x", "a")),
    |rule| rule.claim(ClaimTest::any("x", ["a", "b"])),
    |rule| rule.claim(ClaimTest::all("x", ["a", "b"])),
    |rule| rule.claim(ClaimTest::none("x", ["a"])),
    |rule| rule.claim(ClaimTest::glob("x", "a*")),
    |rule| rule.claim(ClaimTest::exists("x", true)),
    |rule| rule.claim(ClaimTest::exists("x", false)),
];

fn conditions() -> impl Strategy<Value = Conditions> {
    proptest::collection::vec(proptest::sample::select(CONDITIONS), 1..4)
}

fn rule(conditions: &[fn(Rule) -> Rule]) -> Rule {
    conditions
        .iter()
        .fold(Rule::default(), |rule, condition| condition(rule))
}

fn policy(allow: &[Conditions], deny: &[Conditions]) -> Policy {
    let builder = allow.iter().fold(Policy::builder(), |builder, conditions| {
        builder.allow(rule(conditions))
    });
    let builder = deny.iter().fold(builder, |builder, conditions| {
        builder.deny(rule(conditions))
    });
    builder.build().unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[ab]{0,2}".prop_map(Value::from),
        (0..12_i64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!("a@a")),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|value| json!({ "a": value })),
        ]
    })
}

#[derive(Debug)]
struct Person {
    claims: Map<String, Value>,
    scopes: Vec<&'static str>,
    client_id: Option<&'static str>,
    source: Option<&'static str>,
}

impl Person {
    fn is_allowed(&self, policy: &Policy) -> bool {
        let source = self.source.map(|source| source.parse().unwrap());
        let evidence = Evidence::new(&self.claims, 10)
            .scopes(&self.scopes)
            .client_id(self.client_id)
            .source(source);
        let decision = policy.decide(&evidence);
        let explained = policy.explain(&evidence);
        assert_eq!(explained.decision, decision);
        assert!(
            explained
                .rules
                .iter()
                .all(|rule| rule.holds || !rule.reasons.is_empty())
        );
        assert!(!explained.to_string().is_empty());
        // A mend is offered for a refusal only, and never when a rule denies.
        assert!(decision.mend().is_none() || !decision.is_allowed() && decision.rule().is_none());
        decision.is_allowed()
    }
}

fn person() -> impl Strategy<Value = Person> {
    let names = proptest::sample::select(vec![
        "sub",
        "groups",
        "acr",
        "auth_time",
        "email",
        "email_verified",
        "x",
    ]);
    let claims = proptest::collection::btree_map(names.prop_map(str::to_owned), value(), 0..7);
    let scopes = proptest::sample::subsequence(vec!["a", "b"], 0..=2);
    let client_id = proptest::sample::select(vec![None, Some("a"), Some("b")]);
    let source = proptest::sample::select(vec![None, Some("10.0.0.1"), Some("192.0.2.1")]);
    (claims, scopes, client_id, source).prop_map(|(claims, scopes, client_id, source)| Person {
        claims: claims.into_iter().collect(),
        scopes,
        client_id,
        source,
    })
}

fn rules() -> impl Strategy<Value = Vec<Conditions>> {
    proptest::collection::vec(conditions(), 0..4)
}

proptest! {
    #[test]
    fn without_a_rule_that_allows_nobody_passes(deny in rules(), person in person()) {
        prop_assert!(!person.is_allowed(&policy(&[], &deny)));
    }

    #[test]
    fn a_condition_more_in_a_rule_that_allows_never_lets_more_pass(
        allow in rules(),
        deny in rules(),
        more in conditions(),
        at in any::<proptest::sample::Index>(),
        person in person(),
    ) {
        prop_assume!(!allow.is_empty());
        let mut narrower = allow.clone();
        let at = at.index(narrower.len());
        narrower[at].extend(more);
        if person.is_allowed(&policy(&narrower, &deny)) {
            prop_assert!(person.is_allowed(&policy(&allow, &deny)));
        }
    }

    #[test]
    fn a_rule_more_that_denies_never_lets_more_pass(
        allow in rules(),
        deny in rules(),
        more in conditions(),
        person in person(),
    ) {
        let mut stricter = deny.clone();
        stricter.push(more);
        if person.is_allowed(&policy(&allow, &stricter)) {
            prop_assert!(person.is_allowed(&policy(&allow, &deny)));
        }
    }

    /// Deny wins: whoever a rule lets pass on its own, the same rule keeps out.
    #[test]
    fn a_rule_in_both_lists_denies(
        allow in rules(),
        both in conditions(),
        person in person(),
    ) {
        let alone = policy(std::slice::from_ref(&both), &[]);
        if person.is_allowed(&alone) {
            let mut allow = allow;
            allow.push(both.clone());
            prop_assert!(!person.is_allowed(&policy(&allow, &[both])));
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(
        allow in rules(),
        deny in rules(),
        person in person(),
    ) {
        let reversed = |rules: &[Conditions]| -> Vec<Conditions> { rules.iter().rev().cloned().collect() };
        prop_assert_eq!(
            person.is_allowed(&policy(&allow, &deny)),
            person.is_allowed(&policy(&reversed(&allow), &reversed(&deny)))
        );
    }

    #[test]
    fn no_text_makes_reading_panic(text in r#"(\[\[(allow|deny)\]\]\n|[a-z_]{1,8} = |[\[\]{}'"=,0-9a-z.* \n]){0,40}"#) {
        let _ = Policy::from_toml(&text);
    }
}
