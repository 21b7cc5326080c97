//! What real servers do differently from the specifications, forgiven one by one.
//!
//! Each test names the server or servers it was learned from, where that is known.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{Error, Flow, PeerMisbehaved, ScopeSet, TokenType};

fn device(members: &str) -> Result<countersign_oauth::DeviceAuthorization, Error> {
    authorize(&json(
        200,
        &format!(r#"{{"device_code":"dc","user_code":"BCDF-GHJK",{members}}}"#),
    ))
}

fn tokens(members: &str) -> Result<countersign_oauth::TokenResponse, Error> {
    first_poll(&json(200, &format!(r#"{{"access_token":"at",{members}}}"#)))
}

const URI: &str = r#""verification_uri":"https://id.example.com/device""#;

// --- device authorization response (RFC 8628, section 3.2) ------------------------------------

/// node-oidc-provider.
#[test]
fn a_missing_interval_is_five_seconds() {
    let authorization = device(&format!(r#"{URI},"expires_in":600"#)).unwrap();
    assert_eq!(authorization.interval, secs(5));
    let authorization = device(&format!(r#"{URI},"expires_in":600,"interval":null"#)).unwrap();
    assert_eq!(authorization.interval, secs(5));
}

#[test]
fn an_interval_of_zero_is_one_second() {
    let authorization = device(&format!(r#"{URI},"expires_in":600,"interval":0"#)).unwrap();
    assert_eq!(authorization.interval, secs(1));
}

/// Entra ID's older endpoints.
#[test]
fn numbers_may_be_strings() {
    let authorization = device(&format!(r#"{URI},"expires_in":"900","interval":"7""#)).unwrap();
    assert_eq!(authorization.expires_at, T0 + secs(900));
    assert_eq!(authorization.interval, secs(7));
}

#[test]
fn a_fraction_of_a_second_is_cut_off() {
    let authorization = device(&format!(r#"{URI},"expires_in":900.9,"interval":7.5"#)).unwrap();
    assert_eq!(authorization.expires_at, T0 + secs(900));
    assert_eq!(authorization.interval, secs(7));
}

#[test]
fn an_absurd_lifetime_is_a_day() {
    let authorization = device(&format!(r#"{URI},"expires_in":1e300"#)).unwrap();
    assert_eq!(authorization.expires_at, T0 + secs(24 * 60 * 60));
}

/// Google.
#[test]
fn verification_url_stands_for_verification_uri() {
    let authorization = device(
        r#""verification_url":"https://id.example.com/d","verification_url_complete":"https://id.example.com/d?c=1","expires_in":600"#,
    )
    .unwrap();
    assert_eq!(
        authorization.verification_uri.as_str(),
        "https://id.example.com/d"
    );
    let complete = authorization.verification_uri_complete.unwrap();
    assert_eq!(complete.as_str(), "https://id.example.com/d?c=1");
}

/// django-oauth-toolkit.
#[test]
fn verification_uri_complete_may_be_missing_or_empty() {
    for members in ["", r#","verification_uri_complete":"""#] {
        let authorization = device(&format!(r#"{URI},"expires_in":600{members}"#)).unwrap();
        assert_eq!(authorization.verification_uri_complete, None);
    }
}

/// Hydra, rauthy and others have codes of mixed case, which mean what they look like.
#[test]
fn a_user_code_is_kept_exactly() {
    let body = format!(r#"{{"device_code":"dc","user_code":"aB3 xY-9",{URI},"expires_in":600}}"#);
    assert_eq!(authorize(&json(200, &body)).unwrap().user_code, "aB3 xY-9");
}

#[test]
fn unknown_members_are_passed_over() {
    let extra = r#""message":"To sign in, use a web browser","x":{"y":[1,2]}"#;
    assert!(device(&format!(r#"{URI},"expires_in":600,{extra}"#)).is_ok());
}

/// GitHub.
#[test]
fn an_error_may_come_with_status_200() {
    let error = authorize(&json(200, r#"{"error":"device_flow_disabled"}"#)).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal)
        if refusal.code.as_ref().unwrap().as_str() == "device_flow_disabled"));
    let mut device = Device::new(5, 600);
    let pending = json(200, r#"{"error":"authorization_pending"}"#);
    device.answer(&pending).unwrap();
    assert_eq!(device.until_request().unwrap(), 5);
}

// --- token response (RFC 6749, section 5.1) ---------------------------------------------------

/// glewlwyd and others.
#[test]
fn token_type_may_have_any_case() {
    for token_type in ["Bearer", "bearer", "BEARER"] {
        let tokens = tokens(&format!(r#""token_type":"{token_type}""#)).unwrap();
        assert_eq!(tokens.token_type, TokenType::Bearer);
    }
}

/// Entra ID's older endpoints.
#[test]
fn expires_in_may_be_a_string_or_missing() {
    let lifetime = |members: &str| {
        tokens(&format!(r#""token_type":"Bearer"{members}"#))
            .unwrap()
            .expires_in
    };
    assert_eq!(lifetime(r#","expires_in":"3599""#), Some(secs(3599)));
    assert_eq!(lifetime(r#","expires_in":3599"#), Some(secs(3599)));
    assert_eq!(lifetime(""), None);
    assert_eq!(lifetime(r#","expires_in":null"#), None);
}

/// node-oidc-provider, when a resource was asked for.
#[test]
fn an_empty_scope_grants_nothing_and_a_missing_one_everything() {
    let requested = ScopeSet::parse("openid email").unwrap();
    let granted = |members: &str| {
        let tokens = tokens(&format!(r#""token_type":"Bearer"{members}"#)).unwrap();
        tokens.granted_scope(&requested).to_string()
    };
    assert_eq!(granted(r#","scope":"""#), "");
    assert_eq!(granted(""), "email openid");
    assert_eq!(granted(r#","scope":"email  x""#), "email x");
}

/// django-oauth-toolkit gives an ID token only at the first refresh, glewlwyd none at a refresh.
#[test]
fn an_id_token_may_be_missing_null_or_empty() {
    for members in ["", r#","id_token":null"#, r#","id_token":"""#] {
        let tokens = tokens(&format!(r#""token_type":"Bearer"{members}"#)).unwrap();
        assert_eq!(tokens.id_token, None);
    }
}

#[test]
fn an_empty_refresh_token_is_none() {
    let tokens = tokens(r#""token_type":"Bearer","refresh_token":"""#).unwrap();
    assert_eq!(tokens.refresh_token, None);
}

/// GitHub, when nobody asks it for JSON.
#[test]
fn an_answer_may_be_a_form() {
    let form = |body| {
        answer(
            200,
            "application/x-www-form-urlencoded; charset=utf-8",
            body,
        )
    };
    let tokens = first_poll(&form(
        "access_token=at&expires_in=28800&scope=a+b&token_type=bearer",
    ))
    .unwrap();
    assert_eq!(tokens.access_token.expose(), "at");
    assert_eq!(tokens.expires_in, Some(secs(28800)));
    assert_eq!(tokens.scope.as_deref(), Some("a b"));
    let denied = first_poll(&form("error=access_denied&error_description=no")).unwrap_err();
    assert_eq!(denied.code(), "access_denied");
}

#[test]
fn json_may_come_without_its_media_type() {
    let mut response = json(200, TOKENS);
    response.headers.clear();
    assert!(first_poll(&response).is_ok());
    assert!(first_poll(&answer(200, "text/plain", TOKENS)).is_ok());
}

// --- error responses while polling (RFC 8628, section 3.5) ------------------------------------

/// dex before 2026.
#[test]
fn pending_may_come_with_status_401_or_403() {
    for status in [401, 403, 428] {
        let mut device = Device::new(5, 600);
        device
            .answer(&json(status, r#"{"error":"authorization_pending"}"#))
            .unwrap();
        assert_eq!(device.until_request().unwrap(), 5, "{status}");
    }
}

/// GitHub.
#[test]
fn slow_down_may_name_the_new_interval() {
    let mut device = Device::new(5, 600);
    device
        .answer(&json(200, r#"{"error":"slow_down","interval":20}"#))
        .unwrap();
    assert_eq!(device.until_request().unwrap(), 20);
    device
        .flow
        .handle(
            &json(200, r#"{"error":"slow_down","interval":1}"#),
            device.now,
        )
        .unwrap();
    assert_eq!(device.until_request().unwrap(), 25);
}

/// django-oauth-toolkit.
#[test]
fn device_not_found_with_404_is_an_unknown_code() {
    let error = first_poll(&json(404, r#"{"error":"device_not_found"}"#)).unwrap_err();
    assert!(matches!(error, Error::DeviceCodeUnknown(_)));
    assert_eq!(error.code(), "device_code_unknown");
}

/// glewlwyd and GitHub.
#[test]
fn other_made_up_names_for_an_unknown_code_are_known() {
    for (status, code) in [(403, "invalid_code"), (200, "incorrect_device_code")] {
        let error = first_poll(&json(status, &format!(r#"{{"error":"{code}"}}"#))).unwrap_err();
        assert_eq!(error.code(), "device_code_unknown", "{code}");
    }
}

/// glewlwyd. Nothing tells it from a person's refusal, so the advice covers both.
#[test]
fn access_denied_for_an_unknown_code_ends_as_denied_with_advice() {
    let error = first_poll(&json(400, r#"{"error":"access_denied"}"#)).unwrap_err();
    assert!(matches!(error, Error::AccessDenied(_)));
    assert!(error.hints()[0].contains("sign in again"));
}

/// glewlwyd, for a grant it does not offer.
#[test]
fn an_empty_400_is_a_refusal_without_a_reason() {
    let error = first_poll(&empty(400)).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal)
        if refusal.code.is_none() && refusal.status == 400));
    assert_eq!(error.code(), "refused_without_reason");
}

#[test]
fn a_plain_text_400_is_a_refusal_in_its_own_words() {
    let error = first_poll(&answer(400, "text/plain", "Bad\u{7} client\n")).unwrap_err();
    assert_eq!(
        error.refusal().unwrap().description.as_deref(),
        Some("Bad client")
    );
}

/// Okta.
#[test]
fn okta_names_its_errors_in_its_own_members() {
    let body = r#"{"errorCode":"invalid_client","errorSummary":"Invalid value for 'client_id'"}"#;
    let error = authorize(&json(401, body)).unwrap_err();
    assert_eq!(error.code(), "invalid_client");
    let description = error.refusal().unwrap().description.as_deref();
    assert_eq!(description, Some("Invalid value for 'client_id'"));
}

/// Google's APIs.
#[test]
fn an_error_that_is_an_object_gives_its_message() {
    let body = r#"{"error":{"code":401,"message":"Request had invalid credentials."}}"#;
    let error = first_poll(&json(401, body)).unwrap_err();
    assert_eq!(error.code(), "refused_without_reason");
    let description = error.refusal().unwrap().description.as_deref();
    assert_eq!(description, Some("Request had invalid credentials."));
}

/// A refusal has to be told from an answer that merely has a `message`.
#[test]
fn a_message_beside_tokens_is_no_error() {
    assert!(tokens(r#""token_type":"Bearer","message":"welcome""#).is_ok());
}

// --- servers and networks in trouble ----------------------------------------------------------

#[test]
fn trouble_while_polling_is_waited_out() {
    for trouble in [
        html(500),
        html(502),
        html(503),
        html(200),
        html(403),
        empty(200),
        empty(429),
        empty(408),
        answer(504, "text/plain", "gateway timeout"),
        json(500, r#"{"error":"server_error"}"#),
        json(400, r#"{"error":"temporarily_unavailable"}"#),
        json(503, r#"{"error":"made_up"}"#),
        json(502, r#"{"truncated"#),
        // GitHub limits its rate like this.
        with_header(
            json(403, r#"{"message":"rate limit exceeded"}"#),
            "Retry-After",
            "30",
        ),
    ] {
        let mut device = Device::new(5, 600);
        device
            .answer(&trouble)
            .unwrap_or_else(|error| panic!("{trouble:?}: {error:?}"));
        assert!(device.flow.last_problem().is_some(), "{trouble:?}");
        assert!(device.until_request().unwrap() >= 10, "{trouble:?}");
        device.flow.handle(&json(200, TOKENS), device.now).unwrap();
        assert!(device.tokens().is_ok());
    }
}

#[test]
fn a_page_that_says_not_found_is_not_waited_out() {
    for status in [404, 405, 410] {
        let error = first_poll(&html(status)).unwrap_err();
        assert!(matches!(
            error,
            Error::PeerMisbehaved { what: PeerMisbehaved::Html { status: s }, .. } if s == status
        ));
    }
}

/// The device code is spent; asking again could only hide that.
#[test]
fn a_broken_success_is_not_waited_out() {
    for (body, code) in [
        (r#"{"access_token":"at","token_ty"#, "invalid_json"),
        (
            r#"{"access_token":"at","access_token":"other","token_type":"Bearer"}"#,
            "duplicate_member",
        ),
        (r#"{"token_type":"Bearer"}"#, "missing_member"),
        (r#"{"access_token":"at"}"#, "missing_member"),
        (r#"["access_token"]"#, "json_not_an_object"),
        (
            r#"{"access_token":1,"token_type":"Bearer"}"#,
            "wrong_member_type",
        ),
        (
            r#"{"access_token":"a b","token_type":"Bearer"}"#,
            "unusable_token",
        ),
        (
            r#"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#,
            "unusable_token",
        ),
        (
            r#"{"access_token":"","token_type":"Bearer"}"#,
            "unusable_token",
        ),
        (
            r#"{"access_token":"at","token_type":"DPoP"}"#,
            "unsupported_token_type",
        ),
        (
            r#"{"access_token":"at","token_type":"Bearer","expires_in":-1}"#,
            "wrong_member_type",
        ),
        (
            r#"{"access_token":"at","token_type":"Bearer","expires_in":"soon"}"#,
            "wrong_member_type",
        ),
        (
            r#"{"access_token":"at","token_type":"Bearer","scope":["a"]}"#,
            "wrong_member_type",
        ),
    ] {
        let error = first_poll(&json(200, body)).unwrap_err();
        assert_eq!(error.code(), code, "{body}");
        assert!(!error.is_retryable(), "{body}");
    }
}

#[test]
fn json_nested_without_end_is_refused() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(
        first_poll(&json(200, &deep)).unwrap_err().code(),
        "excessive_json"
    );
}

#[test]
fn a_body_beyond_the_cap_is_refused_unread() {
    let large = format!(
        r#"{{"access_token":"at","x":"{}"}}"#,
        "x".repeat(1024 * 1024)
    );
    for media_type in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/html",
    ] {
        let error = first_poll(&answer(200, media_type, &large)).unwrap_err();
        assert_eq!(error.code(), "response_too_large", "{media_type}");
    }
}

#[test]
fn a_redirect_is_refused_and_its_query_is_not_shown() {
    let response = with_header(
        empty(302),
        "Location",
        "https://evil.example/x?code=canary#canary",
    );
    let error = first_poll(&response).unwrap_err();
    let Error::PeerMisbehaved {
        what: PeerMisbehaved::Redirect { location },
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(location.as_deref(), Some("https://evil.example/x"));
}

// --- what is not forgiven in a device authorization response ----------------------------------

#[test]
fn a_device_authorization_response_needs_its_members() {
    for (body, code) in [
        ("{}", "missing_member"),
        (r#"{"device_code":"dc"}"#, "missing_member"),
        (r#"{"device_code":"dc","user_code":"X"}"#, "missing_member"),
        (r#"{"device_code":"","user_code":"X"}"#, "unusable_token"),
        (
            r#"{"device_code":"dc","user_code":""}"#,
            "unusable_user_code",
        ),
        (
            r#"{"device_code":"dc","user_code":"A\u001b[2J"}"#,
            "unusable_user_code",
        ),
        (r#"{"device_code":"dc","user_code":5}"#, "wrong_member_type"),
    ] {
        assert_eq!(
            authorize(&json(200, body)).unwrap_err().code(),
            code,
            "{body}"
        );
    }
    assert_eq!(device(URI).unwrap_err().code(), "missing_member");
    assert_eq!(
        device(&format!(r#"{URI},"expires_in":0"#))
            .unwrap_err()
            .code(),
        "no_time_to_poll"
    );
    let error = device(&format!(r#"{URI},"expires_in":600,"interval":600"#)).unwrap_err();
    assert_eq!(error.code(), "no_time_to_poll");
}

#[test]
fn a_verification_uri_must_be_one_that_a_browser_may_open() {
    for (uri, code) in [
        ("http://id.example.com/device", "insecure_endpoint_url"),
        ("http://127.0.0.1/device", "insecure_endpoint_url"),
        ("javascript:alert(1)", "insecure_endpoint_url"),
        ("file:///etc/passwd", "insecure_endpoint_url"),
        ("https://ada:pw@id.example.com/", "insecure_endpoint_url"),
        ("id.example.com/device", "invalid_endpoint_url"),
    ] {
        let error = device(&format!(r#""verification_uri":"{uri}","expires_in":600"#));
        assert_eq!(error.unwrap_err().code(), code, "{uri}");
        let error = device(&format!(
            r#"{URI},"verification_uri_complete":"{uri}","expires_in":600"#
        ));
        assert_eq!(error.unwrap_err().code(), code, "{uri}");
    }
}
