//! `WWW-Authenticate`, read and written (RFC 9110, sections 5.6 and 11; RFC 6750, section 3).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use countersign_oauth::challenge::{BearerChallenge, Challenge, parse};
use countersign_oauth::{ErrorCode, ScopeSet};
use proptest::prelude::*;

/// Scheme, token68 and parameters of each challenge, in a shape that is easy to write down.
fn read(value: &str) -> Vec<String> {
    let show = |challenge: Challenge| {
        let params = challenge
            .params
            .iter()
            .map(|(name, value)| format!(" {name}=[{value}]"));
        let token68 = challenge
            .token68
            .map(|token| format!(" ({token})"))
            .unwrap_or_default();
        format!(
            "{}{token68}{}",
            challenge.scheme,
            params.collect::<String>()
        )
    };
    parse(value)
        .unwrap_or_else(|error| panic!("{value}: {error}"))
        .into_iter()
        .map(show)
        .collect()
}

#[test]
fn one_challenge_with_parameters() {
    assert_eq!(
        read(r#"Bearer realm="api", scope="a b""#),
        ["Bearer realm=[api] scope=[a b]"]
    );
    assert_eq!(read("Bearer"), ["Bearer"]);
    assert_eq!(read("Bearer realm=api"), ["Bearer realm=[api]"]);
    assert_eq!(
        read("Bearer   realm = \"a\" ,\terror=x"),
        ["Bearer realm=[a] error=[x]"]
    );
    assert_eq!(read(r#"Bearer REALM="A""#), ["Bearer realm=[A]"]);
}

/// RFC 9110, section 11.6.1: one field may hold several challenges.
#[test]
fn several_challenges_in_one_header() {
    assert_eq!(
        read(r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#),
        [
            r#"Newauth realm=[apps] type=[1] title=[Login to "apps"]"#,
            "Basic realm=[simple]"
        ]
    );
    assert_eq!(
        read(r#"Negotiate, Bearer error="x", Basic"#),
        ["Negotiate", "Bearer error=[x]", "Basic"]
    );
    assert_eq!(
        read("Negotiate YWJj==, Bearer realm=x"),
        ["Negotiate (YWJj==)", "Bearer realm=[x]"]
    );
}

/// RFC 9110, section 5.6.1.2: a recipient puts up with empty list elements.
#[test]
fn empty_list_elements_are_passed_over() {
    assert_eq!(
        read(r#", Bearer realm="x", , error="y",,"#),
        ["Bearer realm=[x] error=[y]"]
    );
}

#[test]
fn a_comma_or_an_equals_sign_inside_quotes_separates_nothing() {
    assert_eq!(
        read(r#"Bearer realm="a, Basic realm=b", error="c=d""#),
        ["Bearer realm=[a, Basic realm=b] error=[c=d]"]
    );
}

#[test]
fn escapes_in_quoted_strings_stand_for_the_character_after_them() {
    assert_eq!(
        read(r#"Bearer realm="a\"b\\c\d""#),
        [r#"Bearer realm=[a"b\cd]"#]
    );
    assert_eq!(read(r#"Bearer realm="""#), ["Bearer realm=[]"]);
    assert_eq!(read(r#"Bearer realm="\,""#), ["Bearer realm=[,]"]);
    assert_eq!(
        read("Bearer realm=\"Zürich\ttab\""),
        ["Bearer realm=[Zürich\ttab]"]
    );
}

#[test]
fn a_token68_is_told_from_a_parameter() {
    assert_eq!(read("Custom abc="), ["Custom (abc=)"]);
    assert_eq!(read("Custom abc=x"), ["Custom abc=[x]"]);
    // By the grammar these are not parameters without a value.
    assert_eq!(read("Bearer realm"), ["Bearer (realm)"]);
    assert_eq!(read("Bearer realm=, Basic"), ["Bearer (realm=)", "Basic"]);
    assert_eq!(read("Custom a+b/c~.-_=="), ["Custom (a+b/c~.-_==)"]);
}

#[test]
fn what_is_no_challenge_is_refused_and_the_place_is_named() {
    for (value, position) in [
        ("", 0),
        (" , ,", 4),
        ("=", 0),
        ("realm=x", 0),
        (r#"Bearer realm="x"#, 15),
        (r#"Bearer realm="x\"#, 16),
        ("Bearer a=x, realm=", 18),
        ("Bearer a=x, realm =x y", 21),
        (r#"Bearer realm="a" error="b""#, 17),
        (r#"Bearer realm="a", realm="b""#, 18),
        (r#"Bearer realm="a", REALM="b""#, 18),
        ("Bearer realm=a;error=b", 14),
        ("Negotiate abc, x=y", 15),
        ("Bearer \u{7f}", 7),
        ("Bearer realm=\"a\u{0}b\"", 16),
        ("Bear:er", 4),
    ] {
        let error = parse(value).unwrap_err();
        assert_eq!(error.position, position, "{value:?}: {error}");
    }
    assert!(parse(&format!("Bearer realm=\"{}\"", "x".repeat(17_000))).is_err());
}

#[test]
fn the_bearer_challenge_is_found_among_others_in_any_case() {
    let values = [
        "this is no challenge",
        r#"Negotiate, DPoP algs="ES256""#,
        r#"Basic realm="x", bearer scope="b a", ERROR="insufficient_scope", acr_values="mfa""#,
    ];
    let found = BearerChallenge::find(values).unwrap();
    assert_eq!(found.error, Some(ErrorCode::InsufficientScope));
    assert_eq!(found.scope, Some(ScopeSet::parse("a b").unwrap()));
    assert_eq!(found.extra("acr_values"), Some("mfa"));
    assert_eq!(found.realm, None);
    assert_eq!(BearerChallenge::find([r#"Basic realm="x""#]), None);
    assert_eq!(BearerChallenge::find([]), None);
}

/// RFC 6750, section 3.1: a request without a token gets no error code.
#[test]
fn a_challenge_says_what_was_given_and_nothing_else() {
    assert_eq!(BearerChallenge::default().header_value(), "Bearer");
    let mut challenge = BearerChallenge::new(ErrorCode::InvalidToken);
    assert_eq!(challenge.header_value(), r#"Bearer error="invalid_token""#);
    challenge.realm = Some("api".to_owned());
    challenge.scope = Some(ScopeSet::parse("b a").unwrap());
    challenge.extra = vec![(
        "resource_metadata".to_owned(),
        "https://x.example/y".to_owned(),
    )];
    assert_eq!(
        challenge.header_value(),
        r#"Bearer realm="api", error="invalid_token", scope="a b", resource_metadata="https://x.example/y""#
    );
}

#[test]
fn nothing_can_break_out_of_a_header_that_is_written() {
    let challenge = BearerChallenge {
        realm: Some("a\"b\\c\r\nSet-Cookie: x\u{0}é".to_owned()),
        extra: vec![
            ("bad name\r\n".to_owned(), "x".to_owned()),
            (String::new(), "x".to_owned()),
        ],
        ..BearerChallenge::default()
    };
    assert_eq!(
        challenge.header_value(),
        r#"Bearer realm="a\"b\\cSet-Cookie: x""#
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(value in any::<String>()) {
        let _ = parse(&value);
    }

    #[test]
    fn text_that_is_nearly_a_challenge_is_parsed_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "Bearer", "Basic", " ", ",", "=", "\"", "\\", "realm", "a", "==", "\t", "é", ";",
            ]),
            0..24,
        ),
    ) {
        let value = parts.concat();
        if let Ok(challenges) = parse(&value) {
            prop_assert!(!challenges.is_empty());
        }
    }

    #[test]
    fn what_is_written_reads_back(
        realm in prop::option::of("[ -~]{0,20}"),
        description in prop::option::of("[ -~]{0,20}"),
        extra in prop::option::of("[ -~]{0,20}"),
    ) {
        let challenge = BearerChallenge {
            realm,
            scope: Some(ScopeSet::parse("x y").unwrap()),
            error: Some(ErrorCode::InvalidToken),
            error_description: description,
            error_uri: None,
            extra: extra.into_iter().map(|value| ("acr_values".to_owned(), value)).collect(),
        };
        let written = challenge.header_value();
        prop_assert_eq!(BearerChallenge::find([written.as_str()]), Some(challenge));
    }
}

/// Found by fuzzing: a code that loses a letter when it is written must not lose a space when it is
/// read again.
#[test]
fn a_code_of_the_servers_own_making_is_written_as_it_was_read() {
    let long = "x".repeat(299) + "  y";
    for code in ["own Κ", "own Κ code", "own\tcode\tΚ", "Κ", long.as_str()] {
        let read = ErrorCode::from_name(code);
        let challenge = BearerChallenge {
            error: Some(read.clone()),
            ..BearerChallenge::default()
        };
        let written = challenge.header_value();
        let again = BearerChallenge::find([written.as_str()]).unwrap();
        assert_eq!(again.error, Some(read), "{code:?}");
    }
}
