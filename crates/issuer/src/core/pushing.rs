//! An authorization request that a client sends ahead (RFC 9126).
//!
//! The client proves who it is before any person is involved, and what it asks
//! goes past no browser. The request is checked as if it had come through one,
//! stored, and named; the name is good for a minute and a half, and for one code.
//!
//! What anybody can have us store is bounded, as for device logins: by address
//! for clients that prove nothing, and by client for all.

use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::Secret;

use super::limits::{Counter, Limited};
use super::{
    AuthorizationParameters, Client, ClientAuthentication, ClientCredentials, Core, Failure,
    PushedRequest, REQUEST_URI, Refusal,
};

/// How long a pushed request may be begun (RFC 9126, section 2.2).
const LIFETIME: Duration = Duration::from_secs(90);

const OTHER_KEY: Refusal =
    Refusal::InvalidDpopProof("dpop_jkt is not the thumbprint of the proof's key");

/// A pushed authorization request (RFC 9126, section 2.1).
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Who asks.
    pub credentials: ClientCredentials,
    /// The authorization request.
    pub parameters: AuthorizationParameters,
    /// The address the request came from.
    pub peer: IpAddr,
}

/// A request that was pushed (RFC 9126, section 2.2).
#[derive(Debug)]
pub struct Pushed {
    /// The `request_uri`, with 256 random bits in it.
    pub request_uri: Secret,
    /// How long it can be begun.
    pub expires_in: Duration,
}

impl Core {
    /// Whether authorization requests of all clients must be pushed.
    pub fn requires_par(&self) -> bool {
        self.require_par
    }

    /// Stores a request that its client will send a browser with.
    pub async fn push_authorization(
        &self,
        request: PushRequest,
        now: Timestamp,
    ) -> Result<Pushed, Failure> {
        let PushRequest {
            credentials,
            mut parameters,
            peer,
        } = request;
        let client = self.authenticated(&credentials, now).await?;
        if parameters.one("request_uri")?.is_some() {
            return Err(Refusal::InvalidRequest("request_uri cannot itself be pushed").into());
        }
        parameters.set_client(&client.id)?;
        // The key of the proof is the one that the code will be bound to
        // (RFC 9449, section 10.1). A client whose tokens are bound need not
        // choose it yet.
        let proof = match credentials.dpop() {
            Some(proof) => Some(self.check_proof(proof, None, now).map_err(Refusal::from)?),
            None => None,
        };
        let jkt = self.check_pushed(&client, &parameters)?;
        match (&proof, jkt) {
            (Some(proof), Some(jkt)) if !proof.is(&jkt) => return Err(OTHER_KEY.into()),
            (Some(proof), None) => parameters.set_key(proof.thumbprint()),
            _ => {}
        }
        self.count_push(&client, peer, now)?;
        self.use_key(proof, now)?;
        let request_uri = format!("{REQUEST_URI}{}", self.random_secret()?.expose());
        let record = PushedRequest {
            uri: self.digest(&request_uri),
            client_id: client.id,
            parameters: parameters.encoded(),
            expires_at: now + LIFETIME,
        };
        self.store
            .write(move |records| records.add_pushed_request(&record))
            .await?;
        Ok(Pushed {
            request_uri: Secret::from(request_uri),
            expires_in: LIFETIME,
        })
    }

    fn count_push(&self, client: &Client, peer: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        let of_client = Counter::PushesOf(client.id.clone());
        let counted = match client.authentication {
            ClientAuthentication::Public => self
                .limiter
                .take([Counter::PushesFrom(peer), of_client], now)
                .map(drop),
            // A service pushes for all of its people, from one address.
            ClientAuthentication::Secret(_) | ClientAuthentication::PrivateKeyJwt(_) => {
                self.limiter.take([of_client], now).map(drop)
            }
        };
        counted.map_err(|Limited { retry_after }| Refusal::Busy { retry_after })
    }
}
