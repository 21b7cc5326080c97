//! The issuer's keys over HTTP: its metadata first, then the key set that they
//! point to.
//!
//! The rules (issuer equality, safe URLs, limits of the documents) are those of
//! the machines in `countersign-oauth`; this is their driver. The metadata are
//! asked for each time, so that a `jwks_uri` that has moved is found: fetches
//! are rare, and one that relies on an old address fails when it matters.

use std::time::Duration;

use countersign_jose::crypto;
use countersign_oauth::{
    Discovery, Endpoint, Error as OAuthError, FetchedKeys, Flow, Issuer, KeysFlow, Step,
    TransportError,
};

use crate::http_client::HttpClient;
use crate::{Clock, Error, FetchFuture, FetchKeys, SystemClock};

/// Everything together: each request has a shorter limit of its own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuer: Issuer,
    http: HttpClient,
}

impl IssuerKeys {
    /// Nothing is sent before the first fetch.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`].
    pub(crate) fn new(issuer: Issuer, added_ca_pem: &[Vec<u8>]) -> Result<Self, Error> {
        let http = HttpClient::new(&issuer, added_ca_pem)?;
        Ok(Self { issuer, http })
    }

    async fn fetch_keys(&self) -> Result<FetchedKeys, OAuthError> {
        let metadata = self.drive(Discovery::new(&self.issuer)).await?;
        self.drive(KeysFlow::new(&metadata, crypto::aws_lc::provider())?)
            .await
    }

    async fn drive<F: Flow>(&self, mut flow: F) -> Result<F::Output, OAuthError> {
        // One reading of the time of day and the time since: a machine wants a
        // clock that does not run backwards.
        let clock = SystemClock::default();
        let began = clock.now();
        let now = || began + clock.monotonic();
        loop {
            match flow.poll(now())? {
                Step::Done(output) => return Ok(output),
                Step::WaitUntil(until) => tokio::time::sleep(until.since(now())).await,
                Step::Send(request) => match self.http.send(&request).await {
                    Ok(response) => flow.handle(&response, now())?,
                    Err(error) => flow.transport_failed(error, now()),
                },
            }
        }
    }
}

impl FetchKeys for IssuerKeys {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async {
            tokio::time::timeout(FETCH_TIMEOUT, self.fetch_keys())
                .await
                .unwrap_or(Err(OAuthError::Transport {
                    endpoint: Endpoint::Keys,
                    source: TransportError::Timeout,
                }))
        })
    }
}
