//! What an authorization request has to be, who hears of it when it is not, and what it waits for.

use std::time::Duration;

use countersign_issuer::core::{
    AuthorizationProblem, ClientCredentials, Destination, GrantType, NewAuthentication, NewClient,
    Standing, Unanswerable,
};

use crate::code_flow::{CALLBACK, VERIFIER, answer, asking, encoded, error_of};
use crate::fixture::Fixture;

/// RFC 6749, section 4.1.2.1: without a client or an address of it, the
/// browser is sent nowhere.
#[tokio::test]
async fn without_a_client_and_its_address_the_person_is_told_and_nobody_else() {
    let f = Fixture::in_memory().await;
    let twice = [("client_id", "cli"), ("client_id", "cli")];
    for changes in [&[("client_id", "")][..], &[("client_id", "eve")], &twice] {
        assert_eq!(f.shown(changes), Unanswerable::UnknownClient, "{changes:?}");
    }
    let twice = [("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)];
    for changes in [
        &[("redirect_uri", "")][..],
        &[("redirect_uri", "https://evil.example/callback")],
        &[("redirect_uri", "http://127.0.0.1:49152/callback/")],
        &[(
            "redirect_uri",
            "http://127.0.0.1:49152@evil.example/callback",
        )],
        &[("redirect_uri", "http://127.0.0.1:49152/callback#x")],
        // Whatever else is wrong: who would be told?
        &[
            ("redirect_uri", "https://evil.example/"),
            ("response_type", "token"),
        ],
        &twice,
    ] {
        assert_eq!(
            f.shown(changes),
            Unanswerable::UnknownRedirectUri,
            "{changes:?}"
        );
    }
    let long = "x".repeat(6_200);
    assert_eq!(f.shown(&[("state", &long)]), Unanswerable::TooLong);
}

/// RFC 6749, section 4.1.2.1; `OpenID` Connect Core 1.0, section 3.1.2.6; RFC
/// 7636, section 4.4.1; RFC 8707, section 2.
#[tokio::test]
async fn whatever_else_is_wrong_the_client_is_told() {
    let f = Fixture::in_memory().await;
    for (changes, error) in [
        (&[("response_type", "")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (
            &[("response_type", "code id_token")],
            "unsupported_response_type",
        ),
        (&[("response_type", "none")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("response_mode", "form_post")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "s256")], "invalid_request"),
        (&[("scope", "open\"id")], "invalid_scope"),
        (&[("resource", "no uri")], "invalid_target"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("prompt", "create")], "invalid_request"),
        (&[("max_age", "-1")], "invalid_request"),
        (&[("max_age", "+1")], "invalid_request"),
        (&[("max_age", "1e3")], "invalid_request"),
        (&[("nonce", "\u{1}")], "invalid_request"),
        (&[("dpop_jkt", "short")], "invalid_request"),
        (&[("id_token_hint", "a.b.c")], "invalid_request"),
        (&[("request", "a.b.")], "request_not_supported"),
        (
            &[("request_uri", "https://x.example/")],
            "request_uri_not_supported",
        ),
        (&[("registration", "{}")], "registration_not_supported"),
        (&[("nonce", "a"), ("nonce", "a")], "invalid_request"),
        (
            &[("prompt", "login"), ("prompt", "login")],
            "invalid_request",
        ),
        (
            &[
                ("code_challenge_method", "S256"),
                ("code_challenge_method", "plain"),
            ],
            "invalid_request",
        ),
    ] {
        let response = f.answered(changes);
        assert_eq!(error_of(&response), error, "{changes:?}");
        assert_eq!(answer(&response, "state").as_deref(), Some("af0ifjsldkj"));
        assert!(
            response
                .url
                .expose()
                .starts_with("http://127.0.0.1:49152/callback?error=")
        );
    }
}

/// RFC 6749, section 4.1.2.1: `state` is required "if a valid state parameter
/// was present".
#[tokio::test]
async fn a_state_that_is_none_is_not_given_back() {
    let f = Fixture::in_memory().await;
    for changes in [
        &[("state", "a"), ("state", "b")][..],
        &[("state", "\u{e4}")],
        &[("state", "a\nb")],
    ] {
        let response = f.answered(changes);
        assert_eq!(error_of(&response), "invalid_request", "{changes:?}");
        assert_eq!(answer(&response, "state"), None);
    }
    let response = f.answered(&[("state", ""), ("response_type", "token")]);
    assert_eq!(answer(&response, "state"), None);
}

/// RFC 6749, section 3.1; `OpenID` Connect Core 1.0, section 3.1.2.1.
#[tokio::test]
async fn what_is_unknown_and_what_is_only_wished_for_stops_nothing() {
    let f = Fixture::in_memory().await;
    for changes in [
        &[("extra", "foobar"), ("extra", "again")][..],
        &[("display", "popup")],
        &[("ui_locales", "se")],
        &[("claims_locales", "se")],
        &[("acr_values", "2 1")],
        &[("claims", "{\"userinfo\":{\"name\":{\"essential\":true}}}")],
        &[("nonce", "")],
        &[("state", "")],
        &[("scope", "")],
        &[("response_mode", "query")],
        &[("login_hint", "buffy@example.com")],
        &[("max_age", "10000")],
    ] {
        f.ask(changes).unwrap();
    }
}

#[tokio::test]
async fn a_client_asks_only_for_what_it_may() {
    let f = Fixture::in_memory().await;
    let web = |change: fn(&mut NewClient)| {
        let mut new = NewClient {
            grant_types: vec![GrantType::AuthorizationCode],
            redirect_uris: vec!["https://app.example/cb?keep=1".to_owned()],
            ..NewClient::new("web")
        };
        change(&mut new);
        new
    };
    let asking = [
        ("client_id", "web"),
        ("redirect_uri", "https://app.example/cb?keep=1"),
    ];
    f.core
        .put_client(web(|_| {}), f.now())
        .await
        .unwrap()
        .unwrap();
    let request = f.ask(&asking).unwrap();
    // It may not renew, so it is not asked whether it may stay.
    assert_eq!(request.scopes(), ["openid"]);
    assert_eq!(
        request.destination(),
        Destination::Site {
            host: "app.example".to_owned()
        }
    );
    let targeted = [&asking[..], &[("audience", "https://api.example")]].concat();
    let response = f.answered(&targeted);
    assert_eq!(error_of(&response), "invalid_target");
    assert!(
        response
            .url
            .expose()
            .starts_with("https://app.example/cb?keep=1&error=")
    );

    let no_grants = web(|new| new.grant_types.clear());
    f.core
        .put_client(no_grants, f.now())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(error_of(&f.answered(&asking)), "unauthorized_client");

    let pushing = web(|new| new.require_par = true);
    f.core.put_client(pushing, f.now()).await.unwrap().unwrap();
    assert_eq!(error_of(&f.answered(&asking)), "invalid_request");
}

#[tokio::test]
async fn a_pushed_request_that_nobody_pushed_leads_nowhere() {
    let f = Fixture::in_memory().await;
    let uri = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";
    assert_eq!(
        f.shown(&[("request_uri", uri)]),
        Unanswerable::UnknownPushedRequest
    );
}

#[tokio::test]
async fn the_browser_carries_a_request_for_an_hour_and_unchanged() {
    let f = Fixture::in_memory().await;
    let request = f.ask(&[]).unwrap();
    let sealed = f.core.seal_authorization(&request);
    f.advance_secs(3_599);
    let resumed = f.core.resume_authorization(&sealed, f.now()).unwrap();
    // Sealed again it is the same: its age does not begin anew.
    assert_eq!(f.core.seal_authorization(&resumed), sealed);
    f.advance_secs(1);
    let late = f.core.resume_authorization(&sealed, f.now());
    assert!(
        matches!(
            late,
            Err(AuthorizationProblem::Shown(Unanswerable::Expired))
        ),
        "{late:?}"
    );
    for altered in ["", "AAAA", &sealed[1..], &format!("{sealed}A")] {
        let outcome = f.core.resume_authorization(altered, f.now());
        assert!(
            matches!(
                outcome,
                Err(AuthorizationProblem::Shown(Unanswerable::Expired))
            ),
            "{altered}"
        );
    }
}

#[tokio::test]
async fn a_request_is_examined_again_when_it_comes_back() {
    let f = Fixture::in_memory().await;
    let sealed = f.core.seal_authorization(&f.ask(&[]).unwrap());
    let elsewhere = NewClient {
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec!["https://app.example/".to_owned()],
        ..NewClient::new("cli")
    };
    f.core
        .put_client(elsewhere, f.now())
        .await
        .unwrap()
        .unwrap();
    let outcome = f.core.resume_authorization(&sealed, f.now());
    assert!(
        matches!(
            outcome,
            Err(AuthorizationProblem::Shown(
                Unanswerable::UnknownRedirectUri
            ))
        ),
        "{outcome:?}"
    );
}

/// `OpenID` Connect Core 1.0, section 3.1.2.3.
#[tokio::test]
async fn somebody_signs_in_and_is_asked() {
    let f = Fixture::in_memory().await;
    let request = f.ask(&[]).unwrap();
    assert!(matches!(f.standing(&request, None), Standing::SignIn));
    let session = f.sign_in("ada").await;
    for prompt in ["", "consent", "select_account", "consent select_account"] {
        let request = f.ask(&[("prompt", prompt)]).unwrap();
        assert!(
            matches!(f.standing(&request, Some(&session)), Standing::Consent),
            "{prompt}"
        );
    }
}

/// `prompt=login`: "The Authorization Server SHOULD prompt the End-User for
/// reauthentication".
#[tokio::test]
async fn with_prompt_login_only_a_sign_in_for_this_request_counts() {
    let f = Fixture::in_memory().await;
    let old = f.sign_in("ada").await;
    f.advance_secs(1);
    for changes in [
        ("prompt", "login"),
        ("prompt", "consent login"),
        ("max_age", "0"),
    ] {
        let request = f.ask(&[changes]).unwrap();
        assert!(matches!(f.standing(&request, Some(&old)), Standing::SignIn));
        f.advance_secs(30);
        let new = f.sign_in("ada").await;
        f.advance_secs(1_000);
        assert!(matches!(
            f.standing(&request, Some(&new)),
            Standing::Consent
        ));
    }
}

/// `max_age`: "If the elapsed time is greater than this value".
#[tokio::test]
async fn max_age_is_counted_from_the_password() {
    let f = Fixture::in_memory().await;
    let session = f.sign_in("ada").await;
    f.advance_secs(10);
    let request = f.ask(&[("max_age", "10")]).unwrap();
    assert!(matches!(
        f.standing(&request, Some(&session)),
        Standing::Consent
    ));
    f.advance(Duration::from_millis(1));
    assert!(matches!(
        f.standing(&request, Some(&session)),
        Standing::SignIn
    ));
    // Whoever then signs in may think for longer than that about the consent.
    let again = f.sign_in("ada").await;
    f.advance_secs(60);
    assert!(matches!(
        f.standing(&request, Some(&again)),
        Standing::Consent
    ));
}

/// `prompt=none`: "An error is returned if an End-User is not already
/// authenticated or the Client does not have pre-configured consent".
#[tokio::test]
async fn with_prompt_none_no_page_is_shown() {
    let f = Fixture::in_memory().await;
    let error = |changes: &[(&str, &str)], session| {
        let request = f.ask(changes).unwrap();
        match f.standing(&request, session) {
            Standing::Answered(response) => error_of(&response),
            other => panic!("an answer, not {other:?}"),
        }
    };
    assert_eq!(error(&[("prompt", "none")], None), "login_required");
    let session = f.sign_in("ada").await;
    assert_eq!(
        error(&[("prompt", "none")], Some(&session)),
        "consent_required"
    );
    f.advance_secs(11);
    assert_eq!(
        error(&[("prompt", "none"), ("max_age", "10")], Some(&session)),
        "login_required"
    );
}

/// What was consented to stays so as long as a login of it lasts, for a client
/// that can prove who it is and has a place of its own.
#[tokio::test]
async fn with_prompt_none_a_known_application_gets_what_it_has_again() {
    let f = Fixture::in_memory().await;
    let uri = "https://app.example/cb";
    let web = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec![uri.to_owned(), "http://127.0.0.1/cb".to_owned()],
        ..NewClient::new("web")
    };
    let web = f.core.put_client(web, f.now()).await.unwrap().unwrap();
    let credentials = ClientCredentials::with_secret("web", web.secret.unwrap());
    let session = f.sign_in("ada").await;
    let asks = |scope, uri| {
        let changes = [
            ("client_id", "web"),
            ("redirect_uri", uri),
            ("scope", scope),
            ("prompt", "none"),
        ];
        let request = f.ask(&changes).unwrap();
        match f.standing(&request, Some(&session)) {
            Standing::Granted => "granted".to_owned(),
            Standing::Answered(response) => error_of(&response),
            other => panic!("no page, not {other:?}"),
        }
    };
    assert_eq!(asks("openid", uri), "consent_required");
    let scope = ("scope", "openid email");
    let asked = [("client_id", "web"), ("redirect_uri", uri), scope];
    let code = f.code(&asked, &session).await;
    assert_eq!(asks("openid", uri), "consent_required");
    f.redeem_as(credentials, &code, uri, VERIFIER)
        .await
        .unwrap();
    assert_eq!(asks("openid", uri), "granted");
    assert_eq!(asks("openid email", uri), "granted");
    assert_eq!(asks("openid profile", uri), "consent_required");
    assert_eq!(asks("openid", "http://127.0.0.1:1/cb"), "consent_required");
    f.advance_secs(600);
    assert_eq!(asks("openid", uri), "consent_required");
}

/// `id_token_hint`: "If the End-User identified by the ID Token is logged in
/// or is logged in by the request, then the Authorization Server returns a
/// positive response; otherwise, it SHOULD return an error".
#[tokio::test]
async fn a_hint_says_whose_request_it_is() {
    let f = Fixture::in_memory().await;
    f.add_account("eve", Vec::new()).await;
    let hint = f.log_in("openid").await.id_token.unwrap();
    f.advance_secs(100_000);
    let hint = [("id_token_hint", hint.expose())];
    let (ada, eve) = (f.sign_in("ada").await, f.sign_in("eve").await);
    f.advance_secs(1);
    let request = f.ask(&hint).unwrap();
    let expected = f.core.expected_username(&request).unwrap();
    assert_eq!(expected.as_deref(), Some("ada"));
    assert!(matches!(
        f.standing(&request, Some(&ada)),
        Standing::Consent
    ));
    // Eve sits there: Ada has to sign in.
    assert!(matches!(f.standing(&request, Some(&eve)), Standing::SignIn));
    let eve = f.sign_in("eve").await;
    let Standing::Answered(response) = f.standing(&request, Some(&eve)) else {
        panic!("Eve has signed in for it, and it is not hers");
    };
    assert_eq!(error_of(&response), "login_required");
    let silent = f.ask(&[hint[0], ("prompt", "none")]).unwrap();
    let Standing::Answered(response) = f.standing(&silent, Some(&eve)) else {
        panic!("no page is shown");
    };
    assert_eq!(error_of(&response), "login_required");
}

#[tokio::test]
async fn an_access_token_is_no_hint_and_neither_is_another_issuers() {
    let f = Fixture::in_memory().await;
    let tokens = f.log_in("openid").await;
    let stranger = Fixture::in_memory().await;
    let foreign = stranger.log_in("openid").await.id_token.unwrap();
    for hint in [&tokens.access_token, &foreign] {
        let response = f.answered(&[("id_token_hint", hint.expose())]);
        assert_eq!(error_of(&response), "invalid_request");
    }
}

#[tokio::test]
async fn the_client_may_say_who_is_expected() {
    let f = Fixture::in_memory().await;
    let hinted = |hint| {
        let request = f.ask(&[("login_hint", hint)]).unwrap();
        f.core.expected_username(&request).unwrap()
    };
    assert_eq!(hinted("ada").as_deref(), Some("ada"));
    assert_eq!(hinted("a\u{202e}da").as_deref(), Some("ada"));
    assert_eq!(hinted(&"x".repeat(257)), None);
}

#[tokio::test]
async fn parameters_of_the_request_alone_are_not_enough() {
    let f = Fixture::in_memory().await;
    let nothing = f.core.begin_authorization(encoded(&[]), f.now());
    assert!(
        matches!(
            nothing,
            Err(AuthorizationProblem::Shown(Unanswerable::UnknownClient))
        ),
        "{nothing:?}"
    );
    f.core.begin_authorization(asking(&[]), f.now()).unwrap();
}
