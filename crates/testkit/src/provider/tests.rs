use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::json;

use super::state::unix_now;
use super::*;
use crate::Browser;
use crate::signing::sha256;

fn ask(provider: &Provider, endpoint: Endpoint, form: &str) -> (u16, Value) {
    ask_with(provider, endpoint, "", form)
}

/// As `ask`, with whole lines of header fields.
fn ask_with(provider: &Provider, endpoint: Endpoint, fields: &str, form: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", provider.server().port())).unwrap();
    write!(
        stream,
        "{} {} HTTP/1.1\r\nconnection: close\r\n{fields}content-length: {}\r\n\r\n{form}",
        endpoint.method(),
        endpoint.path(),
        form.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn device_login(provider: &Provider) -> (u16, Value) {
    let form = "client_id=cli&scope=openid";
    let (_, device) = ask(provider, Endpoint::DeviceAuthorization, form);
    let code = device["device_code"].as_str().unwrap();
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    ask(
        provider,
        Endpoint::Token,
        &format!("client_id=cli&grant_type={grant}&device_code={code}"),
    )
}

/// Verifies with the published keys and returns the claims.
fn verify(provider: &Provider, token: &str) -> Option<Value> {
    let (_, jwks) = ask(provider, Endpoint::Jwks, "");
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let good = jwks["keys"].as_array().unwrap().iter().any(|jwk| {
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(input.as_bytes(), &signature)
            .is_ok()
    });
    let claims = URL_SAFE_NO_PAD
        .decode(input.split('.').nth(1).unwrap())
        .unwrap();
    good.then(|| serde_json::from_slice(&claims).unwrap())
}

#[test]
fn a_device_code_brings_tokens_once() {
    let provider = Provider::start();
    let (status, tokens) = device_login(&provider);
    assert_eq!(status, 200);
    let claims = verify(&provider, tokens["id_token"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&claims["aud"], &claims["iss"]),
        (&json!("cli"), &json!(provider.issuer()))
    );
    let again = String::from_utf8(provider.requests(Endpoint::Token)[0].body.clone()).unwrap();
    let (status, answer) = ask(&provider, Endpoint::Token, &again);
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    assert_eq!(provider.secrets().len(), 4);
}

#[test]
fn polls_stay_pending_as_often_as_asked() {
    let provider = Provider::start();
    provider.pending_polls(1);
    let (status, answer) = device_login(&provider);
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("authorization_pending"))
    );
    let poll = String::from_utf8(provider.requests(Endpoint::Token)[0].body.clone()).unwrap();
    assert_eq!(ask(&provider, Endpoint::Token, &poll).0, 200);
}

#[test]
fn a_refresh_token_is_rotated_and_can_be_revoked() {
    let provider = Provider::start();
    let (_, tokens) = device_login(&provider);
    let refresh = |token: &Value| {
        let form = format!(
            "client_id=cli&grant_type=refresh_token&refresh_token={}",
            token.as_str().unwrap()
        );
        ask(&provider, Endpoint::Token, &form)
    };
    let (status, next) = refresh(&tokens["refresh_token"]);
    assert_eq!(status, 200);
    assert_eq!(refresh(&tokens["refresh_token"]).0, 400);
    let form = format!("token={}", next["refresh_token"].as_str().unwrap());
    assert_eq!(ask(&provider, Endpoint::Revocation, &form).0, 200);
    assert_eq!(refresh(&next["refresh_token"]).0, 400);
}

#[test]
fn a_refresh_token_can_stay_as_it_is() {
    let provider = Provider::start();
    provider.keep_refresh_tokens();
    let (_, tokens) = device_login(&provider);
    let form = format!(
        "client_id=cli&grant_type=refresh_token&refresh_token={}",
        tokens["refresh_token"].as_str().unwrap()
    );
    for _ in 0..2 {
        let (status, renewed) = ask(&provider, Endpoint::Token, &form);
        assert_eq!((status, renewed.get("refresh_token")), (200, None));
    }
}

#[test]
fn what_is_spoiled_is_spoiled_and_can_be_mended() {
    let provider = Provider::start();
    provider.edit(Endpoint::OpenIdConfiguration, |metadata| {
        metadata["issuer"] = json!("x");
    });
    provider.first(Endpoint::Jwks, [Reply::new(503)]);
    provider.always(Endpoint::Userinfo, Reply::new(500));
    assert_eq!(
        ask(&provider, Endpoint::OpenIdConfiguration, "").1["issuer"],
        json!("x")
    );
    assert_eq!(ask(&provider, Endpoint::Jwks, "").0, 503);
    assert_eq!(ask(&provider, Endpoint::Jwks, "").0, 200);
    assert_eq!(ask(&provider, Endpoint::Userinfo, "").0, 500);
    provider.behave(Endpoint::Userinfo);
    assert_eq!(ask(&provider, Endpoint::Userinfo, "").0, 200);
}

#[test]
fn only_good_signatures_verify_and_rotated_keys_do() {
    for (signature, good) in [
        (Signature::Good, true),
        (Signature::Corrupt, false),
        (Signature::Unsecured, false),
        (Signature::HmacWithPublicKey, false),
        (Signature::ForeignKey, false),
    ] {
        let provider = Provider::start();
        provider.sign_with(signature);
        provider.rotate_keys();
        let (_, tokens) = device_login(&provider);
        let verified = verify(&provider, tokens["id_token"].as_str().unwrap());
        assert_eq!(verified.is_some(), good, "{signature:?}");
    }
}

#[test]
fn claims_and_header_can_be_edited_before_signing() {
    let provider = Provider::start();
    provider.edit_id_token(|header, claims| {
        header["kid"] = json!("unknown");
        claims["aud"] = json!(["other"]);
    });
    let (_, tokens) = device_login(&provider);
    let token = tokens["id_token"].as_str().unwrap();
    assert_eq!(verify(&provider, token).unwrap()["aud"], json!(["other"]));
    let header = URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    assert!(String::from_utf8(header).unwrap().contains("\"unknown\""));
}

const CALLBACK: &str = "http://127.0.0.1:9/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-1";

/// What the browser brings back for a request with these members besides the ordinary ones.
fn authorize(provider: &Provider, more: &str) -> HashMap<String, String> {
    let mut browser = Browser::new();
    browser.hold(CALLBACK);
    let page = browser.get(&format!(
        "{}?client_id=cli&response_type=code&redirect_uri={CALLBACK}&state=s&nonce=n\
         &code_challenge={}&code_challenge_method=S256{more}",
        provider.url(Endpoint::Authorization),
        sha256(VERIFIER),
    ));
    page.location().query_pairs().into_owned().collect()
}

fn exchange(provider: &Provider, code: &str, verifier: &str) -> (u16, Value) {
    ask(
        provider,
        Endpoint::Token,
        &format!(
            "grant_type=authorization_code&client_id=cli&code={code}&redirect_uri={CALLBACK}\
             &code_verifier={verifier}"
        ),
    )
}

#[test]
fn a_code_brings_tokens_once_and_only_with_its_verifier() {
    let provider = Provider::start();
    let answer = authorize(&provider, "");
    assert_eq!(
        (&answer["state"], &answer["iss"]),
        (&"s".to_owned(), &provider.issuer())
    );
    let (status, tokens) = exchange(&provider, &answer["code"], VERIFIER);
    assert_eq!(status, 200);
    let claims = verify(&provider, tokens["id_token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["nonce"], json!("n"));
    assert_eq!(exchange(&provider, &answer["code"], VERIFIER).0, 400);
    let answer = authorize(&provider, "");
    let (status, refusal) = exchange(&provider, &answer["code"], "another");
    assert_eq!((status, &refusal["error"]), (400, &json!("invalid_grant")));
}

#[test]
fn a_request_without_pkce_gets_a_page_and_no_redirect() {
    let provider = Provider::start();
    let page = Browser::new().get(&format!(
        "{}?client_id=cli&response_type=code&redirect_uri={CALLBACK}",
        provider.url(Endpoint::Authorization)
    ));
    assert_eq!(page.status, 400);
    assert!(page.body.contains("no code_challenge"), "{}", page.body);
}

#[test]
fn the_way_back_can_be_spoiled() {
    let provider = Provider::start();
    provider.edit_authorization_response(|answer| answer.retain(|(name, _)| name != "iss"));
    assert!(!authorize(&provider, "").contains_key("iss"));
    provider.deny("access_denied", Some("no"));
    let answer = authorize(&provider, "");
    assert_eq!(answer["error"], "access_denied");
    assert_eq!(answer["error_description"], "no");
    assert!(!answer.contains_key("code"));
}

#[test]
fn a_pushed_request_is_used_once() {
    let provider = Provider::start();
    provider.demand_par();
    let (status, pushed) = ask(
        &provider,
        Endpoint::PushedAuthorization,
        &format!(
            "client_id=cli&response_type=code&redirect_uri={CALLBACK}&state=s&nonce=n\
             &code_challenge={}&code_challenge_method=S256",
            sha256(VERIFIER)
        ),
    );
    assert_eq!(status, 201);
    let url = format!(
        "{}?client_id=cli&request_uri={}",
        provider.url(Endpoint::Authorization),
        pushed["request_uri"].as_str().unwrap()
    );
    let mut browser = Browser::new();
    browser.hold(CALLBACK);
    let location = browser.get(&url).location();
    let (_, code) = location.query_pairs().next().unwrap();
    assert_eq!(exchange(&provider, &code, VERIFIER).0, 200);
    assert_eq!(browser.get(&url).status, 400);
}

/// A proof for the token endpoint by `key`, with these members besides the ordinary ones.
fn proof(provider: &Provider, key: &Key, more: &Value) -> String {
    let header = json!({ "typ": "dpop+jwt", "kid": null, "jwk": key.jwk() });
    let mut claims = json!({
        "htm": "POST", "htu": provider.url(Endpoint::Token), "iat": unix_now(),
        "jti": provider.server().requests().len().to_string(),
    });
    claims
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    key.sign(&header, &claims, Signature::Good)
}

#[test]
fn tokens_are_bound_to_the_key_of_the_proof() {
    let provider = Provider::start();
    provider.demand_dpop();
    let key = Key::generate("dpop");
    let bring = |proof: Option<String>| {
        let code = authorize(&provider, "")["code"].clone();
        let body = format!(
            "grant_type=authorization_code&client_id=cli&code={code}&redirect_uri={CALLBACK}\
             &code_verifier={VERIFIER}"
        );
        let dpop = proof.map(|proof| format!("dpop: {proof}\r\n"));
        ask_with(&provider, Endpoint::Token, &dpop.unwrap_or_default(), &body)
    };
    assert_eq!(bring(None).1["error"], json!("invalid_dpop_proof"));
    let (status, tokens) = bring(Some(proof(&provider, &key, &json!({}))));
    assert_eq!(
        (status, &tokens["token_type"]),
        (200, &json!("DPoP")),
        "{tokens}"
    );
    let userinfo = format!(
        "authorization: Bearer {}\r\n",
        tokens["access_token"].as_str().unwrap()
    );
    assert_eq!(
        ask_with(&provider, Endpoint::Userinfo, &userinfo, "").0,
        401
    );

    let other = proof(
        &provider,
        &key,
        &json!({ "htu": "https://elsewhere.example/token" }),
    );
    assert_eq!(
        bring(Some(other)).1["error_description"],
        json!("htu is another address")
    );
    provider.renew_dpop_nonce();
    let old = proof(&provider, &key, &json!({}));
    assert_eq!(bring(Some(old)).1["error"], json!("use_dpop_nonce"));
}

#[test]
fn a_secret_is_demanded_where_it_belongs() {
    let provider = Provider::start();
    provider.demand_authentication(ClientAuthentication::SecretBasic("p:w %".to_owned()));
    let form = "grant_type=client_credentials&client_id=cli";
    assert_eq!(ask(&provider, Endpoint::Token, form).0, 401);
    let basic = STANDARD.encode("cli:p%3Aw+%25");
    let header = format!("authorization: Basic {basic}\r\n");
    let (status, tokens) = ask_with(&provider, Endpoint::Token, &header, form);
    assert_eq!((status, tokens.get("refresh_token")), (200, None));
}

#[test]
fn another_name_has_other_paths() {
    let provider = Provider::start_as(
        "https://id.example.com/tenant/",
        &[(Endpoint::Token, "https://login.example.com/oauth2/token")],
    );
    let paths = [
        (
            Endpoint::OpenIdConfiguration,
            "/tenant/.well-known/openid-configuration",
        ),
        (
            Endpoint::OauthMetadata,
            "/.well-known/oauth-authorization-server/tenant",
        ),
        (Endpoint::Jwks, "/tenant/jwks"),
        (Endpoint::Token, "/oauth2/token"),
    ];
    for (endpoint, path) in paths {
        assert!(
            provider.url(endpoint).ends_with(path),
            "{}",
            provider.url(endpoint)
        );
    }
    let mut browser = Browser::new();
    browser.lead("id.example.com", provider.server().port());
    let page = browser.get("https://id.example.com/tenant/.well-known/openid-configuration");
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(metadata["issuer"], json!("https://id.example.com/tenant/"));
    assert_eq!(
        metadata["token_endpoint"],
        json!("https://login.example.com/oauth2/token")
    );
}

#[test]
fn an_rsa_key_signs_what_its_public_half_verifies() {
    let key = Key::rsa("rsa-1");
    let token = key.sign(&json!({}), &json!({ "sub": "ada" }), Signature::Good);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let part = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(key.jwk()[name].as_str().unwrap())
            .unwrap()
    };
    let public = ring::rsa::PublicKeyComponents {
        n: part("n"),
        e: part("e"),
    };
    public
        .verify(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            input.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
}

#[test]
fn a_token_that_is_used_again_brings_the_same_successor_in_its_grace_and_then_ends_the_login() {
    let provider = Provider::start();
    let refresh = |token: &Value| {
        let form = format!(
            "client_id=cli&grant_type=refresh_token&refresh_token={}",
            token.as_str().unwrap()
        );
        ask(&provider, Endpoint::Token, &form)
    };
    let (_, first) = device_login(&provider);
    provider.revoke_on_reuse(Duration::from_secs(3600));
    let (_, second) = refresh(&first["refresh_token"]);
    let (status, again) = refresh(&first["refresh_token"]);
    assert_eq!(status, 200);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    assert_ne!(again["access_token"], second["access_token"]);
    // Once the successor was used, nobody can have missed it.
    let (_, third) = refresh(&second["refresh_token"]);
    assert_eq!(refresh(&first["refresh_token"]).0, 400);
    assert_eq!(provider.reuses(), 1);
    assert_eq!(refresh(&third["refresh_token"]).0, 400);

    let (_, first) = device_login(&provider);
    provider.revoke_on_reuse(Duration::ZERO);
    let (_, second) = refresh(&first["refresh_token"]);
    assert_eq!(refresh(&first["refresh_token"]).0, 400);
    assert_eq!(refresh(&second["refresh_token"]).0, 400);
    assert_eq!(provider.reuses(), 2);
}

#[test]
fn an_answer_can_be_lost_after_the_provider_has_acted() {
    let provider = Provider::start();
    provider.deliver(Endpoint::Token, |_, reply| reply.cut_after(10));
    assert_eq!(device_login(&provider).1, Value::Null);
    let secrets = provider.secrets();
    assert!(secrets.iter().any(|it| it.starts_with("secret-refresh")));
}
