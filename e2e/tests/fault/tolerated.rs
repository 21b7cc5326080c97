//! What real servers do, and what is no reason to fail (the peers are named where it was seen).

use countersign_e2e::Cli;
use countersign_testkit::Endpoint::{
    DeviceAuthorization as DEVICE, Jwks as JWKS, OauthMetadata as OAUTH,
    OpenIdConfiguration as OPENID, Token as TOKEN,
};
use countersign_testkit::{Provider, Reply};
use serde_json::json;

use super::{always, error, html, in_parallel, remove, set};

/// A way of being different.
struct Way {
    name: &'static str,
    differ: fn(&Provider),
}

const fn way(name: &'static str, differ: fn(&Provider)) -> Way {
    Way { name, differ }
}

#[rustfmt::skip] // A table: one row, one line.
const WAYS: [Way; 23] = [
    way("metadata at the place of RFC 8414 only", |p| always(p, OPENID, Reply::new(404))),
    way("metadata at the place of OpenID only", |p| always(p, OAUTH, Reply::new(404))),
    way("one bad gateway before the metadata", |p| p.first(OPENID, [html(502)])),
    way("an endpoint in one document only", |p| remove(p, OPENID, "device_authorization_endpoint")),
    way("members that nobody knows", |p| set(p, OPENID, "x_extra", json!({ "a": [1, null] }))),
    way("no interval (node oidc-provider)", |p| remove(p, DEVICE, "interval")),
    way("an interval of zero", |p| set(p, DEVICE, "interval", json!(0))),
    way("a lifetime as a string", |p| set(p, DEVICE, "expires_in", json!("600"))),
    way("no complete address (django-oauth-toolkit)", |p| remove(p, DEVICE, "verification_uri_complete")),
    way("the draft's name of the address (Google)", verification_url),
    way("slow_down", |p| p.first(TOKEN, [error(400, "slow_down")])),
    way("pending under 401", |p| p.first(TOKEN, [error(401, "authorization_pending")])),
    way("pending under 200 (GitHub)", |p| p.first(TOKEN, [error(200, "authorization_pending")])),
    way("a bad gateway between two polls", |p| p.first(TOKEN, [html(502)])),
    way("a dropped connection between two polls", |p| p.first(TOKEN, [Reply::hangup()])),
    way("a token type in lower case", |p| set(p, TOKEN, "token_type", json!("bearer"))),
    way("a token lifetime as a string", |p| set(p, TOKEN, "expires_in", json!("600"))),
    way("an empty scope (node oidc-provider)", |p| set(p, TOKEN, "scope", json!(""))),
    way("no refresh token", |p| remove(p, TOKEN, "refresh_token")),
    way("no ID token (django-oauth-toolkit)", |p| remove(p, TOKEN, "id_token")),
    way("a nonce that nobody sent", nonce),
    way("a clock of half a minute ahead", ahead),
    way("keys beside ours that nobody can use", strange_keys),
];

/// A login succeeds with each of them.
pub(crate) fn run_all() {
    in_parallel(&WAYS, |way| {
        let provider = Provider::start();
        let cli = Cli::new();
        (way.differ)(&provider);
        let issuer = provider.issuer();
        let done = cli.run(&format!(
            "login --issuer {issuer} --client-id cli --no-browser"
        ));
        if done.code() != Some(0) {
            return Err(format!("{}: {:?}\n{}", way.name, done.code(), done.stderr));
        }
        let token = cli.run("token");
        if token.code() != Some(0) || !token.stdout.starts_with("secret-access-") {
            return Err(format!(
                "{}: {:?}\n{}",
                way.name,
                token.code(),
                token.stderr
            ));
        }
        Ok(())
    });
}

fn verification_url(provider: &Provider) {
    provider.edit(DEVICE, |answer| {
        let members = answer.as_object_mut().unwrap();
        let address = members.remove("verification_uri").unwrap();
        members.remove("verification_uri_complete");
        members.insert("verification_url".to_owned(), address);
    });
}

fn strange_keys(provider: &Provider) {
    provider.edit(JWKS, |set| {
        let keys = set["keys"].as_array_mut().unwrap();
        keys.insert(0, json!({ "kty": "oct", "kid": "shared", "k": "AAAA" }));
        keys.insert(
            0,
            json!({ "kty": "EC", "crv": "secp256k1", "kid": "coin", "x": "AA", "y": "AA" }),
        );
        keys.insert(
            0,
            json!({ "kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB" }),
        );
        keys.insert(0, json!("not even a key"));
    });
}

fn ahead(provider: &Provider) {
    provider.edit_id_token(|_, claims| {
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 30);
    });
}

fn nonce(provider: &Provider) {
    provider.edit_id_token(|_, claims| {
        claims["nonce"] = json!("n");
    });
}
