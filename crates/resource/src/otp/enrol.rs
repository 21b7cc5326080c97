//! Gives devices to people, and takes them away.
//!
//! Whoever enrols a key shows one password of it: that it is here, that its
//! secrets are the right ones, and where its counter stands, which moves with
//! it. Keys that come by the box are stocked first, with their secrets and
//! without an owner, and given out one by one.
//!
//! Not responsible for who may enrol whom.

use countersign_oauth::Secret;
use countersign_oauth::text::is_unfit;
use countersign_otp::oath::{self, Totp};
use countersign_otp::yubico::{KeyRecord, Keyboard, Otp, PublicId, Secrets};

use super::device::{Device, DeviceId, DeviceKind, DevicesError, MAX_LABEL};
use super::seal::{Place, SealError};
use super::secrets::random;
use super::service::{Inner, OtpService};
use super::{OtpError, Person, secrets};
use crate::Timestamp;

/// A device that somebody is to have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NewDevice {
    /// A Yubikey with its secrets.
    Yubikey(PublicId, Secrets),
    /// A Yubikey that was stocked.
    Stocked(PublicId),
    /// A Yubikey whose secrets are at validation servers.
    RemoteYubikey(PublicId),
    /// An authenticator with a secret that was made just now.
    Totp(Totp),
}

impl NewDevice {
    /// A new authenticator that every phone can be: 160 random bits, six
    /// digits, 30 seconds, SHA-1.
    ///
    /// # Errors
    ///
    /// [`EnrolError::Random`].
    pub fn totp() -> Result<Self, EnrolError> {
        let random = random::<20>().map_err(|_| EnrolError::Random)?;
        Ok(Self::Totp(Totp::new(oath::Secret::from_random(*random))))
    }

    fn public_id(&self) -> Option<&PublicId> {
        match self {
            Self::Yubikey(id, _) | Self::Stocked(id) | Self::RemoteYubikey(id) => Some(id),
            Self::Totp(_) => None,
        }
    }
}

/// Why a device was not enrolled. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// Issuer and subject are not to be empty.
    #[error("a device needs an owner: an issuer and a subject")]
    NoOwner,
    /// The label cannot be shown.
    #[error("a label has 1 to {MAX_LABEL} visible characters")]
    Label,
    /// The key has no public id, so that nobody can tell whose passwords it
    /// makes.
    #[error("the key has no public id")]
    NoPublicId,
    /// The password belongs to another key.
    #[error("the password is of another key than the one to be enrolled")]
    OtherKey,
    /// No key with this public id is stocked.
    #[error("the key {0} is not in stock")]
    NotStocked(String),
    /// The password that was to prove the device is not right, or something
    /// that has to be asked about it is away.
    #[error("the device is not proved")]
    Proof(#[source] OtpError),
    /// The registry does not take it.
    #[error("the device cannot be registered")]
    Devices(#[from] DevicesError),
    /// Its secrets cannot be sealed or opened.
    #[error("the secrets of the device cannot be kept")]
    Seal(#[from] SealError),
    /// This machine gives no random values.
    #[error("there are no random values")]
    Random,
}

impl EnrolError {
    /// A stable name for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoOwner => "enrol_no_owner",
            Self::Label => "enrol_label",
            Self::NoPublicId => "enrol_no_public_id",
            Self::OtherKey => "enrol_other_key",
            Self::NotStocked(_) => "enrol_not_stocked",
            Self::Proof(error) => error.code(),
            Self::Devices(error) => error.code(),
            Self::Seal(error) => error.code(),
            Self::Random => "enrol_random",
        }
    }
}

impl OtpService {
    /// Gives a device to a person. With `proof`, a password of it, the device is
    /// tried first, and the password is used up.
    ///
    /// # Errors
    ///
    /// Any [`EnrolError`].
    pub async fn enrol(
        &self,
        who: Person<'_>,
        label: &str,
        new: NewDevice,
        proof: Option<&Secret>,
    ) -> Result<Device, EnrolError> {
        if who.issuer.is_empty() || who.subject.is_empty() {
            return Err(EnrolError::NoOwner);
        }
        if !is_label(label) {
            return Err(EnrolError::Label);
        }
        if new.public_id().is_some_and(PublicId::is_empty) {
            return Err(EnrolError::NoPublicId);
        }
        let inner = &*self.inner;
        let mut device = inner.blank(who, label)?;
        device.public_id = new.public_id().map(ToString::to_string);
        let (kind, sealed, stocked) = match &new {
            NewDevice::Yubikey(_, keys) => (
                DeviceKind::Yubikey,
                Some(secrets::of_yubikey(keys)),
                inner.stocked(&new).await?,
            ),
            NewDevice::Stocked(id) => {
                let stocked = inner.stocked(&new).await?;
                let stocked = stocked.ok_or_else(|| EnrolError::NotStocked(id.to_string()))?;
                let keys = secrets::yubikey(&inner.keys, &stocked)?;
                let sealed = secrets::of_yubikey(&keys);
                (DeviceKind::Yubikey, Some(sealed), Some(stocked))
            }
            NewDevice::RemoteYubikey(_) => (DeviceKind::RemoteYubikey, None, None),
            NewDevice::Totp(totp) => (DeviceKind::Totp, Some(secrets::of_totp(totp)), None),
        };
        device.kind = kind;
        if let Some(secrets) = sealed {
            device.sealed = inner.keys.seal(&Place::of(&device), &secrets)?;
        }
        // A key that somebody has is not worth a password.
        if stocked.is_none() {
            inner.is_free(&device).await?;
        }
        if let Some(proof) = proof {
            inner.prove(&device, proof).await?;
        }
        match stocked {
            None => inner.devices.add(vec![device.clone()]).await?,
            Some(stocked) => {
                if !inner.devices.replace(&stocked.id, device.clone()).await? {
                    let public_id = device.public_id.unwrap_or_default();
                    return Err(EnrolError::NotStocked(public_id));
                }
            }
        }
        Ok(device)
    }

    /// Takes keys with their secrets into stock, all of them or none.
    ///
    /// # Errors
    ///
    /// [`EnrolError::Devices`] if one of them is there already,
    /// [`EnrolError::Seal`], [`EnrolError::Random`].
    pub async fn stock(&self, keys: &[KeyRecord]) -> Result<(), EnrolError> {
        let inner = &*self.inner;
        let mut devices = Vec::with_capacity(keys.len());
        for key in keys {
            let label = key.serial.map_or_else(
                || "Yubikey".to_owned(),
                |serial| format!("Yubikey {serial}"),
            );
            let mut device = inner.blank(Person::new("", ""), &label)?;
            device.kind = DeviceKind::Yubikey;
            device.public_id = Some(key.public_id.to_string());
            let bytes = secrets::of_yubikey(&key.secrets);
            device.sealed = inner.keys.seal(&Place::of(&device), &bytes)?;
            devices.push(device);
        }
        Ok(inner.devices.add(devices).await?)
    }

    /// The devices of a person, in the order of their enrolment.
    ///
    /// # Errors
    ///
    /// [`DevicesError`].
    pub async fn devices_of(&self, who: Person<'_>) -> Result<Vec<Device>, DevicesError> {
        self.inner.devices.of(who).await
    }

    /// All devices, those in stock as well.
    ///
    /// # Errors
    ///
    /// [`DevicesError`].
    pub async fn devices(&self) -> Result<Vec<Device>, DevicesError> {
        self.inner.devices.all().await
    }

    /// Removes a device: from now on its passwords are worth nothing. Whether
    /// there was one.
    ///
    /// # Errors
    ///
    /// [`DevicesError`].
    pub async fn remove(&self, id: &DeviceId) -> Result<bool, DevicesError> {
        self.inner.devices.remove(id).await
    }

    /// Whether devices can be looked up, and the secrets of each be opened: for
    /// a start that wants to know.
    ///
    /// # Errors
    ///
    /// [`OtpError::Unavailable`] with the reason.
    pub async fn probe(&self) -> Result<(), OtpError> {
        for device in self.inner.devices.all().await? {
            if !device.sealed.is_empty() {
                self.inner.keys.open(&Place::of(&device), &device.sealed)?;
            }
        }
        Ok(())
    }

    /// Forgets the wrong passwords of a person and of their devices.
    ///
    /// # Errors
    ///
    /// [`OtpError::Unavailable`].
    pub async fn unlock(&self, who: Person<'_>) -> Result<(), OtpError> {
        let state = &self.inner.state;
        for device in self.inner.devices.of(who).await? {
            state.forgive(&secrets::device_attempts(&device.id)).await?;
        }
        state.forgive(&secrets::stranger_attempts(who)).await?;
        Ok(state.forgive(&secrets::person_attempts(who)).await?)
    }
}

impl Inner {
    fn blank(&self, who: Person<'_>, label: &str) -> Result<Device, EnrolError> {
        let id = random().map_err(|_| EnrolError::Random)?;
        Ok(Device {
            id: DeviceId::from_random(*id),
            issuer: who.issuer.to_owned(),
            subject: who.subject.to_owned(),
            kind: DeviceKind::Totp,
            label: label.to_owned(),
            public_id: None,
            // Whole milliseconds, as they are kept.
            enrolled_at: Timestamp::from_millis(self.clock.now().as_millis()),
            last_used_at: None,
            sealed: Vec::new(),
        })
    }

    /// The key in stock that a new device is.
    async fn stocked(&self, new: &NewDevice) -> Result<Option<Device>, EnrolError> {
        let stock = self.devices.of(Person::new("", "")).await?;
        let is_it = |device: &Device| {
            let public_id = new.public_id().map(PublicId::as_str);
            public_id.is_some() && device.public_id.as_deref() == public_id
        };
        Ok(stock.into_iter().find(is_it))
    }

    async fn is_free(&self, device: &Device) -> Result<(), EnrolError> {
        let Some(public_id) = &device.public_id else {
            return Ok(());
        };
        let all = self.devices.all().await?;
        if all
            .iter()
            .any(|it| it.public_id.as_ref() == Some(public_id))
        {
            return Err(DevicesError::Taken(public_id.clone()).into());
        }
        Ok(())
    }

    /// Tries a device that is not enrolled yet, and uses the password up.
    async fn prove(&self, device: &Device, proof: &Secret) -> Result<(), EnrolError> {
        let now = self.clock.now();
        let found = match device.kind {
            DeviceKind::Totp => {
                let totp = secrets::totp(&self.keys, device)?;
                self.try_totp(&totp, &device.id, proof, now)
            }
            DeviceKind::Yubikey | DeviceKind::RemoteYubikey => {
                let otp = Otp::parse_typed(proof.expose(), Keyboard::Usual)
                    .map_err(|_| EnrolError::Proof(OtpError::Wrong))?;
                if device.public_id.as_deref() != Some(otp.public_id().as_str()) {
                    return Err(EnrolError::OtherKey);
                }
                self.try_yubikey(device, &otp).await
            }
        };
        let (right, counter) = found.map_err(EnrolError::Proof)?;
        self.use_up(right, &counter)
            .await
            .map_err(EnrolError::Proof)
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.chars().count())
        && label.trim() == label
        && !label.chars().any(is_unfit)
}
