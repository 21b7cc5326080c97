//! RFC 8693: what is asked, what comes back, and what a server can get wrong.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{
    Client, Error, ExchangedToken, HttpResponse, PeerMisbehaved, ScopeSet, Secret, ShownToken,
    Target, TokenExchange, TokenExchangeFlow, TokenType, TokenTypeId,
};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn shown(token: &str, kind: TokenTypeId) -> ShownToken {
    ShownToken {
        token: Secret::new(token),
        kind,
    }
}

fn asked() -> TokenExchange {
    TokenExchange {
        subject: shown("st-1", TokenTypeId::ACCESS_TOKEN),
        actor: None,
        requested: None,
        target: Target::default(),
    }
}

fn as_client(
    client: &Client,
    asked: &TokenExchange,
    response: &HttpResponse,
) -> Result<ExchangedToken, Error> {
    let flow = TokenExchangeFlow::new(&metadata(), client, asked).unwrap();
    exchange(flow, response)
}

fn answered(response: &HttpResponse) -> Result<ExchangedToken, Error> {
    as_client(&client(), &asked(), response)
}

#[track_caller]
fn misbehaviour(result: Result<ExchangedToken, Error>) -> PeerMisbehaved {
    match result.unwrap_err() {
        Error::PeerMisbehaved { what, .. } => what,
        other => panic!("no misbehaviour: {other:?}"),
    }
}

fn ok(issued: &str, token_type: &str) -> HttpResponse {
    let body = format!(
        r#"{{"access_token":"et-1","issued_token_type":"{issued}","token_type":"{token_type}",
            "expires_in":60,"scope":"read"}}"#
    );
    json(200, &body)
}

/// Section 2.1: the parameters, each where it belongs.
#[test]
fn everything_that_is_asked_is_sent() {
    let full = TokenExchange {
        actor: Some(shown("act-1", TokenTypeId::JWT)),
        requested: Some(TokenTypeId::ACCESS_TOKEN),
        target: Target {
            resources: vec!["https://a.example".to_owned()],
            audiences: vec!["stock".to_owned()],
            scopes: ScopeSet::parse("read").unwrap(),
        },
        ..asked()
    };
    let request = sent(&mut TokenExchangeFlow::new(&metadata(), &client(), &full).unwrap());
    for (name, value) in [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token", "st-1"),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", "act-1"),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("requested_token_type", ACCESS_TOKEN),
        ("resource", "https://a.example"),
        ("audience", "stock"),
        ("scope", "read"),
        ("client_id", "cli"),
    ] {
        assert_eq!(field(&request, name).as_deref(), Some(value), "{name}");
    }
}

/// Section 2.1: `actor_token_type` must not be there without `actor_token`.
#[test]
fn what_is_not_asked_is_not_sent() {
    let request = sent(&mut TokenExchangeFlow::new(&metadata(), &client(), &asked()).unwrap());
    let sent: Vec<String> = [
        "actor_token",
        "actor_token_type",
        "requested_token_type",
        "scope",
    ]
    .into_iter()
    .filter_map(|name| field(&request, name))
    .collect();
    assert!(sent.is_empty(), "{sent:?}");
}

/// Section 2.2.1.
#[test]
fn what_comes_back_says_what_it_is() {
    let token = answered(&ok(ACCESS_TOKEN, "bearer")).unwrap();
    assert_eq!(token.token.expose(), "et-1");
    assert_eq!(token.issued, TokenTypeId::ACCESS_TOKEN);
    assert_eq!(token.token_type, Some(TokenType::Bearer));
    assert_eq!(token.expires_in, Some(secs(60)));
    assert_eq!(token.scope.as_deref(), Some("read"));
}

/// Section 2.2.1: `N_A` for what is no access token, in any case.
#[test]
fn a_token_that_is_no_access_token_is_not_one() {
    for name in ["N_A", "n_a"] {
        let token = answered(&ok("urn:ietf:params:oauth:token-type:saml2", name)).unwrap();
        assert_eq!((token.issued, token.token_type), (TokenTypeId::SAML2, None));
    }
}

/// A server that ignores the grant's rules, or takes it for another grant.
#[test]
fn an_answer_without_issued_token_type_is_refused() {
    let what = misbehaviour(answered(&json(200, TOKENS)));
    let name = "issued_token_type";
    assert_eq!(what, PeerMisbehaved::MissingMember { name });
}

#[test]
fn an_issued_token_type_that_is_no_uri_is_refused() {
    let what = misbehaviour(answered(&ok("access_token", "Bearer")));
    assert_eq!(what.code(), "wrong_member_type");
}

#[test]
fn another_type_than_the_one_asked_for_is_refused() {
    let asked = TokenExchange {
        requested: Some(TokenTypeId::JWT),
        ..asked()
    };
    let what = misbehaviour(as_client(&client(), &asked, &ok(ACCESS_TOKEN, "Bearer")));
    assert_eq!(what.code(), "other_token_type");
    assert!(what.to_string().contains(ACCESS_TOKEN), "{what}");
}

#[test]
fn a_token_type_that_nobody_knows_is_refused() {
    let what = misbehaviour(answered(&ok(ACCESS_TOKEN, "mac")));
    assert_eq!(what.code(), "unsupported_token_type");
}

/// RFC 9449, section 5: a client that binds its tokens takes no other, but for what is no access token.
#[test]
fn a_client_with_a_key_takes_what_is_bound_to_it() {
    let (client, _) = bound();
    let answered = |response| as_client(&client, &asked(), &response);
    assert!(answered(ok(ACCESS_TOKEN, "DPoP")).is_ok());
    assert!(answered(ok("urn:ietf:params:oauth:token-type:id_token", "N_A")).is_ok());
    assert_eq!(
        misbehaviour(answered(ok(ACCESS_TOKEN, "Bearer"))).code(),
        "token_not_bound"
    );
    assert_eq!(
        misbehaviour(as_client(
            &common::client(),
            &asked(),
            &ok(ACCESS_TOKEN, "DPoP")
        ))
        .code(),
        "unsupported_token_type"
    );
}

/// Section 2.2.2: what is wrong with a token is `invalid_request`, with the target `invalid_target`.
#[test]
fn a_refusal_is_a_refusal_and_ends_nothing() {
    for code in [
        "invalid_request",
        "invalid_target",
        "unauthorized_client",
        "invalid_grant",
    ] {
        let refused = answered(&error(code)).unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{code}: {refused:?}");
        assert!(!refused.is_retryable(), "{code}");
    }
    assert!(answered(&html(502)).unwrap_err().is_retryable());
}

#[test]
fn types_have_short_names_and_any_uri_is_one() {
    let parsed = |text| TokenTypeId::parse(text).map(|kind| kind.to_string());
    assert_eq!(parsed("jwt").unwrap(), TokenTypeId::JWT.as_str());
    assert_eq!(parsed("urn:example:token").unwrap(), "urn:example:token");
    assert_eq!(parsed("bearer"), None);
    assert_eq!(parsed(""), None);
}
