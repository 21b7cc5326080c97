//! Upstreams: one that says what it got, and one that says whatever a test wants, byte by byte.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};

/// An upstream over HTTP/1.1 and HTTP/2 without TLS that answers with what it got.
pub(crate) struct Upstream {
    address: SocketAddr,
    seen: Arc<Seen>,
    end: tokio::sync::oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Value>>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub(crate) fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let theirs = Arc::clone(&seen);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, theirs) => {}
                    _ = ended => {}
                }
            });
            runtime.shutdown_background();
        });
        Self {
            address,
            seen,
            end,
            thread,
        }
    }

    /// Breaks every connection, and says what it has got.
    pub(crate) fn stop(self) -> Vec<Value> {
        drop(self.end);
        self.thread.join().unwrap();
        let requests = self.seen.requests.lock().unwrap();
        requests.clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Value> {
        self.seen.requests.lock().unwrap().clone()
    }
}

async fn accept(listener: tokio::net::TcpListener, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let service = service_fn(|request| echo(request, Arc::clone(&seen)));
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn echo(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let what = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.path_and_query().unwrap().as_str(),
        "authority": parts.uri.authority().map(ToString::to_string),
        "version": format!("{:?}", parts.version),
        "headers": headers(&parts.headers),
    });
    seen.requests.lock().unwrap().push(what.clone());
    let body = body.collect().await.map(|body| body.to_bytes().len());
    let mut what = what;
    what["body"] = json!(body.ok());
    if parts.uri.path().ends_with("/slow") {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    Ok(Response::new(Full::new(what.to_string().into())))
}

/// Every value of every header, in order.
fn headers(headers: &HeaderMap) -> Value {
    let mut out = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        out.insert(name.to_string(), json!(values));
    }
    Value::Object(out)
}

/// An upstream that is a function over a bare connection.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
}

impl Bare {
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serve = Arc::clone(&serve);
                let Ok(stream) = stream else { break };
                thread::spawn(move || serve(stream));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Reads until the end of a head.
pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

pub(crate) fn say(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}

/// An upstream of HTTP/2 that sends each piece back as it comes, and ends with trailers.
pub(crate) fn grpc() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service_fn(echo_stream)),
                );
            }
        });
    });
    address
}

async fn echo_stream(request: Request<Incoming>) -> Result<Response<Echo>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Echo {
        body,
        is_over: false,
    });
    for (name, value) in [("content-type", "content-type"), ("seen-te", "te")] {
        if let Some(value) = parts.headers.get(value) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

struct Echo {
    body: Incoming,
    is_over: bool,
}

impl hyper::body::Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        if self.is_over {
            return std::task::Poll::Ready(None);
        }
        std::pin::Pin::new(&mut self.body)
            .poll_frame(cx)
            .map(|frame| {
                frame.or_else(|| {
                    self.is_over = true;
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    trailers.insert("grpc-message", "fine".parse().unwrap());
                    Some(Ok(hyper::body::Frame::trailers(trailers)))
                })
            })
    }
}
