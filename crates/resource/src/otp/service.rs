//! Verifies a password of a person, and uses it up.
//!
//! The order is what keeps it honest: an attempt is counted before anything is
//! looked at, so that guesses at the same time cannot outrun the limit; whoever
//! asks claims their challenge when the password is known to be right, so that a
//! wrong one costs no challenge; and the counter of the device moves last, so
//! that a challenge that was answered before costs no password. What cannot be
//! asked refuses.
//!
//! A Yubikey that is not this person's takes the same steps as one that is: its
//! password is decrypted with secrets that nobody has, and as many attempts are
//! counted.
//!
//! Not responsible for enrolment (`enrol`), nor for who may ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::crypto as jose_crypto;
use countersign_otp::crypto::{Crypto, aws_lc};
use countersign_otp::oath::{Code, Enrolment, Totp, TotpMatch};
use countersign_otp::yubico::{Decrypted, Keyboard, Otp, Secrets};
use countersign_otp::{Counter, Replayed, Unspent};

use super::device::{Device, DeviceId, DeviceKind, Devices};
use super::seal::{Place, SealError, SealingKeys};
use super::{Confirmed, Method, OtpError, Person, Typed, memory};
use crate::state::{Advance, Attempt, Claim, Key, SharedState, StateError};
use crate::{Clock, Error, SystemClock, Timestamp};

/// How many wrong passwords there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtpLimits {
    failures: u32,
    window: Duration,
}

impl OtpLimits {
    /// So many wrong ones within so long, of each person and of each device;
    /// then nothing is looked at until that time is over. At least one, at most
    /// 100; at least a second, at most a day.
    pub fn new(failures: u32, window: Duration) -> Self {
        Self {
            failures: failures.clamp(1, 100),
            window: window.clamp(Duration::from_secs(1), Duration::from_secs(24 * 3600)),
        }
    }
}

/// Five in 15 minutes: whoever guesses at six digits needs years.
impl Default for OtpLimits {
    fn default() -> Self {
        Self::new(5, Duration::from_secs(15 * 60))
    }
}

/// Verifies the one-time passwords of people. Cheap to clone.
#[derive(Clone)]
pub struct OtpService {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) devices: Arc<dyn Devices>,
    pub(super) keys: SealingKeys,
    pub(super) state: Arc<dyn SharedState>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) crypto: Crypto,
    limits: OtpLimits,
    decoy: Decoy,
}

/// A device that nobody has, for passwords of devices that are not there.
struct Decoy {
    device: Device,
}

/// Builds an [`OtpService`].
#[must_use]
pub struct OtpServiceBuilder {
    devices: Arc<dyn Devices>,
    keys: SealingKeys,
    state: Arc<dyn SharedState>,
    clock: Arc<dyn Clock>,
    limits: OtpLimits,
}

impl OtpServiceBuilder {
    /// Other limits for wrong passwords.
    pub fn limits(mut self, limits: OtpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn build(self) -> Result<OtpService, Error> {
        let random = |error: &str| Error::Random(error.into());
        let mut bytes = [0; 38];
        jose_crypto::aws_lc::provider()
            .fill_random(&mut bytes)
            .map_err(|error| Error::Random(error.into()))?;
        let (id, secrets) = bytes
            .split_first_chunk::<16>()
            .ok_or_else(|| random("too few"))?;
        let mut device = Device {
            id: DeviceId::from_random(*id),
            issuer: String::new(),
            subject: String::new(),
            kind: DeviceKind::Yubikey,
            label: String::new(),
            public_id: None,
            enrolled_at: Timestamp::UNIX_EPOCH,
            last_used_at: None,
            sealed: Vec::new(),
        };
        device.sealed = self
            .keys
            .seal(&Place::of(&device), secrets)
            .map_err(|error| Error::Random(error.into()))?;
        Ok(OtpService {
            inner: Arc::new(Inner {
                devices: self.devices,
                keys: self.keys,
                state: self.state,
                clock: self.clock,
                crypto: aws_lc::provider(),
                limits: self.limits,
                decoy: Decoy { device },
            }),
        })
    }
}

impl fmt::Debug for OtpServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpServiceBuilder")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A right password, of which nobody has said yet that it was not used before.
enum Right {
    Yubikey(Unspent<Decrypted>),
    Totp(Unspent<TotpMatch>),
}

impl Right {
    fn position(&self) -> u64 {
        match self {
            Self::Yubikey(unspent) => unspent.position(),
            Self::Totp(unspent) => unspent.position(),
        }
    }

    fn settle(self, outcome: Counter) -> Result<(), Replayed> {
        match self {
            Self::Yubikey(unspent) => unspent.settle(outcome).map(drop),
            Self::Totp(unspent) => unspent.settle(outcome).map(drop),
        }
    }
}

/// A right password, and the device that made it.
struct Found {
    right: Right,
    device: Device,
    counter: Key,
}

impl OtpService {
    /// A service over these devices, opened by these keys. `state` remembers
    /// what was used; it must outlive this process (see
    /// [`SharedState::advance`]).
    pub fn builder(
        devices: Arc<dyn Devices>,
        keys: SealingKeys,
        state: Arc<dyn SharedState>,
    ) -> OtpServiceBuilder {
        OtpServiceBuilder {
            devices,
            keys,
            state,
            clock: Arc::new(SystemClock::default()),
            limits: OtpLimits::default(),
        }
    }

    /// The memory of what was used: the right one for challenges, too.
    pub fn state(&self) -> &Arc<dyn SharedState> {
        &self.inner.state
    }

    /// What the devices of this person are for, the best first.
    ///
    /// # Errors
    ///
    /// [`OtpError::Unavailable`].
    pub async fn methods(&self, who: Person<'_>) -> Result<Vec<Method>, OtpError> {
        Ok(memory::methods(&self.inner.devices.of(who).await?))
    }

    /// Verifies a password of this person, and uses it up: of any number of
    /// calls with one password, on any number of replicas, at most one is told
    /// that it was right.
    ///
    /// `claim` is awaited when the password is right and before it is used up:
    /// there whoever asks claims the challenge that it answers.
    ///
    /// # Errors
    ///
    /// Any [`OtpError`]. Only [`OtpError::Replayed`] says something about the
    /// password that is not known to everybody: it was right once.
    pub async fn verify<C>(
        &self,
        who: Person<'_>,
        typed: &Typed,
        claim: C,
    ) -> Result<Confirmed, OtpError>
    where
        C: Future<Output = Result<Claim, StateError>> + Send,
    {
        let inner = &*self.inner;
        let mut devices = inner.devices.of(who).await?;
        devices.retain(|device| device.kind.method() == typed.method());
        if devices.is_empty() {
            return Err(OtpError::NoDevice);
        }
        let now = inner.clock.now();
        let found = match typed.method() {
            Method::Yubikey => inner.yubikey(who, devices, typed, now).await?,
            Method::Totp => inner.totp(who, devices, typed, now).await?,
        };
        match claim.await? {
            Claim::First => {}
            Claim::Again => return Err(OtpError::ChallengeUsed),
        }
        let moved = inner
            .state
            .advance(&found.counter, found.right.position())
            .await?;
        found
            .right
            .settle(match moved {
                Advance::Moved => Counter::Moved,
                Advance::Behind => Counter::Behind,
            })
            .map_err(|_: Replayed| OtpError::Replayed)?;

        // It counts already. What cannot be noted now makes the next mistakes
        // count a little earlier, and the list a little older.
        let device = found.device;
        let _ = inner.state.forgive(&person_key(who)).await;
        let _ = inner.state.forgive(&device_key(&device.id)).await;
        let _ = inner.devices.used(&device.id, now).await;
        Ok(Confirmed {
            method: typed.method(),
            device: device.id,
            label: device.label,
        })
    }
}

impl Inner {
    async fn yubikey(
        &self,
        who: Person<'_>,
        devices: Vec<Device>,
        typed: &Typed,
        now: Timestamp,
    ) -> Result<Found, OtpError> {
        let otp =
            Otp::parse_typed(typed.otp().expose(), Keyboard::Usual).map_err(|_| OtpError::Wrong)?;
        let named = |device: &Device| device.public_id.as_deref() == Some(otp.public_id().as_str());
        let own = devices.into_iter().find(named);
        self.count(&person_key(who), now).await?;
        let own_key = match &own {
            Some(device) => device_key(&device.id),
            None => Key::new(
                "otp-unknown",
                &[who.issuer.as_bytes(), who.subject.as_bytes()],
            ),
        };
        self.count(&own_key, now).await?;

        let device = own.as_ref().unwrap_or(&self.decoy.device);
        let secrets = self.yubikey_secrets(device)?;
        let unspent = secrets.decrypt(&otp).map_err(|_| OtpError::Wrong)?;
        let counter = yubikey_counter(otp.public_id().as_str(), Some(&secrets));
        match own {
            Some(device) => Ok(Found {
                right: Right::Yubikey(unspent),
                device,
                counter,
            }),
            None => Err(OtpError::Wrong),
        }
    }

    async fn totp(
        &self,
        who: Person<'_>,
        devices: Vec<Device>,
        typed: &Typed,
        now: Timestamp,
    ) -> Result<Found, OtpError> {
        let code = Code::parse_typed(typed.otp().expose()).map_err(|_| OtpError::Wrong)?;
        self.count(&person_key(who), now).await?;
        let mut locked = None;
        let mut found = None;
        for device in devices {
            // One that is guessed at too often is left out; the others are not
            // its fault.
            match self.count(&device_key(&device.id), now).await {
                Err(OtpError::Locked { until }) => locked = locked.max(Some(until)),
                Err(error) => return Err(error),
                Ok(()) => {
                    let totp = self.totp_secrets(&device)?;
                    // Each is computed, also after one was right.
                    let right = totp.verify(&code, since_epoch(now), self.crypto);
                    if let Ok(unspent) = right
                        && found.is_none()
                    {
                        found = Some(Found {
                            right: Right::Totp(unspent),
                            counter: totp_counter(&device.id),
                            device,
                        });
                    }
                }
            }
        }
        match (found, locked) {
            (Some(found), _) => Ok(found),
            (None, Some(until)) => Err(OtpError::Locked { until }),
            (None, None) => Err(OtpError::Wrong),
        }
    }

    /// Counts an attempt before it is made.
    async fn count(&self, key: &Key, now: Timestamp) -> Result<(), OtpError> {
        let OtpLimits { failures, window } = self.limits;
        match self.state.attempt(key, failures, now + window, now).await? {
            Attempt::Allowed => Ok(()),
            Attempt::Exhausted { until } => Err(OtpError::Locked { until }),
        }
    }

    pub(super) fn yubikey_secrets(&self, device: &Device) -> Result<Secrets, OtpError> {
        let bytes = self.open(device)?;
        let secrets = bytes
            .split_first_chunk()
            .and_then(|(id, key)| Some(Secrets::new(*id, key.try_into().ok()?)));
        secrets.ok_or_else(|| unavailable(SealError::DoesNotOpen))
    }

    pub(super) fn totp_secrets(&self, device: &Device) -> Result<Totp, OtpError> {
        let bytes = self.open(device)?;
        let totp = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|uri| Enrolment::parse(uri).ok()?.as_totp().cloned());
        totp.ok_or_else(|| unavailable(SealError::DoesNotOpen))
    }

    fn open(&self, device: &Device) -> Result<zeroize::Zeroizing<Vec<u8>>, OtpError> {
        self.keys
            .open(&Place::of(device), &device.sealed)
            .map_err(unavailable)
    }
}

impl fmt::Debug for OtpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpService")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

fn unavailable(error: SealError) -> OtpError {
    OtpError::Unavailable(error.into())
}

pub(super) fn since_epoch(now: Timestamp) -> Duration {
    now.since(Timestamp::UNIX_EPOCH)
}

/// The attempts of a person.
pub(super) fn person_key(who: Person<'_>) -> Key {
    Key::new(
        "otp-person",
        &[who.issuer.as_bytes(), who.subject.as_bytes()],
    )
}

/// The attempts at a device.
pub(super) fn device_key(id: &DeviceId) -> Key {
    Key::new("otp-device", &[id.as_str().as_bytes()])
}

/// The counter of an authenticator. A secret is never enrolled twice.
pub(super) fn totp_counter(id: &DeviceId) -> Key {
    Key::new("otp-totp", &[id.as_str().as_bytes()])
}

/// The counter of a Yubikey: of the key itself and not of its enrolment, so that
/// nothing can be used again once the key was removed and enrolled anew. One
/// that was programmed anew counts from the beginning.
pub(super) fn yubikey_counter(public_id: &str, secrets: Option<&Secrets>) -> Key {
    let (private_id, aes_key) = secrets.map(Secrets::expose).unzip();
    let private_id = private_id.map_or(&[][..], |it| &it[..]);
    let aes_key = aes_key.map_or(&[][..], |it| &it[..]);
    Key::new("otp-yubikey", &[public_id.as_bytes(), private_id, aes_key])
}
