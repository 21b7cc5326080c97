//! Forward-auth in Envoy's shapes: the request itself over HTTP, and `CheckRequest` over gRPC.
//!
//! The messages are put together and taken apart here, by the numbers of Envoy's published interface.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::fixture::{Answer, Issuer, Running, exchange, parse, start, token};
use crate::forward::local;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

fn asking(running: &Running) -> std::net::SocketAddr {
    running.gateway.forward_auth_addresses()[0].parse().unwrap()
}

fn by_http(running: &Running, head: &str) -> Answer {
    let text = format!("{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let answer = parse(&exchange(asking(running), text.as_bytes()));
    assert_eq!(answer.header("content-length"), Some("0"), "{answer:?}");
    answer
}

#[test]
fn by_http_the_request_itself_is_the_question() {
    let running = start(&local("envoy"));
    let bearer = format!("Authorization: Bearer {}", token());
    let ask = |line: &str, headers: &[&str]| {
        let headers = headers.join("\r\n");
        by_http(
            &running,
            &format!("{line} HTTP/1.1\r\nHost: api.test\r\n{headers}"),
        )
    };
    let passed = ask(
        "PUT /stock/7?q",
        &[
            &bearer,
            "Remote-User: eve",
            "X-Forwarded-Proto: https",
            "X-Envoy-Internal: true",
        ],
    );
    assert_eq!(passed.status, 200, "{passed:?}");
    assert_eq!(passed.header("x-auth-subject"), Some("ada"));
    let removed = passed.header("x-envoy-auth-headers-to-remove").unwrap();
    let removed: Vec<&str> = removed.split(',').collect();
    for name in ["dpop", "authorization", "remote-user"] {
        assert!(removed.contains(&name), "{name} is not in {removed:?}");
    }
    for name in [
        "x-auth-subject",
        "x-forwarded-proto",
        "x-envoy-internal",
        "x-request-id",
    ] {
        assert!(!removed.contains(&name), "{name} is in {removed:?}");
    }
    // Where there is nothing to say, nothing of the caller's stays.
    let open = ask(
        "GET /open/x",
        &["X-Auth-Subject: eve", "X-Countersign-Identity: eve"],
    );
    let removed = open.header("x-envoy-auth-headers-to-remove").unwrap();
    assert!(removed.contains("x-auth-subject"), "{removed}");
    assert!(removed.contains("x-countersign-identity"), "{removed}");
    let kept = ask("GET /token/x", &[&bearer]);
    let removed = kept.header("x-envoy-auth-headers-to-remove").unwrap();
    assert!(!removed.contains("authorization"), "{removed}");
    for (line, headers, status) in [
        ("GET /stock/7", &["X: y"][..], 401),
        ("GET /stock/7", &["X-Forwarded-Uri: /open/x"], 401),
        ("GET /stock/7", &["X-Envoy-Original-Path: /open/x"], 401),
        ("GET /stock/7", &["X-Original-Uri: /open/x"], 400),
        ("GET /stock/7", &["x_auth_subject: ada"], 400),
        ("GET /written/7", &[&*bearer], 403),
        ("DELETE /stock/7", &[&*bearer], 405),
        ("GET /open//x", &["X: y"], 400),
        ("GET /open/..;/stock/7", &["X: y"], 400),
        ("GET /open%2f..%2fstock/7", &["X: y"], 400),
    ] {
        let answer = ask(line, headers);
        assert_eq!(answer.status, status, "{line} {headers:?}: {answer:?}");
    }
    let foreign = by_http(&running, "GET /open/x HTTP/1.1\r\nHost: evil.test");
    assert_eq!(foreign.status, 421);
}

/// A field of a message: bytes under a number.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(bytes);
    out
}

fn header(name: &str, value: &str) -> Vec<u8> {
    let entry = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
    field(3, &entry)
}

/// A `CheckRequest` as Envoy makes it: attributes(1) with source(1) and request(4), http(2) within.
fn check(method: &str, path: &str, host: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let socket = field(1, &field(2, b"192.0.2.7"));
    let source = field(1, &field(1, &socket));
    let mut http = vec![
        field(1, b"id"),
        field(2, method.as_bytes()),
        header(":method", method),
        header(":path", path),
        header(":authority", host),
        field(4, path.as_bytes()),
        field(5, host.as_bytes()),
        field(6, b"https"),
        field(10, b"HTTP/1.1"),
    ];
    http.extend(headers.iter().map(|(name, value)| header(name, value)));
    // A time, and a size of variable length, which are passed over.
    let http = [http.concat(), vec![9 << 3, 0xac, 0x02]].concat();
    let request = field(4, &[field(1, &[8, 1]), field(2, &http)].concat());
    field(1, &[source, request].concat())
}

/// What came back: `grpc-status`, the status of a denied answer, headers by what is done with them.
#[derive(Debug, Default, PartialEq)]
struct Checked {
    grpc: String,
    code: u64,
    status: u64,
    headers: BTreeMap<String, String>,
    removed: Vec<String>,
    to_caller: Vec<String>,
}

fn fields(mut message: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    let number = |message: &mut &[u8]| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let mut out = Vec::new();
    while !message.is_empty() {
        let key = number(&mut message);
        let value = number(&mut message);
        let bytes = match key & 7 {
            0 => Vec::new(),
            2 => {
                let (bytes, rest) = message.split_at(usize::try_from(value).unwrap());
                message = rest;
                bytes.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        out.push((key >> 3, value, bytes));
    }
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `HeaderValueOption`: it overwrites (`append_action` 2), and says nothing by the old field.
fn option(bytes: &[u8]) -> (String, String) {
    let all = fields(bytes);
    assert!(
        all.iter()
            .any(|(field, value, _)| (*field, *value) == (3, 2)),
        "{all:?}"
    );
    assert!(all.iter().all(|(field, ..)| *field != 2), "{all:?}");
    let value = fields(&all.iter().find(|(field, ..)| *field == 1).unwrap().2);
    let part = |wanted| {
        let found = value.iter().find(|(field, ..)| *field == wanted);
        text(&found.unwrap().2)
    };
    (part(1), part(2))
}

fn read(message: &[u8]) -> Checked {
    let mut checked = Checked::default();
    for (field, _, bytes) in fields(message) {
        match field {
            1 => checked.code = fields(&bytes).first().map_or(0, |(_, value, _)| *value),
            2 => {
                for (field, _, bytes) in fields(&bytes) {
                    match field {
                        1 => checked.status = fields(&bytes)[0].1,
                        2 => checked.headers.extend([option(&bytes)]),
                        other => panic!("field {other} of DeniedHttpResponse"),
                    }
                }
            }
            3 => {
                for (field, _, bytes) in fields(&bytes) {
                    match field {
                        2 => checked.headers.extend([option(&bytes)]),
                        5 => checked.removed.push(text(&bytes)),
                        6 => checked.to_caller.push(option(&bytes).0),
                        other => panic!("field {other} of OkHttpResponse"),
                    }
                }
            }
            other => panic!("field {other} of CheckResponse"),
        }
    }
    checked
}

/// One connection for all of these calls, as Envoy keeps one.
fn call(running: &Running, path: &str, bodies: &[Vec<u8>]) -> Vec<Checked> {
    let address = asking(running);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut all = Vec::new();
        for body in bodies {
            let request = Request::post(format!("http://countersign{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(Bytes::from(body.clone())))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "application/grpc");
            let at_once = answer.headers().get("grpc-status").cloned();
            let body = answer.into_body().collect().await.unwrap();
            let end = body
                .trailers()
                .and_then(|end| end.get("grpc-status"))
                .cloned();
            let body = body.to_bytes();
            let mut checked = match body.split_at_checked(5) {
                None => Checked::default(),
                Some((prefix, message)) => {
                    assert_eq!(*prefix, framed(message)[..5]);
                    read(message)
                }
            };
            let status = at_once.or(end).unwrap();
            checked.grpc.push_str(status.to_str().unwrap());
            all.push(checked);
        }
        all
    })
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat()
}

fn ask(running: &Running, method: &str, path: &str, headers: &[(&str, &str)]) -> Checked {
    let message = framed(&check(method, path, "api.test", headers));
    call(running, CHECK, &[message]).remove(0)
}

#[test]
fn by_grpc_what_passes_is_changed_and_what_does_not_is_answered() {
    let running = start(&local("envoy-grpc"));
    let bearer = format!("Bearer {}", token());
    let authorization = ("authorization", &*bearer);
    let forged = [
        authorization,
        ("x-auth-subject", "eve"),
        ("remote-user", "eve"),
        ("x-forwarded-user", "eve"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-envoy-external-address", "192.0.2.7"),
        ("x-request-id", "theirs"),
        ("dpop", "eve"),
    ];
    let passed = ask(&running, "PUT", "/stock/7?q=/open/", &forged);
    assert_eq!((&*passed.grpc, passed.code, passed.status), ("0", 0, 0));
    assert_eq!(passed.headers["x-auth-subject"], "ada");
    assert_eq!(passed.headers["x-auth-issuer"], Issuer::get().url());
    assert_eq!(
        passed.headers["x-countersign-identity"].split('.').count(),
        3
    );
    assert_ne!(passed.headers["x-request-id"], "theirs");
    for name in ["authorization", "dpop", "remote-user", "x-forwarded-user"] {
        assert!(
            passed.removed.iter().any(|removed| removed == name),
            "{name}"
        );
        assert!(!passed.headers.contains_key(name), "{name}");
    }
    for name in [
        "x-auth-subject",
        "x-forwarded-for",
        "x-envoy-external-address",
        "x-request-id",
    ] {
        assert!(
            passed.removed.iter().all(|removed| removed != name),
            "{name}"
        );
    }
    assert_eq!(passed.to_caller, ["x-request-id"]);
    let open = ask(&running, "GET", "/open/x", &forged);
    assert!(
        open.removed
            .iter()
            .any(|removed| removed == "x-auth-subject"),
        "{open:?}"
    );
    assert!(!open.headers.contains_key("x-auth-subject"));
    let kept = ask(&running, "GET", "/token/x", &[authorization]);
    assert_eq!(kept.headers["authorization"], bearer);

    for (method, path, headers, status) in [
        ("GET", "/stock/7", &[][..], 401),
        (
            "GET",
            "/stock/7",
            &[("authorization", "Bearer a, Bearer b")],
            400,
        ),
        ("GET", "/stock/7", &[authorization, authorization], 400),
        ("GET", "/written/7", &[authorization], 403),
        ("DELETE", "/stock/7", &[authorization], 405),
        ("GET", "/stock/7?/open/x", &[], 401),
        ("GET", "/stock/7", &[("x-forwarded-uri", "/open/x")], 401),
        (
            "GET",
            "/stock/7",
            &[("x-envoy-original-path", "/open/x")],
            401,
        ),
        ("GET", "/open/x", &[("x_auth_subject", "ada")], 400),
        ("GET", "/open/x", &[("x-http-method-override", "PUT")], 400),
        ("GET", "/open/x#y", &[], 400),
        ("GET", "/open/x?y#z", &[], 400),
        ("GET", "//open/x", &[], 400),
        ("GET", "/open/..;/stock/7", &[], 400),
        ("GET", "/open%2f..%2fstock/7", &[], 400),
        ("GET", "http://api.test/open/x", &[], 400),
        ("CONNECT", "/open/x", &[], 405),
    ] {
        let refused = ask(&running, method, path, headers);
        assert_eq!(refused.grpc, "0", "{method} {path}");
        assert_eq!(
            (refused.code, refused.status),
            (7, status),
            "{method} {path} {headers:?}: {refused:?}"
        );
        // A challenge where other credentials would help.
        let credentials = headers.iter().any(|(name, _)| *name == "authorization");
        assert_eq!(
            refused.headers.contains_key("www-authenticate"),
            status == 401 || (credentials && status != 405),
            "{refused:?}"
        );
    }
    let foreign = framed(&check("GET", "/open/x", "evil.test", &[]));
    assert_eq!(call(&running, CHECK, &[foreign])[0].status, 421);
}

/// Raw headers (`encode_raw_headers`) stand in another field, each for itself.
#[test]
fn raw_headers_are_read_as_well() {
    let running = start(&local("envoy-grpc"));
    let bearer = format!("Bearer {}", token());
    let value = |name: &str, value: &str| {
        let header = [field(1, name.as_bytes()), field(3, value.as_bytes())].concat();
        field(1, &header)
    };
    let raw = |headers: &[Vec<u8>]| {
        let http = [
            field(2, b"GET"),
            field(4, b"/stock/7"),
            field(5, b"api.test"),
            field(13, &headers.concat()),
        ];
        framed(&field(1, &field(4, &field(2, &http.concat()))))
    };
    let one = value("authorization", &bearer);
    let asked = [raw(std::slice::from_ref(&one)), raw(&[one.clone(), one])];
    let answers = call(&running, CHECK, &asked);
    assert_eq!(answers[0].headers["x-auth-subject"], "ada");
    assert_eq!(answers[1].status, 400);
}

#[test]
fn a_call_that_is_no_question_ends_with_an_error() {
    let running = start(&local("envoy-grpc"));
    let good = check("GET", "/open/x", "api.test", &[]);
    let without = |number: usize| {
        let parts = [
            field(2, b"GET"),
            field(4, b"/open/x"),
            field(5, b"api.test"),
        ];
        let kept = parts.iter().enumerate().filter(|(at, _)| *at != number);
        let http: Vec<u8> = kept.flat_map(|(_, part)| part.clone()).collect();
        framed(&field(1, &field(4, &field(2, &http))))
    };
    let twice = {
        let http = [
            field(2, b"GET"),
            field(4, b"/open/x"),
            field(5, b"api.test"),
            field(4, b"/open/y"),
        ];
        framed(&field(1, &field(4, &field(2, &http.concat()))))
    };
    let mut compressed = framed(&good);
    compressed[0] = 1;
    let cut = framed(&good)[..20].to_vec();
    for (body, status) in [
        (framed(&good), "0"),
        (without(3), "0"),
        (without(0), "3"),
        (without(1), "3"),
        (without(2), "3"),
        (twice, "3"),
        (compressed, "3"),
        (cut, "3"),
        (Vec::new(), "3"),
        (framed(b"\xff\xff"), "3"),
        ([framed(&good), framed(&good)].concat(), "3"),
        (framed(&vec![0; 1 << 20]), "8"),
    ] {
        let length = body.len();
        let answer = call(&running, CHECK, &[body]).remove(0);
        assert_eq!(answer.grpc, status, "{length} bytes: {answer:?}");
        assert!(status == "0" || answer.headers.is_empty(), "{answer:?}");
    }
    for path in ["/envoy.service.auth.v2.Authorization/Check", "/open/x", "/"] {
        assert_eq!(
            call(&running, path, &[framed(&good)])[0].grpc,
            "12",
            "{path}"
        );
    }
    // Everything over one connection, kept whatever the answers are.
    let before = accepted(&running);
    let kinds = [
        framed(&good),
        framed(b"x"),
        framed(&check("GET", "/else", "api.test", &[])),
    ];
    let bodies: Vec<_> = kinds.iter().cycle().take(60).cloned().collect();
    let codes: Vec<_> = call(&running, CHECK, &bodies)
        .iter()
        .map(|answer| (answer.grpc.clone(), answer.code))
        .collect();
    assert_eq!(
        codes[..3],
        [("0".into(), 0), ("3".into(), 0), ("0".into(), 7)]
    );
    assert_eq!(accepted(&running) - before, 1);
}

fn accepted(running: &Running) -> u64 {
    let metrics = running.admin("/metrics").body;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("countersign_gateway_connections_accepted_total "));
    line.unwrap().parse().unwrap()
}
