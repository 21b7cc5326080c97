//! What a client can be registered with.

use countersign_issuer::core::{
    ClientRejected, GrantType, JwksProblem, NewAuthentication, NewClient, UriProblem,
};
use countersign_jose::{Algorithm, KeyProblem, SigningKey, crypto::aws_lc};
use countersign_oauth::ScopeSet;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::over_both;

over_both!(a_client_is_not_named_like_a_person,);

async fn rejected(f: &Fixture, client: NewClient) -> ClientRejected {
    let outcome = f.core.put_client(client, f.now()).await.unwrap();
    outcome.map(|added| added.client.id).unwrap_err()
}

fn signing(jwks: &Value) -> NewClient {
    NewClient {
        authentication: NewAuthentication::PrivateKeyJwt(jwks.to_string()),
        ..NewClient::new("robot")
    }
}

/// RFC 9068, section 5: the subject of a client's own token must not be
/// somebody's.
async fn a_client_is_not_named_like_a_person(f: Fixture) {
    let sub = f.sign_in("ada").await.account.id;
    assert_eq!(
        rejected(&f, NewClient::new(sub)).await,
        ClientRejected::IdIsASubject
    );
    let fine = f.core.put_client(NewClient::new("ada"), f.now()).await;
    fine.unwrap().unwrap();
}

#[tokio::test]
async fn identifiers_need_no_quoting() {
    let f = Fixture::in_memory().await;
    for id in ["", "a b", "a:b", "\u{e4}", "a\n", &"x".repeat(129)] {
        assert_eq!(
            rejected(&f, NewClient::new(id)).await,
            ClientRejected::IdMalformed
        );
    }
}

#[tokio::test]
async fn every_uri_is_looked_at() {
    let f = Fixture::in_memory().await;
    let bad = "http://app.example/".to_owned();
    let expected = ClientRejected::RedirectUri {
        uri: bad.clone(),
        problem: UriProblem::PlainHttp,
    };
    let good = "https://app.example/".to_owned();
    let back = NewClient {
        redirect_uris: vec![good.clone(), bad.clone()],
        ..NewClient::new("app")
    };
    assert_eq!(rejected(&f, back).await, expected);
    let on = NewClient {
        post_logout_redirect_uris: vec![bad],
        ..NewClient::new("app")
    };
    assert_eq!(rejected(&f, on).await, expected);
    let many = NewClient {
        redirect_uris: vec![good; 33],
        ..NewClient::new("app")
    };
    assert_eq!(rejected(&f, many).await, ClientRejected::TooManyUris);
}

#[tokio::test]
async fn key_sets_hold_public_keys_for_signatures_and_nothing_else() {
    let f = Fixture::in_memory().await;
    let key = SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap();
    let good = key.public_jwk();
    let mut private = good.clone();
    private["d"] = json!("AAAA");
    let secret = json!({ "kty": "oct", "k": "AAAA" });
    let problem = async |keys: Value| match rejected(&f, signing(&json!({ "keys": keys }))).await {
        ClientRejected::Jwks(problem) => problem,
        other => panic!("a problem of the key set, not {other}"),
    };
    assert_eq!(
        problem(json!([good, private])).await,
        JwksProblem::Key {
            number: 2,
            source: KeyProblem::PrivateMember("d"),
        }
    );
    let JwksProblem::Key { number: 1, .. } = problem(json!([secret])).await else {
        panic!("no secret is a public key");
    };
    assert_eq!(problem(json!([])).await, JwksProblem::Empty);
    for malformed in [json!({}), json!({ "keys": 1 }), good.clone()] {
        assert!(matches!(
            rejected(&f, signing(&malformed)).await,
            ClientRejected::Jwks(JwksProblem::Malformed(_))
        ));
    }
    let fine = f
        .core
        .put_client(signing(&json!({ "keys": [good] })), f.now());
    assert!(fine.await.unwrap().unwrap().secret.is_none());
}

#[tokio::test]
async fn only_a_client_that_authenticates_acts_for_itself() {
    let f = Fixture::in_memory().await;
    let own = |authentication, scopes: &str| NewClient {
        authentication,
        grant_types: vec![GrantType::ClientCredentials],
        scopes: ScopeSet::parse(scopes).unwrap(),
        ..NewClient::new("robot")
    };
    assert_eq!(
        rejected(&f, own(NewAuthentication::Public, "")).await,
        ClientRejected::PublicClientCredentials
    );
    for scope in ["openid", "offline_access", "profile", "email", "groups"] {
        assert_eq!(
            rejected(
                &f,
                own(NewAuthentication::Secret, &format!("{scope} api.read"))
            )
            .await,
            ClientRejected::ScopeOfAPerson(scope)
        );
    }
    let idle = NewClient {
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        ..own(NewAuthentication::Secret, "api.read")
    };
    assert_eq!(rejected(&f, idle).await, ClientRejected::ScopesWithoutUse);
    let fine = f
        .core
        .put_client(own(NewAuthentication::Secret, "api.read"), f.now());
    assert!(fine.await.unwrap().unwrap().secret.is_some());
}
