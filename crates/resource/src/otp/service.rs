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

use countersign_oauth::Secret;
use countersign_otp::crypto::{Crypto, aws_lc};
use countersign_otp::oath::{Code, Totp, TotpMatch};
use countersign_otp::validation::{Accepted, Outcome, Status};
use countersign_otp::yubico::{Decrypted, Keyboard, Otp};
use countersign_otp::{Counter, Replayed, Unspent};

use super::device::{Device, DeviceId, DeviceKind, Devices, methods};
use super::seal::{Place, SealError, SealingKeys};
use super::secrets::random;
use super::servers::ValidationServers;
use super::{Confirmed, Method, OtpError, Person, Typed, secrets};
use crate::state::{Advance, Attempt, Claim, Key, SharedState, StateError};
use crate::{Clock, Error, SystemClock, Timestamp};

/// How long a password is remembered of which nobody says where it stands in the
/// order of its key.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The secrets of a Yubikey, in bytes.
const SECRETS: usize = 22;

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
    servers: Option<ValidationServers>,
    limits: OtpLimits,
    /// A device that nobody has, for passwords of devices that are not there.
    decoy: Device,
}

/// Builds an [`OtpService`].
#[must_use]
pub struct OtpServiceBuilder {
    devices: Arc<dyn Devices>,
    keys: SealingKeys,
    state: Arc<dyn SharedState>,
    clock: Arc<dyn Clock>,
    servers: Option<ValidationServers>,
    limits: OtpLimits,
}

impl OtpServiceBuilder {
    /// Who is asked about Yubikeys whose secrets are not here.
    pub fn servers(mut self, servers: ValidationServers) -> Self {
        self.servers = Some(servers);
        self
    }

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
        let (id, secrets) = (random()?, random::<SECRETS>()?);
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
            .seal(&Place::of(&device), &*secrets)
            .map_err(|error| Error::Random(error.into()))?;
        Ok(OtpService {
            inner: Arc::new(Inner {
                devices: self.devices,
                keys: self.keys,
                state: self.state,
                clock: self.clock,
                crypto: aws_lc::provider(),
                servers: self.servers,
                limits: self.limits,
                decoy: device,
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
pub(super) enum Right {
    Yubikey(Unspent<Decrypted>),
    RemoteYubikey(Unspent<Accepted>),
    /// Servers vouch for it that say no counters; see
    /// [`danger_without_counters`](super::ValidationServersBuilder::danger_without_counters).
    Vouched,
    Totp(Unspent<TotpMatch>),
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
            servers: None,
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
        Ok(methods(&self.inner.owned(who).await?))
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
        let mut devices = inner.owned(who).await?;
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
        inner.use_up(found.right, &found.counter).await?;

        // It counts already. What cannot be noted now makes the next mistakes
        // count a little earlier, and the list a little older.
        let device = found.device;
        let _ = inner.state.forgive(&secrets::person_attempts(who)).await;
        let _ = inner
            .state
            .forgive(&secrets::device_attempts(&device.id))
            .await;
        let _ = inner.devices.used(&device.id, now).await;
        Ok(Confirmed {
            method: typed.method(),
            device: device.id,
            label: device.label,
        })
    }
}

impl Inner {
    /// The devices of a person; what nobody has is nobody's.
    async fn owned(&self, who: Person<'_>) -> Result<Vec<Device>, OtpError> {
        if who.issuer.is_empty() || who.subject.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.devices.of(who).await?)
    }

    async fn yubikey(
        &self,
        who: Person<'_>,
        devices: Vec<Device>,
        typed: &Typed,
        now: Timestamp,
    ) -> Result<Found, OtpError> {
        // What is no password at all cannot be a guess.
        let otp =
            Otp::parse_typed(typed.otp().expose(), Keyboard::Usual).map_err(|_| OtpError::Wrong)?;
        let is_it = |it: &Device| it.public_id.as_deref() == Some(otp.public_id().as_str());
        let own = devices.into_iter().find(is_it);
        self.count(&secrets::person_attempts(who), now).await?;
        let of_device = match &own {
            Some(device) => secrets::device_attempts(&device.id),
            None => secrets::stranger_attempts(who),
        };
        self.count(&of_device, now).await?;
        let Some(device) = own else {
            // The same work, for nothing.
            let _ = self.try_yubikey(&self.decoy, &otp).await;
            return Err(OtpError::Wrong);
        };
        let (right, counter) = self.try_yubikey(&device, &otp).await?;
        Ok(Found {
            right,
            device,
            counter,
        })
    }

    /// Whether `otp` is one of this key, whatever was used before.
    pub(super) async fn try_yubikey(&self, device: &Device, otp: &Otp) -> Tried {
        if device.kind == DeviceKind::RemoteYubikey {
            let public_id = otp.public_id().as_str();
            return Ok(match self.ask_servers(otp).await? {
                Some(unspent) => {
                    let counter = secrets::yubikey_counter(public_id, None);
                    (Right::RemoteYubikey(unspent), counter)
                }
                None => (Right::Vouched, secrets::vouched(otp)),
            });
        }
        let secrets = secrets::yubikey(&self.keys, device)?;
        let unspent = secrets.decrypt(otp).map_err(|_| OtpError::Wrong)?;
        let counter = secrets::yubikey_counter(otp.public_id().as_str(), Some(&secrets));
        Ok((Right::Yubikey(unspent), counter))
    }

    /// What they say of a right password; `None` if they vouch for it without its
    /// counters.
    async fn ask_servers(&self, otp: &Otp) -> Result<Option<Unspent<Accepted>>, OtpError> {
        let unavailable = |error: &str| OtpError::Unavailable(error.into());
        let servers = self.servers.as_ref();
        let servers = servers.ok_or_else(|| unavailable("no validation server is configured"))?;
        let outcome = servers.ask(otp, &self.clock).await;
        match outcome.map_err(|error| OtpError::Unavailable(error.into()))? {
            Outcome::Accepted(unspent) => Ok(Some(unspent)),
            // Only where that was asked for.
            Outcome::AcceptedWithoutCounters(_) => Ok(None),
            Outcome::Refused(refusal) => Err(match refusal.status() {
                Status::ReplayedOtp => OtpError::Replayed,
                _ => OtpError::Wrong,
            }),
            Outcome::Undecided(undecided) => Err(OtpError::Unavailable(undecided.into())),
        }
    }

    async fn totp(
        &self,
        who: Person<'_>,
        devices: Vec<Device>,
        typed: &Typed,
        now: Timestamp,
    ) -> Result<Found, OtpError> {
        Code::parse_typed(typed.otp().expose()).map_err(|_| OtpError::Wrong)?;
        self.count(&secrets::person_attempts(who), now).await?;
        let (mut found, mut locked) = (None, None);
        for device in devices {
            // One that is guessed at too often is left out; that is not the
            // fault of the others.
            match self.count(&secrets::device_attempts(&device.id), now).await {
                Ok(()) => {}
                Err(OtpError::Locked { until }) => {
                    locked = locked.max(Some(until));
                    continue;
                }
                Err(error) => return Err(error),
            }
            let totp = secrets::totp(&self.keys, &device)?;
            // Each is computed, also after one was right.
            match self.try_totp(&totp, &device.id, typed.otp(), now) {
                Ok((right, counter)) if found.is_none() => {
                    found = Some(Found {
                        right,
                        device,
                        counter,
                    });
                }
                _ => {}
            }
        }
        match (found, locked) {
            (Some(found), _) => Ok(found),
            (None, Some(until)) => Err(OtpError::Locked { until }),
            (None, None) => Err(OtpError::Wrong),
        }
    }

    /// Whether `typed` is a code of this authenticator around now.
    pub(super) fn try_totp(
        &self,
        totp: &Totp,
        id: &DeviceId,
        typed: &Secret,
        now: Timestamp,
    ) -> Tried {
        let code = Code::parse_typed(typed.expose()).map_err(|_| OtpError::Wrong)?;
        let since_epoch = now.since(Timestamp::UNIX_EPOCH);
        let unspent = totp.verify(&code, since_epoch, self.crypto);
        let unspent = unspent.map_err(|_| OtpError::Wrong)?;
        Ok((Right::Totp(unspent), secrets::totp_counter(id)))
    }

    /// Moves the counter of a device to a right password, or finds that it is
    /// there already.
    pub(super) async fn use_up(&self, right: Right, counter: &Key) -> Result<(), OtpError> {
        let settled = match right {
            Right::Yubikey(unspent) => self.settle(unspent, counter).await?,
            Right::RemoteYubikey(unspent) => self.settle(unspent, counter).await?,
            Right::Totp(unspent) => self.settle(unspent, counter).await?,
            Right::Vouched => {
                let now = self.clock.now();
                match self.state.claim(counter, now + REMEMBERED, now).await? {
                    Claim::First => Ok(()),
                    Claim::Again => Err(Replayed),
                }
            }
        };
        settled.map_err(|_| OtpError::Replayed)
    }

    async fn settle<T>(
        &self,
        unspent: Unspent<T>,
        counter: &Key,
    ) -> Result<Result<(), Replayed>, StateError> {
        let outcome = match self.state.advance(counter, unspent.position()).await? {
            Advance::Moved => Counter::Moved,
            Advance::Behind => Counter::Behind,
        };
        Ok(unspent.settle(outcome).map(drop))
    }

    /// Counts an attempt before it is made.
    async fn count(&self, key: &Key, now: Timestamp) -> Result<(), OtpError> {
        let OtpLimits { failures, window } = self.limits;
        match self.state.attempt(key, failures, now + window, now).await? {
            Attempt::Allowed => Ok(()),
            Attempt::Exhausted { until } => Err(OtpError::Locked { until }),
        }
    }
}

/// A right password and the counter that it moves.
pub(super) type Tried = Result<(Right, Key), OtpError>;

impl From<SealError> for OtpError {
    fn from(error: SealError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl fmt::Debug for OtpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpService")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}
