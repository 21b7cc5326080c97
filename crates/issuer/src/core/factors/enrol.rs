//! A second factor is set up or taken away, by the person whose it is.
//!
//! An authenticator's secret is made here, shown once, and stored only when a
//! code of it has come back; until then it travels in the form, sealed and
//! bound to the session that it was shown to. A Yubikey is claimed by touching
//! it: it has to be one that was imported here, for this account or for
//! whoever has it, or one that validation servers know. Both give the browser a new session, which has proved them.
//!
//! The first factor of an account ends its other browser sessions, which have
//! proved a password alone, and brings the recovery codes.

use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use countersign_otp::oath::{self, Code, Totp};
use countersign_otp::validation::Undecided;
use countersign_otp::yubico::{Keyboard, Otp};
use zeroize::Zeroizing;

use super::prove::since_1970;
use super::sealing::FactorSecret;
use super::servers::Judged;
use super::{Claimant, Factor, FactorId, FactorKind, Holder};
use crate::core::limits::{Counter, Limited};
use crate::core::sessions::SignedIn;
use crate::core::{BrowserSession, Core, Error, Missing, NewSession, Proven, SecondFactor, sealed};
use crate::storage::StorageError;

/// How many factors somebody may have.
const MOST: usize = 8;
const OFFER: &[u8] = b"countersign authenticator offer v1\0";
const FACTOR: &[u8] = b"countersign authenticator v1\0";
const SECRET_LENGTH: usize = 20;

/// An authenticator that may be set up.
#[derive(Debug)]
pub struct TotpOffer {
    /// The secret, for a form: sealed, and good for a while and this session.
    pub sealed: Secret,
    /// The secret in Base32, to be typed.
    pub secret: Secret,
    /// The `otpauth` address, for a QR code.
    pub uri: Secret,
}

/// The outcome of setting up a factor.
#[derive(Debug)]
#[non_exhaustive]
pub enum Enrolment {
    /// It is there.
    Done(Enrolled),
    /// This has to be done first.
    Missing(Missing),
    /// It is not; the reason is for the person.
    Refused(EnrolmentRefused),
    /// Nobody can tell now whether the key is right: the servers that could are
    /// away.
    Undecided(Undecided),
    /// Too many attempts.
    Limited {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// A factor that was set up.
#[derive(Debug)]
pub struct Enrolled {
    /// The browser's new session; put the token into its cookie.
    pub session: NewSession,
    /// The recovery codes, with the first factor: to be shown once.
    pub recovery_codes: Vec<Secret>,
}

/// Why a factor cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnrolmentRefused {
    /// The authenticator would show another code now.
    WrongCode,
    /// The secret was offered too long ago, or to another session.
    OfferExpired,
    /// It is not what a Yubikey types.
    NoOtp,
    /// The key was not imported, is somebody else's, or made this password
    /// before.
    UnknownKey,
    /// The account has as many as it may have.
    TooMany,
    /// The account or the sign-in has changed meanwhile.
    Gone,
}

impl Core {
    /// Offers an authenticator's secret. Nothing is stored.
    pub fn offer_totp(&self, claimant: Claimant<'_>, now: Timestamp) -> Result<TotpOffer, Error> {
        let mut secret = [0_u8; SECRET_LENGTH];
        self.provider.fill_random(&mut secret)?;
        let mut value = Zeroizing::new(Vec::with_capacity(64));
        value.extend_from_slice(&now.as_millis().to_be_bytes());
        value.extend_from_slice(&claimant.session().id);
        value.extend_from_slice(&secret);
        let sealed = sealed::seal(OFFER, &value, self.keys().token_key(), self.provider);
        self.offer(claimant, Secret::from(sealed), secret)
    }

    /// The offer of a form, if it was made to this session and not too long ago.
    pub fn resume_totp_offer(
        &self,
        claimant: Claimant<'_>,
        sealed: &Secret,
        now: Timestamp,
    ) -> Result<Option<TotpOffer>, Error> {
        match self.offered(claimant, sealed, now) {
            Some(secret) => self.offer(claimant, sealed.clone(), secret).map(Some),
            None => Ok(None),
        }
    }

    /// Sets an authenticator up that shows this code now.
    pub async fn enrol_totp(
        &self,
        claimant: Claimant<'_>,
        offer: &Secret,
        typed: &Secret,
        now: Timestamp,
    ) -> Result<Enrolment, Error> {
        if let Some(missing) = self.missing_for_factors(claimant, now)? {
            return Ok(Enrolment::Missing(missing));
        }
        let Some(secret) = self.offered(claimant, offer, now) else {
            return Ok(Enrolment::Refused(EnrolmentRefused::OfferExpired));
        };
        // An offer makes one factor, however often it is sent.
        let mut id: FactorId = [0; 16];
        let named = Zeroizing::new([FACTOR, &secret[..]].concat());
        let digest = self.provider.hmac_sha256(self.keys().token_key(), &named);
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        let secret = oath::Secret::from_random(secret);
        let code = Code::parse_typed(typed.expose()).ok();
        let unspent = code.and_then(|code| {
            let totp = Totp::new(secret.clone());
            totp.verify(&code, since_1970(now), self.otp).ok()
        });
        let Some(unspent) = unspent else {
            return Ok(Enrolment::Refused(EnrolmentRefused::WrongCode));
        };
        let kind = FactorKind::Totp;
        let holder = Holder::Account(claimant.account().id.clone());
        let factor = Factor {
            secret: self.seal_secret(&id, &kind, &holder, &FactorSecret::Totp(secret))?,
            id,
            kind,
            holder,
            // The code that was typed is used up.
            position: Some(unspent.position()),
            since: now,
            used_at: Some(now),
        };
        self.enrol(claimant, factor, None, SecondFactor::Totp, now)
            .await
    }

    /// Claims the Yubikey that typed this.
    pub async fn enrol_yubikey(
        &self,
        claimant: Claimant<'_>,
        typed: &Secret,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Enrolment, Error> {
        if let Some(missing) = self.missing_for_factors(claimant, now)? {
            return Ok(Enrolment::Missing(missing));
        }
        let Ok(otp) = Otp::parse_typed(typed.expose(), Keyboard::Usual) else {
            return Ok(Enrolment::Refused(EnrolmentRefused::NoOtp));
        };
        let attempt = match self.limiter.take([Counter::FactorsFrom(peer)], now) {
            Ok(attempt) => attempt,
            Err(Limited { retry_after }) => return Ok(Enrolment::Limited { retry_after }),
        };
        let account_id = &claimant.account().id;
        let key = self
            .store
            .read(|records| records.key(otp.public_id().as_str()))?;
        let claimable = match &key {
            Some(key) => match &key.holder {
                Holder::Anyone => true,
                Holder::ReservedFor(reserved_for) => reserved_for == account_id,
                Holder::Account(_) => false,
            },
            None => self.asks_key_servers() && !otp.public_id().is_empty(),
        };
        if !claimable {
            return Ok(Enrolment::Refused(EnrolmentRefused::UnknownKey));
        }
        let claimed = match &key {
            Some(key) => key.clone(),
            None => self.key_elsewhere(&otp, now)?,
        };
        let position = match self.judge(&claimed, &otp, now).await? {
            Judged::Right(position) if claimed.position < Some(position) => position,
            Judged::Undecided(undecided) => {
                attempt.give_back();
                return Ok(Enrolment::Undecided(undecided));
            }
            _ => return Ok(Enrolment::Refused(EnrolmentRefused::UnknownKey)),
        };
        let holder = Holder::Account(account_id.clone());
        let factor = Factor {
            position: Some(position),
            since: now,
            used_at: Some(now),
            ..self.held_by(&claimed, holder)?
        };
        let enrolled = self
            .enrol(claimant, factor, key, SecondFactor::Yubikey, now)
            .await?;
        if let Enrolment::Done(_) = enrolled {
            attempt.give_back();
        }
        Ok(enrolled)
    }

    /// A key that was never imported.
    fn key_elsewhere(&self, otp: &Otp, now: Timestamp) -> Result<Factor, Error> {
        let (id, holder) = (self.random_factor_id()?, Holder::Anyone);
        let kind = FactorKind::Yubikey {
            public_id: otp.public_id().as_str().to_owned(),
        };
        Ok(Factor {
            secret: self.seal_secret(&id, &kind, &holder, &FactorSecret::Elsewhere)?,
            id,
            kind,
            holder,
            position: None,
            since: now,
            used_at: None,
        })
    }

    /// Takes a factor away; whether it was there. A Yubikey can be claimed
    /// again by the same account, and from there on only.
    pub async fn remove_factor(
        &self,
        session: &BrowserSession,
        id: &FactorId,
        now: Timestamp,
    ) -> Result<Result<bool, Missing>, Error> {
        if let Some(missing) = self.missing_for_factors(Claimant::SignedIn(session), now)? {
            return Ok(Err(missing));
        }
        let account_id = session.account.id.clone();
        let factors = self.factors(&account_id)?;
        let Some(factor) = factors.into_iter().find(|factor| factor.id == *id) else {
            return Ok(Ok(false));
        };
        let kept = match &factor.kind {
            FactorKind::Totp => None,
            FactorKind::Yubikey { .. } => {
                Some(self.held_by(&factor, Holder::ReservedFor(account_id.clone()))?)
            }
        };
        let removed = self.store.write(move |records| {
            let Some(current) = records.factor(&factor.id)? else {
                return Ok(false);
            };
            if current.holder != factor.holder {
                return Ok(false);
            }
            match kept {
                Some(kept) => records.put_factor(&Factor {
                    position: current.position,
                    ..kept
                })?,
                None => {
                    records.remove_factor(&current.id)?;
                }
            }
            if records.factors_of(&account_id)?.is_empty() {
                records.set_recovery_codes(&account_id, &[])?;
            }
            Ok(true)
        });
        Ok(Ok(removed.await?))
    }

    /// Gives somebody other recovery codes; those before are good no more.
    pub async fn renew_recovery_codes(
        &self,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<Result<Vec<Secret>, Missing>, Error> {
        let account_id = session.account.id.clone();
        if let Some(missing) = self.missing_for_factors(Claimant::SignedIn(session), now)? {
            return Ok(Err(missing));
        }
        let (codes, digests) = self.make_recovery_codes(&account_id)?;
        let renewed = self.store.write(move |records| {
            if records.factors_of(&account_id)?.is_empty() {
                return Ok(false);
            }
            records.set_recovery_codes(&account_id, &digests)?;
            Ok(true)
        });
        Ok(Ok(if renewed.await? { codes } else { Vec::new() }))
    }

    /// The same factor under another holder.
    pub(super) fn held_by(&self, factor: &Factor, holder: Holder) -> Result<Factor, Error> {
        let secret = self.open_secret(factor)?;
        Ok(Factor {
            secret: self.seal_secret(&factor.id, &factor.kind, &holder, &secret)?,
            holder,
            ..factor.clone()
        })
    }

    async fn enrol(
        &self,
        claimant: Claimant<'_>,
        factor: Factor,
        before: Option<Factor>,
        proved: SecondFactor,
        now: Timestamp,
    ) -> Result<Enrolment, Error> {
        let old = claimant.session();
        let account_id = old.account.id.clone();
        let halfway = matches!(claimant, Claimant::Halfway(_));
        let signed_in = SignedIn {
            at: if halfway { now } else { old.authenticated_at },
            second: Some(Proven {
                factor: proved,
                at: now,
            }),
        };
        let (session, record) = self.new_session(&account_id, signed_in, now)?;
        let (codes, digests) = self.make_recovery_codes(&account_id)?;
        let old = old.id;
        let enrolled = self.store.write(move |records| {
            let account = records.account(&account_id)?;
            let live = account.is_some_and(|account| !account.disabled)
                && records
                    .session(&old)?
                    .is_some_and(|session| now < session.expires_at);
            // As it was looked at: neither enrolled nor claimed meanwhile.
            let newcomer = factor.kind.public_id().filter(|_| before.is_none());
            let taken = match newcomer {
                Some(public_id) => records.key(public_id)?.is_some(),
                None => false,
            };
            if !live || taken || records.factor(&factor.id)? != before {
                return Ok(Err(EnrolmentRefused::Gone));
            }
            let others = records.factors_of(&account_id)?.len();
            if halfway && others > 0 {
                // Only who has none may set one up on the way in.
                return Ok(Err(EnrolmentRefused::Gone));
            }
            if others >= MOST {
                return Ok(Err(EnrolmentRefused::TooMany));
            }
            records.put_factor(&factor)?;
            if others == 0 {
                records.set_recovery_codes(&account_id, &digests)?;
                records.end_sessions_of(&account_id)?;
            }
            records.remove_session(&old)?;
            records.add_session(&record)?;
            Ok::<_, StorageError>(Ok(others == 0))
        });
        Ok(match enrolled.await? {
            Ok(is_first) => Enrolment::Done(Enrolled {
                session,
                recovery_codes: if is_first { codes } else { Vec::new() },
            }),
            Err(refused) => Enrolment::Refused(refused),
        })
    }

    fn offer(
        &self,
        claimant: Claimant<'_>,
        sealed: Secret,
        secret: [u8; SECRET_LENGTH],
    ) -> Result<TotpOffer, Error> {
        let secret = oath::Secret::from_random(secret);
        let base32 = Secret::from(secret.to_base32().to_string());
        let username = &claimant.account().username;
        let named =
            |issuer: &str| oath::Enrolment::totp(issuer, username, Totp::new(secret.clone()));
        // What stands beside the code in an authenticator. An IPv6 address, or a
        // name that is too long, cannot stand there; a user name always can.
        let host = self.issuer.as_url().host_str().unwrap_or_default();
        let enrolment = named(host)
            .or_else(|_| named("Countersign"))
            .map_err(|_| Error::SealedFactor)?;
        Ok(TotpOffer {
            uri: Secret::from(enrolment.to_uri().to_string()),
            secret: base32,
            sealed,
        })
    }

    fn offered(
        &self,
        claimant: Claimant<'_>,
        sealed: &Secret,
        now: Timestamp,
    ) -> Option<[u8; SECRET_LENGTH]> {
        let keys = self.keys();
        let value = sealed::open(OFFER, sealed.expose(), keys.token_key(), self.provider)?;
        let value = Zeroizing::new(value);
        let (made_at, rest) = value.split_first_chunk::<8>()?;
        let (session, secret) = rest.split_first_chunk::<32>()?;
        let made_at = Timestamp::from_millis(i64::from_be_bytes(*made_at));
        let good =
            *session == claimant.session().id && now.since(made_at) <= self.lifetimes.factor_change;
        good.then(|| secret.try_into().ok()).flatten()
    }
}
