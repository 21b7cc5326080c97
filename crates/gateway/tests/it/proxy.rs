//! What passes, what does not, and what the upstream sees of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::fixture::{Issuer, ROUTES, head, start, token, usual};
use crate::upstream::{Bare, Upstream, read_head, say};

#[test]
fn a_request_with_a_good_token_reaches_the_upstream() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let answer = running.get_as_ada("/stock/7?q=a%2fb&q=..");
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = answer.json();
    assert_eq!(seen["target"], "/stock/7?q=a%2fb&q=..");
    assert_eq!(seen["headers"]["host"], json!(["gateway.test"]));
    assert_eq!(seen["headers"]["x-auth-subject"], json!(["ada"]));
    assert_eq!(seen["headers"]["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(
        seen["headers"]["authorization"],
        json!(null),
        "the token stays here"
    );
    assert_eq!(answer.header("x-request-id").map(str::len), Some(24));
}

#[test]
fn without_a_token_there_is_a_challenge_and_never_a_redirect() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let expired = Issuer::get().token(&json!({ "exp": 1_000_000_000, "iat": 999_999_000 }));
    let elsewhere = Issuer::get().token(&json!({ "aud": "https://other.example.com" }));
    let scopeless = Issuer::get().token(&json!({ "scope": "other" }));
    for (token, status, challenge) in [
        (None, 401, "Bearer"),
        (Some("junk"), 401, "Bearer error=\"invalid_token\""),
        (Some(&*expired), 401, "Bearer error=\"invalid_token\""),
        (Some(&*elsewhere), 401, "Bearer error=\"invalid_token\""),
        (
            Some(&*scopeless),
            403,
            "Bearer error=\"insufficient_scope\"",
        ),
    ] {
        let header = token.map(|token| format!("Authorization: Bearer {token}"));
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        let answer = running.get("/stock/7", &[&headers[..], &["Accept: text/html"]].concat());
        assert_eq!(answer.status, status, "{answer:?}");
        let found = answer.header("www-authenticate").unwrap();
        assert!(found.starts_with(challenge), "{found}");
        assert_eq!(answer.body, "");
    }
    assert_eq!(upstream.requests().len(), 0, "nothing got through");
}

#[test]
fn what_no_rule_names_is_refused() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    assert_eq!(running.get_as_ada("/other").status, 403);
    assert_eq!(running.get_as_ada("/stock-room").status, 403);
    let answer = running.request(
        "DELETE",
        "/stock/7",
        &[&format!("Authorization: Bearer {}", token())],
        "",
    );
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PUT, POST"));
    assert_eq!(running.get("/open/door", &[]).status, 200);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn connections_to_the_upstream_are_used_again() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    for _ in 0..20 {
        assert_eq!(running.get_as_ada("/stock/7").status, 200);
    }
    // One for each worker, and one more where a request came before its connection was back.
    assert!(upstream.connections() <= 4, "{}", upstream.connections());
}

#[test]
fn bodies_go_through_in_both_framings() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let bearer = format!("Authorization: Bearer {}", token());
    let answer = running.request("PUT", "/stock/7", &[&bearer], "hello");
    assert_eq!(answer.json()["body"], 5, "{answer:?}");
    let chunked = format!(
        "PUT /stock/7 HTTP/1.1\r\nHost: gateway.test\r\n{bearer}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Auth-Subject: eve\r\n\r\n"
    );
    let answer = running.raw(chunked);
    assert_eq!(answer.json()["body"], 7, "{answer:?}");
    assert_eq!(answer.json()["headers"]["x-auth-subject"], json!(["ada"]));
}

#[test]
fn an_upstream_that_is_not_there_is_a_bare_502() {
    let gone = Bare::start(drop);
    let running = start(&(head(&gone.url(), "") + ROUTES));
    let answer = running.get("/open/x", &[]);
    assert_eq!((answer.status, &*answer.body), (502, ""), "{answer:?}");
    assert_eq!(answer.header("server"), None);
}

#[test]
fn a_safe_request_meets_a_connection_that_has_just_ended_and_is_sent_again() {
    // Answers once, and ends the connection when the next request comes on it.
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let upstream = Bare::start(move |mut stream| {
        if read_head(&mut stream).is_empty() {
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        );
        read_head(&mut stream);
    });
    let text = head(&upstream.url(), "").replace("workers = 2", "workers = 1") + ROUTES;
    let running = start(&text);
    assert_eq!(running.get("/open/1", &[]).status, 200);
    assert_eq!(running.get("/open/2", &[]).status, 200);
    assert_eq!(served.load(Ordering::SeqCst), 2);
    // What may change something is never sent twice.
    let answer = running.request("POST", "/open/3", &[], "x");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

#[test]
fn hosts_and_targets_that_are_not_ours_are_refused() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    for (request, status) in [
        ("GET /open/x HTTP/1.1\r\nHost: other.test\r\n\r\n", 421),
        ("GET /open/x HTTP/1.1\r\n\r\n", 400),
        (
            "GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nHost: gateway.test\r\n\r\n",
            400,
        ),
        (
            "GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nHost: evil\r\n\r\n",
            400,
        ),
        (
            "GET http://evil/open/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
            400,
        ),
        (
            "GET /open/x HTTP/1.1\r\nHost: ada@gateway.test\r\n\r\n",
            400,
        ),
        (
            "CONNECT gateway.test:80 HTTP/1.1\r\nHost: gateway.test:80\r\n\r\n",
            405,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: gateway.test\r\n\r\n", 400),
        (
            "GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nExpect: magic\r\n\r\n",
            417,
        ),
        (
            "GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: host\r\n\r\n",
            400,
        ),
        (
            "GET http://gateway.test/open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n",
            200,
        ),
        ("GET /open/x HTTP/1.0\r\nHost: gateway.test\r\n\r\n", 200),
    ] {
        let request = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        assert_eq!(running.raw(&request).status, status, "{request:?}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_body_that_is_too_long_is_refused_before_and_while_it_comes() {
    let upstream = Upstream::start();
    let text = head(&upstream.url(), "") + ROUTES + "max_body = \"1KiB\"\n";
    let running = start(&text);
    let long = "x".repeat(1025);
    let answer = running.request("POST", "/open/x", &[], &long);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(upstream.requests().len(), 0);
    let chunked = format!(
        "POST /open/x HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{long}\r\n0\r\n\r\n"
    );
    assert_eq!(running.raw(chunked).status, 413);
    assert_eq!(
        running.request("POST", "/open/x", &[], &long[1..]).status,
        200
    );
}

#[test]
fn the_answer_to_head_keeps_the_length_of_what_it_has_not() {
    let upstream = Bare::start(|mut stream| {
        while read_head(&mut stream).starts_with("HEAD ") {
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            );
        }
    });
    let running = start(&(head(&upstream.url(), "") + ROUTES));
    for _ in 0..3 {
        let answer = running.request("HEAD", "/open/x", &[], "");
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("1234"))
        );
        assert_eq!(answer.body, "");
    }
}
