//! What an authorization server publishes about itself: metadata and keys, from cache where sound.

use std::time::Duration;

use countersign_jose::crypto::ring;
use countersign_jose::{Algorithm, Claims, KeySet, Unverified, Verified};
use countersign_oauth::preset::{MetadataSource, Preset};
use countersign_oauth::{
    Discovery, Endpoint, EndpointOverrides, Error as ExchangeError, Issuer, KeysFlow, Metadata,
    id_token, text::printable,
};

use crate::cache::Cache;
use crate::drive::{Asleep, Attentive, drive};
use crate::offset::Offset;
use crate::session::CheckedIdToken;
use crate::{Context, Error, Identity, Secret, Session};

/// Keys that are younger than this are not fetched again, however unknown the key that is looked for:
/// otherwise a stream of forged tokens would be a stream of requests.
const KEYS_COOLDOWN: Duration = Duration::from_secs(10);

/// An authorization server, discovered.
#[derive(Debug, Clone)]
pub struct Provider {
    metadata: Metadata,
}

/// Keys, and whether there is a point in fetching them again.
pub(crate) struct Keys {
    set: KeySet,
    settled: bool,
}

/// An ID token, and what is to be found out about it.
pub(crate) struct IdTokenCheck<'a> {
    pub(crate) context: &'a Context,
    pub(crate) token: &'a Secret,
    pub(crate) expected: &'a id_token::Expected,
    pub(crate) offset: Offset,
}

impl Provider {
    /// Learns what `issuer` publishes, from the cache while that is fresh, and puts `overrides` in
    /// its place.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the server is out of reach or publishes nothing usable.
    pub fn discover(
        context: &Context,
        issuer: &str,
        overrides: &EndpointOverrides,
    ) -> Result<Self, Error> {
        let issuer = Issuer::parse(issuer).map_err(ExchangeError::from)?;
        let clock = context.clock();
        let cache = Cache::of(context);
        let about = format!("metadata of {issuer}");
        let kept = cache.fresh::<Metadata>(&about, clock.now());
        let mut metadata = match kept {
            Some((metadata, _)) if metadata.issuer == issuer => metadata,
            _ => {
                let attentive = Attentive::new(context.transport(), clock);
                let mut flow = Discovery::new(&issuer);
                let metadata = drive(&mut flow, &attentive, clock, &mut Asleep(clock))?;
                cache.keep(
                    &about,
                    metadata.clone(),
                    attentive.max_age(),
                    attentive.last_sent(),
                );
                metadata
            }
        };
        metadata.apply(overrides)?;
        Ok(Self { metadata })
    }

    /// The same of a provider that is known: where it publishes nothing, what is known of it takes the
    /// place, or what is configured.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn known(
        context: &Context,
        issuer: &str,
        overrides: &EndpointOverrides,
        preset: Option<&'static Preset>,
    ) -> Result<Self, Error> {
        let parsed = Issuer::parse(issuer).map_err(ExchangeError::from)?;
        match preset.and_then(|preset| Self::unpublished(&parsed, overrides, preset)) {
            Some(known) => known,
            None => Self::discover(context, issuer, overrides),
        }
    }

    /// A provider that publishes nothing; `None` when it may.
    pub(crate) fn unpublished(
        issuer: &Issuer,
        overrides: &EndpointOverrides,
        preset: &'static Preset,
    ) -> Option<Result<Self, Error>> {
        let configured = preset.quirks.metadata == MetadataSource::Configured
            && overrides.token_endpoint.is_some();
        let metadata = preset
            .static_metadata(issuer)
            .or_else(|| configured.then(|| Metadata::new(issuer.clone())))?;
        Some(Self::from_metadata(metadata, overrides))
    }

    /// A server whose metadata is at hand, with `overrides` in its place.
    ///
    /// # Errors
    /// [`Error::Exchange`] when an override is no address that secrets may be sent to.
    pub(crate) fn from_metadata(
        mut metadata: Metadata,
        overrides: &EndpointOverrides,
    ) -> Result<Self, Error> {
        metadata.apply(overrides)?;
        Ok(Self { metadata })
    }

    /// The server that `session` was made at.
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub fn of_session(context: &Context, session: &Session) -> Result<Self, Error> {
        let endpoints = &session.request().endpoints;
        Self::known(context, session.issuer(), endpoints, session.known_preset())
    }

    /// The issuer identifier.
    pub fn issuer(&self) -> &str {
        self.metadata.issuer.as_str()
    }

    /// What the server publishes, with the overrides in place.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The server's keys, from the cache while that is fresh.
    ///
    /// # Errors
    /// [`Error::Exchange`] when they cannot be fetched or used.
    pub fn keys(&self, context: &Context) -> Result<KeySet, Error> {
        Ok(self.some_keys(context)?.set)
    }

    /// Checks the signature of any JWT of this server and reads its claims. If the key is unknown,
    /// the keys are fetched once more. No claim is looked at but `iss`, which must be this server.
    ///
    /// # Errors
    /// [`Error::Token`] and [`Error::ForeignToken`] when the token is not of this server,
    /// [`Error::Exchange`] when its keys cannot be had.
    pub fn verify(&self, context: &Context, token: &str) -> Result<Verified<Claims>, Error> {
        let unverified = Unverified::<Claims>::parse(token).map_err(Error::Token)?;
        let keys = self.some_keys(context)?;
        let claims = self.with_keys(context, &keys, &mut || Ok(()), |keys| {
            unverified.verify(keys, &Algorithm::ALL).map_err(|error| {
                let stale = error.may_be_stale_keys();
                (Error::Token(error), stale)
            })
        })?;
        match claims.str("iss").map_err(Error::Token)? {
            Some(issuer) if issuer == self.issuer() => Ok(claims),
            other => Err(Error::ForeignToken {
                expected: self.issuer().to_owned(),
                received: other.map(printable),
            }),
        }
    }

    /// Checks an ID token in full (`OpenID` Connect Core, section 3.1.3.7), at the server's time.
    pub(crate) fn check_id_token(
        &self,
        context: &Context,
        token: &Secret,
        expected: &id_token::Expected,
        offset: Offset,
    ) -> Result<CheckedIdToken, Error> {
        let check = IdTokenCheck {
            context,
            token,
            expected,
            offset,
        };
        self.check_id_token_with(&check, None, &mut || Ok(()))
    }

    /// The same with `keys`, if they are at hand. `before_asking` is called before the server is asked for
    /// any.
    pub(crate) fn check_id_token_with(
        &self,
        check: &IdTokenCheck<'_>,
        keys: Option<Keys>,
        before_asking: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<CheckedIdToken, Error> {
        let IdTokenCheck {
            context,
            token,
            expected,
            offset,
        } = check;
        let now = offset.server_time(context.clock().now());
        let unverified = id_token::parse(token)?;
        let at_hand = keys.or_else(|| self.kept_keys(context).ok().flatten());
        let keys = if let Some(keys) = at_hand {
            keys
        } else {
            before_asking()?;
            self.some_keys(context)?
        };
        let verified = self.with_keys(context, &keys, before_asking, |keys| {
            id_token::verify(&unverified, keys, expected, now).map_err(|error| {
                let stale = error.may_be_stale_keys();
                (error.into(), stale)
            })
        })?;
        Ok(CheckedIdToken {
            token: (*token).clone(),
            identity: Identity::of(&verified),
            expires_at: offset.our_time(verified.expires_at()),
        })
    }

    /// Runs `check` with `keys`, and once more with newer ones if it says that the keys may be out of
    /// date.
    fn with_keys<T>(
        &self,
        context: &Context,
        keys: &Keys,
        before_asking: &mut dyn FnMut() -> Result<(), Error>,
        check: impl Fn(&KeySet) -> Result<T, (Error, bool)>,
    ) -> Result<T, Error> {
        match check(&keys.set) {
            Err((_, true)) if !keys.settled => {
                before_asking()?;
                check(&self.fetch_keys(context)?).map_err(|(error, _)| error)
            }
            decided => decided.map_err(|(error, _)| error),
        }
    }

    /// The server's keys from the cache, if they are fresh there.
    fn kept_keys(&self, context: &Context) -> Result<Option<Keys>, Error> {
        let now = context.clock().now();
        let kept = Cache::of(context).fresh::<String>(&self.about_keys()?, now);
        Ok(kept.and_then(|(document, fetched_at)| {
            let set = KeySet::from_json(document.as_bytes(), ring::provider()).ok()?;
            Some(Keys {
                set,
                settled: now.since(fetched_at) < KEYS_COOLDOWN,
            })
        }))
    }

    /// The server's keys, from the cache while that is fresh.
    pub(crate) fn some_keys(&self, context: &Context) -> Result<Keys, Error> {
        if let Some(kept) = self.kept_keys(context)? {
            return Ok(kept);
        }
        Ok(Keys {
            set: self.fetch_keys(context)?,
            settled: true,
        })
    }

    fn fetch_keys(&self, context: &Context) -> Result<KeySet, Error> {
        let clock = context.clock();
        let asked_at = clock.now();
        let mut flow = KeysFlow::new(&self.metadata, ring::provider())?;
        let fetched = drive(&mut flow, context.transport(), clock, &mut Asleep(clock))?;
        if let Ok(document) = String::from_utf8(fetched.json) {
            Cache::of(context).keep(&self.about_keys()?, document, fetched.max_age, asked_at);
        }
        Ok(fetched.keys)
    }

    fn about_keys(&self) -> Result<String, Error> {
        Ok(format!(
            "keys at {}",
            self.metadata.endpoint(Endpoint::Keys)?
        ))
    }
}
