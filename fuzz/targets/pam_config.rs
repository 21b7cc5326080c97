//! The file that decides who may log in, and the rules in it with any claims: whatever stands in them,
//! there is an answer, and without a rule the answer is no.

#![no_main]

use countersign_pamd::{Trial, check_text, explain, try_claims};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (file, claims) = text.split_once('\0').unwrap_or((text, "{}"));
    let config = match check_text(file) {
        Ok(config) => config,
        Err(problem) => {
            assert!(problem.to_string().starts_with("error: "));
            return;
        }
    };
    assert!(!explain(&config).contains('\u{1b}'));
    let has_rules = file.contains("rule");
    let from = "192.0.2.7".parse().ok();
    for (user, uid) in [("root", Some(0)), ("ada", Some(1000)), ("ada", None)] {
        for from in [None, from] {
            let trial = Trial {
                user,
                service: "sshd",
                from,
            };
            let Ok(tried) = try_claims(&config, trial, uid, claims.as_bytes()) else {
                continue;
            };
            assert!(!tried.text.contains('\u{1b}'));
            assert!(has_rules || !tried.allowed);
            assert!(uid != Some(0) || file.contains("allow_root") || !tried.allowed);
        }
    }
});
