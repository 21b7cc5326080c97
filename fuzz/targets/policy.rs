//! A policy file with any content, and a caller with any claims behind the first NUL: whatever is
//! taken as a policy comes to a decision, and to an explanation of it.

#![no_main]

use countersign_policy::{Evidence, Policy};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|text: &str| {
    let (rules, claims) = text.split_once('\0').unwrap_or((text, "{}"));
    let Ok(policy) = Policy::from_toml(rules) else {
        return;
    };
    let claims: Map<String, Value> = serde_json::from_str(claims).unwrap_or_default();
    let nobody = Evidence::new(&claims, 1_795_219_200);
    let somebody = nobody
        .scopes(&["a", "stock:read"])
        .client_id(Some("cli"))
        .source("10.0.0.1".parse().ok());
    for evidence in [nobody, somebody] {
        let decision = policy.decide(&evidence);
        let explained = policy.explain(&evidence);
        assert_eq!(explained.decision, decision);
        assert_eq!(explained.rules.len(), policy.len());
        assert!(!decision.is_allowed() || decision.rule().is_some());
        assert!(!policy.is_empty() || !decision.is_allowed());
        let shown = explained.to_string();
        assert_eq!(shown.lines().count(), policy.len() + 1);
        assert!(!shown.contains('\u{1b}'));
    }
});
