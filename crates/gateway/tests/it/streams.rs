//! HTTP/2 on both sides, gRPC with its trailers, and WebSocket.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::fixture::{PATIENCE, ROUTES, connect, head, start, token};
use crate::upstream::{Bare, Upstream, read_head, say};

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(PATIENCE, future).await.unwrap() })
}

type Body = BoxBody<Bytes, Infallible>;

async fn h2(address: std::net::SocketAddr) -> hyper::client::conn::http2::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
}

fn empty() -> Body {
    Full::new(Bytes::new()).boxed()
}

#[test]
fn http_2_on_the_callers_side_or_on_the_upstreams_or_on_both() {
    let upstream = Upstream::start();
    for (protocol, seen_version) in [("http1", "HTTP/1.1"), ("http2", "HTTP/2.0")] {
        let text =
            head(&upstream.url(), "h2c = true") + &format!("protocol = \"{protocol}\"\n") + ROUTES;
        let running = start(&text);
        // A caller of HTTP/1.1 on the same socket.
        let answer = running.get_as_ada("/stock/7?x=1");
        assert_eq!(answer.json()["version"], seen_version, "{answer:?}");
        run(async {
            let mut sender = h2(running.address).await;
            let request = Request::get("http://gateway.test/stock/7?x=1")
                .header("authorization", format!("Bearer {}", token()))
                .header("x-auth-subject", "eve")
                .body(empty())
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.version()),
                (200, Version::HTTP_2)
            );
            let seen: serde_json::Value =
                serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes())
                    .unwrap();
            assert_eq!(seen["version"], seen_version);
            assert_eq!(seen["target"], "/stock/7?x=1");
            assert_eq!(seen["headers"]["x-auth-subject"], json!(["ada"]));
            let host = &seen["headers"]["host"][0];
            assert!(
                *host == "gateway.test" || seen["authority"] == "gateway.test",
                "{seen}"
            );
        });
    }
}

#[test]
fn http_2_callers_are_refused_in_the_same_way() {
    let upstream = Upstream::start();
    let running = start(&(head(&upstream.url(), "h2c = true") + ROUTES));
    run(async {
        let mut sender = h2(running.address).await;
        for (uri, host, status) in [
            ("http://gateway.test/stock/7", None, 401),
            ("http://gateway.test/other", None, 403),
            ("http://gateway.test/open/%2e%2e/stock", None, 400),
            ("http://other.test/open/x", None, 421),
            ("http://gateway.test/open/x", Some("other.test"), 400),
            ("http://gateway.test/open/x", Some("gateway.test"), 200),
        ] {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let answer = sender
                .send_request(request.body(empty()).unwrap())
                .await
                .unwrap();
            assert_eq!(answer.status().as_u16(), status, "{uri} {host:?}");
        }
        // WebSocket over HTTP/2 (RFC 8441, section 3) is not offered.
        let mut request = Request::connect("http://gateway.test/open/x")
            .body(empty())
            .unwrap();
        let protocol = hyper::ext::Protocol::from_static("websocket");
        request.extensions_mut().insert(protocol);
        assert!(sender.send_request(request).await.is_err());
    });
}

/// gRPC over HTTP/2: streams in both directions, and the status in the trailers.
#[test]
fn grpc_goes_through_with_its_trailers() {
    let grpc = crate::upstream::grpc();
    let text = head(&format!("http://{grpc}"), "h2c = true") + "protocol = \"http2\"\n" + ROUTES;
    let running = start(&text);
    run(async {
        let mut sender = h2(running.address).await;
        let (send, receive) = tokio::sync::mpsc::channel::<Bytes>(1);
        let request = Request::post("http://gateway.test/stock/pb.Stock/Watch")
            .header("authorization", format!("Bearer {}", token()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Messages(receive).boxed())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["seen-te"], "trailers");
        let mut body = answer.into_body();
        // Each message comes back before the next is sent.
        for message in ["one", "two", "three"] {
            send.send(Bytes::from(message)).await.unwrap();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), message);
        }
        drop(send);
        let mut trailers = HeaderMap::new();
        while let Some(frame) = body.frame().await {
            if let Ok(found) = frame.unwrap().into_trailers() {
                trailers = found;
            }
        }
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["grpc-message"], "fine");
    });
}

/// The messages of a channel as a body.
struct Messages(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|message| message.map(|bytes| Ok(Frame::data(bytes))))
    }
}

const SOCKET_ROUTES: &str = r#"
[[route]]
path = "/live"
scopes = ["stock:read"]
websocket = true
upstream = "stock"

[[route]]
path = "/plain"
public = true
upstream = "stock"
"#;

fn ask(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// An upstream that agrees to every WebSocket and sends back whatever comes.
fn socket_upstream() -> Bare {
    Bare::start(|mut stream| {
        let head = read_head(&mut stream);
        assert!(
            head.to_ascii_lowercase().contains("upgrade: websocket"),
            "{head}"
        );
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        let mut bytes = [0; 1024];
        while let Ok(count) = stream.read(&mut bytes) {
            if count == 0 || stream.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    })
}

#[test]
fn a_websocket_carries_bytes_both_ways_until_a_side_ends_it() {
    let upstream = socket_upstream();
    let running = start(&(head(&upstream.url(), "") + SOCKET_ROUTES));
    let mut stream = connect(running.address);
    let bearer = format!("Authorization: Bearer {}\r\n", token());
    stream.write_all(ask("/live", &bearer).as_bytes()).unwrap();
    let answer = read_head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // Bytes that would be an ambiguous request are only bytes here.
    for text in [
        &b"hello"[..],
        b"GET / HTTP/1.1\n\n",
        &[0, 255, b'\n', b'\r'],
    ] {
        stream.write_all(text).unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, text);
    }
    assert!(running.admin("/metrics").body.contains("gateway_tunnels 1"));
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_websocket_needs_a_token_a_route_that_allows_it_and_one_meaning() {
    let upstream = socket_upstream();
    let running = start(&(head(&upstream.url(), "") + SOCKET_ROUTES));
    let bearer = format!("Authorization: Bearer {}\r\n", token());
    let close = "Connection: close\r\n";
    for (request, status) in [
        (ask("/live", ""), 401),
        (ask("/plain", ""), 403),
        (ask("/live", &bearer).replace("13", "8"), 400),
        (ask("/live", &bearer).replace("GET", "POST"), 400),
        (
            ask("/live", &bearer).replace("websocket", "websocket, h2c"),
            400,
        ),
        (
            ask("/live", &bearer).replace("Sec-WebSocket-Key", "X-Key"),
            400,
        ),
        (
            ask("/live", &bearer).replace("keep-alive, Upgrade", "keep-alive"),
            400,
        ),
    ] {
        let answer = running.raw(request.replace("\r\n\r\n", &format!("\r\n{close}\r\n")));
        assert_eq!(answer.status, status, "{request}");
    }
}

/// RFC 9110, section 7.8: a server may ignore an upgrade.
#[test]
fn an_upgrade_to_anything_else_is_left_out() {
    let upstream = Upstream::start();
    let running = start(&(head(&upstream.url(), "") + ROUTES));
    let answer = running.raw(
        "GET /open/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let headers = answer.json()["headers"].to_string();
    assert!(
        !headers.contains("upgrade") && !headers.contains("http2-settings"),
        "{headers}"
    );
}

#[test]
fn an_upstream_that_changes_the_protocol_unasked_is_not_followed() {
    let upstream = Bare::start(|mut stream| {
        read_head(&mut stream);
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nhello",
        );
        let _ = stream.read(&mut [0; 1]);
    });
    let running = start(&(head(&upstream.url(), "") + SOCKET_ROUTES));
    let bearer = format!("Authorization: Bearer {}\r\n", token());
    assert_eq!(
        running
            .raw(ask("/live", &format!("{bearer}Connection: close\r\n")))
            .status,
        502
    );
    assert_eq!(running.get("/plain", &[]).status, 502);
}
