//! Proofs that a request comes from the holder of a key (RFC 9449).

use countersign_issuer::core::{
    Audiences, ClientCredentials, Core, DpopProof, Failure, GrantType, NewAuthentication,
    NewClient, Refusal, TokenProblem, TokenType, Tokens,
};
use countersign_issuer::storage::Sqlite;
use countersign_jose::{Algorithm, SigningKey, base64url, crypto::aws_lc, dpop::Proof};
use countersign_oauth::Secret;
use serde_json::{Value, json};

use crate::fixture::{Fixture, claims, cli, code_of, policy, refused, request};
use crate::over_both;

const TOKEN: &str = "http://127.0.0.1:8628/token";
const USERINFO: &str = "http://127.0.0.1:8628/userinfo";
const SCOPE: &str = "openid offline_access";

over_both!(
    a_token_is_bound_to_the_key_that_was_proved,
    a_public_client_renews_with_the_key_of_its_login_alone,
    a_copy_without_the_key_ends_no_login,
    a_client_that_authenticates_may_change_its_key,
    a_client_that_is_bound_gets_nothing_without_a_proof,
    a_login_that_began_without_a_key_can_be_renewed_with_one,
    userinfo_takes_a_bound_token_with_a_proof_for_it_alone,
);

pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap())
    }

    fn jkt(&self) -> String {
        self.0.thumbprint()
    }

    /// A proof for the token endpoint, as it should be.
    pub(crate) fn proof(&self, f: &Fixture) -> DpopProof {
        self.proof_with(f, None, 0)
    }

    /// One with a nonce, by a clock that is so many seconds off.
    fn proof_with(&self, f: &Fixture, nonce: Option<&str>, off: i64) -> DpopProof {
        let proof = Proof {
            htm: "POST",
            htu: TOKEN,
            access_token: None,
            nonce,
        };
        let now = countersign_jose::Timestamp::from_secs(f.now().as_secs() + off);
        sent(&proof.sign(&self.0, now).unwrap(), "POST", TOKEN)
    }

    fn for_userinfo(&self, f: &Fixture, token: &str) -> DpopProof {
        let proof = Proof {
            htm: "GET",
            htu: USERINFO,
            access_token: Some(token),
            nonce: None,
        };
        sent(&proof.sign(&self.0, f.now()).unwrap(), "GET", USERINFO)
    }
}

/// A proof with the request that it came with.
fn sent(jwt: &str, htm: &'static str, htu: &str) -> DpopProof {
    DpopProof {
        jwt: Secret::new(jwt),
        htm,
        htu: htu.to_owned(),
    }
}

async fn log_in_as(f: &Fixture, client: &ClientCredentials, key: Option<&Key>) -> Tokens {
    let mut device = request(SCOPE);
    device.credentials = client.clone();
    let started = f.core.start_device(device, f.now()).await.unwrap();
    f.approve(&started, &f.sign_in("ada").await).await;
    let code = started.device_code.expose();
    let proven = client.clone().with_dpop(key.map(|key| key.proof(f)));
    let tokens = f.core.redeem_device(&proven, code, &[], f.now()).await;
    tokens.unwrap()
}

async fn renew(
    f: &Fixture,
    client: &ClientCredentials,
    token: &Secret,
    proof: Option<DpopProof>,
) -> Result<Tokens, Failure> {
    let client = client.clone().with_dpop(proof);
    f.core
        .refresh(&client, token.expose(), None, &[], f.now())
        .await
}

fn token(tokens: Tokens) -> Secret {
    tokens.refresh_token.unwrap()
}

/// A client that proves who it is, and asks for nothing but a token of its own.
async fn robot(f: &Fixture) -> ClientCredentials {
    let client = NewClient {
        grant_types: GrantType::ALL.to_vec(),
        authentication: NewAuthentication::Secret,
        audiences: Audiences::Any,
        ..NewClient::new("robot")
    };
    let added = f.core.put_client(client, f.now()).await.unwrap().unwrap();
    ClientCredentials::with_secret("robot", added.secret.unwrap())
}

async fn ask(f: &Fixture, robot: &ClientCredentials, proof: DpopProof) -> Result<Tokens, Failure> {
    ask_at(&f.core, f, robot, proof).await
}

async fn ask_at(
    core: &Core,
    f: &Fixture,
    robot: &ClientCredentials,
    proof: DpopProof,
) -> Result<Tokens, Failure> {
    let robot = robot.clone().with_dpop(Some(proof));
    core.client_credentials(&robot, None, &[], &[], f.now())
        .await
}

async fn a_token_is_bound_to_the_key_that_was_proved(f: Fixture) {
    let key = Key::new();
    let tokens = log_in_as(&f, &cli(), Some(&key)).await;
    assert_eq!(tokens.token_type, TokenType::Dpop);
    let bound = json!({ "jkt": key.jkt() });
    assert_eq!(claims(&tokens.access_token)["cnf"], bound);
    // The ID token is for the client, and says nothing of it.
    assert!(
        claims(tokens.id_token.as_ref().unwrap())
            .get("cnf")
            .is_none()
    );
    let client = cli();
    let seen = f
        .core
        .introspect(&client, tokens.access_token.expose(), f.now());
    let seen = serde_json::to_value(seen.await.unwrap()).unwrap();
    assert_eq!(
        (&seen["token_type"], &seen["cnf"]),
        (&json!("DPoP"), &bound)
    );

    let own = ask(&f, &robot(&f).await, key.proof(&f)).await.unwrap();
    assert_eq!(own.token_type, TokenType::Dpop);
    assert_eq!(claims(&own.access_token)["cnf"], bound);
    let bearer = log_in_as(&f, &cli(), None).await;
    assert_eq!(bearer.token_type, TokenType::Bearer);
    assert!(claims(&bearer.access_token).get("cnf").is_none());
}

/// RFC 9449, section 5.
async fn a_public_client_renews_with_the_key_of_its_login_alone(f: Fixture) {
    let (key, other) = (Key::new(), Key::new());
    let first = token(log_in_as(&f, &cli(), Some(&key)).await);
    let outcome = renew(&f, &cli(), &first, Some(other.proof(&f))).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    let outcome = renew(&f, &cli(), &first, None).await;
    assert_eq!(code_of(outcome), "invalid_dpop_proof");
    // Neither has used the token up.
    let renewed = renew(&f, &cli(), &first, Some(key.proof(&f)))
        .await
        .unwrap();
    assert_eq!(renewed.token_type, TokenType::Dpop);
    assert_eq!(claims(&renewed.access_token)["cnf"]["jkt"], key.jkt());
    // Not even in the grace after a lost answer.
    let outcome = renew(&f, &cli(), &first, Some(other.proof(&f))).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    let again = renew(&f, &cli(), &first, Some(key.proof(&f)))
        .await
        .unwrap();
    assert_eq!(again.refresh_token, renewed.refresh_token);
}

async fn a_copy_without_the_key_ends_no_login(f: Fixture) {
    let (key, thief) = (Key::new(), Key::new());
    let first = token(log_in_as(&f, &cli(), Some(&key)).await);
    let second = token(
        renew(&f, &cli(), &first, Some(key.proof(&f)))
            .await
            .unwrap(),
    );
    f.advance_secs(60);
    for proof in [None, Some(thief.proof(&f))] {
        renew(&f, &cli(), &first, proof).await.unwrap_err();
    }
    let third = token(
        renew(&f, &cli(), &second, Some(key.proof(&f)))
            .await
            .unwrap(),
    );
    // In the hands of whoever has the key as well, a copy does.
    f.advance_secs(60);
    let outcome = renew(&f, &cli(), &first, Some(key.proof(&f))).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    let outcome = renew(&f, &cli(), &third, Some(key.proof(&f))).await;
    assert_eq!(code_of(outcome), "invalid_grant");
}

/// Its refresh tokens are bound to it by its authentication already.
async fn a_client_that_authenticates_may_change_its_key(f: Fixture) {
    let robot = robot(&f).await;
    let (key, next) = (Key::new(), Key::new());
    let first = token(log_in_as(&f, &robot, Some(&key)).await);
    let renewed = renew(&f, &robot, &first, Some(next.proof(&f)))
        .await
        .unwrap();
    assert_eq!(claims(&renewed.access_token)["cnf"]["jkt"], next.jkt());
    let bearer = renew(&f, &robot, &token(renewed), None).await.unwrap();
    assert_eq!(bearer.token_type, TokenType::Bearer);
}

async fn a_client_that_is_bound_gets_nothing_without_a_proof(f: Fixture) {
    for authentication in [NewAuthentication::Secret, NewAuthentication::Public] {
        let confidential = matches!(authentication, NewAuthentication::Secret);
        let client = NewClient {
            grant_types: if confidential {
                GrantType::ALL.to_vec()
            } else {
                GrantType::FOR_PEOPLE.to_vec()
            },
            authentication,
            dpop_bound: true,
            ..NewClient::new("bound")
        };
        let added = f.core.put_client(client, f.now()).await.unwrap().unwrap();
        let bound = match added.secret {
            Some(secret) => ClientCredentials::with_secret("bound", secret),
            None => ClientCredentials::public("bound"),
        };
        let key = Key::new();
        let mut device = request(SCOPE);
        device.credentials = bound.clone();
        let started = f.core.start_device(device, f.now()).await.unwrap();
        f.approve(&started, &f.sign_in("ada").await).await;
        let code = started.device_code.expose();
        let outcome = f.core.redeem_device(&bound, code, &[], f.now()).await;
        assert_eq!(code_of(outcome), "invalid_dpop_proof");
        let proven = bound.clone().with_dpop(Some(key.proof(&f)));
        let tokens = f
            .core
            .redeem_device(&proven, code, &[], f.now())
            .await
            .unwrap();
        let outcome = renew(&f, &bound, &token(tokens), None).await;
        assert_eq!(code_of(outcome), "invalid_dpop_proof");
        if confidential {
            let outcome = f.core.client_credentials(&bound, None, &[], &[], f.now());
            assert_eq!(code_of(outcome.await), "invalid_dpop_proof");
            ask(&f, &bound, key.proof(&f)).await.unwrap();
        }
    }
}

async fn a_login_that_began_without_a_key_can_be_renewed_with_one(f: Fixture) {
    let key = Key::new();
    let first = token(log_in_as(&f, &cli(), None).await);
    let bound = renew(&f, &cli(), &first, Some(key.proof(&f)))
        .await
        .unwrap();
    assert_eq!(claims(&bound.access_token)["cnf"]["jkt"], key.jkt());
    let bearer = renew(&f, &cli(), &token(bound), None).await.unwrap();
    assert_eq!(bearer.token_type, TokenType::Bearer);
}

async fn userinfo_takes_a_bound_token_with_a_proof_for_it_alone(f: Fixture) {
    let (key, other) = (Key::new(), Key::new());
    let bound = log_in_as(&f, &cli(), Some(&key)).await.access_token;
    let bearer = log_in_as(&f, &cli(), None).await.access_token;
    let (bound, bearer) = (bound.expose(), bearer.expose());
    let info = |token: &str, proof: Option<&DpopProof>| {
        let info = f.core.user_info(token, proof, f.now()).unwrap();
        info.map(drop)
    };
    let good = key.for_userinfo(&f, bound);
    assert_eq!(info(bound, Some(&good)), Ok(()));
    let Err(TokenProblem::InvalidDpopProof(why)) = info(bound, Some(&good)) else {
        panic!("a proof is used once");
    };
    assert!(why.contains("used before"));
    assert_eq!(info(bound, None), Err(TokenProblem::KeyNotProved));
    let others = other.for_userinfo(&f, bound);
    assert_eq!(info(bound, Some(&others)), Err(TokenProblem::KeyNotProved));
    // Whoever proves a key for a bearer's token is mistaken about one of them.
    let needless = key.for_userinfo(&f, bearer);
    assert_eq!(info(bearer, Some(&needless)), Err(TokenProblem::Invalid));
    assert_eq!(info(bearer, None), Ok(()));

    let posted = DpopProof {
        htm: "POST",
        ..key.for_userinfo(&f, bound)
    };
    let elsewhere = DpopProof {
        htu: TOKEN.to_owned(),
        ..key.for_userinfo(&f, bound)
    };
    for (proof, told) in [
        (posted, "htm"),
        (elsewhere, "htu"),
        (key.for_userinfo(&f, bearer), "ath"),
        // One for the token endpoint has no ath at all.
        (sent(key.proof(&f).jwt.expose(), "POST", TOKEN), "claim"),
    ] {
        let Err(TokenProblem::InvalidDpopProof(why)) = info(bound, Some(&proof)) else {
            panic!("a proof for something else: {told}");
        };
        assert!(why.contains(told), "{told}: {why}");
    }
    // A token that is dead stays so, with the best of proofs.
    f.advance_secs(600);
    let late = key.for_userinfo(&f, bound);
    assert_eq!(info(bound, Some(&late)), Err(TokenProblem::Invalid));
}

#[tokio::test]
async fn what_is_wrong_with_a_proof_is_told() {
    let f = Fixture::in_memory().await;
    let robot = robot(&f).await;
    let key = Key::new();
    let altered = |change: &dyn Fn(&mut Value)| {
        let proof = key.proof(&f);
        let (header, rest) = proof.jwt.expose().split_once('.').unwrap();
        let mut header = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
        change(&mut header);
        let header = base64url::encode(header.to_string().as_bytes());
        sent(&format!("{header}.{rest}"), "POST", TOKEN)
    };
    let get = DpopProof {
        htm: "GET",
        ..key.proof(&f)
    };
    let elsewhere = DpopProof {
        htu: "https://127.0.0.1:8628/token".to_owned(),
        ..key.proof(&f)
    };
    let own_token = ask(&f, &robot, key.proof(&f)).await.unwrap().access_token;
    let foreign = Key::new().0.public_jwk();
    for (proof, told) in [
        (get, "htm"),
        (elsewhere, "htu"),
        (altered(&|header| header["typ"] = json!("JWT")), "type"),
        (
            altered(&|header| header["alg"] = json!("none")),
            "malformed",
        ),
        (
            altered(&|header| header["alg"] = json!("HS256")),
            "malformed",
        ),
        (altered(&|header| header["jwk"] = Value::Null), "key"),
        (
            altered(&|header| header["jwk"]["d"] = json!("AAAA")),
            "private",
        ),
        (
            altered(&|header| header["jwk"] = foreign.clone()),
            "signature",
        ),
        (altered(&|header| header["x"] = json!(1)), "signature"),
        (sent("", "POST", TOKEN), "malformed"),
        (sent("a.b.c", "POST", TOKEN), "malformed"),
        // A token of ours is no proof, for all that it is signed.
        (sent(own_token.expose(), "POST", TOKEN), "type"),
    ] {
        let Refusal::InvalidDpopProof(why) = refused(ask(&f, &robot, proof).await) else {
            panic!("an invalid proof: {told}");
        };
        assert!(why.contains(told), "{told}: {why}");
    }
}

#[tokio::test]
async fn a_proof_is_used_once() {
    let f = Fixture::in_memory().await;
    let robot = robot(&f).await;
    let key = Key::new();
    let proof = key.proof(&f);
    ask(&f, &robot, proof.clone()).await.unwrap();
    for seconds in [0, 30, 30] {
        f.advance_secs(seconds);
        f.core.purge(f.now()).await.unwrap();
        let Refusal::InvalidDpopProof(why) = refused(ask(&f, &robot, proof.clone()).await) else {
            panic!("a proof is used once");
        };
        assert!(why.contains("used before"), "{why}");
    }
    // From then on it is too old to be looked up.
    f.advance_secs(1);
    let refusal = refused(ask(&f, &robot, proof).await);
    assert_eq!(refusal, Refusal::UseDpopNonce);
}

/// Whoever holds nothing of ours cannot make us remember anything.
#[tokio::test]
async fn a_proof_beside_nothing_good_is_not_remembered() {
    let f = Fixture::in_memory().await;
    let robot = robot(&f).await;
    let key = Key::new();
    let proof = key.proof(&f);
    let nonsense = Secret::new("x");
    let wrong = ClientCredentials::with_secret("robot", nonsense.clone());
    assert_eq!(
        code_of(ask(&f, &wrong, proof.clone()).await),
        "invalid_client"
    );
    let outcome = renew(&f, &cli(), &nonsense, Some(proof.clone())).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    let client = cli().with_dpop(Some(proof.clone()));
    let outcome = f.core.redeem_device(&client, "x", &[], f.now()).await;
    assert_eq!(code_of(outcome), "invalid_grant");
    ask(&f, &robot, proof).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_off_costs_one_more_request() {
    let f = Fixture::in_memory().await;
    let robot = robot(&f).await;
    let key = Key::new();
    for off in [-60, 5] {
        ask(&f, &robot, key.proof_with(&f, None, off))
            .await
            .unwrap();
    }
    for off in [-3_600, -61, 6, 3_600] {
        let outcome = ask(&f, &robot, key.proof_with(&f, None, off)).await;
        assert_eq!(refused(outcome), Refusal::UseDpopNonce, "{off}");
        let nonce = f.core.dpop_nonce(f.now());
        let proof = key.proof_with(&f, Some(&nonce), off);
        ask(&f, &robot, proof.clone()).await.unwrap();
        // And is used once like any other.
        assert_eq!(code_of(ask(&f, &robot, proof).await), "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn a_nonce_is_ours_and_lasts_five_minutes() {
    let f = Fixture::in_memory().await;
    let robot = robot(&f).await;
    let key = Key::new();
    let nonce = f.core.dpop_nonce(f.now());
    for seconds in [0, 300] {
        f.advance_secs(seconds);
        let proof = key.proof_with(&f, Some(&nonce), 0);
        ask(&f, &robot, proof).await.unwrap();
    }
    f.advance_secs(1);
    let stranger = Fixture::in_memory().await.core.dpop_nonce(f.now());
    // Whoever sends one claims that we made it: a good `iat` does not help.
    for nonce in [nonce.as_str(), &stranger, "x", ""] {
        let proof = key.proof_with(&f, Some(nonce), 0);
        assert_eq!(
            refused(ask(&f, &robot, proof).await),
            Refusal::UseDpopNonce,
            "{nonce}"
        );
    }
}

#[tokio::test]
async fn where_a_nonce_is_required_no_proof_goes_without() {
    let f = Fixture::with_policy(|policy| policy.require_dpop_nonce = true).await;
    let robot = robot(&f).await;
    let key = Key::new();
    let outcome = ask(&f, &robot, key.proof(&f)).await;
    assert_eq!(refused(outcome), Refusal::UseDpopNonce);
    let nonce = f.core.dpop_nonce(f.now());
    ask(&f, &robot, key.proof_with(&f, Some(&nonce), 0))
        .await
        .unwrap();
    let bound = ask(&f, &robot, key.proof_with(&f, Some(&nonce), 0)).await;
    assert_eq!(bound.unwrap().token_type, TokenType::Dpop);
}

/// What the process before has seen is forgotten, so none of it is accepted.
#[tokio::test]
async fn a_restart_accepts_no_proof_that_may_have_been_used() {
    let f = Fixture::in_sqlite().await;
    let robot = robot(&f).await;
    let key = Key::new();
    let used = key.proof(&f);
    ask(&f, &robot, used.clone()).await.unwrap();
    let nonce = f.core.dpop_nonce(f.now());
    let used_with_nonce = key.proof_with(&f, Some(&nonce), 0);
    ask(&f, &robot, used_with_nonce.clone()).await.unwrap();
    // By a clock that is ahead, it is dated after the start.
    let used_ahead = key.proof_with(&f, None, 5);
    ask(&f, &robot, used_ahead.clone()).await.unwrap();
    f.advance_secs(1);
    let storage = Box::new(Sqlite::open(&f.database().unwrap()).unwrap());
    let restarted = Core::new(storage, f.core.keys(), policy()).serving_since(f.now());
    for proof in [used, used_with_nonce, used_ahead] {
        let outcome = ask_at(&restarted, &f, &robot, proof).await;
        assert_eq!(refused(outcome), Refusal::UseDpopNonce);
    }
    let nonce = restarted.dpop_nonce(f.now());
    let proof = key.proof_with(&f, Some(&nonce), 0);
    ask_at(&restarted, &f, &robot, proof).await.unwrap();
    f.advance_secs(5);
    ask_at(&restarted, &f, &robot, key.proof(&f)).await.unwrap();
}

/// What is bound is first of all its owner's: the scope is nobody else's to know.
#[tokio::test]
async fn the_key_is_asked_for_before_the_scope() {
    let f = Fixture::in_memory().await;
    let key = Key::new();
    let own = ask(&f, &robot(&f).await, key.proof(&f)).await.unwrap();
    let token = own.access_token.expose();
    let info = |proof: Option<&DpopProof>| {
        let info = f.core.user_info(token, proof, f.now()).unwrap();
        info.map(drop)
    };
    assert_eq!(info(None), Err(TokenProblem::KeyNotProved));
    let proof = key.for_userinfo(&f, token);
    assert_eq!(info(Some(&proof)), Err(TokenProblem::InsufficientScope));
}
