//! What can be wrong with an ID token and its keys (OpenID Connect Core 1.0, section 3.1.3.7; RFC
//! 7515; RFC 8725).

use countersign_testkit::Endpoint::{Jwks as JWKS, Token as TOKEN};
use countersign_testkit::{Key, Provider, Reply, Signature};
use serde_json::{Value, json};

use super::{Fault, always, fault, html, huge, raw_json, set};

#[rustfmt::skip] // A table: one row, one line.
pub(crate) const ROWS: [Fault; 38] = [
    fault("another issuer signed in", |p| claim(p, "iss", json!("https://evil.example")), "id_token_issuer", 1),
    fault("another audience", |p| claim(p, "aud", json!("other")), "id_token_audience", 1),
    fault("nobody's audience", |p| claim(p, "aud", json!([])), "id_token_audience", 1),
    fault("an audience that is a number", |p| claim(p, "aud", json!(7)), "id_token_claim", 1),
    fault("a second audience", |p| claim(p, "aud", json!(["cli", "other"])), "id_token_untrusted_audience", 1),
    fault("another authorized party", |p| claim(p, "azp", json!("other")), "id_token_azp", 1),
    fault("expired an hour ago", |p| shift(p, "exp", -3600 - 600), "id_token_expired", 1),
    fault("issued in an hour", |p| shift(p, "iat", 3600), "id_token_issued_in_future", 1),
    fault("valid in an hour", valid_later, "id_token_not_yet_valid", 1),
    fault("an expiry that is a word", |p| claim(p, "exp", json!("tomorrow")), "id_token_claim", 1),
    fault("no expiry", |p| no_claim(p, "exp"), "id_token_claim", 1),
    fault("no time of issue", |p| no_claim(p, "iat"), "id_token_claim", 1),
    fault("no issuer in the token", |p| no_claim(p, "iss"), "id_token_claim", 1),
    fault("no subject", |p| no_claim(p, "sub"), "id_token_claim", 1),
    fault("an empty subject", |p| claim(p, "sub", json!("")), "id_token_malformed_subject", 1),
    fault("a subject of control characters", |p| claim(p, "sub", json!("ada\u{1b}[2J")), "id_token_malformed_subject", 1),
    fault("another access token's hash", |p| claim(p, "at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")), "id_token_at_hash", 1),
    fault("an access token in its place", |p| header(p, "typ", json!("at+jwt")), "id_token_wrong_type", 1),
    fault("a signature with one bit turned", |p| p.sign_with(Signature::Corrupt), "jose_bad_signature", 1),
    fault("a signature of a foreign key", |p| p.sign_with(Signature::ForeignKey), "jose_bad_signature", 1),
    fault("no signature", |p| p.sign_with(Signature::Unsecured), "jose_unsupported_algorithm", 1),
    fault("the public key as a secret", |p| p.sign_with(Signature::HmacWithPublicKey), "jose_unsupported_algorithm", 1),
    fault("an algorithm that is not the key's", |p| header(p, "alg", json!("ES384")), "jose_algorithm_mismatch", 1),
    fault("a key that was never published", |p| header(p, "kid", json!("unknown")), "jose_unknown_key", 1),
    fault("an extension that must be understood", |p| header(p, "crit", json!(["b64"])), "jose_unsupported_extension", 1),
    fault("a claim named twice", double_claim, "jose_json", 1),
    fault("a token that is none", |p| set(p, TOKEN, "id_token", json!("secret-nonsense")), "jose_not_compact", 1),
    fault("a token of seventeen kilobytes", |p| set(p, TOKEN, "id_token", json!("secret-x".repeat(2200))), "jose_token_too_large", 1),
    fault("keys that are a web page", |p| always(p, JWKS, html(200)), "html_response", 7),
    fault("keys that are not found", |p| always(p, JWKS, Reply::new(404)), "refused_without_reason", 7),
    fault("keys that are not HTTP", |p| always(p, JWKS, Reply::raw("keys")), "malformed_http", 7),
    fault("keys in trouble", |p| always(p, JWKS, html(503)), "server_unavailable", 3),
    fault("keys elsewhere", |p| always(p, JWKS, Reply::redirect(302, "https://elsewhere.example/")), "redirect_refused", 7),
    fault("keys of a megabyte", |p| always(p, JWKS, huge()), "response_too_large", 7),
    fault("keys that never come", |p| always(p, JWKS, Reply::never()), "timeout", 3),
    fault("a document without keys", |p| always(p, JWKS, raw_json("{}")), "jose_not_a_key_set", 7),
    fault("an empty set of keys", |p| always(p, JWKS, raw_json("{\"keys\":[]}")), "jose_unknown_key", 1),
    fault("keys named twice", |p| always(p, JWKS, raw_json("{\"keys\":[],\"keys\":[]}")), "jose_json", 7),
];

fn claim(provider: &Provider, name: &'static str, value: Value) {
    provider.edit_id_token(move |_, claims| claims[name] = value.clone());
}

fn no_claim(provider: &Provider, name: &'static str) {
    provider.edit_id_token(move |_, claims| {
        claims.as_object_mut().unwrap().remove(name);
    });
}

fn header(provider: &Provider, name: &'static str, value: Value) {
    provider.edit_id_token(move |header, _| header[name] = value.clone());
}

/// Moves a time by so many seconds.
fn shift(provider: &Provider, name: &'static str, seconds: i64) {
    provider.edit_id_token(move |_, claims| {
        claims[name] = json!(claims[name].as_i64().unwrap() + seconds);
    });
}

fn valid_later(provider: &Provider) {
    provider.edit_id_token(|_, claims| {
        claims["nbf"] = json!(claims["iat"].as_i64().unwrap() + 3600);
    });
}

/// Signed by a published key, with a payload that two readers would read in two ways.
fn double_claim(provider: &Provider) {
    let key = Key::generate("second");
    let jwk = key.jwk();
    provider.edit(JWKS, move |set| {
        set["keys"].as_array_mut().unwrap().push(jwk.clone());
    });
    let payload = format!(
        r#"{{"iss":"{}","sub":"ada","sub":"eve"}}"#,
        provider.issuer()
    );
    let token = key.sign_bytes(&json!({}), payload.as_bytes(), Signature::Good);
    set(provider, TOKEN, "id_token", json!(token));
}
