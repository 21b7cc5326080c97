//! OpenID Connect Discovery 1.0 and RFC 8414: where to look, what to believe, how to merge.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{
    Discovery, EndpointOverrides, Error, Flow, HttpResponse, Issuer, Metadata, Misuse, Step,
    Timestamp, TransportError,
};
use url::Url;

const OPENID: &str = "https://id.example.com/.well-known/openid-configuration";
const OAUTH: &str = "https://id.example.com/.well-known/oauth-authorization-server";

/// What comes back from one address.
type Reply = Result<HttpResponse, TransportError>;

/// A server that answers at some addresses and has nothing at the others.
struct Server {
    answers: Vec<(&'static str, Reply)>,
    asked: Vec<String>,
    now: Timestamp,
}

impl Server {
    fn new(answers: Vec<(&'static str, Reply)>) -> Self {
        Self {
            answers,
            asked: Vec::new(),
            now: T0,
        }
    }

    fn discover(&mut self, issuer: &str) -> Result<Metadata, Error> {
        let mut flow = Discovery::new(&Issuer::parse(issuer).unwrap());
        self.drive(&mut flow)
    }

    fn drive(&mut self, flow: &mut Discovery) -> Result<Metadata, Error> {
        loop {
            match flow.poll(self.now)? {
                Step::Done(metadata) => return Ok(metadata),
                Step::WaitUntil(time) => self.now = time,
                Step::Send(request) => {
                    let url = request.url.to_string();
                    let found = self.answers.iter().position(|(at, _)| *at == url);
                    self.asked.push(url);
                    match found.map(|index| self.answers.remove(index).1) {
                        Some(Ok(response)) => flow.handle(&response, self.now)?,
                        Some(Err(error)) => flow.transport_failed(error, self.now),
                        None => flow.handle(&empty(404), self.now)?,
                    }
                }
            }
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands among replies that are not answers"
)]
fn document(issuer: &str, members: &str) -> Reply {
    Ok(json(200, &format!(r#"{{"issuer":"{issuer}"{members}}}"#)))
}

const FULL: &str = r#","token_endpoint":"https://id.example.com/t","jwks_uri":"https://id.example.com/k",
    "device_authorization_endpoint":"https://id.example.com/d","userinfo_endpoint":"https://id.example.com/u",
    "revocation_endpoint":"https://id.example.com/r""#;

#[test]
fn one_complete_document_is_enough() {
    let mut server = Server::new(vec![(OPENID, document(ISSUER, FULL))]);
    let metadata = server.discover(ISSUER).unwrap();
    assert_eq!(server.asked, [OPENID]);
    assert_eq!(
        metadata.token_endpoint.unwrap().as_str(),
        "https://id.example.com/t"
    );
}

/// django-oauth-toolkit names its revocation endpoint in the RFC 8414 document alone.
#[test]
fn what_one_document_lacks_is_taken_from_the_other() {
    let mut server = Server::new(vec![
        (
            OPENID,
            document(ISSUER, r#","token_endpoint":"https://id.example.com/one""#),
        ),
        (
            OAUTH,
            document(
                ISSUER,
                r#","token_endpoint":"https://id.example.com/two","revocation_endpoint":"https://id.example.com/r""#,
            ),
        ),
    ]);
    let metadata = server.discover(ISSUER).unwrap();
    assert_eq!(server.asked, [OPENID, OAUTH]);
    assert_eq!(metadata.token_endpoint.unwrap().path(), "/one");
    assert_eq!(metadata.revocation_endpoint.unwrap().path(), "/r");
}

#[test]
fn an_issuer_with_a_path_has_it_after_the_well_known_part_too() {
    let issuer = "https://id.example.com/realms/a";
    let mut server = Server::new(vec![]);
    let error = server.discover(issuer).unwrap_err();
    assert_eq!(
        server.asked,
        [
            "https://id.example.com/realms/a/.well-known/openid-configuration",
            "https://id.example.com/.well-known/oauth-authorization-server/realms/a",
            "https://id.example.com/.well-known/openid-configuration/realms/a",
            "https://id.example.com/realms/a/.well-known/oauth-authorization-server",
        ]
    );
    assert!(matches!(&error, Error::NoMetadata { tried, .. } if *tried == server.asked));
    assert_eq!(error.code(), "metadata_not_found");
}

#[test]
fn each_place_alone_is_enough() {
    for place in [
        "https://id.example.com/realms/a/.well-known/openid-configuration",
        "https://id.example.com/.well-known/oauth-authorization-server/realms/a",
        "https://id.example.com/.well-known/openid-configuration/realms/a",
        "https://id.example.com/realms/a/.well-known/oauth-authorization-server",
    ] {
        let issuer = "https://id.example.com/realms/a";
        let mut server = Server::new(vec![(place, document(issuer, FULL))]);
        assert!(server.discover(issuer).is_ok(), "{place}");
    }
}

#[test]
fn a_slash_at_the_end_is_left_out_of_the_address_but_kept_in_the_name() {
    let issuer = "https://id.example.com/";
    let mut server = Server::new(vec![(OPENID, document(issuer, FULL))]);
    assert_eq!(server.discover(issuer).unwrap().issuer.as_str(), issuer);
    assert_eq!(server.asked, [OPENID]);
}

/// RFC 8414, section 3.3. Auth0 writes the slash, people do not.
#[test]
fn a_document_of_another_issuer_ends_it_and_the_names_are_shown() {
    for received in [
        "https://id.example.com/",
        "https://ID.example.com",
        "https://id.example.com:443",
        "http://id.example.com",
        "https://evil.example",
    ] {
        let mut server = Server::new(vec![(OPENID, document(received, FULL))]);
        let error = server.discover(ISSUER).unwrap_err();
        assert_eq!(error.code(), "issuer_mismatch");
        assert!(error.hints()[0].contains(received));
        assert_eq!(server.asked, [OPENID]);
    }
}

#[test]
fn a_second_document_of_another_issuer_is_set_aside() {
    let mut server = Server::new(vec![
        (
            OPENID,
            document(ISSUER, r#","token_endpoint":"https://id.example.com/t""#),
        ),
        (OAUTH, document("https://evil.example", FULL)),
    ]);
    let mut flow = Discovery::new(&issuer());
    let metadata = server.drive(&mut flow).unwrap();
    assert_eq!(metadata.jwks_uri, None);
    let (place, error) = &flow.set_aside()[0];
    assert_eq!((place.as_str(), error.code()), (OAUTH, "issuer_mismatch"));
}

#[test]
fn trouble_with_the_second_document_does_not_lose_the_first() {
    for trouble in [
        Ok(html(200)),
        Ok(json(200, "{")),
        Ok(with_header(empty(302), "Location", "/x")),
        Err(TransportError::Timeout),
        Err(TransportError::TooLarge),
    ] {
        let mut server = Server::new(vec![
            (
                OPENID,
                document(ISSUER, r#","token_endpoint":"https://id.example.com/t""#),
            ),
            (OAUTH, trouble),
        ]);
        assert!(server.discover(ISSUER).is_ok());
    }
}

/// A single-page application answers every address with its page.
#[test]
fn a_page_in_the_place_of_the_first_document_does_not_hide_the_second() {
    let mut server = Server::new(vec![
        (OPENID, Ok(html(200))),
        (OAUTH, document(ISSUER, FULL)),
    ]);
    assert!(server.discover(ISSUER).is_ok());
    let mut server = Server::new(vec![(OPENID, Ok(html(200)))]);
    assert_eq!(server.discover(ISSUER).unwrap_err().code(), "html_response");
}

#[test]
fn a_document_that_is_wrong_is_told_rather_than_that_there_is_none() {
    for (body, code) in [
        ("{", "invalid_json"),
        ("[]", "json_not_an_object"),
        ("{}", "missing_member"),
        (r#"{"issuer":5}"#, "wrong_member_type"),
        (
            r#"{"issuer":"https://id.example.com","issuer":"x"}"#,
            "duplicate_member",
        ),
    ] {
        let mut server = Server::new(vec![(OPENID, Ok(json(200, body)))]);
        assert_eq!(server.discover(ISSUER).unwrap_err().code(), code, "{body}");
    }
}

#[test]
fn endpoints_without_tls_are_refused() {
    for (url, code) in [
        ("http://id.example.com/t", "insecure_endpoint_url"),
        ("http://127.0.0.1/t", "insecure_endpoint_url"),
        ("https://ada:pw@id.example.com/t", "insecure_endpoint_url"),
        ("/t", "invalid_endpoint_url"),
    ] {
        let members = format!(r#","token_endpoint":"{url}""#);
        let mut server = Server::new(vec![(OPENID, document(ISSUER, &members))]);
        let error = server.discover(ISSUER).unwrap_err();
        assert_eq!(error.code(), code, "{url}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!cause.contains("pw"), "{cause}");
    }
}

#[test]
fn a_loopback_issuer_may_publish_loopback_endpoints() {
    let members = r#","token_endpoint":"http://127.0.0.1:9/t""#;
    let place = "http://127.0.0.1:9/.well-known/openid-configuration";
    let mut server = Server::new(vec![(place, document("http://127.0.0.1:9", members))]);
    assert!(server.discover("http://127.0.0.1:9").is_ok());
}

/// glewlwyd leaves out grants and methods that it offers.
#[test]
fn a_list_that_is_absent_or_no_list_is_no_reason_to_refuse() {
    for members in [
        "",
        r#","grant_types_supported":"device""#,
        r#","grant_types_supported":[1]"#,
    ] {
        let members = format!("{FULL}{members}");
        let mut server = Server::new(vec![(OPENID, document(ISSUER, &members))]);
        assert_eq!(server.discover(ISSUER).unwrap().grant_types_supported, None);
    }
}

#[test]
fn trouble_that_may_pass_is_tried_three_times_with_growing_pauses() {
    let mut server = Server::new(vec![
        (OPENID, Ok(empty(502))),
        (OPENID, Err(TransportError::Closed)),
        (OPENID, document(ISSUER, FULL)),
    ]);
    assert!(server.discover(ISSUER).is_ok());
    assert_eq!(server.now.since(T0).as_millis(), 1500);
    let mut server = Server::new(vec![
        (OPENID, Ok(empty(502))),
        (OPENID, Ok(empty(503))),
        (OPENID, Ok(empty(500))),
    ]);
    let error = server.discover(ISSUER).unwrap_err();
    assert_eq!(error.code(), "server_unavailable");
    assert_eq!(server.asked.len(), 3);
}

#[test]
fn nobody_waits_for_a_second_document() {
    let first = document(ISSUER, r#","token_endpoint":"https://id.example.com/t""#);
    let mut server = Server::new(vec![(OPENID, first), (OAUTH, Ok(empty(503)))]);
    assert!(server.discover(ISSUER).is_ok());
    assert_eq!((server.now, server.asked.len()), (T0, 2));
}

#[test]
fn an_interruption_ends_it_even_when_a_document_is_at_hand() {
    let first = document(ISSUER, r#","token_endpoint":"https://id.example.com/t""#);
    let stopped = Err(TransportError::Interrupted);
    let mut server = Server::new(vec![(OPENID, first), (OAUTH, stopped)]);
    assert_eq!(server.discover(ISSUER).unwrap_err().code(), "interrupted");
}

#[test]
fn a_server_that_wants_a_long_pause_is_not_waited_for() {
    let busy = with_header(empty(503), "Retry-After", "120");
    let mut server = Server::new(vec![(OPENID, Ok(busy))]);
    let error = server.discover(ISSUER).unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(120)));
    assert_eq!(server.now, T0);
}

#[test]
fn a_server_that_cannot_be_reached_is_told_at_once() {
    for failure in [
        TransportError::Timeout,
        TransportError::Connect {
            reason: "refused".to_owned(),
        },
        TransportError::Tls {
            reason: "expired".to_owned(),
        },
        TransportError::Redirect {
            location: Some("https://x.example".to_owned()),
        },
    ] {
        let code = failure.code();
        let mut server = Server::new(vec![(OPENID, Err(failure))]);
        assert_eq!(server.discover(ISSUER).unwrap_err().code(), code);
        assert_eq!(server.asked.len(), 1);
    }
}

#[test]
fn calls_in_the_wrong_order_are_errors() {
    let mut flow = Discovery::new(&issuer());
    let early = flow.handle(&empty(404), T0).unwrap_err();
    assert!(matches!(early, Error::Misuse(Misuse::NothingSent)));
    flow.transport_failed(TransportError::Timeout, T0);
    assert!(matches!(flow.poll(T0), Ok(Step::Send(_))));
    assert!(matches!(
        flow.poll(T0),
        Err(Error::Misuse(Misuse::AnswerOutstanding))
    ));
}

// --- the document itself ----------------------------------------------------------------------

#[test]
fn a_document_reads_back_what_it_writes() {
    let mut metadata = metadata();
    metadata.scopes_supported = Some(vec!["openid".to_owned()]);
    metadata.authorization_response_iss_parameter_supported = Some(true);
    let json = serde_json::to_vec(&metadata).unwrap();
    assert_eq!(Metadata::from_json(&json, &issuer()).unwrap(), metadata);
    assert_eq!(serde_json::from_slice::<Metadata>(&json).unwrap(), metadata);
    assert!(!String::from_utf8(json).unwrap().contains("null"));
}

#[test]
fn a_cached_document_is_checked_again() {
    let tampered = r#"{"issuer":"https://id.example.com","token_endpoint":"http://evil.example/"}"#;
    assert!(serde_json::from_str::<Metadata>(tampered).is_err());
    assert!(serde_json::from_str::<Metadata>(r#"{"issuer":"http://id.example.com"}"#).is_err());
    assert!(serde_json::from_str::<Metadata>("{}").is_err());
}

#[test]
fn configured_endpoints_stand_in_the_place_of_published_ones() {
    let url = |text| Some(Url::parse(text).unwrap());
    let overrides = EndpointOverrides {
        device_authorization_endpoint: url("https://other.example/d"),
        ..EndpointOverrides::default()
    };
    let mut metadata = metadata();
    metadata.apply(&overrides).unwrap();
    let device = metadata.device_authorization_endpoint.clone().unwrap();
    assert_eq!(device.as_str(), "https://other.example/d");
    assert_eq!(
        metadata.token_endpoint.clone().unwrap().as_str(),
        "https://id.example.com/token"
    );
    let insecure = EndpointOverrides {
        token_endpoint: url("http://other.example/t?secret=canary"),
        ..EndpointOverrides::default()
    };
    let error = metadata.apply(&insecure).unwrap_err();
    assert_eq!(error.code(), "insecure_endpoint");
    assert!(!error.to_string().contains("canary"));
}

#[test]
fn every_endpoint_can_be_configured() {
    let names = [
        "authorization_endpoint",
        "token_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "end_session_endpoint",
    ];
    for name in names {
        let configured = format!(r#"{{"{name}":"https://other.example/{name}"}}"#);
        let overrides: EndpointOverrides = serde_json::from_str(&configured).unwrap();
        assert_eq!(serde_json::to_string(&overrides).unwrap(), configured);
        let mut metadata = metadata();
        metadata.apply(&overrides).unwrap();
        let written = serde_json::to_value(&metadata).unwrap();
        assert_eq!(written[name], format!("https://other.example/{name}"));
    }
}

/// Whatever a document may say, it says after being kept, and adds to another document.
#[test]
fn no_member_is_lost_by_keeping_or_merging() {
    let everything = serde_json::json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://id.example.com/authorize",
        "token_endpoint": "https://id.example.com/token",
        "device_authorization_endpoint": "https://id.example.com/device",
        "jwks_uri": "https://id.example.com/jwks",
        "userinfo_endpoint": "https://id.example.com/userinfo",
        "revocation_endpoint": "https://id.example.com/revoke",
        "introspection_endpoint": "https://id.example.com/introspect",
        "end_session_endpoint": "https://id.example.com/logout",
        "pushed_authorization_request_endpoint": "https://id.example.com/par",
        "scopes_supported": ["openid"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["sub"],
        "acr_values_supported": ["mfa"],
        "prompt_values_supported": ["login"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
        "require_pushed_authorization_requests": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "countersign_requester_supported": true,
    });
    let read: Metadata = serde_json::from_value(everything.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), everything);
    // A field that is missing above would show here as `None`.
    for end in ["_supported", "_endpoint", "_uri", "_requests"] {
        let absent = format!("{end}: None");
        assert!(!format!("{read:?}").contains(&absent), "{read:?}");
    }

    let mut flow = Discovery::new(&issuer());
    sent(&mut flow);
    let bare = format!(r#"{{"issuer":"{ISSUER}"}}"#);
    flow.handle(&json(200, &bare), T0).unwrap();
    sent(&mut flow);
    flow.handle(&json(200, &everything.to_string()), T0)
        .unwrap();
    let Ok(Step::Done(merged)) = flow.poll(T0) else {
        panic!("not done")
    };
    assert_eq!(merged, read);
}
