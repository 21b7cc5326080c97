//! RFC 8628, sections 3.4 and 3.5: ten minutes of polling in no time.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod common;

use common::*;
use countersign_oauth::{DeviceFlow, Error, ErrorCode, Flow, Method, Misuse, Step, TransportError};

#[test]
fn the_first_poll_goes_out_after_one_interval() {
    let mut device = Device::new(7, 600);
    assert!(matches!(device.flow.poll(T0), Ok(Step::WaitUntil(time)) if time == T0 + secs(7)));
    // Asking early is harmless.
    assert!(matches!(
        device.flow.poll(T0 + secs(6)),
        Ok(Step::WaitUntil(_))
    ));
    assert_eq!(device.until_request().unwrap(), 7);
}

#[test]
fn a_poll_is_a_form_with_the_grant_the_code_and_the_client() {
    let mut device = Device::new(5, 600);
    let Ok(Step::Send(request)) = device.flow.poll(T0 + secs(5)) else {
        panic!("no request")
    };
    assert_eq!(request.method, Method::Post);
    assert_eq!(request.url.as_str(), "https://id.example.com/token");
    assert_eq!(
        request.body.unwrap().expose(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
         &device_code=dc-1&client_id=cli"
    );
}

#[test]
fn pending_polls_go_on_at_the_interval_until_tokens_come() {
    let mut device = Device::new(5, 600);
    for _ in 0..20 {
        assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 5);
    }
    assert_eq!(device.answer(&json(200, TOKENS)).unwrap(), 5);
    assert_eq!(device.tokens().unwrap().access_token.expose(), "at-1");
}

#[test]
fn the_interval_counts_from_the_answer_not_from_the_request() {
    let mut device = Device::new(5, 600);
    device.until_request().unwrap();
    device.now = device.now + secs(3);
    device
        .flow
        .handle(&error("authorization_pending"), device.now)
        .unwrap();
    assert_eq!(device.until_request().unwrap(), 5);
}

#[test]
fn slow_down_adds_five_seconds_and_stays() {
    let mut device = Device::new(5, 600);
    assert_eq!(device.answer(&error("slow_down")).unwrap(), 5);
    assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 10);
    assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 10);
    assert_eq!(device.answer(&error("slow_down")).unwrap(), 10);
    assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 15);
    assert_eq!(device.flow.interval(), secs(15));
}

#[test]
fn two_slow_downs_in_a_row_add_ten_seconds() {
    let mut device = Device::new(5, 600);
    device.answer(&error("slow_down")).unwrap();
    assert_eq!(device.answer(&error("slow_down")).unwrap(), 10);
    assert_eq!(device.until_request().unwrap(), 15);
}

/// The server's own bar starts above the interval it announced and rises by five seconds at each
/// early poll. A client that only adds five seconds stays below it for good.
#[test]
fn a_server_that_raises_its_bar_with_every_slow_down_is_caught_up_with() {
    let mut device = Device::new(5, 600);
    let mut bar = 12;
    let mut polls = 0;
    while device.until_request().unwrap() < bar {
        device.flow.handle(&error("slow_down"), device.now).unwrap();
        bar += 5;
        polls += 1;
        assert!(polls < 6, "never caught up");
    }
    device
        .flow
        .handle(&error("authorization_pending"), device.now)
        .unwrap();
    // What was waited beyond the interval is not kept.
    assert_eq!(device.until_request().unwrap(), 5 + 5 * polls);
}

#[test]
fn slow_downs_with_an_answer_between_them_are_not_in_a_row() {
    let mut device = Device::new(5, 600);
    device.answer(&error("slow_down")).unwrap();
    device.answer(&error("slow_down")).unwrap();
    device.answer(&error("authorization_pending")).unwrap();
    device.answer(&error("slow_down")).unwrap();
    assert_eq!(device.until_request().unwrap(), 20);
}

#[test]
fn slow_down_survives_a_back_off() {
    let mut device = Device::new(5, 600);
    device.answer(&error("slow_down")).unwrap();
    device.answer(&error("slow_down")).unwrap();
    device.lose(TransportError::Timeout).unwrap();
    assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 30);
    assert_eq!(device.until_request().unwrap(), 15);
}

#[test]
fn a_lost_connection_doubles_the_wait_up_to_a_minute_and_the_next_answer_ends_that() {
    let mut device = Device::new(5, 900);
    for waited in [5, 10, 20, 40, 60, 60] {
        assert_eq!(device.lose(TransportError::Closed).unwrap(), waited);
    }
    assert_eq!(device.answer(&error("authorization_pending")).unwrap(), 60);
    assert_eq!(device.lose(TransportError::Closed).unwrap(), 5);
    assert_eq!(device.until_request().unwrap(), 10);
}

#[test]
fn network_failures_that_may_pass_do_not_end_the_login() {
    for failure in [
        TransportError::Timeout,
        TransportError::Closed,
        TransportError::Connect {
            reason: "refused".to_owned(),
        },
        TransportError::Proxy {
            reason: "502".to_owned(),
        },
    ] {
        let mut device = Device::new(5, 600);
        device.lose(failure.clone()).unwrap();
        let problem = device.flow.last_problem().map(Error::code);
        assert_eq!(problem, Some(failure.code()));
        device.answer(&json(200, TOKENS)).unwrap();
        assert!(device.tokens().is_ok());
    }
}

#[test]
fn network_failures_that_will_not_pass_end_the_login_at_the_next_poll() {
    for failure in [
        TransportError::Tls {
            reason: "unknown issuer".to_owned(),
        },
        TransportError::Redirect { location: None },
        TransportError::TooLarge,
        TransportError::Interrupted,
    ] {
        let mut device = Device::new(5, 600);
        device.lose(failure.clone()).unwrap();
        let error = device.flow.poll(device.now).unwrap_err();
        assert_eq!(error.code(), failure.code());
    }
}

#[test]
fn retry_after_is_kept_to_when_it_is_longer_than_the_back_off() {
    let busy = with_header(empty(503), "Retry-After", "47");
    let mut device = Device::new(5, 600);
    device.answer(&busy).unwrap();
    assert_eq!(device.until_request().unwrap(), 47);
    let mut device = Device::new(5, 600);
    device
        .answer(&with_header(empty(429), "retry-after", "2"))
        .unwrap();
    assert_eq!(device.until_request().unwrap(), 10);
}

#[test]
fn retry_after_counts_for_pending_and_slow_down_too() {
    for code in ["authorization_pending", "slow_down"] {
        let mut device = Device::new(5, 600);
        device
            .answer(&with_header(error(code), "Retry-After", "30"))
            .unwrap();
        assert_eq!(device.until_request().unwrap(), 30, "{code}");
    }
}

#[test]
fn a_wait_beyond_the_end_is_cut_to_one_last_poll() {
    let mut device = Device::new(5, 100);
    device
        .answer(&with_header(empty(503), "Retry-After", "3600"))
        .unwrap();
    assert_eq!(device.until_request().unwrap(), 90);
    device.flow.handle(&json(200, TOKENS), device.now).unwrap();
    assert!(device.tokens().is_ok());
}

#[test]
fn nothing_is_sent_once_the_codes_have_expired() {
    let mut device = Device::new(5, 12);
    device.answer(&error("authorization_pending")).unwrap();
    device.answer(&error("authorization_pending")).unwrap();
    let end = device.until_request().unwrap_err();
    assert!(matches!(
        end,
        Error::DeviceCodeExpired { last_problem: None }
    ));
    assert_eq!(device.now, T0 + secs(12));
    assert_eq!(end.code(), "expired_token");
}

#[test]
fn a_clock_that_jumps_past_the_end_ends_the_login_without_a_request() {
    let mut device = Device::new(5, 600);
    let end = device.flow.poll(T0 + secs(7200)).unwrap_err();
    assert!(matches!(end, Error::DeviceCodeExpired { .. }));
}

#[test]
fn the_end_tells_what_kept_the_answer_away() {
    let mut device = Device::new(5, 60);
    let end = loop {
        if let Err(end) = device.answer(&html(502)) {
            break end;
        }
    };
    assert!(matches!(
        &end,
        Error::DeviceCodeExpired { last_problem: Some(problem) }
            if problem.code() == "server_unavailable"
    ));
    assert!(std::error::Error::source(&end).is_some());
}

#[test]
fn an_answer_that_arrives_after_the_end_still_counts() {
    let mut device = Device::new(5, 10);
    device.until_request().unwrap();
    device
        .flow
        .handle(&json(200, TOKENS), T0 + secs(30))
        .unwrap();
    assert!(matches!(device.flow.poll(T0 + secs(30)), Ok(Step::Done(_))));
}

#[test]
fn denied_and_expired_are_different_ends() {
    let denied = first_poll(&error("access_denied")).unwrap_err();
    assert!(matches!(denied, Error::AccessDenied(_)));
    assert_eq!(denied.code(), "access_denied");
    let expired = first_poll(&error("expired_token")).unwrap_err();
    assert!(matches!(expired, Error::DeviceCodeExpired { .. }));
    assert_eq!(expired.code(), "expired_token");
    assert!(!denied.is_retryable() && !expired.is_retryable());
}

#[test]
fn other_refusals_end_the_login_under_their_own_names() {
    for code in [
        "invalid_client",
        "invalid_request",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ] {
        let error = first_poll(&error(code)).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{code}");
        assert_eq!(error.code(), code);
        assert!(!error.hints().is_empty());
    }
    let unknown = first_poll(&error("invalid_grant")).unwrap_err();
    assert_eq!(unknown.code(), "device_code_unknown");
}

#[test]
fn a_refusal_under_a_server_error_status_is_still_a_refusal() {
    let denied = first_poll(&json(500, r#"{"error":"access_denied"}"#)).unwrap_err();
    assert_eq!(denied.code(), "access_denied");
}

#[test]
fn calls_in_the_wrong_order_are_errors_and_change_nothing() {
    let mut device = Device::new(5, 600);
    let misuse = |error: Error| match error {
        Error::Misuse(misuse) => misuse,
        other => panic!("{other:?}"),
    };
    let early = device.flow.handle(&json(200, TOKENS), T0).unwrap_err();
    assert_eq!(misuse(early), Misuse::NothingSent);
    device.flow.transport_failed(TransportError::Timeout, T0);
    assert_eq!(device.until_request().unwrap(), 5);
    let twice = device.flow.poll(device.now).unwrap_err();
    assert_eq!(misuse(twice), Misuse::AnswerOutstanding);
    device.flow.handle(&json(200, TOKENS), device.now).unwrap();
    assert!(device.tokens().is_ok());
    assert_eq!(misuse(device.tokens().unwrap_err()), Misuse::Finished);
}

#[test]
fn after_an_error_the_machine_is_finished() {
    let mut device = Device::new(5, 600);
    device.answer(&error("access_denied")).unwrap_err();
    assert!(matches!(
        device.flow.poll(device.now),
        Err(Error::Misuse(Misuse::Finished))
    ));
}

#[test]
fn without_a_token_endpoint_there_is_no_flow() {
    let mut metadata = metadata();
    metadata.token_endpoint = None;
    let error = DeviceFlow::new(&metadata, &client(), &authorization(5, 600), T0).unwrap_err();
    assert_eq!(error.code(), "endpoint_missing");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("token_endpoint"))
    );
}

#[test]
fn the_servers_words_reach_the_error_fit_for_a_terminal() {
    let body = r#"{"error":"access_denied","error_description":"no\u001b[31m way","error_uri":"https://e.example"}"#;
    let error = first_poll(&json(400, body)).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.code, Some(ErrorCode::AccessDenied));
    assert_eq!(
        refusal.to_string(),
        "the server answered `access_denied`: no[31m way (see https://e.example)"
    );
}
