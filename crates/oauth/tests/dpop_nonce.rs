//! Nonces that servers demand in proofs (RFC 9449, sections 8 and 9): one repetition a request, and a memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_jose::crypto::ring;
use countersign_oauth::{
    Client, ClientAuthentication, ClientKey, DeviceFlow, Error, ErrorCode, Flow, HttpRequest,
    HttpResponse, Push, RefreshFlow, Secret, Step, SubjectCheck, TransportError, UserInfoFlow,
};
use url::Url;

fn demand(nonce: &str) -> HttpResponse {
    with_header(error("use_dpop_nonce"), "DPoP-Nonce", nonce)
}

fn refresh_flow(client: &Client) -> RefreshFlow {
    RefreshFlow::new(&metadata(), client, &Secret::new("rt-1")).unwrap()
}

fn nonce_of(request: &HttpRequest) -> Option<String> {
    let claims = part(header(request, "dpop").unwrap(), 1);
    claims
        .get("nonce")
        .map(|nonce| nonce.as_str().unwrap().to_owned())
}

#[test]
fn a_demand_for_a_nonce_is_answered_with_the_same_request_and_the_nonce() {
    let (client, _) = bound();
    let mut flow = refresh_flow(&client);
    let first = sent(&mut flow);
    assert_eq!(nonce_of(&first), None);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    assert_eq!(nonce_of(&second).as_deref(), Some("n-1"));
    assert_eq!(first.body.unwrap().expose(), second.body.unwrap().expose());
    flow.handle(&json(200, BOUND), T0).unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
}

#[test]
fn each_proof_and_each_assertion_of_a_repeated_request_is_new() {
    let (mut client, _) = bound();
    client.authentication = ClientAuthentication::PrivateKeyJwt(ClientKey::new(key()));
    let mut flow = refresh_flow(&client);
    let first = sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    let proofs = [&first, &second].map(|r| part(header(r, "dpop").unwrap(), 1)["jti"].to_string());
    assert_ne!(proofs[0], proofs[1]);
    let assertions = [&first, &second].map(|r| field(r, "client_assertion").unwrap());
    assert_ne!(assertions[0], assertions[1]);
}

/// A server that is never content is not asked for ever.
#[test]
fn a_second_demand_for_a_nonce_is_a_refusal() {
    let (client, _) = bound();
    let mut flow = refresh_flow(&client);
    sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    sent(&mut flow);
    let error = flow.handle(&demand("n-2"), T0).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
    assert!(
        matches!(&error, Error::Refused(_)),
        "the session is not over: {error:?}"
    );
    assert_eq!(error.refusal().unwrap().code, Some(ErrorCode::UseDpopNonce));
}

#[test]
fn a_demand_without_a_usable_nonce_is_named() {
    let (client, _) = bound();
    for response in [
        error("use_dpop_nonce"),
        demand(""),
        demand("with space"),
        demand("with\"quote"),
        demand("with\\backslash"),
        demand("ünicode"),
        demand(&"n".repeat(513)),
        with_header(demand("n-1"), "dpop-nonce", "n-2"),
    ] {
        let mut flow = refresh_flow(&client);
        sent(&mut flow);
        let error = flow.handle(&response, T0).unwrap_err();
        assert_eq!(error.code(), "dpop_nonce_missing", "{response:?}");
    }
}

/// Section 8.2: the next request uses the latest nonce, whichever answer brought it.
#[test]
fn a_nonce_is_remembered_for_the_next_request_to_the_same_server() {
    let (client, key) = bound();
    let answer = with_header(json(200, BOUND), "dpop-nonce", "n-7");
    exchange(refresh_flow(&client), &answer).unwrap();
    assert_eq!(
        nonce_of(&sent(&mut refresh_flow(&client))).as_deref(),
        Some("n-7")
    );
    let flow = UserInfoFlow::new(&metadata(), &Secret::new("at"), SubjectCheck::NoIdToken);
    let request = sent(&mut flow.unwrap().bound_to(&key));
    assert_eq!(
        nonce_of(&request).as_deref(),
        Some("n-7"),
        "clones share it"
    );
    let refused = with_header(error("invalid_grant"), "DPoP-Nonce", "n-8");
    let _ = exchange(refresh_flow(&client), &refused);
    assert_eq!(
        nonce_of(&sent(&mut refresh_flow(&client))).as_deref(),
        Some("n-8")
    );
    // Another server's is another's.
    let elsewhere = Url::parse("https://api.example.com/x").unwrap();
    let text = key.proof("GET", &elsewhere, None, T0).unwrap();
    assert!(part(text.expose(), 1).get("nonce").is_none());
    let (_, stranger) = bound();
    let text = stranger
        .proof("GET", &Url::parse(ISSUER).unwrap(), None, T0)
        .unwrap();
    assert!(part(text.expose(), 1).get("nonce").is_none());
}

#[test]
fn the_nonces_of_many_servers_do_not_pile_up() {
    let (_, key) = bound();
    let at = |port: u16| Url::parse(&format!("https://api.example.com:{port}/x")).unwrap();
    for port in 1..=40 {
        let answer = with_header(empty(200), "DPoP-Nonce", &format!("n-{port}"));
        assert!(key.learn(&at(port), &answer));
    }
    let known = (1..=40).filter(|port| {
        let text = key.proof("GET", &at(*port), None, T0).unwrap();
        part(text.expose(), 1).get("nonce").is_some()
    });
    assert_eq!(known.collect::<Vec<_>>(), (25..=40).collect::<Vec<_>>());
}

/// Section 9: at a resource the demand stands in the challenge.
#[test]
fn userinfo_answers_a_demand_in_the_challenge() {
    let (_, key) = bound();
    let flow = UserInfoFlow::new(&metadata(), &Secret::new("at"), SubjectCheck::NoIdToken);
    let mut flow = flow.unwrap().bound_to(&key);
    sent(&mut flow);
    let challenge = r#"Bearer realm="x", DPoP error="use_dpop_nonce", error_description="again""#;
    let refused = with_header(empty(401), "WWW-Authenticate", challenge);
    flow.handle(&with_header(refused.clone(), "DPoP-Nonce", "n-1"), T0)
        .unwrap();
    let request = sent(&mut flow);
    assert_eq!(nonce_of(&request).as_deref(), Some("n-1"));
    assert_eq!(header(&request, "authorization"), Some("DPoP at"));
    let error = flow
        .handle(&with_header(refused, "DPoP-Nonce", "n-2"), T0)
        .unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
    assert_eq!(
        error.refusal().unwrap().description.as_deref(),
        Some("again")
    );
}

#[test]
fn what_only_looks_like_a_demand_is_none() {
    let (client, _) = bound();
    for (response, code) in [
        (with_header(json(200, BOUND), "DPoP-Nonce", "n"), None),
        (
            with_header(error("invalid_grant"), "DPoP-Nonce", "n"),
            Some("refresh_rejected"),
        ),
        (
            with_header(error("invalid_dpop_proof"), "DPoP-Nonce", "n"),
            Some("invalid_dpop_proof"),
        ),
        (
            with_header(
                json(500, r#"{"error":"use_dpop_nonce"}"#),
                "DPoP-Nonce",
                "n",
            ),
            Some("use_dpop_nonce"),
        ),
        (
            with_header(html(401), "DPoP-Nonce", "n"),
            Some("html_response"),
        ),
    ] {
        let outcome = exchange(refresh_flow(&client), &response);
        assert_eq!(
            outcome.err().map(|error| error.code()),
            code,
            "{response:?}"
        );
    }
    // A client without a key cannot answer, and says what the server said.
    let error = exchange(refresh_flow(&common::client()), &demand("n")).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
}

#[test]
fn a_push_answers_a_demand_for_a_nonce_too() {
    let (client, _) = bound();
    let mut request = asked();
    request.push = Push::Always;
    let flow = request.start_code(&metadata(), &client, REDIRECT_URI, ring::provider());
    let mut flow = flow.unwrap();
    let first = sent(&mut flow);
    flow.handle(&demand("n-1"), T0).unwrap();
    let second = sent(&mut flow);
    assert_eq!(nonce_of(&second).as_deref(), Some("n-1"));
    assert_eq!(field(&first, "state"), field(&second, "state"));
    let body = r#"{"request_uri":"urn:x","expires_in":60}"#;
    flow.handle(&json(201, body), T0).unwrap();
    assert!(matches!(flow.poll(T0), Ok(Step::Done(_))));
}

/// RFC 8628, section 3.5: the repetition is no poll of its own, and one a poll.
#[test]
fn a_device_flow_answers_one_demand_a_poll_and_at_once() {
    let (client, _) = bound();
    let mut flow = DeviceFlow::new(&metadata(), &client, &authorization(5, 600), T0).unwrap();
    let poll = |flow: &mut DeviceFlow, now| match flow.poll(now).unwrap() {
        Step::Send(request) => nonce_of(&request),
        Step::WaitUntil(time) => panic!("waits until {time:?}"),
        Step::Done(_) => panic!("is done"),
    };
    let first = T0 + secs(5);
    assert_eq!(poll(&mut flow, first), None);
    flow.handle(&demand("n-1"), first).unwrap();
    assert_eq!(poll(&mut flow, first).as_deref(), Some("n-1"));
    flow.handle(&error("authorization_pending"), first).unwrap();
    assert!(matches!(flow.poll(first), Ok(Step::WaitUntil(at)) if at == first + secs(5)));

    // The nonce has changed by the next poll: one more repetition.
    let second = first + secs(5);
    assert_eq!(poll(&mut flow, second).as_deref(), Some("n-1"));
    flow.handle(&demand("n-2"), second).unwrap();
    assert_eq!(poll(&mut flow, second).as_deref(), Some("n-2"));
    // A repetition that is lost backs off like any other, and does not use the next one up.
    flow.transport_failed(TransportError::Closed, second);
    let Ok(Step::WaitUntil(third)) = flow.poll(second) else {
        panic!("does not back off")
    };
    assert_eq!(poll(&mut flow, third).as_deref(), Some("n-2"));
    flow.handle(&demand("n-3"), third).unwrap();
    assert_eq!(poll(&mut flow, third).as_deref(), Some("n-3"));
    let error = flow.handle(&demand("n-4"), third).unwrap_err();
    assert_eq!(error.code(), "use_dpop_nonce");
}
