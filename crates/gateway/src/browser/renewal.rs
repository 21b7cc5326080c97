//! A new access token before the old one ends, for all requests of a session at once.
//!
//! Many servers end a whole login when a refresh token comes twice. A page asks for a dozen things in one
//! moment, all with the same cookie, so the first request renews and the others wait for what it gets;
//! those that come a little later, with the cookie of before, get it too. Among replicas a refresh token
//! is claimed before it is sent, and sent once: whoever comes second goes on with the old access token
//! while that lasts.
//!
//! Not responsible for the cookie, nor for whether a session may be renewed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use countersign_jose::Timestamp;
use countersign_oauth::{Error, RefreshFlow, Secret};
use countersign_resource::Validator;
use countersign_resource::state::{Claim, Key, SharedState};
use http::StatusCode;
use tokio::sync::watch;

use super::provider::Provider;

/// How long those who come with the cookie of before get the tokens of a renewal.
const GRACE: Duration = Duration::from_secs(60);
/// How long nobody tries again after a renewal that came to nothing.
const REST: Duration = Duration::from_secs(5);
/// For how long a refresh token that was sent is not sent again.
const CLAIMED: Duration = Duration::from_secs(24 * 3600);
/// Longer than an exchange takes that ends at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many sessions are renewed at once, and lately.
const MOST: usize = 4096;

/// What became of a renewal.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Renewed(Arc<Fresh>),
    /// The server, or the token that it gave, says that the session has ended.
    Over,
    /// Nothing is known, or somebody else renews: the old token is good until its end.
    Later,
}

/// The tokens of a renewal.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) renew_at: i64,
}

/// What a renewal needs.
pub(super) struct Means {
    pub(super) provider: Arc<Provider>,
    pub(super) state: Arc<dyn SharedState>,
    pub(super) danger_allow_without: bool,
    pub(super) validator: Validator,
    pub(super) refresh_token: Secret,
    /// The one that ends. Where a refresh token stays the same, this tells one renewal from the next.
    pub(super) access_token: Secret,
    /// Whose session it is; a new token is of the same person or none.
    pub(super) subject: String,
}

/// The renewals that run, and those that have just ended.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// By the digest of the tokens that are replaced.
    known: Mutex<HashMap<[u8; 32], Known>>,
}

#[derive(Debug)]
struct Known {
    outcome: watch::Receiver<Option<Outcome>>,
    since: Instant,
}

impl Known {
    fn counts(&self) -> bool {
        let age = self.since.elapsed();
        match &*self.outcome.borrow() {
            None => age < PATIENCE,
            Some(Outcome::Later) => age < REST,
            Some(_) => age < GRACE,
        }
    }
}

/// When a token that is verified now and ends then is to be renewed: early enough for a second try.
pub(super) fn renew_at(expires: Timestamp, now: Timestamp) -> i64 {
    let margin = (expires.since(now).as_secs() / 4).clamp(1, 120);
    expires.as_secs().saturating_sub_unsigned(margin)
}

impl Renewals {
    /// Renews, or waits for whoever does.
    pub(super) async fn join(&self, means: Means, now: Timestamp) -> Outcome {
        let replaced = [&means.refresh_token, &means.access_token];
        let key = Key::new(
            "sign-in-renewal",
            &replaced.map(|it| it.expose().as_bytes()),
        );
        let mut outcome = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.get(key.digest()).filter(|known| known.counts()) {
                known.outcome.clone()
            } else {
                known.retain(|_, known| known.counts());
                if known.len() >= MOST {
                    return Outcome::Later;
                }
                let (tell, outcome) = watch::channel(None);
                let entry = Known {
                    outcome: outcome.clone(),
                    since: Instant::now(),
                };
                known.insert(*key.digest(), entry);
                // Whoever asks may go away; what was sent must be heard to its end.
                tokio::spawn(async move {
                    let become_of_it = renew(means, key, now).await;
                    tell.send_replace(Some(become_of_it));
                });
                outcome
            }
        };
        let told = tokio::time::timeout(PATIENCE, outcome.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Outcome::Later),
            _ => Outcome::Later,
        }
    }
}

async fn renew(means: Means, key: Key, now: Timestamp) -> Outcome {
    // Nothing is claimed before the server is known to be there.
    let Ok(metadata) = means.provider.metadata().await else {
        return Outcome::Later;
    };
    let client = means.provider.client(&metadata);
    let Ok(flow) = RefreshFlow::new(&metadata, &client, &means.refresh_token) else {
        return Outcome::Later;
    };
    match means.state.claim(&key, now + CLAIMED, now).await {
        Ok(Claim::First) => {}
        Err(_) if means.danger_allow_without => {}
        Ok(Claim::Again) | Err(_) => return Outcome::Later,
    }
    let tokens = match means.provider.drive(flow).await {
        Ok(tokens) => tokens,
        Err(Error::RefreshRejected(_)) => return Outcome::Over,
        Err(_) => return Outcome::Later,
    };
    let caller = means.validator.validate(tokens.access_token.expose()).await;
    let issuer = means.provider.issuer().as_str();
    let renew_at = match caller {
        Ok(caller) if caller.subject() == means.subject && caller.issuer() == issuer => {
            renew_at(caller.expires_at(), now)
        }
        // It can be neither taken nor refused at the moment, and the old ones are spent.
        Err(rejection) if rejection.status() == StatusCode::SERVICE_UNAVAILABLE => {
            renew_at(now + tokens.expires_in.unwrap_or(GRACE), now)
        }
        _ => return Outcome::Over,
    };
    Outcome::Renewed(Arc::new(Fresh {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        renew_at,
    }))
}
