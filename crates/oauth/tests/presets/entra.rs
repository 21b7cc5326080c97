//! Microsoft Entra ID: the issuer holds the tenant's id, PKCE is not mentioned, and what went wrong is
//! a number in the description.

use countersign_oauth::preset::{AccessTokenForm, Revocation};
use countersign_oauth::{AssertionAudience, Error, Issuer, Metadata, PeerMisbehaved};
use serde_json::{Value, json};

use crate::support::{Recorded, after, ok, refusal};

const TENANT: &str = "72f988bf-0000-4000-8000-2d7cd011db47";
const ISSUER: &str = "https://login.microsoftonline.com/72f988bf-0000-4000-8000-2d7cd011db47/v2.0";

fn document(issuer: &str) -> Value {
    let base = format!("https://login.microsoftonline.com/{TENANT}");
    json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": [
            "client_secret_post", "private_key_jwt", "client_secret_basic",
        ],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    })
}

fn entra() -> Recorded {
    Recorded::new("entra", ISSUER, &document(ISSUER))
}

#[test]
fn a_document_with_a_placeholder_or_another_tenant_is_refused() {
    for (asked, names) in [
        (
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
        ),
        (
            "https://login.microsoftonline.com/acme.onmicrosoft.com/v2.0",
            ISSUER,
        ),
    ] {
        let asked = Issuer::parse(asked).unwrap();
        let error =
            Metadata::from_json(document(names).to_string().as_bytes(), &asked).unwrap_err();
        let Error::PeerMisbehaved {
            what: PeerMisbehaved::IssuerMismatch { received, .. },
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(received, names);
    }
}

#[test]
fn pkce_is_not_mentioned_and_nothing_can_be_revoked() {
    let entra = entra();
    assert_eq!(entra.metadata.code_challenge_methods_supported, None);
    assert!(!entra.preset.quirks.advertises_pkce);
    assert_eq!(entra.metadata.revocation_endpoint, None);
    assert!(matches!(
        entra.preset.quirks.revocation,
        Revocation::ByPerson(_)
    ));
}

#[test]
fn the_device_answer_has_no_complete_address_and_a_message() {
    let entra = entra();
    let codes = entra.device(
        200,
        &json!({
            "user_code": "FJC3K8PLX", "device_code": "GMMhmHCXhWEzkobqIHGG_EnNYYsAkukHspeYUk9E8",
            "verification_uri": "https://microsoft.com/devicelogin",
            "expires_in": 900, "interval": 5,
            "message": "To sign in, use a web browser to open the page …",
        }),
    );
    let codes = codes.unwrap();
    assert_eq!(codes.verification_uri_complete, None);
    assert!(!entra.preset.quirks.verification_uri_complete);
    assert_eq!(codes.expires_at, after(900));
}

#[test]
fn expires_in_may_be_a_string() {
    let tokens = ok(&json!({
        "token_type": "Bearer", "scope": "User.Read profile openid email", "expires_in": "3599",
        "ext_expires_in": "3599", "access_token": "a.b.c", "refresh_token": "0.AX",
        "id_token": "x.y.z",
    }));
    let tokens = entra().poll(&[tokens]).unwrap();
    assert_eq!(tokens.expires_in.unwrap().as_secs(), 3599);
}

#[test]
fn declined_and_unknown_codes_have_names_of_their_own() {
    let entra = entra();
    let declined = entra.poll_error(400, "authorization_declined", "AADSTS70018: …");
    assert!(matches!(declined, Error::AccessDenied(_)), "{declined:?}");
    assert!(entra.meaning(&declined).sentence.contains("declined"));
    let unknown = entra.poll_error(400, "bad_verification_code", "AADSTS70019: …");
    assert!(
        matches!(unknown, Error::DeviceCodeUnknown(_)),
        "{unknown:?}"
    );
    assert!(entra.meaning(&unknown).sentence.contains("not know"));
}

#[test]
fn pending_with_a_long_description_is_pending() {
    let pending = refusal(
        400,
        "authorization_pending",
        "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling. Trace ID: 0 Correlation ID: 0 Timestamp: 2026-11-21 09:30:00Z",
    );
    let tokens = ok(&json!({ "token_type": "Bearer", "access_token": "a.b.c" }));
    assert!(entra().poll(&[pending.clone(), pending, tokens]).is_ok());
}

#[test]
fn numbers_in_the_description_are_explained() {
    let entra = entra();
    for (code, number, word, other_flow) in [
        (
            "invalid_client",
            "AADSTS7000218",
            "public client flows",
            false,
        ),
        ("unauthorized_client", "AADSTS700016", "client id", false),
        ("invalid_request", "AADSTS90002", "tenant", false),
        (
            "invalid_request",
            "AADSTS50011",
            "Mobile and desktop",
            false,
        ),
        ("invalid_request", "AADSTS9002327", "Single-page", false),
        ("access_denied", "AADSTS53003", "Conditional Access", true),
        ("invalid_grant", "AADSTS530036", "device grant", true),
        ("access_denied", "AADSTS53000", "compliant", true),
        ("interaction_required", "AADSTS50076", "second factor", true),
        ("invalid_grant", "AADSTS65001", "consent", false),
        ("invalid_grant", "AADSTS700082", "Sign in again", false),
        ("invalid_scope", "AADSTS70011", "scope", false),
        ("invalid_grant", "AADSTS50105", "assign", false),
    ] {
        let description = format!("{number}: Words that change. Trace ID: 0 Correlation ID: 0");
        let meaning = entra.preset.explain(code, &description).unwrap();
        let text = format!("{} {}", meaning.sentence, meaning.remedy);
        assert!(text.contains(word), "{number}: {text}");
        assert_eq!(meaning.other_flow, other_flow, "{number}");
    }
}

#[test]
fn a_number_is_not_taken_for_a_longer_one() {
    let entra = entra();
    let short = entra
        .preset
        .explain("access_denied", "AADSTS53000: …")
        .unwrap();
    let long = entra
        .preset
        .explain("invalid_grant", "AADSTS530036: …")
        .unwrap();
    assert_ne!(short, long);
    // Nobody knows this one; the code alone says what it can.
    let unknown = entra.preset.explain("invalid_grant", "AADSTS5300099: …");
    assert_eq!(unknown, None);
}

#[test]
fn an_expired_session_needs_a_person() {
    let response = refusal(
        400,
        "invalid_grant",
        "AADSTS700082: The refresh token has expired …",
    );
    let error = entra().refresh(&response).unwrap_err();
    assert!(matches!(error, Error::RefreshRejected(_)), "{error:?}");
}

#[test]
fn without_a_scope_of_an_api_the_access_token_is_for_somebody_else() {
    let quirks = &entra().preset.quirks;
    assert_eq!(quirks.access_token, AccessTokenForm::ElseForProvider);
    assert_eq!(quirks.assertion_audience, AssertionAudience::Endpoint);
}

#[test]
fn the_id_token_names_tenant_and_object() {
    let token = entra().id_token(&json!({
        "ver": "2.0", "tid": TENANT, "oid": "5f0c", "preferred_username": "ada@acme.example",
        "uti": "x", "rh": "0.A",
    }));
    assert_eq!(token.unwrap().str("tid"), Some(TENANT));
}

#[test]
fn the_code_comes_back_with_a_session_state_and_pkce_is_used_all_the_same() {
    let entra = entra();
    let tokens = ok(&json!({
        "token_type": "Bearer", "scope": "openid profile email", "expires_in": "3599",
        "access_token": "a.b.c", "refresh_token": "0.AX", "id_token": "x.y.z",
    }));
    let back = "code=0.AWgAi&state=STATE&session_state=7b29111d-0000-4000-8000-000000000000";
    assert!(entra.redeem(back, &tokens).is_ok());
    assert_eq!(
        entra.asked("code_challenge_method").as_deref(),
        Some("S256")
    );
    let uri = entra.asked("redirect_uri");
    assert_eq!(uri.as_deref(), Some("http://localhost:49152"));
    let error = entra
        .callback("error=access_denied&error_subcode=cancel&error_description=AADSTS65004%3a+User+declined&state=STATE")
        .unwrap_err();
    let meaning = entra.meaning(&Error::from(error));
    assert!(meaning.sentence.contains("declined"), "{meaning:?}");
}
