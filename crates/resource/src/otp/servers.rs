//! Validation servers, asked over HTTP (protocol 2.0).
//!
//! All of them at the same time; the first that can be believed decides, within
//! one time limit for everything. What makes an answer believable is
//! `countersign-otp`'s: the signature, and that it repeats this password and
//! this question.
//!
//! Not responsible for whose key it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_oauth::{HttpRequest, Secret};
use countersign_otp::crypto::aws_lc;
use countersign_otp::validation::{ApiKey, Carrier, Client, Nonce, Outcome, Question, Server};
use countersign_otp::yubico::Otp;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::secrets::random;
use crate::http_client::{Connections, HttpClient};
use crate::{Clock, Error, Timestamp};

/// Longer than a person waits for an answer.
const LONGEST: Duration = Duration::from_secs(30);

/// The validation servers of one operator, who know each other's counters.
#[derive(Clone)]
pub struct ValidationServers {
    client: Client,
    http: HttpClient,
}

/// Describes [`ValidationServers`].
#[must_use]
#[derive(Debug)]
pub struct ValidationServersBuilder {
    id: String,
    key: Secret,
    servers: Vec<String>,
    time: Duration,
    without_counters: bool,
    added_ca_pem: Vec<Vec<u8>>,
}

impl ValidationServersBuilder {
    /// One more server: the `https` address up to and with `verify`; `http` on
    /// this machine alone.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.servers.push(url.into());
        self
    }

    /// How long everything may take: five seconds unless said otherwise, thirty
    /// at most.
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.time = time.min(LONGEST);
        self
    }

    /// Believes servers that do not say, or do not sign, which counters a
    /// password had. That it counts once is then up to them, but for those
    /// that were taken here within a day.
    pub fn danger_without_counters(mut self) -> Self {
        self.without_counters = true;
        self
    }

    /// Trusts these certificates (PEM, one or several) besides those of the
    /// platform.
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.added_ca_pem.push(pem.into());
        self
    }

    /// The servers. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::ValidationServers`], [`Error::CaCertificate`], [`Error::Tls`].
    pub fn build(self) -> Result<ValidationServers, Error> {
        let key = ApiKey::from_base64(self.key.expose()).map_err(Error::validation)?;
        let mut client = Client::new(&self.id, key)
            .map_err(Error::validation)?
            .time_limit(self.time);
        if self.without_counters {
            client = client.danger_without_counters();
        }
        if self.servers.is_empty() {
            return Err(Error::ValidationServers("there is none".into()));
        }
        let mut in_the_clear = false;
        for url in &self.servers {
            in_the_clear |= url.starts_with("http://");
            client = client.server(Server::new(url).map_err(Error::validation)?);
        }
        Ok(ValidationServers {
            http: HttpClient::with(in_the_clear, &self.added_ca_pem, Connections::Kept)?,
            client,
        })
    }
}

impl ValidationServers {
    /// The servers that know us by this number and this key (Base64).
    pub fn builder(id: impl Into<String>, key: Secret) -> ValidationServersBuilder {
        ValidationServersBuilder {
            id: id.into(),
            key,
            servers: Vec::new(),
            time: Duration::from_secs(5),
            without_counters: false,
            added_ca_pem: Vec::new(),
        }
    }

    /// Asks all of them whether `otp` is right.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub(super) async fn ask(&self, otp: &Otp, clock: &Arc<dyn Clock>) -> Result<Outcome, Error> {
        let mut asking = Asking {
            http: &self.http,
            began: clock.now().since(Timestamp::UNIX_EPOCH),
            started: Instant::now(),
            under_way: JoinSet::new(),
        };
        let nonce = Nonce::from_random(*random()?);
        let now = asking.now();
        let validation = self.client.validate(otp, nonce, now, aws_lc::provider());
        Ok(validation.run(&mut asking).await)
    }
}

/// The questions about one password. Those that nobody waits for any more end
/// with it.
struct Asking<'a> {
    http: &'a HttpClient,
    /// The time of day, read once; nobody sets the clock that goes on from
    /// there, so that the limit is one in any case.
    began: Duration,
    started: Instant,
    under_way: JoinSet<(usize, Option<Vec<u8>>)>,
}

impl Carrier for Asking<'_> {
    type Body = Vec<u8>;

    fn now(&self) -> Duration {
        self.began + self.started.elapsed()
    }

    fn ask(&mut self, question: &Question) {
        let (server, url) = (question.server(), Url::parse(question.url()).ok());
        let http = self.http.clone();
        self.under_way.spawn(async move {
            let answer = async { http.send(&HttpRequest::get(url?)).await.ok() };
            (server, answer.await.map(|answer| answer.body))
        });
    }

    async fn answer(&mut self, rest: Duration) -> Option<(usize, Option<Vec<u8>>)> {
        let next = async {
            while let Some(ended) = self.under_way.join_next().await {
                // A task that panicked gives no answer; what is left for it is the time limit.
                if let Ok(answer) = ended {
                    return answer;
                }
            }
            std::future::pending().await
        };
        tokio::time::timeout(rest, next).await.ok()
    }
}

impl fmt::Debug for ValidationServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidationServers")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
