//! The keys an authorization server signs with (`jwks_uri`; RFC 7517, section 5).
//!
//! Not responsible for: when to fetch them again.

use std::time::Duration;

use countersign_jose::{CryptoProvider, KeySet, Timestamp};

use crate::error::Endpoint;
use crate::exchange::Exchange;
use crate::flow::Once;
use crate::{Error, Flow, HttpResponse, Metadata, Step, TransportError, answer};

/// A key set as it was fetched.
#[derive(Debug)]
pub struct FetchedKeys {
    /// The usable keys, and what was skipped.
    pub keys: KeySet,
    /// The document, to be kept in a cache and read again with [`KeySet::from_json`].
    pub json: Vec<u8>,
    /// How long the server allows it to be kept, if it says.
    pub max_age: Option<Duration>,
    /// What to ask with later whether it is still so; see [`KeysFlow::unless_still`].
    pub etag: Option<String>,
}

/// The machine that fetches the key set. One request; a caller that has older keys goes on with
/// them, and one that has none reports the error.
#[derive(Debug)]
pub struct KeysFlow {
    provider: &'static CryptoProvider,
    known: Option<Known>,
    state: Once<FetchedKeys>,
}

/// The document that the server may confirm instead of sending it again.
#[derive(Debug)]
struct Known {
    etag: String,
    json: Vec<u8>,
}

impl KeysFlow {
    /// Fetches the keys that `metadata` points to.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no `jwks_uri`.
    pub fn new(metadata: &Metadata, provider: &'static CryptoProvider) -> Result<Self, Error> {
        Ok(Self {
            provider,
            known: None,
            state: Once::new(Exchange::document(metadata, Endpoint::Keys)?),
        })
    }

    /// Lets the server answer that the set is still this one (`If-None-Match`, RFC 9110, section
    /// 13.1.2). `etag` and `json` are those of an earlier answer from the same address.
    #[must_use]
    pub fn unless_still(mut self, etag: &str, json: &[u8]) -> Self {
        self.state.exchange_mut().unless_matches(etag);
        self.known = Some(Known {
            etag: etag.to_owned(),
            json: json.to_owned(),
        });
        self
    }
}

impl Flow for KeysFlow {
    type Output = FetchedKeys;

    fn poll(&mut self, now: Timestamp) -> Result<Step<FetchedKeys>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let Self {
            provider,
            known,
            state,
        } = self;
        state.handle(response, || {
            let (json, etag) = match known {
                Some(known) if response.status == 304 => (&*known.json, Some(&*known.etag)),
                // Whoever was not asked whether something has changed cannot say that it has not.
                _ => (answer::body(Endpoint::Keys, response)?, response.etag()),
            };
            let keys = KeySet::from_json(json, provider).map_err(Error::Keys)?;
            Ok(FetchedKeys {
                keys,
                json: json.to_owned(),
                max_age: response.freshness(),
                etag: etag.map(str::to_owned),
            })
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
