//! Connections: accepted, bounded in number and time, and let go at the end.
//!
//! Not responsible for what is served: that is a router.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use countersign_issuer::http::Peer;

use crate::proxy;

/// The most connections at once. Below the usual limit of 1,024 open files.
const MOST_CONNECTIONS: usize = 900;
/// The time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The time for a request's head, and the longest that a kept connection may
/// be silent.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// The time for everything after the head, the reading of the body included.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The longest head, in bytes. The smallest that the HTTP library takes.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long running requests have when the server is told to end.
const FAREWELL_TIME: Duration = Duration::from_secs(10);

/// How connections are taken.
pub(crate) struct Server {
    /// Where they arrive.
    pub(crate) listener: TcpListener,
    /// TLS, unless a proxy in front does it or nobody but this machine comes.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
    /// What is served.
    pub(crate) router: Router,
}

impl Server {
    /// Serves until `ending` is done; then takes no more connections, lets
    /// running requests finish, and returns.
    pub(crate) async fn run(self, ending: impl Future<Output = ()>) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let (end, ended) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut ending = pin!(ending);
        loop {
            // Accepting waits for a place, so that the surplus waits in the
            // system's queue and not in our memory.
            let accepted = async {
                let place = Arc::clone(&places)
                    .acquire_owned()
                    .await
                    .map_err(io::Error::other)?;
                let (stream, address) = self.listener.accept().await?;
                Ok::<_, io::Error>((place, stream, address))
            };
            tokio::select! {
                () = &mut ending => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accepted => match accepted {
                    Ok((place, stream, address)) => {
                        let connection = Connection {
                            tls: self.tls.clone(),
                            trusted_proxies: Arc::clone(&self.trusted_proxies),
                            router: self.router.clone(),
                            address,
                            ended: ended.clone(),
                        };
                        connections.spawn(async move {
                            connection.serve(stream).await;
                            drop(place);
                        });
                    }
                    // Too many open files, or a connection that was gone
                    // before we came: the listener itself is sound.
                    Err(_) => sleep(Duration::from_millis(50)).await,
                },
            }
        }
        drop(self.listener);
        // Nobody listening any more is what we want to hear.
        let _ = end.send(true);
        let _ = timeout(FAREWELL_TIME, async {
            while connections.join_next().await.is_some() {}
        })
        .await;
        Ok(())
    }
}

struct Connection {
    tls: Option<TlsAcceptor>,
    trusted_proxies: Arc<[IpAddr]>,
    router: Router,
    address: SocketAddr,
    ended: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        // Answers are small and written at once: waiting for more to send
        // would only delay them. Without it they are as right.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.serve_http(stream).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                    self.serve_http(stream).await;
                }
            }
        }
    }

    async fn serve_http(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request: Request<Incoming>| self.answer(request));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service)
        );
        let mut ended = self.ended.clone();
        // What goes wrong with one connection is the business of that one.
        tokio::select! {
            _ = connection.as_mut() => {}
            // It changes once, and when the server is gone altogether.
            _ = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let mut request = request.map(Body::new);
        let peer = proxy::peer(self.address.ip(), request.headers(), &self.trusted_proxies);
        request.extensions_mut().insert(Peer(peer));
        let mut router = self.router.clone();
        match timeout(REQUEST_TIME, router.call(request)).await {
            Ok(response) => response,
            Err(_) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
        }
    }
}
