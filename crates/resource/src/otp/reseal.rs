//! Seals the secrets of a registry with another key, while it is in use.
//!
//! Every replica has to open with the new key before anything is sealed with it; see `docs/otp.md` for the
//! order. What is killed half way leaves every record as it was, or every record as it is to be.
//!
//! Not responsible for the key files.

use super::device::{Device, DevicesError, NewSeal};
use super::seal::{Place, SealError};
use super::service::OtpService;

/// Somebody enrols devices with another key meanwhile, once perhaps, and hardly again.
const ROUNDS: u32 = 4;

/// Why not everything is sealed with the first key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResealError {
    /// The secrets of a device cannot be opened or sealed. Nothing was changed.
    #[error("the device {} ({label:?}) cannot be sealed anew", device.id, label = device.label)]
    Device {
        /// The device.
        device: Box<Device>,
        /// Why.
        source: SealError,
    },
    /// The registry cannot be asked.
    #[error("the registry cannot be sealed anew")]
    Devices(#[from] DevicesError),
    /// Another program goes on sealing with another key.
    #[error("devices are enrolled with another key meanwhile")]
    Overtaken,
}

impl ResealError {
    /// A stable name for logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Device { source, .. } => source.code(),
            Self::Devices(error) => error.code(),
            Self::Overtaken => "reseal_overtaken",
        }
    }
}

impl OtpService {
    /// Seals the secrets of all devices with the first of the keys; how many were sealed with another. From
    /// then on the others open nothing.
    ///
    /// # Errors
    ///
    /// Any [`ResealError`].
    pub async fn reseal(&self) -> Result<usize, ResealError> {
        let inner = &*self.inner;
        let mut resealed = 0;
        for _ in 0..ROUNDS {
            let mut seals = Vec::new();
            for device in inner.devices.all().await? {
                if device.sealed.is_empty() || inner.keys.seals_so(&device.sealed) {
                    continue;
                }
                let place = Place::of(&device);
                let opened = inner.keys.open(&place, &device.sealed);
                match opened.and_then(|secrets| inner.keys.seal(&place, &secrets)) {
                    Ok(after) => seals.push(NewSeal {
                        id: device.id,
                        before: device.sealed,
                        after,
                    }),
                    Err(source) => {
                        let device = Box::new(device);
                        return Err(ResealError::Device { device, source });
                    }
                }
            }
            if seals.is_empty() {
                return Ok(resealed);
            }
            resealed += inner.devices.reseal(seals).await?;
        }
        Err(ResealError::Overtaken)
    }
}
