//! What holds for every server and every network, however they behave.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use std::time::Duration;

use common::*;
use countersign_oauth::{
    AuthorizationRequest, CodeFlow, DeviceFlow, Discovery, DpopKey, Error, Flow, HttpResponse,
    Introspection, KeysFlow, Metadata, Push, RefreshFlow, RevocationFlow, ScopeSet, Secret, Step,
    SubjectCheck, Timestamp, TokenTypeHint, TransportError, UserInfoFlow,
};
use proptest::prelude::*;

/// What becomes of one poll.
#[derive(Debug, Clone)]
enum Fate {
    Answered(HttpResponse),
    Lost(TransportError),
}

fn fate() -> impl Strategy<Value = Fate> {
    let retry_after = prop_oneof![
        Just(None),
        (0_u64..2000).prop_map(|seconds| Some(seconds.to_string())),
        Just(Some("99999999999999999999999".to_owned())),
        Just(Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned())),
    ];
    let named = prop_oneof![
        Just(String::new()),
        (0_u64..100).prop_map(|interval| format!(r#","interval":{interval}"#)),
        Just(r#","interval":-3"#.to_owned()),
        Just(r#","interval":1e300"#.to_owned()),
    ];
    let response = prop_oneof![
        4 => Just(error("authorization_pending")),
        4 => named.prop_map(|named| json(400, &format!(r#"{{"error":"slow_down"{named}}}"#))),
        1 => Just(html(502)),
        1 => Just(empty(429)),
        1 => Just(empty(200)),
    ];
    let answered = (response, retry_after).prop_map(|(response, retry_after)| {
        Fate::Answered(match retry_after {
            Some(value) => with_header(response, "Retry-After", &value),
            None => response,
        })
    });
    let lost = prop_oneof![
        Just(TransportError::Timeout),
        Just(TransportError::Closed),
        Just(TransportError::Connect {
            reason: String::new()
        }),
    ];
    prop_oneof![5 => answered, 1 => lost.prop_map(Fate::Lost)]
}

proptest! {
    /// RFC 8628, section 3.5, whatever happens: no request before an interval has passed since the
    /// last answer, none at or after the end, an interval that never shrinks, and an end.
    #[test]
    fn the_device_machine_keeps_its_distance_and_comes_to_an_end(
        interval in 0_u64..30,
        lifetime in 31_u64..2000,
        fates in prop::collection::vec((fate(), 0_u64..20_000, 0_u64..3_000), 1..80),
    ) {
        let authorization = authorization(interval, lifetime);
        let end = authorization.expires_at;
        let mut flow = DeviceFlow::new(&metadata(), &client(), &authorization, T0).unwrap();
        let mut fates = fates.into_iter().cycle();
        let (mut now, mut free_at, mut interval) = (T0, T0 + flow.interval(), flow.interval());
        prop_assert!(interval >= secs(1));
        let mut steps = 0;
        loop {
            steps += 1;
            prop_assert!(steps < 10_000, "no end");
            match flow.poll(now) {
                Ok(Step::WaitUntil(time)) => {
                    prop_assert!(time > now && time <= end);
                    now = time;
                }
                Ok(Step::Send(_)) => {
                    prop_assert!(now >= free_at, "{:?} early", free_at.since(now));
                    prop_assert!(now < end);
                    let (fate, latency, oversleep) = fates.next().unwrap();
                    now = now + Duration::from_millis(latency);
                    match fate {
                        Fate::Answered(response) => flow.handle(&response, now).unwrap(),
                        Fate::Lost(error) => flow.transport_failed(error, now),
                    }
                    prop_assert!(flow.interval() >= interval, "the interval shrank");
                    interval = flow.interval();
                    free_at = now + interval;
                    now = now + Duration::from_millis(oversleep);
                }
                Ok(Step::Done(_)) => prop_assert!(false, "nobody approved"),
                Err(error) => {
                    let expired = matches!(error, Error::DeviceCodeExpired { .. });
                    prop_assert!(expired, "{:?}", error);
                    prop_assert!(now >= end);
                    break;
                }
            }
        }
    }

    /// Whatever bytes come back, under whatever status and media type: an answer or an error.
    #[test]
    fn no_answer_makes_a_machine_panic(response in any_response()) {
        for_each_machine(&response);
    }

    /// The same for bodies that are nearly right, which random bytes never are.
    #[test]
    fn no_mutilated_answer_makes_a_machine_panic(
        body in prop::sample::select(BODIES.to_vec()),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        status in prop::sample::select(vec![200_u16, 400, 401, 500]),
    ) {
        let mut bytes = body.as_bytes().to_vec();
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        for_each_machine(&HttpResponse { status, headers: Vec::new(), body: bytes.clone() });
        bytes.truncate(at);
        for_each_machine(&HttpResponse { status, headers: Vec::new(), body: bytes });
    }

    #[test]
    fn what_parses_as_metadata_belongs_to_the_issuer(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(metadata) = Metadata::from_json(&body, &issuer()) {
            prop_assert_eq!(metadata.issuer, issuer());
        }
    }
}

const BODIES: &[&str] = &[
    TOKENS,
    r#"{"error":"slow_down","error_description":"x","interval":7}"#,
    r#"{"device_code":"dc","user_code":"AB-CD","verification_uri":"https://id.example.com/d","expires_in":"600","interval":5}"#,
    r#"{"issuer":"https://id.example.com","token_endpoint":"https://id.example.com/t","grant_types_supported":["x"]}"#,
    r#"{"active":true,"scope":"a b","exp":1.5e9,"aud":["x","y"],"sub":"ada"}"#,
    r#"{"sub":"ada","name":"Ada","email_verified":true}"#,
    r#"{"request_uri":"urn:example:1","expires_in":60}"#,
    r#"{"error":"use_dpop_nonce"}"#,
    r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#,
];

fn any_response() -> impl Strategy<Value = HttpResponse> {
    let media_type = prop::sample::select(vec![
        "application/json",
        "application/x-www-form-urlencoded",
        "text/html",
        "text/plain",
        ";",
        "",
    ]);
    let header = (
        "(?i)retry-after|cache-control|location|www-authenticate|dpop-nonce",
        any::<String>(),
    );
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        any::<String>().prop_map(String::into_bytes),
    ];
    (any::<u16>(), media_type, header, body).prop_map(
        |(status, media_type, (name, value), body)| {
            let content_type = ("content-type".to_owned(), media_type.to_owned());
            HttpResponse {
                status,
                headers: vec![content_type, (name, value)],
                body,
            }
        },
    )
}

/// Gives the answer to one of each.
fn for_each_machine(response: &HttpResponse) {
    let (metadata, client, token) = (metadata(), client(), Secret::new("a-token"));
    give(Discovery::new(&issuer()), response, T0);
    let provider = countersign_jose::crypto::ring::provider();
    give(KeysFlow::new(&metadata, provider).unwrap(), response, T0);
    let request = AuthorizationRequest::new(ScopeSet::new());
    give(
        request.start_device(&metadata, &client).unwrap(),
        response,
        T0,
    );
    let authorization = authorization(5, 600);
    let flow = DeviceFlow::new(&metadata, &client, &authorization, T0).unwrap();
    give(flow, response, T0 + secs(5));
    give(
        RefreshFlow::new(&metadata, &client, &token).unwrap(),
        response,
        T0,
    );
    let hint = TokenTypeHint::AccessToken;
    give(
        RevocationFlow::new(&metadata, &client, &token, hint).unwrap(),
        response,
        T0,
    );
    let check = SubjectCheck::NoIdToken;
    give(
        UserInfoFlow::new(&metadata, &token, check).unwrap(),
        response,
        T0,
    );
    let _ = Introspection::from_response(response);
    // With a key of its own, a client may be asked to repeat its request: once, and then it ends.
    let key = DpopKey::generate(&metadata, provider).unwrap();
    let client = client.with_dpop(key);
    let pending = begin(&request, &metadata, &client);
    let code = pending.accept_pasted("a-code-to-redeem").unwrap();
    give(
        CodeFlow::new(&metadata, &client, &pending, &code).unwrap(),
        response,
        T0,
    );
    let mut pushed = request;
    pushed.push = Push::Always;
    give(
        pushed
            .start_code(&metadata, &client, REDIRECT_URI, provider)
            .unwrap(),
        response,
        T0,
    );
}

fn give<F: Flow>(mut flow: F, response: &HttpResponse, now: Timestamp) {
    assert!(matches!(flow.poll(now), Ok(Step::Send(_))));
    let error = match flow.handle(response, now) {
        Ok(()) => flow.poll(now).err(),
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        assert!(!error.code().is_empty());
        assert!(!matches!(error, Error::Misuse(_)));
        let _ = error.hints();
    }
}
