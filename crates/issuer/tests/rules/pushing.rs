//! Authorization requests that are pushed (RFC 9126), and codes that are bound
//! to a key (RFC 9449, section 10).

use countersign_issuer::core::{
    AuthorizationProblem, AuthorizationRequest, ClientCredentials, DpopProof, Failure, GrantType,
    NewAuthentication, NewClient, PushRequest, Pushed, Refusal, TokenType, Unanswerable,
};
use countersign_jose::{Algorithm, SigningKey, crypto::aws_lc, dpop::Proof};
use countersign_oauth::Secret;

use crate::code_flow::{CALLBACK, VERIFIER, answer, asking, encoded};
use crate::fixture::{Fixture, PEER, claims, cli, code_of, refused};
use crate::over_both;

over_both!(
    a_pushed_request_becomes_one_code,
    a_pushed_request_can_be_begun_for_ninety_seconds,
    a_pushed_request_is_its_clients_own,
    a_denied_request_is_used_up_as_well,
    a_push_is_examined_as_a_request_through_a_browser_would_be,
    a_client_that_has_to_push_proves_who_it_is,
    a_proof_binds_the_code_to_its_key,
    a_request_names_the_key_that_may_redeem_its_code,
    what_is_over_is_purged_with_its_last_person,
);

async fn push_as(
    f: &Fixture,
    credentials: ClientCredentials,
    changes: &[(&str, &str)],
) -> Result<Pushed, Failure> {
    let request = PushRequest {
        credentials,
        parameters: asking(changes),
        peer: PEER,
    };
    f.core.push_authorization(request, f.now()).await
}

async fn push(f: &Fixture, changes: &[(&str, &str)]) -> Secret {
    let pushed = push_as(f, cli(), changes).await.unwrap();
    assert_eq!(pushed.expires_in.as_secs(), 90);
    pushed.request_uri
}

/// What a browser brings after a push: the client and the name of its request.
fn begin(
    f: &Fixture,
    client_id: &str,
    uri: &Secret,
) -> Result<AuthorizationRequest, AuthorizationProblem> {
    let parameters = encoded(&[("client_id", client_id), ("request_uri", uri.expose())]);
    f.core.begin_authorization(parameters, f.now())
}

#[track_caller]
fn unanswerable<T: std::fmt::Debug>(outcome: Result<T, AuthorizationProblem>) -> Unanswerable {
    match outcome {
        Err(AuthorizationProblem::Shown(problem)) => problem,
        other => panic!("shown to the person, not {other:?}"),
    }
}

async fn approved_code(f: &Fixture, request: &AuthorizationRequest) -> Secret {
    let session = f.sign_in("ada").await;
    let response = f.core.approve_authorization(request, &session, f.now());
    Secret::from(answer(&response.await.unwrap(), "code").unwrap())
}

struct Key(SigningKey);

impl Key {
    fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Es256, aws_lc::provider()).unwrap())
    }

    fn proof(&self, f: &Fixture, path: &str) -> DpopProof {
        let htu = format!("http://127.0.0.1:8628{path}");
        let proof = Proof {
            htm: "POST",
            htu: &htu,
            access_token: None,
            nonce: None,
        };
        DpopProof {
            jwt: Secret::from(proof.sign(&self.0, f.now()).unwrap()),
            htm: "POST",
            htu,
        }
    }

    fn client(&self, f: &Fixture, path: &str) -> ClientCredentials {
        cli().with_dpop(Some(self.proof(f, path)))
    }
}

async fn a_pushed_request_becomes_one_code(f: Fixture) {
    let uri = push(&f, &[("scope", "openid email")]).await;
    let random = uri
        .expose()
        .strip_prefix("urn:ietf:params:oauth:request_uri:");
    assert_eq!(random.unwrap().len(), 43);
    // What else the browser brings is not part of the request.
    let beside = [
        ("client_id", "cli"),
        ("request_uri", uri.expose()),
        ("scope", "openid groups"),
        ("redirect_uri", "https://evil.example/"),
    ];
    let request = f
        .core
        .begin_authorization(encoded(&beside), f.now())
        .unwrap();
    assert_eq!(request.scopes(), ["email", "openid"]);
    // A page that is loaded again is the same request (RFC 9126, section 7.3).
    let again = begin(&f, "cli", &uri).unwrap();
    let code = approved_code(&f, &request).await;
    let session = f.sign_in("ada").await;
    let second = f.core.approve_authorization(&again, &session, f.now());
    assert_eq!(unanswerable(second.await), Unanswerable::Gone);
    assert_eq!(
        unanswerable(begin(&f, "cli", &uri)),
        Unanswerable::UnknownPushedRequest
    );
    let tokens = f.redeem(&code).await.unwrap();
    assert_eq!(tokens.scope, "email openid");
    assert_eq!(claims(&tokens.id_token.unwrap())["nonce"], "n-0S6_WzA2Mj");
}

async fn a_pushed_request_can_be_begun_for_ninety_seconds(f: Fixture) {
    let uri = push(&f, &[]).await;
    f.advance_secs(89);
    let request = begin(&f, "cli", &uri).unwrap();
    f.advance_secs(1);
    assert_eq!(
        unanswerable(begin(&f, "cli", &uri)),
        Unanswerable::UnknownPushedRequest
    );
    // The person who has begun has all the time that others have.
    let sealed = f.core.seal_authorization(&request);
    f.advance_secs(3_500);
    f.core.purge(f.now()).await.unwrap();
    let request = f.core.resume_authorization(&sealed, f.now()).unwrap();
    let code = approved_code(&f, &request).await;
    f.redeem(&code).await.unwrap();
}

async fn a_pushed_request_is_its_clients_own(f: Fixture) {
    let other = NewClient {
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        ..NewClient::new("other")
    };
    f.core.put_client(other, f.now()).await.unwrap().unwrap();
    let uri = push(&f, &[]).await;
    for client_id in ["other", "nobody", ""] {
        assert_eq!(
            unanswerable(begin(&f, client_id, &uri)),
            Unanswerable::UnknownPushedRequest
        );
    }
    // And nobody pushes in another's name.
    let refusal = refused(push_as(&f, cli(), &[("client_id", "other")]).await);
    assert!(refusal.description().unwrap().contains("another client"));
    // Its own it need not repeat.
    let anonymous = push_as(&f, cli(), &[("client_id", "")]).await.unwrap();
    begin(&f, "cli", &anonymous.request_uri).unwrap();
}

async fn a_denied_request_is_used_up_as_well(f: Fixture) {
    let uri = push(&f, &[]).await;
    let request = begin(&f, "cli", &uri).unwrap();
    f.core.deny_authorization(&request).await.unwrap();
    assert_eq!(
        unanswerable(begin(&f, "cli", &uri)),
        Unanswerable::UnknownPushedRequest
    );
}

/// RFC 9126, section 2.1: "in the same way as [...] at the authorization
/// endpoint".
async fn a_push_is_examined_as_a_request_through_a_browser_would_be(f: Fixture) {
    let long = "x".repeat(1_025);
    let request_uri = push(&f, &[]).await;
    for (change, error) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("redirect_uri", ""), "invalid_request"),
        (("redirect_uri", "https://evil.example/"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("state", long.as_str()), "invalid_request"),
        (("state", "\u{e4}"), "invalid_request"),
        (("nonce", long.as_str()), "invalid_request"),
        (("scope", "\""), "invalid_scope"),
        (("resource", "not a URI"), "invalid_target"),
        (("prompt", "none login"), "invalid_request"),
        (("max_age", "-1"), "invalid_request"),
        (("dpop_jkt", "x"), "invalid_request"),
        (("id_token_hint", "x"), "invalid_request"),
        (("request", "x.y.z"), "request_not_supported"),
        (("request_uri", request_uri.expose()), "invalid_request"),
        (("request_uri", "https://app.example/r"), "invalid_request"),
    ] {
        let outcome = push_as(&f, cli(), &[change]).await;
        assert_eq!(code_of(outcome), error, "{change:?}");
    }
    let many: Vec<_> = (0..8)
        .map(|number| format!("https://api.example/{number}/{}", "x".repeat(400)))
        .collect();
    let wide: Vec<_> = many
        .iter()
        .map(|uri| ("resource", uri.as_str()))
        .chain([("login_hint", long.as_str()), ("id_token_hint", &long)])
        .chain([("login_hint", long.as_str())])
        .collect();
    assert_eq!(code_of(push_as(&f, cli(), &wide).await), "invalid_request");
}

async fn a_client_that_has_to_push_proves_who_it_is(f: Fixture) {
    let web = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec![CALLBACK.to_owned()],
        require_par: true,
        ..NewClient::new("web")
    };
    let added = f.core.put_client(web, f.now()).await.unwrap().unwrap();
    let web = ClientCredentials::with_secret("web", added.secret.unwrap());
    let named = [("client_id", "web")];
    let direct = crate::code_flow::error_of(&f.answered(&named));
    assert_eq!(direct, "invalid_request");
    for stranger in [
        ClientCredentials::public("web"),
        ClientCredentials::with_secret("web", Secret::new("guess")),
        ClientCredentials::public("nobody"),
    ] {
        let outcome = push_as(&f, stranger, &named).await;
        assert_eq!(refused(outcome), Refusal::InvalidClient);
    }
    let pushed = push_as(&f, web.clone(), &named).await.unwrap();
    let request = begin(&f, "web", &pushed.request_uri).unwrap();
    let code = approved_code(&f, &request).await;
    f.redeem_as(web, &code, CALLBACK, VERIFIER).await.unwrap();
}

/// RFC 9449, section 10.1.
async fn a_proof_binds_the_code_to_its_key(f: Fixture) {
    let (key, other) = (Key::new(), Key::new());
    let pushed = push_as(&f, key.client(&f, "/par"), &[]).await.unwrap();
    let request = begin(&f, "cli", &pushed.request_uri).unwrap();
    let code = approved_code(&f, &request).await;
    let redeem = async |client| f.redeem_as(client, &code, CALLBACK, VERIFIER).await;
    assert_eq!(code_of(redeem(cli()).await), "invalid_dpop_proof");
    assert_eq!(
        code_of(redeem(other.client(&f, "/token")).await),
        "invalid_grant"
    );
    let tokens = redeem(key.client(&f, "/token")).await.unwrap();
    assert_eq!(tokens.token_type, TokenType::Dpop);
    // And the login with it.
    let refresh = tokens.refresh_token.unwrap();
    assert_eq!(code_of(f.refresh(&refresh).await), "invalid_dpop_proof");

    let jkt = key.0.thumbprint();
    push_as(&f, key.client(&f, "/par"), &[("dpop_jkt", &jkt)])
        .await
        .unwrap();
    let outcome = push_as(&f, other.client(&f, "/par"), &[("dpop_jkt", &jkt)]).await;
    assert_eq!(code_of(outcome), "invalid_dpop_proof");
    let used = key.client(&f, "/par");
    push_as(&f, used.clone(), &[]).await.unwrap();
    assert_eq!(code_of(push_as(&f, used, &[]).await), "invalid_dpop_proof");
}

async fn a_request_names_the_key_that_may_redeem_its_code(f: Fixture) {
    let (key, other) = (Key::new(), Key::new());
    let session = f.sign_in("ada").await;
    let jkt = key.0.thumbprint();
    let code = f.code(&[("dpop_jkt", &jkt)], &session).await;
    let redeem = async |client| f.redeem_as(client, &code, CALLBACK, VERIFIER).await;
    assert_eq!(code_of(redeem(cli()).await), "invalid_dpop_proof");
    assert_eq!(
        code_of(redeem(other.client(&f, "/token")).await),
        "invalid_grant"
    );
    let tokens = redeem(key.client(&f, "/token")).await.unwrap();
    assert_eq!(claims(&tokens.access_token)["cnf"]["jkt"], jkt);
    // A code that names none takes whichever key comes with it.
    let code = f.code(&[], &session).await;
    let any = f.redeem_as(other.client(&f, "/token"), &code, CALLBACK, VERIFIER);
    let any = claims(&any.await.unwrap().access_token);
    assert_eq!(any["cnf"]["jkt"], other.0.thumbprint());
    // A proof beside a code that is none of ours is not used up.
    let proven = other.client(&f, "/token");
    let nonsense = Secret::new("x");
    let unknown = f.redeem_as(proven.clone(), &nonsense, CALLBACK, VERIFIER);
    assert_eq!(code_of(unknown.await), "invalid_grant");
    let code = f.code(&[], &session).await;
    let good = f.redeem_as(proven, &code, CALLBACK, VERIFIER).await;
    good.unwrap();
}

async fn what_is_over_is_purged_with_its_last_person(f: Fixture) {
    push(&f, &[]).await;
    f.advance_secs(90 + 3_600);
    assert_eq!(f.core.purge(f.now()).await.unwrap(), 0);
    f.advance_secs(1);
    assert_eq!(f.core.purge(f.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn pushes_are_bounded_by_address_for_strangers_and_by_client_for_all() {
    let f = Fixture::with_limits(|limits| {
        limits.pushes_per_address.attempts = 2;
        limits.pushes_per_client.attempts = 4;
    })
    .await;
    let web = NewClient {
        authentication: NewAuthentication::Secret,
        grant_types: GrantType::FOR_PEOPLE.to_vec(),
        redirect_uris: vec![CALLBACK.to_owned()],
        ..NewClient::new("web")
    };
    let added = f.core.put_client(web, f.now()).await.unwrap().unwrap();
    let web = ClientCredentials::with_secret("web", added.secret.unwrap());
    // What is refused is not stored and does not count.
    for _ in 0..9 {
        push_as(&f, cli(), &[("scope", "\"")]).await.unwrap_err();
    }
    for (client, id, most) in [(cli(), "cli", 2), (web, "web", 4)] {
        for _ in 0..most {
            push_as(&f, client.clone(), &[("client_id", id)])
                .await
                .unwrap();
        }
        let outcome = push_as(&f, client.clone(), &[("client_id", id)]).await;
        assert_eq!(code_of(outcome), "temporarily_unavailable", "{id}");
    }
}
