//! What an API's answer asks for (RFC 9470, section 3; RFC 6750, section 3.1), and what meets it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::Duration;

use countersign_oauth::text::printable;
use countersign_oauth::{StepUp, Timestamp, UnreadableStepUp, missing_scope};
use proptest::prelude::*;

const ERROR: &str = "Bearer error=\"insufficient_user_authentication\"";

fn find(value: &str) -> Result<Option<StepUp>, UnreadableStepUp> {
    StepUp::find(401, [value])
}

/// The demand in a shape that is easy to write down.
fn read(value: &str) -> String {
    match find(value) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(wanted)) => wanted.to_string(),
        Err(error) => format!("unreadable: {error}"),
    }
}

#[test]
fn the_examples_of_the_specification() {
    // RFC 9470, section 3, figures 3 and 4.
    assert_eq!(
        read(
            "Bearer error=\"insufficient_user_authentication\",\
             error_description=\"A different authentication level is required\",\
             acr_values=\"myACR\""
        ),
        "a sign-in by `myACR`"
    );
    assert_eq!(
        read(
            "Bearer error=\"insufficient_user_authentication\",\
             error_description=\"More recent authentication is required\", max_age=\"5\""
        ),
        "a sign-in, made at most 5 s ago"
    );
}

#[test]
fn what_is_asked_for_in_all_its_forms() {
    for (parameters, expected) in [
        ("", "a sign-in, made now"),
        (", max_age=0", "a sign-in, made now"),
        (", MAX_AGE=300", "a sign-in, made at most 300 s ago"),
        (
            ", acr_values=\"phr  mfa phr\", max_age=\"60\"",
            "a sign-in by `phr` or `mfa`, made at most 60 s ago",
        ),
        (", acr_values=\"\"", "a sign-in, made now"),
        (
            ", acr_values=\"urn:mace:incommon:iap:silver\"",
            "a sign-in by `urn:mace:incommon:iap:silver`",
        ),
    ] {
        assert_eq!(
            read(&format!("{ERROR}{parameters}")),
            expected,
            "{parameters}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_guessed() {
    let many: Vec<String> = (0..17).map(|n| format!("c{n}")).collect();
    for parameters in [
        ", max_age=\"-1\"".to_owned(),
        ", max_age=\"5m\"".to_owned(),
        ", max_age=\"\"".to_owned(),
        ", max_age=\"+5\"".to_owned(),
        ", max_age=\"99999999999999999999\"".to_owned(),
        ", acr_values=\"gr\u{fc}n\"".to_owned(),
        ", acr_values=\"a\\\"b\"".to_owned(),
        ", acr_values=\"a\u{202e}b\"".to_owned(),
        format!(", acr_values=\"{}\"", "x".repeat(256)),
        format!(", acr_values=\"{}\"", many.join(" ")),
    ] {
        let said = read(&format!("{ERROR}{parameters}"));
        assert!(said.starts_with("unreadable: "), "{parameters}: {said}");
    }
}

#[test]
fn it_is_found_among_others_and_nowhere_else() {
    let both = [
        "Basic realm=\"x\", Bearer realm=\"y\"",
        "DPoP algs=\"ES256\", error=\"insufficient_user_authentication\", acr_values=\"mfa\"",
    ];
    let wanted = StepUp::find(401, both).unwrap().unwrap();
    assert_eq!(wanted.acr_values, ["mfa"]);
    for (status, value) in [
        (403, ERROR),
        (200, ERROR),
        (401, "Bearer"),
        (401, "Bearer error=\"invalid_token\""),
        (401, "Basic error=\"insufficient_user_authentication\""),
        (
            401,
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"a\", acr_values=\"b\"",
        ),
        (401, "Bearer error=\"insufficient_user_authentication"),
    ] {
        assert_eq!(StepUp::find(status, [value]), Ok(None), "{status} {value}");
    }
}

#[test]
fn a_scope_that_is_missing_is_told() {
    let value = "Bearer error=\"insufficient_scope\", scope=\"items:write items:read\"";
    let scope = missing_scope(403, [value]).unwrap();
    assert!(scope.contains("items:write") && scope.len() == 2);
    assert_eq!(missing_scope(401, [value]), None);
    assert_eq!(
        missing_scope(403, ["Bearer error=\"insufficient_scope\""]),
        None
    );
    let wanted = find(&format!("{ERROR}, scope=\"items:write\""))
        .unwrap()
        .unwrap();
    assert!(wanted.scope.unwrap().contains("items:write"));
}

#[test]
fn what_is_not_known_is_not_enough() {
    let now = Timestamp::from_secs(10_000);
    let ago = |seconds: i64| Some(Timestamp::from_secs(10_000 - seconds));
    let met = |parameters: &str, acr, auth_time| {
        let wanted = find(&format!("{ERROR}{parameters}")).unwrap().unwrap();
        wanted.is_met(acr, auth_time, now)
    };
    let strong = ", acr_values=\"phr mfa\"";
    assert!(met(strong, Some("mfa"), None));
    assert!(!met(strong, Some("pwd"), ago(0)));
    assert!(!met(strong, None, ago(0)));
    let fresh = ", max_age=300";
    assert!(met(fresh, None, ago(300)));
    assert!(met(fresh, None, ago(350)), "clocks differ");
    assert!(!met(fresh, None, ago(400)));
    assert!(!met(fresh, Some("mfa"), None));
    assert!(!met("", Some("mfa"), ago(100)));
    assert!(met("", None, ago(5)));
    let both = ", acr_values=mfa, max_age=300";
    assert!(met(both, Some("mfa"), ago(10)));
    assert!(!met(both, Some("pwd"), ago(10)));
    assert!(!met(both, Some("mfa"), ago(1000)));
}

proptest! {
    /// Whatever an API sends: it is read or refused, and what is shown of it is short and plain.
    #[test]
    fn any_challenge_ends_in_something_that_can_be_shown(acr in any::<String>(), age in any::<String>()) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let value = format!("{ERROR}, acr_values=\"{}\", max_age=\"{}\"", escaped(&acr), escaped(&age));
        match StepUp::find(401, [value.as_str()]) {
            Ok(None) => {}
            Ok(Some(wanted)) => {
                let shown = wanted.to_string();
                prop_assert_eq!(printable(&shown), shown);
                prop_assert!(wanted.acr_values.len() <= 16);
                let a_word = |class: &String| !class.is_empty() && class.bytes().all(|b| b.is_ascii_graphic());
                prop_assert!(wanted.acr_values.iter().all(a_word));
                prop_assert!(wanted.max_age.is_none_or(|age| age <= Duration::from_secs(u32::MAX.into())));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
