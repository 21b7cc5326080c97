//! The issuer's keys over HTTP: its metadata first, then the key set that they
//! point to.
//!
//! The rules (issuer equality, safe URLs, limits of the documents) are those of
//! the machines in `countersign-oauth`; this is their driver. The metadata are
//! asked for each time, so that a `jwks_uri` that has moved is found: fetches
//! are rare, and one that relies on an old address fails when it matters. The
//! key set is asked for with the entity-tag of the last one from that address.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_jose::crypto;
use countersign_oauth::{
    Discovery, Endpoint, Error as OAuthError, FetchedKeys, Issuer, KeysFlow, TransportError,
};

use url::Url;

use crate::http_client::{Connections, HttpClient};
use crate::{Error, FetchFuture, FetchKeys};

/// Everything together: each request has a shorter limit of its own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuer: Issuer,
    http: HttpClient,
    last: Mutex<Option<Last>>,
}

/// What an issuer need not send again.
#[derive(Debug)]
struct Last {
    from: Url,
    etag: String,
    json: Vec<u8>,
}

impl IssuerKeys {
    /// Nothing is sent before the first fetch.
    ///
    /// # Errors
    ///
    /// [`Error::CaCertificate`], [`Error::Tls`].
    pub(crate) fn new(issuer: Issuer, added_ca_pem: &[Vec<u8>]) -> Result<Self, Error> {
        let http = HttpClient::new(&issuer, added_ca_pem, Connections::Closed)?;
        Ok(Self {
            issuer,
            http,
            last: Mutex::default(),
        })
    }

    async fn fetch_keys(&self) -> Result<FetchedKeys, OAuthError> {
        let metadata = self.http.drive(Discovery::new(&self.issuer)).await?;
        let mut flow = KeysFlow::new(&metadata, crypto::aws_lc::provider())?;
        // Taken out: should this fail, the next one asks for everything.
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(last) = last.filter(|last| metadata.jwks_uri.as_ref() == Some(&last.from)) {
            flow = flow.unless_still(&last.etag, &last.json);
        }
        let fetched = self.http.drive(flow).await?;
        if let (Some(from), Some(etag)) = (metadata.jwks_uri, &fetched.etag) {
            let etag = etag.clone();
            let json = fetched.json.clone();
            let last = Last { from, etag, json };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        Ok(fetched)
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
