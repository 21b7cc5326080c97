//! Every condition, on claims that fit, that do not, and that cannot be compared.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use countersign_policy::{ClaimTest, Evidence, MAX_RULES, Policy, PolicyError, Rule};
use serde_json::{Value, json};

const NOW: i64 = 10_000;

fn evidence(claims: &Value) -> Evidence<'_> {
    Evidence::new(claims.as_object().unwrap(), NOW)
        .scopes(&["stock:read", "stock:write"])
        .client_id(Some("cli"))
        .source(Some("10.1.2.3".parse().unwrap()))
}

/// What a rule with this condition does to these claims: as the only rule that allows, and as one
/// that denies beside one for everybody.
fn judged(condition: &str, claims: &Value) -> &'static str {
    let allow = Policy::from_toml(&format!("[[allow]]\n{condition}")).unwrap();
    let deny = format!("[[allow]]\nanyone = true\n[[deny]]\n{condition}");
    let deny = Policy::from_toml(&deny).unwrap();
    let evidence = evidence(claims);
    let allowed = allow.decide(&evidence).is_allowed();
    let denied = !deny.decide(&evidence).is_allowed();
    let reasons = allow.explain(&evidence).rules.remove(0).reasons;
    assert_eq!(reasons.is_empty(), allowed, "{condition}: {reasons:?}");
    match (allowed, denied) {
        (true, true) => "holds",
        (false, false) => "fails",
        (false, true) => "undecided",
        (true, false) => panic!("{condition} lets pass what it does not deny"),
    }
}

#[test]
fn conditions_hold_fail_or_cannot_be_decided() {
    let table = [
        ("scopes = ['stock:read', 'stock:write']", json!({}), "holds"),
        ("scopes = ['stock:read', 'stock:admin']", json!({}), "fails"),
        (
            "any_scope = ['stock:admin', 'stock:read']",
            json!({}),
            "holds",
        ),
        ("any_scope = ['stock']", json!({}), "fails"),
        ("clients = ['cli', 'web']", json!({}), "holds"),
        ("clients = ['web']", json!({}), "fails"),
        ("subjects = ['ada']", json!({ "sub": "ada" }), "holds"),
        ("subjects = ['ada']", json!({ "sub": "Ada" }), "fails"),
        ("subjects = ['ada']", json!({ "sub": ["ada"] }), "undecided"),
        (
            "issuers = ['https://a']",
            json!({ "iss": "https://a" }),
            "holds",
        ),
        ("issuers = ['https://a']", json!({}), "undecided"),
        (
            "groups = ['eng']",
            json!({ "groups": ["ops", "eng"] }),
            "holds",
        ),
        ("groups = ['eng']", json!({ "groups": "eng" }), "holds"),
        (
            "groups = ['eng']",
            json!({ "groups": ["engineers"] }),
            "fails",
        ),
        ("groups = ['eng']", json!({ "groups": [] }), "fails"),
        ("groups = ['eng']", json!({}), "fails"),
        (
            "groups = ['eng']",
            json!({ "groups": [1, "ops"] }),
            "undecided",
        ),
        (
            "groups = ['eng']",
            json!({ "groups": { "eng": true } }),
            "undecided",
        ),
        (
            "groups = ['eng']\ngroups_claim = ['realm_access', 'roles']",
            json!({ "realm_access": { "roles": ["eng"] }, "groups": [] }),
            "holds",
        ),
        (
            "groups = ['eng']\ngroups_claim = 'https://example.com/roles'",
            json!({ "https://example.com/roles": ["eng"] }),
            "holds",
        ),
        ("acr = ['mfa', 'phr']", json!({ "acr": "phr" }), "holds"),
        ("acr = ['mfa']", json!({ "acr": "0" }), "fails"),
        ("acr = ['mfa']", json!({}), "fails"),
        ("acr = ['mfa']", json!({ "acr": ["mfa"] }), "undecided"),
        (
            "max_auth_age = 600",
            json!({ "auth_time": NOW - 600 }),
            "holds",
        ),
        (
            "max_auth_age = '10m'",
            json!({ "auth_time": NOW - 601 }),
            "fails",
        ),
        (
            "max_auth_age = '10m'",
            json!({ "auth_time": NOW + 5 }),
            "holds",
        ),
        ("max_auth_age = '10m'", json!({}), "undecided"),
        (
            "max_auth_age = '10m'",
            json!({ "auth_time": "9999" }),
            "undecided",
        ),
        (
            "max_auth_age = '10m'",
            json!({ "auth_time": 1e300 }),
            "undecided",
        ),
        (
            "max_auth_age = '10m'",
            json!({ "auth_time": -5 }),
            "undecided",
        ),
        ("from = ['192.0.2.0/24', '10.0.0.0/8']", json!({}), "holds"),
        ("from = ['192.0.2.0/24']", json!({}), "fails"),
    ];
    for (condition, claims, expected) in table {
        assert_eq!(judged(condition, &claims), expected, "{condition} {claims}");
    }
}

#[test]
fn an_address_counts_only_when_it_is_verified() {
    let ada = |verified: Value| json!({ "email": "Ada@Example.com", "email_verified": verified });
    for condition in [
        "email_domains = ['example.com']",
        "emails = ['ada@example.com']",
    ] {
        assert_eq!(judged(condition, &ada(json!(true))), "holds");
        for verified in [json!(false), json!("true"), json!(1), json!(null)] {
            assert_eq!(
                judged(condition, &ada(verified)),
                "undecided",
                "{condition}"
            );
        }
        assert_eq!(
            judged(condition, &json!({ "email_verified": true })),
            "fails"
        );
        for other in [
            "ada@evil.example",
            "ada@example.com.evil.example",
            "ada@evilexample.com",
            "ada@sub.example.com",
            "example.com",
            "@example.com",
            "a@evil@example.com",
        ] {
            let claims = json!({ "email": other, "email_verified": true });
            assert_eq!(judged(condition, &claims), "fails", "{condition} {other}");
        }
    }
}

#[test]
fn claims_are_compared_by_value_and_type() {
    let table = [
        ("equals = 'a'", json!("a"), "holds"),
        ("equals = 'a'", json!("A"), "fails"),
        ("equals = 'a'", json!(["a"]), "undecided"),
        ("equals = 1", json!(1), "holds"),
        ("equals = 1", json!(1.0), "holds"),
        ("equals = 1", json!("1"), "fails"),
        (
            "equals = 9007199254740993",
            json!(9_007_199_254_740_992_i64),
            "fails",
        ),
        ("equals = 1.5", json!(1.5), "holds"),
        ("equals = true", json!(true), "holds"),
        ("equals = true", json!("true"), "fails"),
        ("equals = true", json!(null), "undecided"),
        ("any = ['a', 1]", json!([2, "a"]), "holds"),
        ("any = ['a', 1]", json!(1), "holds"),
        ("any = ['a']", json!(["b"]), "fails"),
        ("any = ['a']", json!([{ "a": 1 }]), "undecided"),
        ("all = ['a', 'b']", json!(["c", "b", "a"]), "holds"),
        ("all = ['a', 'b']", json!(["a"]), "fails"),
        ("all = ['a']", json!("a"), "holds"),
        ("all = ['a']", json!({}), "undecided"),
        ("none = ['a']", json!(["b"]), "holds"),
        ("none = ['a']", json!(["b", "a"]), "fails"),
        ("none = ['a']", json!([["a"]]), "undecided"),
        ("glob = 'svc-*'", json!("svc-stock"), "holds"),
        ("glob = 'svc-*'", json!(["x", "svc-stock"]), "holds"),
        ("glob = 'svc-*'", json!("my-svc-stock"), "fails"),
        ("glob = 'svc-*'", json!(7), "undecided"),
        ("exists = true", json!(null), "holds"),
        ("exists = false", json!(null), "fails"),
    ];
    for (test, value, expected) in table {
        let condition = format!("claims = [{{ claim = 'x', {test} }}]");
        let claims = json!({ "x": value });
        assert_eq!(judged(&condition, &claims), expected, "{test} {claims}");
    }
    for (test, expected) in [
        ("equals = 'a'", "fails"),
        ("any = ['a']", "fails"),
        ("all = ['a']", "fails"),
        ("none = ['a']", "holds"),
        ("glob = '*'", "fails"),
        ("exists = true", "fails"),
        ("exists = false", "holds"),
    ] {
        let condition = format!("claims = [{{ claim = ['x', 'y'], {test} }}]");
        for claims in [json!({}), json!({ "x": "y" }), json!({ "x.y": "a" })] {
            assert_eq!(judged(&condition, &claims), expected, "{test} {claims}");
        }
    }
}

#[test]
fn what_is_not_known_of_a_request_helps_nobody() {
    let claims = json!({});
    let unknown = Evidence::new(claims.as_object().unwrap(), NOW);
    for condition in ["from = ['0.0.0.0/0']", "clients = ['cli']"] {
        let allow = Policy::from_toml(&format!("[[allow]]\n{condition}")).unwrap();
        assert!(!allow.decide(&unknown).is_allowed(), "{condition}");
        let deny = format!("[[allow]]\nanyone = true\n[[deny]]\n{condition}");
        let deny = Policy::from_toml(&deny).unwrap();
        assert!(!deny.decide(&unknown).is_allowed(), "{condition}");
    }
}

#[test]
fn a_decision_names_its_rule_and_an_explanation_says_what_to_change() {
    let policy = Policy::builder()
        .allow(
            Rule::named("keepers")
                .groups(["warehouse"])
                .scopes(["stock:write"]),
        )
        .allow(Rule::named("robots").claim(ClaimTest::glob("sub", "svc-*")))
        .deny(Rule::named("leavers").claim(ClaimTest::equals("left", true)))
        .build()
        .unwrap();
    let ada = json!({ "sub": "ada", "groups": ["warehouse"] });
    assert_eq!(policy.decide(&evidence(&ada)).rule(), Some("keepers"));
    let left = json!({ "sub": "ada", "groups": ["warehouse"], "left": true });
    let decision = policy.decide(&evidence(&left));
    assert_eq!(
        (decision.is_allowed(), decision.rule()),
        (false, Some("leavers"))
    );
    let stranger = json!({ "sub": "eve\u{1b}[31m", "groups": ["sales", 7] });
    let explained = policy.explain(&evidence(&stranger)).to_string();
    assert_eq!(
        explained,
        "refused: no rule allows it\n  \
         allow \"keepers\": the claim groups is [\"sales\", 7], not \"warehouse\"\n  \
         allow \"robots\": the claim sub is \"eve\\u{1b}[31m\", not \"svc-*\"\n  \
         deny \"leavers\": there is no claim left"
    );
}

/// What makes a challenge of RFC 9470, or one that asks for a scope, out of a refusal.
#[test]
fn a_refusal_that_another_token_would_mend_says_which() {
    let policy = Policy::from_toml(
        "[[allow]]\ngroups = ['ops']\n\
         [[allow]]\ngroups = ['eng']\nscopes = ['stock:admin']\nacr = ['mfa']\nmax_auth_age = 60\n\
         [[deny]]\nsubjects = ['eve']",
    )
    .unwrap();
    let mend = |claims: Value| policy.decide(&evidence(&claims)).mend().cloned();
    let needed = mend(json!({ "sub": "ada", "groups": ["eng"], "acr": "mfa" })).unwrap();
    assert_eq!(needed.scopes, ["stock:admin"]);
    assert_eq!(needed.acr_values, ["mfa"]);
    assert_eq!(needed.max_auth_age, Some(60));
    assert_eq!(mend(json!({ "sub": "ada", "groups": ["sales"] })), None);
    assert_eq!(mend(json!({ "sub": "eve", "groups": ["eng"] })), None);
}

#[test]
fn a_policy_that_is_not_sound_is_refused_as_a_whole() {
    let many = format!("[[allow]]\nscopes = [{}]", "'a',".repeat(1001));
    let table = [
        ("[[allow]]", "rule_without_conditions"),
        ("[[deny]]\nname = 'x'", "rule_without_conditions"),
        (
            "[[allow]]\nanyone = true\nscopes = ['a']",
            "anyone_with_conditions",
        ),
        ("[[allow]]\nanyone = false", "rule_without_conditions"),
        ("[[allow]]\nscopes = []", "condition_values"),
        ("[[allow]]\nscopes = ['']", "condition_values"),
        (&many, "condition_values"),
        ("[[allow]]\ngroups_claim = 'g'", "condition_values"),
        ("[[allow]]\ngroups = ['a']\ngroups_claim = []", "claim_path"),
        ("[[allow]]\nscope = ['a']", "policy_syntax"),
        ("[[allow]]\nscopes = 'a'", "policy_syntax"),
        ("[[permit]]\nscopes = ['a']", "policy_syntax"),
        ("allow = 1", "policy_syntax"),
        ("[[allow]]\nfrom = ['10.0.0.1/8']", "network"),
        ("[[allow]]\nemail_domains = ['@example.com']", "domain"),
        ("[[allow]]\nemail_domains = ['*.example.com']", "domain"),
        ("[[allow]]\nmax_auth_age = '15'", "duration"),
        ("[[allow]]\nmax_auth_age = '-1s'", "duration"),
        ("[[allow]]\nmax_auth_age = -1", "policy_syntax"),
        ("[[allow]]\nclaims = [{ claim = 'x' }]", "claim_test"),
        (
            "[[allow]]\nclaims = [{ claim = 'x', equals = 1, exists = true }]",
            "claim_test",
        ),
        (
            "[[allow]]\nclaims = [{ claim = 'x', any = [] }]",
            "condition_values",
        ),
        (
            "[[allow]]\nclaims = [{ claim = '', equals = 1 }]",
            "claim_path",
        ),
        (
            "[[allow]]\nclaims = [{ claim = 'x', like = 1 }]",
            "policy_syntax",
        ),
        (
            "[[allow]]\nname = 'a'\nanyone = true\n[[allow]]\nname = 'a'\nanyone = true",
            "rule_name_twice",
        ),
    ];
    for (text, expected) in table {
        let code = Policy::from_toml(text).map_err(|error| error.code());
        assert_eq!(code.err(), Some(expected), "{text}");
    }
    let rules = (0..=MAX_RULES).fold(Policy::builder(), |policy, _| {
        policy.allow(Rule::default().anyone())
    });
    assert_eq!(rules.build(), Err(PolicyError::TooManyRules(MAX_RULES + 1)));
    let long = " ".repeat(300_000);
    assert_eq!(Policy::from_toml(&long), Err(PolicyError::TooLong(300_000)));
    let error = Policy::from_toml("\n\n[[allow]]\nscope = ['a']").unwrap_err();
    assert!(error.to_string().contains("line 4: "), "{error}");
}
