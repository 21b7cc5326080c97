//! Tokens for other APIs, from the same login (RFC 8707, section 2.2).
//!
//! Each is got by a refresh request that names the API, under the lock of the session: a server that
//! accepts a refresh token a single time sees one request after the other, whoever asks for what. The
//! refresh token that comes back is kept before anything else happens; the access token is kept beside
//! the session, under the name of what was asked for. Neither touches the session's own access token.
//!
//! Not responsible for how a provider wants an API named ([`OtherApi`]), nor for the session's end: that
//! is decided by a renewal that names no API, because servers say the same of a refresh token that is no
//! good and of an API that it is no good for.

use std::time::Duration;

use countersign_oauth::preset::OtherApi;
use countersign_oauth::secret::exposed;
use countersign_oauth::{
    ClientCredentialsFlow, Endpoint, Error as ExchangeError, PeerMisbehaved, RefreshFlow, Target,
    TokenResponse, TokenType, TokenTypeId,
};
use countersign_store::Purpose;
use serde::{Deserialize, Serialize};

use crate::context::Opening;
use crate::drive::{Asleep, Attentive, drive};
use crate::error::{NoOtherApi, NotGiven};
use crate::refresh::{self, Awaited, Means};
use crate::run::explained;
use crate::{
    Context, Derived, Error, LoginRequired, Provider, Secret, Session, SignIn, Timestamp,
    TokenSource, printable,
};

/// How long a token is kept of which the server does not say how long it is good.
const UNKNOWN_LIFE: Duration = Duration::from_secs(60);
/// How long a request may take when there is a token that is still good.
const BRIDGED_LIMIT: Duration = Duration::from_secs(10);
/// How often to begin again because somebody has signed in meanwhile.
const ATTEMPTS: u32 = 3;

/// A token that is not the session's own: for another API, or got by exchange.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OtherToken {
    /// The token.
    pub token: Secret,
    /// How it is used as an access token; `None` if it is none.
    pub token_type: Option<TokenType>,
    /// What it is, where the server has said so (RFC 8693, section 2.2.1).
    pub issued: Option<TokenTypeId>,
    /// When it was asked for, by this computer's clock.
    pub obtained_at: Timestamp,
    /// When it expires, by this computer's clock; `None` when the server did not say.
    pub expires_at: Option<Timestamp>,
}

impl OtherToken {
    /// How long the token is still good at `now`; `None` when the server did not say.
    pub fn remaining(&self, now: Timestamp) -> Option<Duration> {
        self.expires_at.map(|expires_at| expires_at.since(now))
    }

    /// Whether it is bound to the key of the session (RFC 9449).
    pub fn is_bound(&self) -> bool {
        self.token_type == Some(TokenType::Dpop)
    }
}

/// The same as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(with = "exposed")]
    token: Secret,
    /// Whether it is bound; absent for what is no access token.
    bound: Option<bool>,
    issued: Option<String>,
    /// Whether its life is the server's word.
    told: bool,
}

impl TokenSource {
    /// An access token for another API that is good for at least `min_ttl` more, on the terms of
    /// [`access_token`](Self::access_token): a kept one at once, else by a request to the server, one at
    /// a time with whatever else renews the session.
    ///
    /// The session's own access token is as it was, and so are those for further APIs.
    ///
    /// # Errors
    /// [`Error::OtherApi`] when the session cannot have one, [`Error::NotGiven`] when the server refuses:
    /// the session goes on. [`Error::LoginRequired`] when only a person can help.
    pub fn token_for(&self, target: &Target, min_ttl: Duration) -> Result<OtherToken, Error> {
        let what = name_of(target);
        if let Some(kept) = self.kept_token(&what, Some(min_ttl))? {
            return Ok(kept);
        }
        match self.ask_for(target, &what, Some(min_ttl)) {
            Err(error) => self.bridged(&what, error),
            got => got,
        }
    }

    /// The same, even if the kept one is still good.
    ///
    /// # Errors
    /// As [`token_for`](Self::token_for), and whatever kept the request from succeeding.
    pub fn new_token_for(&self, target: &Target) -> Result<OtherToken, Error> {
        self.ask_for(target, &name_of(target), None)
    }

    /// Whether the session's own access token is what `target` asks for.
    pub fn is_own(&self, target: &Target) -> bool {
        let session = self.session();
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names.dedup();
            names
        };
        target.scopes.is_empty()
            && sorted(target.resources.clone()) == sorted(session.resources().to_vec())
            && target
                .audiences
                .iter()
                .map(String::as_str)
                .eq(session.audience())
    }

    /// A kept token that is still good, and for `min_ttl` if that is given.
    pub(crate) fn kept_token(
        &self,
        what: &str,
        min_ttl: Option<Duration>,
    ) -> Result<Option<OtherToken>, Error> {
        let Some(derived) = self.derived(what)? else {
            return Ok(None);
        };
        let life = derived.expires_at.since(derived.obtained_at);
        let left = derived.expires_at.since(self.context().clock().now());
        let enough = min_ttl.unwrap_or_default().min(life / 2);
        Ok(read(&derived).filter(|_| left >= enough))
    }

    /// The kept token if it is good at all, in the place of an accident. What a person has ended is none.
    pub(crate) fn bridged(&self, what: &str, error: Error) -> Result<OtherToken, Error> {
        let ended = matches!(
            error,
            Error::LoginRequired {
                reason: LoginRequired::NoSession | LoginRequired::Rejected,
                ..
            }
        );
        if ended {
            return Err(error);
        }
        self.kept_token(what, None)?.ok_or(error)
    }

    /// Keeps a token until it expires. One that cannot be kept is as good, and can be got again.
    pub(crate) fn keep_token(&self, what: &str, token: &OtherToken) {
        let kept = Kept {
            token: token.token.clone(),
            bound: token.token_type.map(|kind| kind == TokenType::Dpop),
            issued: token.issued.as_ref().map(TokenTypeId::to_string),
            told: token.expires_at.is_some(),
        };
        let until = token.expires_at.unwrap_or(token.obtained_at + UNKNOWN_LIFE);
        if let Ok(text) = serde_json::to_string(&kept) {
            let _ = self.keep_derived(what, &Secret::new(text), until);
        }
    }

    /// Asks the server, unless a kept token turns out to be good for `min_ttl`; without that, in any case.
    fn ask_for(
        &self,
        target: &Target,
        what: &str,
        min_ttl: Option<Duration>,
    ) -> Result<OtherToken, Error> {
        let rejected = match self.ask_under_lock(target, what, min_ttl)? {
            Outcome::Got(token) => return Ok(token),
            Outcome::Rejected(error) => error,
        };
        // Is it the refresh token that is no good, or the API? A renewal that names none will tell, and
        // ends the session if that is what there is to say.
        match self.refresh() {
            Err(error @ Error::LoginRequired { .. }) => Err(error),
            _ => Err(not_given(target, rejected)),
        }
    }

    fn ask_under_lock(
        &self,
        target: &Target,
        what: &str,
        min_ttl: Option<Duration>,
    ) -> Result<Outcome, Error> {
        let (context, name) = (self.context(), self.name());
        let _one = self.one_at_a_time();
        let good = || match min_ttl {
            None => Ok(None),
            Some(_) => self.kept_token(what, min_ttl),
        };
        let awaited = refresh::wait_for_lock_or(
            context,
            name,
            Purpose::Refresh,
            refresh::LOCK_LIMIT,
            || {
                if let Some(kept) = good()? {
                    return Ok(Some(kept));
                }
                let session = context.session(name)?.ok_or_else(|| self.no_session())?;
                check_renewable(&session, name, target).map(|()| None)
            },
        )?;
        let _lock = match awaited {
            Awaited::Lock(lock) => lock,
            Awaited::Other(kept) => return Ok(Outcome::Got(kept)),
        };
        if let Some(kept) = good()? {
            return Ok(Outcome::Got(kept));
        }
        let limit = match self.kept_token(what, None)? {
            Some(_) => BRIDGED_LIMIT,
            None => refresh::RENEWAL_LIMIT,
        };
        let hurried = context.hurried(limit);
        for _ in 0..ATTEMPTS {
            let opened = context
                .opened(name, Opening::Update)?
                .ok_or_else(|| self.no_session())?;
            let session = opened.record;
            check_renewable(&session, name, target)?;
            let spelled = spelled(&session, target)?;
            let means = refresh::means(&session, name)?;
            let provider = Provider::of_session(&hurried, &session)?;
            let (tokens, sent) = match request(&hurried, &provider, &session, &means, &spelled) {
                Ok(answered) => answered,
                Err(error @ Error::Exchange(ExchangeError::RefreshRejected(_))) => {
                    return Ok(Outcome::Rejected(explained(error, session.known_preset())));
                }
                Err(error @ Error::Exchange(ExchangeError::Refused(_))) => {
                    let error = explained(error, session.known_preset());
                    return Err(not_given(target, error));
                }
                Err(error) => return Err(explained(error, session.known_preset())),
            };
            let signed_in_at = session.signed_in_at();
            let repeats = other_api(&session).is_repeated();
            let session = match tokens.refresh_token.clone() {
                None => session,
                Some(next) => refresh::keep(context, name, &opened.origin, session.rotated(next))?,
            };
            let same = session.signed_in_at() == signed_in_at;
            self.adopt(session);
            if !same {
                // Somebody has signed in who did not wait for the lock. It may be somebody else.
                continue;
            }
            if repeats {
                check_audience(context, &provider, target, &tokens.access_token)?;
            }
            let token = OtherToken {
                token_type: Some(tokens.token_type),
                issued: None,
                obtained_at: sent,
                expires_at: tokens.expires_in.map(|lifetime| sent + lifetime),
                token: tokens.access_token,
            };
            self.keep_token(what, &token);
            return Ok(Outcome::Got(token));
        }
        Err(self.no_session())
    }

    pub(crate) fn no_session(&self) -> Error {
        Error::LoginRequired {
            session: self.name().to_string(),
            reason: LoginRequired::NoSession,
        }
    }
}

enum Outcome {
    Got(OtherToken),
    /// The server does not accept the refresh token, or not for this.
    Rejected(Error),
}

/// The name that a token for `target` is kept under: the same for the same, in whatever order.
fn name_of(target: &Target) -> String {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        names
    };
    let parts = (
        sorted(&target.resources),
        sorted(&target.audiences),
        target.scopes.to_string(),
    );
    format!("token {}", serde_json::json!(parts))
}

fn read(derived: &Derived) -> Option<OtherToken> {
    let kept: Kept = serde_json::from_str(derived.value.expose()).ok()?;
    let token_type = |bound| {
        if bound {
            TokenType::Dpop
        } else {
            TokenType::Bearer
        }
    };
    Some(OtherToken {
        token: kept.token,
        token_type: kept.bound.map(token_type),
        issued: kept.issued.as_deref().and_then(TokenTypeId::parse),
        obtained_at: derived.obtained_at,
        expires_at: kept.told.then_some(derived.expires_at),
    })
}

fn other_api(session: &Session) -> OtherApi {
    session
        .known_preset()
        .map_or(OtherApi::Named, |preset| preset.quirks.other_api)
}

/// What is asked for, as the provider of the session wants it said.
fn spelled(session: &Session, target: &Target) -> Result<Target, Error> {
    let offline = session
        .request()
        .scopes
        .iter()
        .any(|scope| scope == "offline_access");
    other_api(session)
        .spelled(target, offline)
        .map_err(|instead| Error::OtherApi {
            target: target.to_string(),
            why: NoOtherApi::Provider(instead),
        })
}

/// Whether there is anything to ask with. A session may be good, and have nothing.
fn check_renewable(
    session: &Session,
    name: &crate::SessionName,
    target: &Target,
) -> Result<(), Error> {
    let can = session.has_refresh_token()
        || session.has_ended()
        || session.flow() == Some(SignIn::ClientCredentials);
    if !can {
        return Err(Error::OtherApi {
            target: target.to_string(),
            why: NoOtherApi::NoRefreshToken,
        });
    }
    refresh::is_renewable(session, name)
}

/// Sends the one request; the answer, and when it was asked for.
fn request(
    context: &Context,
    provider: &Provider,
    session: &Session,
    means: &Means,
    target: &Target,
) -> Result<(TokenResponse, Timestamp), Error> {
    let (clock, metadata) = (context.clock(), provider.metadata());
    let client = session.client()?;
    let attentive = Attentive::new(context.transport(), clock);
    let tokens = match means {
        Means::RefreshToken(token) => {
            let mut flow = RefreshFlow::with(metadata, &client, token, target)?;
            drive(&mut flow, &attentive, clock, &mut Asleep(clock))?
        }
        Means::Credentials => {
            let mut again = session.request().again()?;
            again.resource.clone_from(&target.resources);
            again.audience = target.audiences.first().cloned();
            if !target.scopes.is_empty() {
                again.scopes = target.scopes.clone();
            }
            let mut flow = ClientCredentialsFlow::new(metadata, &client, &again)?;
            drive(&mut flow, &attentive, clock, &mut Asleep(clock))?
        }
    };
    Ok((tokens, attentive.last_sent()))
}

/// Refuses a token that can be seen to be for another API than the one that was asked for. Some servers
/// leave out of a request what they do not know; the token would then be shown to an API that it is none
/// of the business of, by a program that believes it to be meant for there.
pub(crate) fn check_audience(
    context: &Context,
    provider: &Provider,
    target: &Target,
    token: &Secret,
) -> Result<(), Error> {
    // What cannot be verified, or names nobody, cannot be seen.
    let Ok(claims) = provider.verify(context, token.expose()) else {
        return Ok(());
    };
    let Ok(audiences) = claims.string_or_array("aud") else {
        return Ok(());
    };
    let bare = |name: &str| name.strip_suffix('/').unwrap_or(name).to_owned();
    let is_for = |name: &str| {
        audiences
            .iter()
            .any(|audience| bare(audience) == bare(name))
    };
    if audiences.is_empty() || target.names().all(is_for) {
        return Ok(());
    }
    let error = ExchangeError::PeerMisbehaved {
        endpoint: Endpoint::Token,
        what: PeerMisbehaved::OtherAudience {
            expected: printable(&target.names().collect::<Vec<_>>().join(", ")),
            received: printable(&audiences.join(", ")),
        },
    };
    Err(not_given(target, error.into()))
}

pub(crate) fn not_given(target: &Target, error: Error) -> Error {
    let what = format!("the server gives no token for {target}");
    Error::NotGiven(Box::new(NotGiven::new(&what, error)))
}
