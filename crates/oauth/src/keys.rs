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
}

/// The machine that fetches the key set. One request; a caller that has older keys goes on with
/// them, and one that has none reports the error.
#[derive(Debug)]
pub struct KeysFlow {
    provider: &'static CryptoProvider,
    state: Once<FetchedKeys>,
}

impl KeysFlow {
    /// Fetches the keys that `metadata` points to.
    ///
    /// # Errors
    /// [`Error::EndpointMissing`] if the server names no `jwks_uri`.
    pub fn new(metadata: &Metadata, provider: &'static CryptoProvider) -> Result<Self, Error> {
        Ok(Self {
            provider,
            state: Once::new(Exchange::document(metadata, Endpoint::Keys)?),
        })
    }
}

impl Flow for KeysFlow {
    type Output = FetchedKeys;

    fn poll(&mut self, now: Timestamp) -> Result<Step<FetchedKeys>, Error> {
        self.state.poll(now)
    }

    fn handle(&mut self, response: &HttpResponse, _now: Timestamp) -> Result<(), Error> {
        let provider = self.provider;
        self.state.handle(response, || {
            let json = answer::body(Endpoint::Keys, response)?;
            let keys = KeySet::from_json(json, provider).map_err(Error::Keys)?;
            Ok(FetchedKeys {
                keys,
                json: json.to_owned(),
                max_age: response.max_age(),
            })
        })
    }

    fn transport_failed(&mut self, error: TransportError, _now: Timestamp) {
        self.state.transport_failed(error);
    }
}
