//! People whom an AWS load balancer has signed in (`x-amzn-oidc-data`).
//!
//! The header looks like a JWT and is not one: its parts are padded, and the
//! padding is signed; it names no audience. Who it is for stands in its header,
//! as the load balancer (`signer`) and the client. Everybody with an AWS account
//! can get a header signed by a key of the same server, so signer, client,
//! issuer, end, algorithm and the form of the key's name are all compared with
//! the configuration before a key is fetched, and the place to fetch it from is
//! that of the *configured* load balancer.
//!
//! `x-amzn-oidc-identity` and `x-amzn-oidc-accesstoken` are not signed and are
//! not looked at. A person signed in like this is known by a cookie, so what
//! changes something needs a guard against requests forged by other sites; that
//! is not decided here.

mod arn;
mod header;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Algorithm, Timestamp};
use countersign_oauth::text::printable;
use url::Url;

use crate::Network;
use crate::{AccessToken, Clock, Error, Presented, Rejection};
use arn::LoadBalancerArn;
use header::SignedHeader;
use keys::{AlbKeys, FetchFromAws, FetchPem};

const HEADER: &str = "x-amzn-oidc-data";

/// An AWS Application Load Balancer that signs people in; see
/// [`ValidatorBuilder::load_balancer`](crate::ValidatorBuilder::load_balancer).
#[derive(Debug, Clone)]
#[must_use]
pub struct LoadBalancer {
    issuer: String,
    client_id: String,
    signers: Vec<String>,
    networks: Vec<Network>,
    key_server: Option<Url>,
}

impl LoadBalancer {
    /// Takes people whom this issuer has signed in for this client: both as they
    /// stand in the listener rule of the load balancer.
    pub fn aws(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            signers: Vec::new(),
            networks: Vec::new(),
            key_server: None,
        }
    }

    /// Takes what this load balancer has signed, by its ARN. Needed at least
    /// once.
    pub fn signer(mut self, arn: impl Into<String>) -> Self {
        self.signers.push(arn.into());
        self
    }

    /// Takes it only from requests that come from this network: the load
    /// balancer's. Targets should be reachable from there alone in any case.
    pub fn from_network(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// Fetches keys from this server instead of that of AWS: for tests. Who
    /// answers there decides who is signed in.
    pub fn danger_key_server(mut self, server: Url) -> Self {
        self.key_server = Some(server);
        self
    }

    pub(crate) fn build(
        mut self,
        leeway: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Balancer, Error> {
        let fetcher = FetchFromAws::new(self.key_server.take())?;
        self.build_with(Box::new(fetcher), leeway, clock)
    }

    fn build_with(
        self,
        fetcher: Box<dyn FetchPem>,
        leeway: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Balancer, Error> {
        if self.issuer.is_empty() || self.client_id.is_empty() || self.signers.is_empty() {
            return Err(Error::LoadBalancer(
                "it needs an issuer, a client and at least one signer".to_owned(),
            ));
        }
        let signers: Vec<LoadBalancerArn> = self
            .signers
            .iter()
            .map(|arn| {
                LoadBalancerArn::parse(arn).ok_or_else(|| {
                    Error::LoadBalancer(format!(
                        "{} is not the ARN of an application load balancer",
                        printable(arn)
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Balancer {
            issuer: self.issuer.into(),
            client_id: self.client_id,
            signers,
            networks: self.networks,
            leeway,
            keys: Arc::new(AlbKeys::new(fetcher, Arc::clone(&clock))),
            clock,
        })
    }
}

/// A [`LoadBalancer`] at work.
pub(crate) struct Balancer {
    issuer: Arc<str>,
    client_id: String,
    signers: Vec<LoadBalancerArn>,
    networks: Vec<Network>,
    leeway: Duration,
    keys: Arc<AlbKeys>,
    clock: Arc<dyn Clock>,
}

impl Balancer {
    /// The header of this request; nothing when there is none, or when it comes
    /// from where the load balancer is not.
    pub(crate) fn find<'r>(&self, request: &Presented<'r>) -> Result<Option<&'r str>, Rejection> {
        let mut values = request.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let trusted = |sender| self.networks.iter().any(|network| network.contains(sender));
        let sender = request.peer.or(request.source);
        if !self.networks.is_empty() && !sender.is_some_and(trusted) {
            return Ok(None);
        }
        if values.next().is_some() {
            return Err(Rejection::SeveralCredentials);
        }
        let value = value.to_str();
        value
            .map(Some)
            .map_err(|_| Rejection::MalformedToken(countersign_jose::Error::NotCompact))
    }

    /// The person in the header, once everything in it has been checked, and the number of the key
    /// that has signed it; of the key as well where it has not.
    pub(crate) async fn verify(
        &self,
        text: &str,
    ) -> Result<(Arc<AccessToken>, u64), (Rejection, Option<u64>)> {
        let unread = |rejection| (rejection, None);
        let header = SignedHeader::parse(text).map_err(unread)?;
        let signer = self.compare(&header, self.clock.now()).map_err(unread)?;
        // Nothing is sent before this line.
        let key = self.keys.get(&signer.place(), header.kid()).await;
        let key = key.map_err(unread)?;
        key.verify(Algorithm::Es256, header.signing_input(), header.signature())
            .map_err(Rejection::of_token)
            .and_then(|()| header.into_token(&self.issuer))
            .map(|person| (Arc::new(person), key.number()))
            .map_err(|rejection| (rejection, Some(key.number())))
    }

    /// Whether this person, who was verified before, has not ended since.
    pub(crate) fn is_current(&self, person: &AccessToken) -> bool {
        person.expires_at() > self.clock.now() - self.leeway
    }

    /// Whether the key of this number is still trusted.
    pub(crate) fn has_key(&self, number: u64) -> bool {
        self.keys.has(number)
    }

    /// Everything that can be checked without a key.
    fn compare(
        &self,
        header: &SignedHeader<'_>,
        now: Timestamp,
    ) -> Result<&LoadBalancerArn, Rejection> {
        let found = header.signer()?;
        let signer = self.signers.iter().find(|signer| signer.as_str() == found);
        let signer = signer.ok_or_else(|| Rejection::WrongLoadBalancer {
            found: printable(found),
        })?;
        if header.client()? != self.client_id {
            return Err(Rejection::WrongAudience {
                expected: vec![self.client_id.clone()],
                found: vec![printable(header.client()?)],
            });
        }
        for issuer in header.issuers()? {
            if issuer != &*self.issuer {
                return Err(Rejection::WrongIssuer {
                    expected: self.issuer.to_string(),
                    found: printable(issuer),
                });
            }
        }
        let expires_at = header.expires_at()?;
        if expires_at <= now - self.leeway {
            return Err(Rejection::Expired {
                ago: now.since(expires_at),
            });
        }
        Ok(signer)
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("signers", &self.signers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
