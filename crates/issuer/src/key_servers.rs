//! Validation servers for Yubikeys whose secrets others have, asked over HTTP.
//!
//! All of them at the same time; the first that can be believed decides, within one time limit for
//! everything. No redirect is followed, and nothing is asked in the clear but of this machine.
//!
//! Not responsible for what makes an answer believable (`countersign-otp`), nor for whose key it is.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::validation::{
    ApiKey, Carrier, Client, ConfigProblem, MAX_BODY, Nonce, Question, Server,
};
use countersign_otp::yubico::Otp;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::core::{Asked, KeyServers};
use crate::private;

const USER_AGENT: &str = concat!("countersign-issuer/", env!("CARGO_PKG_VERSION"));

/// Base64 of the longest key, and more.
const LONGEST_KEY: usize = 1024;

/// How long a connection waits for the next password.
const IDLE: Duration = Duration::from_secs(20);

type Http = HttpClient<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// The validation servers of one operator, who know each other's counters.
pub struct ValidationServers {
    client: Client,
    http: Http,
}

/// Why servers cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableServers {
    /// There is none.
    #[error("no validation server is named")]
    None,
    /// The client, its key, or an address cannot be.
    #[error(transparent)]
    Config(#[from] ConfigProblem),
    /// What is to be trusted beside the platform's roots is no certificate.
    #[error("the CA certificate of the validation servers cannot be used")]
    Ca(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Reads the API key from a file, which nobody else may read.
///
/// # Errors
///
/// When it cannot be read, or others can read it.
pub fn read_key(path: &Path) -> io::Result<Secret> {
    let file = File::open(path)?;
    private::check(&file, path)?;
    // With its final size at once, so that no copy stays behind where it grew.
    let mut text = String::with_capacity(LONGEST_KEY);
    let read = file.take(LONGEST_KEY as u64).read_to_string(&mut text);
    let text = Secret::from(text);
    read?;
    Ok(Secret::new(text.expose().trim()))
}

impl ValidationServers {
    /// The servers at these addresses, who know us by this number and this key (Base64). Everything
    /// together may take `time`. Certificates of `ca_pem` are trusted beside those of the platform.
    ///
    /// # Errors
    ///
    /// [`UnusableServers`]; nothing is sent.
    pub fn new(
        id: &str,
        key: &Secret,
        urls: &[String],
        time: Duration,
        ca_pem: Option<&[u8]>,
    ) -> Result<Self, UnusableServers> {
        let mut client = Client::new(id, ApiKey::from_base64(key.expose())?)?.time_limit(time);
        if urls.is_empty() {
            return Err(UnusableServers::None);
        }
        for url in urls {
            client = client.server(Server::new(url)?);
        }
        Ok(Self {
            client,
            http: http(ca_pem)?,
        })
    }
}

impl KeyServers for ValidationServers {
    fn ask<'a>(&'a self, otp: &'a Otp, nonce: Nonce, now: Timestamp) -> Asked<'a> {
        let mut asking = Asking {
            http: &self.http,
            began: now.since(Timestamp::UNIX_EPOCH),
            started: Instant::now(),
            under_way: JoinSet::new(),
        };
        let validation = self
            .client
            .validate(otp, nonce, asking.now(), aws_lc::provider());
        Box::pin(async move { validation.run(&mut asking).await })
    }
}

impl fmt::Debug for ValidationServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidationServers")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// The questions about one password. Those that nobody waits for any more end with it.
struct Asking<'a> {
    http: &'a Http,
    /// The time of day, read once; nobody sets the clock that goes on from there.
    began: Duration,
    started: Instant,
    under_way: JoinSet<(usize, Option<Bytes>)>,
}

impl Carrier for Asking<'_> {
    type Body = Bytes;

    fn now(&self) -> Duration {
        self.began + self.started.elapsed()
    }

    fn ask(&mut self, question: &Question) {
        let (server, http) = (question.server(), self.http.clone());
        let request = Request::get(question.url())
            .header(header::USER_AGENT, USER_AGENT)
            .body(Empty::new());
        self.under_way.spawn(async move {
            let body = async { body(&http, request.ok()?).await };
            (server, body.await)
        });
    }

    async fn answer(&mut self, rest: Duration) -> Option<(usize, Option<Bytes>)> {
        let next = async {
            while let Some(ended) = self.under_way.join_next().await {
                if let Ok(answer) = ended {
                    return answer;
                }
            }
            std::future::pending().await
        };
        tokio::time::timeout(rest, next).await.ok()
    }
}

/// The body of an answer, whatever its status is: the signature decides.
async fn body(http: &Http, request: Request<Empty<Bytes>>) -> Option<Bytes> {
    let answer = http.request(request).await.ok()?;
    let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
    Some(body.ok()?.to_bytes())
}

/// HTTP as passwords need it. That an address is of this machine where it is in the clear, the client has
/// made sure.
fn http(ca_pem: Option<&[u8]>) -> Result<Http, UnusableServers> {
    let mut roots = RootCertStore::empty();
    // A platform without roots is not an error: if that matters, the handshake says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca_pem {
        let added: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
        let added = added.map_err(|error| UnusableServers::Ca(error.into()))?;
        if added.is_empty() {
            return Err(UnusableServers::Ca("there is no certificate in it".into()));
        }
        for certificate in added {
            let trusted = roots.add(certificate);
            trusted.map_err(|error| UnusableServers::Ca(error.into()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(HttpClient::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(connector))
}
