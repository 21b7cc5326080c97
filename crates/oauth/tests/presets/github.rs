//! GitHub: no metadata, errors under 200, scopes with commas, who it was from the API.

use countersign_oauth::preset::{IdentitySource, Preset, Revocation, ScopeSeparator, SecretUse};
use countersign_oauth::{
    Client, Error, ErrorCode, Issuer, Metadata, Secret, SubjectCheck, UserInfoFlow,
};
use serde_json::json;

use crate::common::{exchange, json as answer};
use crate::support::{Recorded, after, ok};

fn metadata(issuer: &str) -> Metadata {
    let preset = Preset::by_name("github").unwrap();
    preset
        .static_metadata(&Issuer::parse(issuer).unwrap())
        .unwrap()
}

fn github() -> Recorded {
    Recorded {
        preset: Preset::by_name("github").unwrap(),
        metadata: metadata("https://github.com"),
        client: Client::public("cli"),
    }
}

#[test]
fn endpoints_are_known_for_every_kind_of_github() {
    for (issuer, token, api) in [
        (
            "https://github.com",
            "https://github.com/login/oauth/access_token",
            "https://api.github.com/user",
        ),
        (
            "https://acme.ghe.com",
            "https://acme.ghe.com/login/oauth/access_token",
            "https://api.acme.ghe.com/user",
        ),
        (
            "https://github.example.com",
            "https://github.example.com/login/oauth/access_token",
            "https://github.example.com/api/v3/user",
        ),
        (
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/login/oauth/access_token",
            "http://127.0.0.1:8080/api/v3/user",
        ),
    ] {
        let metadata = metadata(issuer);
        assert_eq!(metadata.token_endpoint.unwrap().as_str(), token);
        assert_eq!(metadata.userinfo_endpoint.unwrap().as_str(), api);
        assert!(metadata.device_authorization_endpoint.is_some());
        assert_eq!(metadata.revocation_endpoint, None);
        assert_eq!(metadata.jwks_uri, None);
    }
}

#[test]
fn a_host_that_only_looks_like_githubs_has_its_api_at_itself() {
    let metadata = metadata("https://evilghe.com");
    let api = metadata.userinfo_endpoint.unwrap();
    assert_eq!(api.host_str(), Some("evilghe.com"));
}

#[test]
fn the_device_answer_has_no_complete_address() {
    let github = github();
    let codes = github.device(
        200,
        &json!({
            "device_code": "3584d83530557fdd1f46af8289938c8ef79f9dc5", "user_code": "WDJB-MJHT",
            "verification_uri": "https://github.com/login/device",
            "expires_in": 900, "interval": 5,
        }),
    );
    let codes = codes.unwrap();
    assert_eq!(codes.verification_uri_complete, None);
    assert!(!github.preset.quirks.verification_uri_complete);
    assert_eq!(codes.expires_at, after(900));
}

#[test]
fn errors_come_with_200() {
    let github = github();
    let pending = ok(&json!({ "error": "authorization_pending" }));
    let slow = ok(&json!({ "error": "slow_down", "interval": 10 }));
    let tokens = ok(&json!({
        "access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "token_type": "bearer",
        "scope": "read:user,user:email",
    }));
    let tokens = github.poll(&[pending, slow, tokens]).unwrap();
    assert!(tokens.refresh_token.is_none() && tokens.id_token.is_none());
    assert!(tokens.expires_in.is_none());
}

#[test]
fn scopes_are_separated_by_commas() {
    let github = github();
    let separator = github.preset.quirks.scope_separator;
    assert_eq!(separator, ScopeSeparator::Comma);
    let granted = separator.read("read:user,user:email");
    assert_eq!(granted.to_string(), "read:user user:email");
    assert!(separator.read("").is_empty());
}

#[test]
fn device_flow_that_is_switched_off_is_explained() {
    let github = github();
    let error = github
        .device(
            400,
            &json!({
                "error": "device_flow_disabled",
                "error_description": "Device Flow must be explicitly enabled for this App",
                "error_uri": "https://docs.github.com",
            }),
        )
        .unwrap_err();
    let meaning = github.meaning(&error);
    assert!(meaning.other_flow && meaning.remedy.contains("Enable Device Flow"));
}

#[test]
fn other_refusals_are_explained() {
    let github = github();
    for (code, description) in [
        (
            "incorrect_client_credentials",
            "The client_id and/or client_secret passed are incorrect.",
        ),
        (
            "bad_verification_code",
            "The code passed is incorrect or expired.",
        ),
        (
            "redirect_uri_mismatch",
            "The redirect_uri MUST match the registered callback URL.",
        ),
        (
            "application_suspended",
            "Your application has been suspended.",
        ),
        (
            "unverified_user_email",
            "The user must have a verified primary email.",
        ),
        (
            "bad_refresh_token",
            "The refresh token passed is incorrect or expired.",
        ),
    ] {
        assert!(github.preset.explain(code, description).is_some(), "{code}");
    }
    let error = github.poll_error(
        200,
        "incorrect_device_code",
        "The device_code provided is not valid.",
    );
    assert!(matches!(error, Error::DeviceCodeUnknown(_)), "{error:?}");
    let error = github.poll_error(200, "incorrect_client_credentials", "…");
    let Error::Refused(refusal) = error else {
        panic!("{error:?}");
    };
    let code = ErrorCode::Other("incorrect_client_credentials".to_owned());
    assert_eq!(refusal.code, Some(code));
}

#[test]
fn who_it_was_says_the_api() {
    let github = github();
    let IdentitySource::Api(claims) = github.preset.quirks.identity else {
        panic!("{:?}", github.preset.quirks.identity);
    };
    let user = json!({
        "login": "ada", "id": 583_231, "node_id": "MDQ6", "type": "User", "site_admin": false,
        "name": "Ada Lovelace", "email": null, "created_at": "2011-01-25T18:44:36Z",
    });
    assert_eq!(user[claims.sub], 583_231);
    assert_eq!(user[claims.preferred_username], "ada");
    assert_eq!(user[claims.name], "Ada Lovelace");
    assert!(user[claims.email].is_null());
    let ask = |expected| {
        let token = Secret::new("gho_token");
        let flow = UserInfoFlow::new(&github.metadata, &token, expected)?;
        exchange(flow.naming(claims), &answer(200, &user.to_string()))
    };
    let said = ask(SubjectCheck::SameAs("583231".to_owned())).unwrap();
    assert_eq!(said.sub(), "583231");
    assert_eq!(said.str("preferred_username"), Some("ada"));
    assert_eq!(said.str("name"), Some("Ada Lovelace"));
    assert_eq!(said.str("email"), None);
    let other = ask(SubjectCheck::SameAs("1".to_owned())).unwrap_err();
    assert_eq!(other.code(), "userinfo_subject_mismatch");
}

#[test]
fn the_code_needs_a_secret_and_the_device_grant_does_not() {
    let quirks = &github().preset.quirks;
    assert_eq!(quirks.secret, SecretUse::ForCodeOnly);
    assert!(!quirks.secret.on_device_authorization());
    assert!(matches!(quirks.revocation, Revocation::ByPerson(_)));
}

#[test]
fn the_code_comes_back_and_its_tokens_have_no_lifetime() {
    let github = github();
    let tokens = ok(&json!({
        "access_token": "gho_16C7e42F292c6912E7710c838347Ae178B4a", "scope": "read:user",
        "token_type": "bearer",
    }));
    assert!(github.redeem("code=a1b2c3&state=STATE", &tokens).is_ok());
    let wrong = ok(&json!({
        "error": "bad_verification_code",
        "error_description": "The code passed is incorrect or expired.",
    }));
    let error = github
        .redeem("code=a1b2c3&state=STATE", &wrong)
        .unwrap_err();
    assert!(github.meaning(&error).remedy.contains("ten minutes"));
    let error = github
        .callback("error=redirect_uri_mismatch&error_description=x&state=STATE")
        .unwrap_err();
    assert!(
        github
            .meaning(&Error::from(error))
            .remedy
            .contains("127.0.0.1")
    );
}

#[test]
fn an_answer_in_the_form_of_a_form_is_read() {
    let body = "access_token=gho_16C7e42F&scope=repo%2Cgist&token_type=bearer";
    let form = crate::common::answer(
        200,
        "application/x-www-form-urlencoded; charset=utf-8",
        body,
    );
    let tokens = github().poll(&[form]).unwrap();
    assert_eq!(tokens.scope.as_deref(), Some("repo,gist"));
}
