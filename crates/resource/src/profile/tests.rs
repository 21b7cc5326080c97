//! The shape of each provider's access token as its documentation shows it, and what stands beside
//! it: the ID token of the same issuer, and everything that makes it another kind of token.

use countersign_testkit::{Key, Signature};
use serde_json::{Value, json};

use super::*;
use crate::testing::{FakeClock, FakeIssuer, START};
use crate::{Caller, Trust, Validator};

const API: &str = "https://api.example.com";
const CLIENT: &str = "0oa1client";

/// One provider: its issuer, the audience of this API, and the header and claims of a good token.
struct Shown {
    profile: TokenProfile,
    issuer: &'static str,
    audience: &'static str,
    header: Value,
    claims: Value,
    /// The claims of an ID token that the same issuer gives to a client of that very audience.
    id_token: Value,
}

impl Shown {
    async fn meets(&self, header: &Value, claims: &Value) -> Result<Caller, &'static str> {
        let key = Key::rsa("k1");
        let trust = Trust::issuer(self.issuer)
            .profile(self.profile)
            .audience(self.audience)
            .key_fetcher(FakeIssuer::publishing(&[&key]));
        let validator = Validator::builder("https://other.example.com")
            .audience(API)
            .key_fetcher(FakeIssuer::publishing(&[&key]))
            .trust(trust)
            .clock(FakeClock::default())
            .build()
            .unwrap();
        let token = key.sign(header, claims, Signature::Good);
        let outcome = validator.validate(&token).await;
        outcome.map_err(|rejection| rejection.code())
    }

    /// The code that a good token meets after some of its claims were replaced, or removed where the
    /// value is null.
    async fn with(&self, changes: Value) -> &'static str {
        let mut claims = self.claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.meets(&self.header, &claims)
            .await
            .err()
            .unwrap_or("ok")
    }

    /// What holds of every provider.
    async fn check(&self, subject: &str, scopes: &[&str], jwt_id: Option<&str>) {
        let caller = self.meets(&self.header, &self.claims).await.unwrap();
        assert_eq!(caller.issuer(), self.issuer);
        assert_eq!(caller.subject(), subject);
        assert_eq!(caller.client_id(), Some(CLIENT));
        assert_eq!(caller.scopes().collect::<Vec<_>>(), scopes);
        assert_eq!(caller.jwt_id(), jwt_id);
        for header in [&self.header, &json!({ "typ": "JWT" }), &json!({})] {
            let met = self.meets(header, &self.id_token).await;
            assert!(met.is_err(), "an ID token passes for an access token");
        }
        for name in ["sub", "exp", "iat", "iss"] {
            let mut gone = json!({});
            gone[name] = Value::Null;
            assert_eq!(self.with(gone).await, "missing_claim", "{name}");
        }
        for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "id+jwt", ""] {
            let met = self.meets(&json!({ "typ": typ }), &self.claims).await;
            assert_eq!(met.err(), Some("wrong_type"), "{typ}");
        }
        assert_eq!(self.with(json!({ "exp": START - 100 })).await, "expired");
    }
}

#[tokio::test]
async fn auth0() {
    let shown = Shown {
        profile: TokenProfile::Auth0,
        issuer: "https://example.eu.auth0.com/",
        audience: API,
        header: json!({ "typ": "JWT" }),
        claims: json!({
            "iss": "https://example.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": [API, "https://example.eu.auth0.com/userinfo"], "azp": CLIENT,
            "iat": START, "exp": START + 86400, "scope": "openid profile",
            "permissions": ["stock:read"],
        }),
        id_token: json!({
            "iss": "https://example.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": API, "iat": START, "exp": START + 36000, "sid": "s", "nonce": "n",
            "name": "Ada",
        }),
    };
    let subject = "auth0|5f7c8ec7c33c6c004bbafe82";
    shown.check(subject, &["openid", "profile"], None).await;
    assert_eq!(shown.with(json!({ "azp": null })).await, "missing_claim");
    assert_eq!(
        shown.with(json!({ "aud": "https://x" })).await,
        "wrong_audience"
    );
    assert_eq!(
        shown.with(json!({ "aud": [API, CLIENT] })).await,
        "other_kind"
    );
    assert_eq!(shown.with(json!({ "at_hash": "h" })).await, "other_kind");
}

#[tokio::test]
async fn okta() {
    let issuer = "https://example.okta.com/oauth2/default";
    let shown = Shown {
        profile: TokenProfile::Okta,
        issuer,
        audience: "api://default",
        header: json!({}),
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": issuer,
            "aud": "api://default", "iat": START, "exp": START + 3600, "cid": CLIENT,
            "uid": "00ujmkLgagxeRrAg20g3", "scp": ["openid", "email"], "sub": "ada@example.com",
            "auth_time": START - 5,
        }),
        id_token: json!({
            "ver": 1, "jti": "ID.4eAWJOCMB3SX8XewDfVR", "iss": issuer, "aud": "api://default",
            "cid": CLIENT, "iat": START, "exp": START + 3600, "sub": "00uid4BxXw6I6TV4m0g3",
            "amr": ["pwd"], "idp": "00o1", "auth_time": START,
        }),
    };
    let jwt_id = Some("AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE");
    shown
        .check("ada@example.com", &["openid", "email"], jwt_id)
        .await;
    assert_eq!(shown.with(json!({ "cid": null })).await, "missing_claim");
    assert_eq!(
        shown.with(json!({ "scp": "openid email" })).await,
        "malformed_claim"
    );
    assert_eq!(
        shown.with(json!({ "scp": ["a", "a"] })).await,
        "malformed_claim"
    );
    assert_eq!(shown.with(json!({ "jti": "XX.1" })).await, "other_kind");
    // What the organisation's own server issues is for Okta alone.
    let internal = json!({ "typ": "application/okta-internal-at+jwt" });
    let met = shown.meets(&internal, &shown.claims).await;
    assert_eq!(met.err(), Some("wrong_type"));
}

#[tokio::test]
async fn entra_v2() {
    let issuer = "https://login.microsoftonline.com/6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11/v2.0";
    let audience = "11112222-bbbb-3333-cccc-4444dddd5555";
    let shown = Shown {
        profile: TokenProfile::EntraV2,
        issuer,
        audience,
        header: json!({ "typ": "JWT" }),
        claims: json!({
            "aud": audience, "iss": issuer, "iat": START, "nbf": START, "exp": START + 3600,
            "aio": "x", "azp": CLIENT, "azpacr": "0", "name": "Ada", "oid": "o", "rh": "r",
            "preferred_username": "ada@example.com", "scp": "access_as_user stock.read",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": "6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11", "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
        }),
        id_token: json!({
            "aud": audience, "iss": issuer, "iat": START, "nbf": START, "exp": START + 3600,
            "name": "Ada", "oid": "o", "rh": "r", "preferred_username": "ada@example.com",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "roles": ["admin"],
            "tid": "6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11", "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
        }),
    };
    let subject = "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ";
    let scopes = ["access_as_user", "stock.read"];
    shown
        .check(subject, &scopes, Some("fqiBqXLPj0eQa82S-IYFAA"))
        .await;
    for (changes, expected) in [
        (json!({ "ver": "1.0" }), "other_kind"),
        (json!({ "ver": 2 }), "malformed_claim"),
        (json!({ "azpacr": null }), "missing_claim"),
        (json!({ "scp": null }), "missing_claim"),
        (json!({ "scp": null, "roles": ["stock.read.all"] }), "ok"),
        (json!({ "nonce": "n" }), "other_kind"),
    ] {
        assert_eq!(shown.with(changes.clone()).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn entra_v1() {
    let issuer = "https://sts.windows.net/6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11/";
    let shown = Shown {
        profile: TokenProfile::EntraV1,
        issuer,
        audience: "api://stock",
        header: json!({ "typ": "JWT", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY" }),
        claims: json!({
            "aud": "api://stock", "iss": issuer, "iat": START, "nbf": START, "exp": START + 3600,
            "acr": "1", "aio": "x", "amr": ["pwd"], "appid": CLIENT, "appidacr": "0",
            "ipaddr": "192.0.2.1", "name": "Ada", "oid": "o", "rh": "r", "scp": "stock.read",
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "tid": "6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11", "unique_name": "ada@example.com",
            "uti": "FVsGxYXI30-TuikuuUoFAA", "ver": "1.0",
        }),
        id_token: json!({
            "aud": "api://stock", "iss": issuer, "iat": START, "nbf": START, "exp": START + 3600,
            "amr": ["pwd"], "name": "Ada", "oid": "o",
            "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
            "tid": "6f1b5a70-3c1e-4d38-9a56-0d4c9f5e2b11", "unique_name": "ada@example.com",
            "uti": "FVsGxYXI30-TuikuuUoFAA", "ver": "1.0",
        }),
    };
    let subject = "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA";
    shown
        .check(subject, &["stock.read"], Some("FVsGxYXI30-TuikuuUoFAA"))
        .await;
    assert_eq!(shown.with(json!({ "ver": "2.0" })).await, "other_kind");
    assert_eq!(shown.with(json!({ "appid": null })).await, "missing_claim");
}

#[tokio::test]
async fn cognito() {
    let issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_example";
    let shown = Shown {
        profile: TokenProfile::Cognito,
        issuer,
        audience: CLIENT,
        header: json!({}),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["ops"],
            "iss": issuer, "version": 2, "client_id": CLIENT, "origin_jti": "o",
            "event_id": "e", "token_use": "access", "scope": "openid stock/read",
            "auth_time": START, "exp": START + 3600, "iat": START, "jti": "j", "username": "ada",
        }),
        id_token: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["ops"],
            "iss": issuer, "aud": CLIENT, "client_id": CLIENT, "origin_jti": "o",
            "event_id": "e", "token_use": "id", "auth_time": START, "exp": START + 3600,
            "iat": START, "jti": "j", "cognito:username": "ada",
        }),
    };
    let subject = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    shown
        .check(subject, &["openid", "stock/read"], Some("j"))
        .await;
    for (changes, expected) in [
        (json!({ "client_id": "another" }), "wrong_audience"),
        (json!({ "token_use": null }), "missing_claim"),
        (json!({ "token_use": "id" }), "other_kind"),
        (json!({ "aud": CLIENT }), "ok"),
        // An audience that is there is for somebody, and not for whoever the client is.
        (
            json!({ "aud": "https://other.example.com" }),
            "wrong_audience",
        ),
        (json!({ "aud": [] }), "missing_claim"),
    ] {
        assert_eq!(shown.with(changes.clone()).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn keycloak() {
    let issuer = "https://sso.example.com/realms/staff";
    let shown = Shown {
        profile: TokenProfile::Keycloak,
        issuer,
        audience: API,
        header: json!({ "typ": "JWT" }),
        claims: json!({
            "exp": START + 300, "iat": START, "jti": "onrtac:5e6d", "iss": issuer,
            "aud": [API, "account"], "sub": "f3e8c9a0", "typ": "Bearer", "azp": CLIENT,
            "sid": "s", "acr": "1", "realm_access": { "roles": ["offline_access"] },
            "scope": "openid email", "email_verified": true, "preferred_username": "ada",
        }),
        id_token: json!({
            "exp": START + 300, "iat": START, "jti": "5e6d", "iss": issuer, "aud": API,
            "sub": "f3e8c9a0", "typ": "ID", "azp": CLIENT, "sid": "s", "acr": "1",
            "email_verified": true, "preferred_username": "ada",
        }),
    };
    shown
        .check("f3e8c9a0", &["openid", "email"], Some("onrtac:5e6d"))
        .await;
    for (changes, expected) in [
        (json!({ "typ": "Refresh" }), "other_kind"),
        (json!({ "typ": "Offline" }), "other_kind"),
        (json!({ "typ": null }), "missing_claim"),
        (json!({ "typ": ["Bearer"] }), "malformed_claim"),
        (json!({ "typ": "DPoP" }), "ok"),
        (
            json!({ "typ": "DPoP", "cnf": { "jkt": "x" } }),
            "sender_constrained",
        ),
    ] {
        assert_eq!(shown.with(changes.clone()).await, expected, "{changes}");
    }
}

/// A token of one issuer is judged by that issuer's rules and keys alone.
#[tokio::test]
async fn issuers_do_not_stand_in_for_each_other() {
    let [ours, theirs] = ["k1", "k2"].map(Key::generate);
    let trust = |issuer: &str, key: &Key| {
        Trust::issuer(issuer)
            .audience(issuer)
            .key_fetcher(FakeIssuer::publishing(&[key]))
    };
    let validator = Validator::builder("https://one.example.com")
        .audience("https://one.example.com")
        .key_fetcher(FakeIssuer::publishing(&[&ours]))
        .trust(trust("https://two.example.com", &theirs))
        .clock(FakeClock::default())
        .build()
        .unwrap();
    let claims = |issuer: &str, audience: &str| {
        json!({
            "iss": issuer, "aud": audience, "sub": "ada", "client_id": "cli", "jti": "j",
            "iat": START, "exp": START + 60,
        })
    };
    let (one, two) = ("https://one.example.com", "https://two.example.com");
    for (key, issuer, audience, expected) in [
        (&ours, one, one, "ok"),
        (&theirs, two, two, "ok"),
        (&theirs, one, one, "unknown_key"),
        (&ours, two, two, "unknown_key"),
        (&ours, one, two, "wrong_audience"),
        (&theirs, two, one, "wrong_audience"),
        (&theirs, "https://three.example.com", two, "wrong_issuer"),
    ] {
        let header = json!({ "typ": "at+jwt" });
        let token = key.sign(&header, &claims(issuer, audience), Signature::Good);
        let met = match validator.validate(&token).await {
            Ok(caller) => {
                assert_eq!(caller.issuer(), issuer);
                "ok"
            }
            Err(rejection) => rejection.code(),
        };
        assert_eq!(met, expected, "{issuer} {audience}");
    }
    let twice = Validator::builder(one)
        .audience(one)
        .trust(trust(one, &ours))
        .build();
    assert_eq!(twice.unwrap_err().code(), "issuer_twice");
}

#[test]
fn every_profile_has_a_name_that_reads_back() {
    for profile in TokenProfile::ALL {
        assert_eq!(TokenProfile::from_name(profile.name()), Some(*profile));
    }
    assert_eq!(TokenProfile::from_name("google"), None);
}
