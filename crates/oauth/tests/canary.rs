//! No secret in anything that can be printed: every value is formatted in every way, and searched.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, SigningKey};
use countersign_oauth::{
    AuthorizationRequest, Client, ClientAuthentication, ClientCredentialsFlow, ClientKey, CodeFlow,
    DeviceFlow, DpopKey, Error, Flow, HttpResponse, IntrospectionFlow, Push, RefreshFlow,
    RevocationFlow, ScopeSet, Secret, ShownToken, Step, SubjectCheck, Target, TokenExchange,
    TokenExchangeFlow, TokenResponse, TokenTypeHint, TokenTypeId, UserInfoFlow, id_token,
};

const CANARY: &str = "canary-7f3a91c2-canary-7f3a91c2-canary-7f3a91c2";

fn canary() -> Secret {
    Secret::new(CANARY)
}

/// Everything that shows of an error: both formats, of it and of its causes, and the hints.
fn everything(error: &Error) -> String {
    let mut shown = vec![format!(
        "{error:?} {error:#?} {:?} {}",
        error.hints(),
        error.code()
    )];
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        shown.push(format!("{cause} {cause:?}"));
        next = cause.source();
    }
    shown.join(" ")
}

fn assert_clean(shown: &str) {
    let telling = &CANARY[..16];
    assert!(!shown.contains(telling), "{shown}");
}

/// A client with a secret, in both places where it can travel.
fn clients() -> [Client; 2] {
    [
        ClientAuthentication::SecretBasic(canary()),
        ClientAuthentication::SecretPost(canary()),
    ]
    .map(|authentication| Client::new("cli", authentication))
}

/// Answers in which a server repeats, misplaces or breaks a secret.
fn answers() -> Vec<HttpResponse> {
    let mut answers = Vec::new();
    for status in [200, 302, 400, 401, 403, 404, 429, 500, 503] {
        for body in [
            format!(r#"{{"error":"invalid_grant","error_description":"bad token {CANARY}!"}}"#),
            format!(r#"{{"error":"made_up {CANARY}","error_uri":"https://x.example/{CANARY}"}}"#),
            format!(
                r#"{{"error":"server_error","error_description":"{}{CANARY}"}}"#,
                "x".repeat(280)
            ),
            format!(r#"{{"error":{{"message":"{CANARY}"}}}}"#),
            format!(r#"{{"errorCode":"E1","errorSummary":"{CANARY}"}}"#),
            format!(r#"{{"message":"{CANARY}"}}"#),
            format!(r#"{{"access_token":"{CANARY}","refresh_token":"{CANARY}"#),
            format!(r#"{{"access_token":"{CANARY}","access_token":"{CANARY}"}}"#),
            format!(r#"{{"access_token":"{CANARY}"}}"#),
            format!(r#"{{"access_token":["{CANARY}"],"sub":["{CANARY}"]}}"#),
            format!(r#"{{"access_token":"{CANARY} ","token_type":"Bearer"}}"#),
            format!(r#"["{CANARY}"]"#),
        ] {
            answers.push(json(status, &body));
            let moved = format!("https://x.example/?code={CANARY}");
            answers.push(with_header(
                answer(status, "application/json", &body),
                "location",
                &moved,
            ));
        }
        for body in [
            format!("<html>{CANARY}</html>"),
            format!("access_token={CANARY}&token_type=x"),
            format!("error=invalid_grant&error_description={CANARY}"),
        ] {
            answers.push(answer(status, "text/html", &body));
            answers.push(answer(status, "application/x-www-form-urlencoded", &body));
            answers.push(answer(status, "application/octet-stream", &body));
        }
        answers.push(answer(
            status,
            "text/plain",
            &format!("your token is {CANARY}"),
        ));
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{CANARY}""#);
        answers.push(with_header(empty(status), "WWW-Authenticate", &challenge));
        answers.push(with_header(empty(status), "Set-Cookie", CANARY));
    }
    answers
}

/// Runs one exchange and searches the machine before and after, the request and the error.
fn search<F: Flow + std::fmt::Debug>(mut flow: F, response: &HttpResponse) {
    assert_clean(&format!("{flow:?}"));
    let request = sent(&mut flow);
    assert_clean(&format!("{request:?} {request:#?} {response:?}"));
    let handled = flow.handle(response, T0);
    assert_clean(&format!("{flow:?} {flow:#?}"));
    if let Err(error) = handled.and_then(|()| flow.poll(T0).map(|_| ())) {
        assert_clean(&everything(&error));
    }
}

#[test]
fn no_exchange_shows_a_secret_whatever_the_server_answers() {
    let metadata = metadata();
    let public = client();
    for response in answers() {
        for client in clients().iter().chain([&public]) {
            let scopes = ScopeSet::parse("openid").unwrap();
            let request = AuthorizationRequest::new(scopes);
            // Without a secret of its own, this request gives the server nothing to repeat.
            if *client != public {
                search(request.start_device(&metadata, client).unwrap(), &response);
            }
            search(
                RefreshFlow::new(&metadata, client, &canary()).unwrap(),
                &response,
            );
            let hint = TokenTypeHint::RefreshToken;
            search(
                RevocationFlow::new(&metadata, client, &canary(), hint).unwrap(),
                &response,
            );
            let shown = |kind| ShownToken {
                token: canary(),
                kind,
            };
            let exchange = TokenExchange {
                subject: shown(TokenTypeId::JWT),
                actor: Some(shown(TokenTypeId::ACCESS_TOKEN)),
                requested: None,
                target: Target::default(),
            };
            search(
                TokenExchangeFlow::new(&metadata, client, &exchange).unwrap(),
                &response,
            );
            search(
                IntrospectionFlow::new(&metadata, client, &canary(), None).unwrap(),
                &response,
            );
        }
        let check = SubjectCheck::SameAs("ada".to_owned());
        search(
            UserInfoFlow::new(&metadata, &canary(), check).unwrap(),
            &response,
        );
    }
}

#[test]
fn the_code_flow_shows_no_secret_whatever_the_server_answers() {
    let metadata = metadata();
    let key = DpopKey::generate(&metadata, ring::provider()).unwrap();
    let bound = client().with_dpop(key);
    for response in answers() {
        for client in clients().iter().chain([&bound]) {
            let pending = begin(&asked(), &metadata, client);
            let code = pending.accept_pasted(CANARY).unwrap();
            assert_clean(&format!("{code:?} {pending:?}"));
            search(
                CodeFlow::new(&metadata, client, &pending, &code).unwrap(),
                &response,
            );
            // Without a secret of its own, these give the server nothing to repeat.
            if *client != bound {
                let mut request = asked();
                request.push = Push::Always;
                let flow = request.start_code(&metadata, client, REDIRECT_URI, ring::provider());
                search(flow.unwrap(), &response);
                search(
                    ClientCredentialsFlow::new(&metadata, client, &asked()).unwrap(),
                    &response,
                );
            }
        }
    }
}

/// What the machine made itself is as secret as what it was given: a server that repeats it, or a value
/// in `Debug`, does not get it shown.
#[test]
fn state_nonce_verifier_assertion_and_proof_are_not_repeated() {
    let signing_key = SigningKey::generate(Algorithm::Es256, ring::provider()).unwrap();
    let key = DpopKey::generate(&metadata(), ring::provider()).unwrap();
    let signing = ClientAuthentication::PrivateKeyJwt(ClientKey::new(signing_key.into()));
    let client = Client::new("cli", signing).with_dpop(key);
    let pending = begin(&asked(), &metadata(), &client);
    let code = pending.accept_pasted(CANARY).unwrap();
    let mut pushed = asked();
    pushed.push = Push::Always;

    let redeem = CodeFlow::new(&metadata(), &client, &pending, &code).unwrap();
    let secrets = ["code", "code_verifier", "client_assertion"];
    repeated(redeem, &secrets);
    let push = pushed.start_code(&metadata(), &client, REDIRECT_URI, ring::provider());
    repeated(push.unwrap(), &["state", "nonce", "client_assertion"]);

    for name in ["state", "nonce"] {
        let secret = query(pending.url(), name).unwrap();
        let state = query(pending.url(), "state").unwrap();
        let parameters = format!("error=x&error_description=bad+{secret}&state={state}");
        let refused = Error::from(pending.accept(&parameters).unwrap_err());
        let shown = everything(&refused);
        assert!(!shown.contains(&secret[..16]), "{name}: {shown}");
    }
}

/// Lets the server repeat each of these fields of the request, and the proof, in its refusal.
fn repeated<F: Flow + std::fmt::Debug>(mut flow: F, fields: &[&str]) {
    let request = sent(&mut flow);
    let proof = header(&request, "dpop").unwrap().to_owned();
    let fields = fields.iter().map(|name| field(&request, name).unwrap());
    let secrets: Vec<String> = fields.chain([proof]).collect();
    let description = secrets.join(" and ");
    // A description is cut after 300 characters; each of them must be within.
    let description: Vec<&str> = description
        .split(" and ")
        .map(|s| &s[..s.len().min(40)])
        .collect();
    let body = serde_json::json!({
        "error": "invalid_request",
        "error_description": description.join(" and "),
    });
    let error = flow.handle(&json(400, &body.to_string()), T0).unwrap_err();
    let shown = format!("{} {flow:?} {request:?}", everything(&error));
    assert!(shown.contains("****"), "{shown}");
    for secret in secrets {
        assert!(!shown.contains(&secret[..20]), "{shown}");
    }
}

#[test]
fn the_device_flow_shows_no_secret_whatever_the_server_answers() {
    for response in answers() {
        for client in clients() {
            let mut authorization = authorization(5, 600);
            authorization.device_code = canary();
            assert_clean(&format!("{authorization:?}"));
            let mut flow = DeviceFlow::new(&metadata(), &client, &authorization, T0).unwrap();
            let now = T0 + secs(5);
            let Ok(Step::Send(request)) = flow.poll(now) else {
                panic!("no request")
            };
            assert_clean(&format!("{request:?}"));
            let handled = flow.handle(&response, now);
            assert_clean(&format!("{flow:?}"));
            if let Err(error) = handled {
                assert_clean(&everything(&error));
            } else if let Err(error) = flow.poll(T0 + secs(7200)) {
                assert_clean(&everything(&error));
            }
        }
    }
}

/// Tokens that a server gives under the wrong status are not ours yet, and nobody could look for them.
#[test]
fn an_answer_that_may_hold_new_tokens_is_not_quoted() {
    for (media_type, body) in [
        (
            "application/json",
            format!(r#"{{"access_token":"{CANARY}","token_ty"#),
        ),
        (
            "application/json",
            format!(r#"{{"access_token":"{CANARY}","token_type":"Bearer"}}"#),
        ),
        (
            "application/x-www-form-urlencoded",
            format!("access_token={CANARY}"),
        ),
        ("application/octet-stream", format!("access_token={CANARY}")),
        ("", format!("access_token: {CANARY}")),
    ] {
        for status in [400, 401, 404, 500] {
            let flow = RefreshFlow::new(&metadata(), &client(), &Secret::new("rt")).unwrap();
            let error = exchange(flow, &answer(status, media_type, &body)).unwrap_err();
            assert_clean(&everything(&error));
        }
    }
}

#[test]
fn tokens_do_not_show_in_a_token_response() {
    let body = format!(
        r#"{{"access_token":"{CANARY}","token_type":"Bearer","refresh_token":"{CANARY}","id_token":"{CANARY}"}}"#
    );
    let tokens = TokenResponse::from_response(&json(200, &body)).unwrap();
    assert_eq!(tokens.access_token.expose(), CANARY);
    assert_clean(&format!("{tokens:?} {tokens:#?} {:?}", tokens.to_json()));
    assert_clean(&everything(&id_token::parse(&canary()).unwrap_err()));
}

#[test]
fn secrets_do_not_show_in_a_client() {
    for client in clients() {
        assert_clean(&format!("{client:?} {client:#?}"));
    }
}

/// The search itself must be able to fail.
#[test]
fn a_secret_that_did_show_would_be_found() {
    let found = std::panic::catch_unwind(|| assert_clean(&format!("x {} y", canary().expose())));
    assert!(found.is_err());
}
