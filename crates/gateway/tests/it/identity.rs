//! Who the caller is, by nobody's word but the gateway's.

use countersign_jose::{Algorithm, KeySet, Unverified, crypto};
use serde_json::json;

use crate::fixture::{Issuer, ROUTES, head, start, token, usual};
use crate::upstream::Upstream;

#[test]
fn the_assertion_is_for_this_upstream_and_verifies_with_the_published_keys() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let keys = running.admin("/.well-known/jwks.json").body;
    let keys = KeySet::from_json(keys.as_bytes(), crypto::aws_lc::provider()).unwrap();
    let seen = running.get_as_ada("/stock/7").json();
    let assertion = seen["headers"]["x-countersign-identity"][0]
        .as_str()
        .unwrap();
    let assertion: Unverified<'_> = Unverified::parse(assertion).unwrap();
    assert!(assertion.header().is_type("countersign-identity+jwt"));
    let claims = assertion.verify(&keys, &[Algorithm::Es256]).unwrap();
    assert_eq!(claims.str("iss").unwrap(), Some("http://gateway.test"));
    assert_eq!(claims.str("aud").unwrap(), Some("stock"));
    assert_eq!(claims.str("sub").unwrap(), Some("ada"));
    assert_eq!(claims.str("idp").unwrap(), Some(&*Issuer::get().url()));
    assert_eq!(claims.str("scope").unwrap(), Some("stock:read"));
    let iat = claims.required_numeric_date("iat").unwrap();
    let exp = claims.required_numeric_date("exp").unwrap();
    assert!(exp.since(iat).as_secs() <= 60);
}

/// A token that is remembered, and upstreams that take turns: none gets what was made for another.
#[test]
fn each_upstream_and_each_caller_has_assertions_of_its_own() {
    let upstream = Upstream::start();
    let other = format!(
        "[[upstream]]\nname = \"other\"\naddress = \"{}\"\n{}",
        upstream.url(),
        "[[route]]\npath = \"/other\"\nscopes = [\"stock:read\"]\nupstream = \"other\"\n"
    );
    let running = start(&(head(&upstream.url(), "") + ROUTES + &other));
    let keys = running.admin("/.well-known/jwks.json").body;
    let keys = KeySet::from_json(keys.as_bytes(), crypto::aws_lc::provider()).unwrap();
    let callers = ["ada", "grace"].map(|sub| (sub, Issuer::get().token(&json!({ "sub": sub }))));
    for _ in 0..3 {
        for ((sub, token), (target, audience)) in callers
            .iter()
            .flat_map(|caller| [("/stock/7", "stock"), ("/other", "other")].map(|to| (caller, to)))
        {
            let seen = running.get(target, &[&format!("Authorization: Bearer {token}")]);
            let seen = seen.json();
            let assertion = seen["headers"]["x-countersign-identity"][0].as_str();
            let assertion: Unverified<'_> = Unverified::parse(assertion.unwrap()).unwrap();
            let claims = assertion.verify(&keys, &[Algorithm::Es256]).unwrap();
            assert_eq!(claims.str("aud").unwrap(), Some(audience));
            assert_eq!(claims.str("sub").unwrap(), Some(*sub));
        }
    }
}

#[test]
fn what_a_caller_says_about_itself_does_not_reach_the_upstream() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let bearer = format!("Authorization: Bearer {}", token());
    let forged = [
        "X-Auth-Subject: eve",
        "x_auth_subject: eve",
        "X-Auth_Subject: eve",
        "X-COUNTERSIGN-IDENTITY: eve",
        "x_countersign_identity: eve",
        "Remote-User: eve",
        "remote_user: eve",
        "X-Forwarded-User: eve",
        "X_Forwarded_Email: eve",
        "X-Remote-User: eve",
        "X-Amzn-Oidc-Data: eve",
        "X-Goog-Authenticated-User-Email: eve",
        "X-Ms-Client-Principal: eve",
        "X-Ssl-Client-S-Dn: eve",
        "X-Forwarded-For: 6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Real-Ip: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Uri: /admin",
        "X-Original-Url: /admin",
        "X-Rewrite-Url: /admin",
        "X-Http-Method-Override: DELETE",
        "X-Request-Id: eve",
        "Proxy-Authorization: Basic eve",
        "DPoP: eve",
    ];
    for target in ["/stock/7", "/open/7"] {
        let headers: Vec<&str> = forged.iter().copied().chain([&*bearer]).collect();
        let seen = running.get(target, &headers).json()["headers"].to_string();
        for word in ["eve", "6.6.6.6", "/admin", "evil", "DELETE", "https"] {
            assert!(!seen.contains(word), "{word} in {seen}");
        }
        assert!(
            seen.contains(r#""x-forwarded-for":["127.0.0.1"]"#),
            "{seen}"
        );
    }
}

#[test]
fn a_subject_that_cannot_stand_in_a_header_is_refused() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    for subject in ["ada\r\nX-Admin: 1", "ad\u{e4}", " ada", "a\u{0}"] {
        let token = Issuer::get().token(&json!({ "sub": subject }));
        let answer = running.get("/stock/7", &[&format!("Authorization: Bearer {token}")]);
        assert_eq!(answer.status, 403, "{subject:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}
