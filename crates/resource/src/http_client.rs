//! Carries requests to the issuer: bounded in time and size, no redirects.
//!
//! Not responsible for what is sent, where to, and what the answer means: that
//! is the business of the machines in `countersign-oauth`. Whether a URL is
//! safe has been decided there as well; here it is only made certain that an
//! `https` issuer is never spoken to in the clear.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use countersign_oauth::{
    Error as OAuthError, Flow, HttpRequest, HttpResponse, Issuer, MAX_BODY, Step, TransportError,
};
use http::{Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::{Clock, Error, SystemClock};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 64 * 1024;

/// How many connections wait for the next request, and how long.
const MAX_IDLE: usize = 8;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connections {
    /// For requests that are minutes apart: a kept connection would only be
    /// found closed by the next one.
    Closed,
    /// For requests that come all the time.
    Kept,
}

/// The client that asks the issuer: for whoever drives another machine of
/// `countersign-oauth` beside a [`Validator`](crate::Validator), by the same
/// rules for TLS, time and size.
#[derive(Clone)]
pub struct HttpClient {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that trusts the platform's roots and these added certificates.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`] when a PEM holds no usable certificate,
    /// [`Error::Tls`].
    pub fn new(
        issuer: &Issuer,
        added_ca_pem: &[Vec<u8>],
        connections: Connections,
    ) -> Result<Self, Error> {
        Self::with(issuer.is_loopback_http(), added_ca_pem, connections)
    }

    /// Whether a server is on this machine and spoken to in the clear, the
    /// caller has made sure.
    pub(crate) fn with(
        in_the_clear: bool,
        added_ca_pem: &[Vec<u8>],
        connections: Connections,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        // A platform without roots is not an error: the issuer may be on
        // loopback, or its CA among the added ones. If neither is so, the
        // handshake fails and says that the issuer's certificate is unknown.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for pem in added_ca_pem {
            add_ca(&mut roots, pem).map_err(Error::CaCertificate)?;
        }
        // The provider is named here and never taken from the process: with two
        // of them compiled in, the process-wide default panics.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = if in_the_clear {
            connector.https_or_http()
        } else {
            connector.https_only()
        };
        let inner = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(match connections {
                Connections::Closed => 0,
                Connections::Kept => MAX_IDLE,
            })
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(MAX_HEAD)
            .build(connector.enable_http1().wrap_connector(tcp));
        Ok(Self { inner })
    }

    /// Sends a request and reads the whole answer. A status is not an error
    /// here, and a redirect is an answer like any other.
    pub(crate) async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.send_unbounded(request))
            .await
            .unwrap_or(Err(TransportError::Timeout))
    }

    /// Runs a machine to its end.
    ///
    /// # Errors
    ///
    /// Those of the machine.
    pub async fn drive<F: Flow>(&self, mut flow: F) -> Result<F::Output, OAuthError> {
        // One reading of the time of day and the time since: a machine wants a
        // clock that does not run backwards.
        let clock = SystemClock::default();
        let began = clock.now();
        let now = || began + clock.monotonic();
        loop {
            match flow.poll(now())? {
                Step::Done(output) => return Ok(output),
                Step::WaitUntil(until) => tokio::time::sleep(until.since(now())).await,
                Step::Send(request) => match self.send(&request).await {
                    Ok(response) => flow.handle(&response, now())?,
                    Err(error) => flow.transport_failed(error, now()),
                },
            }
        }
    }

    async fn send_unbounded(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        const USER_AGENT: &str = concat!("countersign-resource/", env!("CARGO_PKG_VERSION"));
        let mut builder = Request::builder()
            .method(request.method.as_str())
            .uri(request.url.as_str())
            .header(header::USER_AGENT, USER_AGENT);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value.expose());
        }
        let body = request.body.as_ref().map(|body| body.expose().to_owned());
        let request = builder
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| malformed(&error))?;

        let response = self
            .inner
            .request(request)
            .await
            .map_err(|error| not_sent(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    TransportError::TooLarge
                } else {
                    TransportError::Closed
                }
            })?;
        let headers = head.headers.iter().filter_map(|(name, value)| {
            // A value that is not text is not one that we read.
            Some((name.to_string(), value.to_str().ok()?.to_owned()))
        });
        Ok(HttpResponse {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes().into(),
        })
    }
}

pub(crate) fn add_ca(
    roots: &mut RootCertStore,
    pem: &[u8],
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
        added += 1;
    }
    if added == 0 {
        return Err("there is no certificate in it".into());
    }
    Ok(())
}

/// Why there was no answer, in the terms of the protocol crate.
fn not_sent(error: &ClientError) -> TransportError {
    if let Some(tls) = find::<rustls::Error>(error) {
        return TransportError::Tls {
            reason: tls.to_string(),
        };
    }
    if error.is_connect() {
        if find::<io::Error>(error).is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return TransportError::Timeout;
        }
        return TransportError::Connect {
            reason: chain(error),
        };
    }
    match find::<hyper::Error>(error) {
        Some(http) if http.is_parse() => malformed(http),
        _ => TransportError::Closed,
    }
}

fn malformed(error: &dyn StdError) -> TransportError {
    TransportError::Malformed {
        reason: error.to_string(),
    }
}

/// The first error of this type among `error` and its causes.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = cause(error);
    }
    None
}

/// The causes of an error in one line; the client's own word says only that
/// something failed.
fn chain(error: &ClientError) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        causes.push(error.to_string());
        next = cause(error);
    }
    causes.dedup();
    causes.join(": ")
}

/// `io::Error::source` passes over the error that it wraps, which is the one
/// that tells.
fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}
