//! The secrets of a device as bytes, and the names of what is counted for it.
//!
//! Not responsible for sealing the bytes (`seal`) or keeping the counts.

use countersign_jose::crypto;
use countersign_otp::oath::{Enrolment, Totp};
use countersign_otp::yubico::{Otp, Secrets};
use zeroize::Zeroizing;

use super::Person;
use super::device::{Device, DeviceId};
use super::seal::{Place, SealError, SealingKeys};
use crate::Error;
use crate::state::Key;

/// What a sealed authenticator is called: the address has to name somebody.
const NAME: &str = "device";

/// Random bytes, made just now.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    crypto::aws_lc::provider()
        .fill_random(&mut *bytes)
        .map_err(|error| Error::Random(error.into()))?;
    Ok(bytes)
}

/// The bytes of a Yubikey's secrets.
pub(super) fn of_yubikey(secrets: &Secrets) -> Zeroizing<Vec<u8>> {
    let (private_id, aes_key) = secrets.expose();
    Zeroizing::new([&private_id[..], &aes_key[..]].concat())
}

/// The bytes of an authenticator: its secret, and how it computes.
pub(super) fn of_totp(totp: &Totp) -> Zeroizing<Vec<u8>> {
    // The name is one, so that this cannot fail; nothing would open as nothing.
    let enrolment = Enrolment::totp("", NAME, totp.clone());
    let uri = enrolment.map(|enrolment| enrolment.to_uri());
    Zeroizing::new(uri.map_or(Vec::new(), |uri| uri.as_bytes().to_vec()))
}

/// Opens the secrets of a Yubikey.
pub(super) fn yubikey(keys: &SealingKeys, device: &Device) -> Result<Secrets, SealError> {
    let bytes = keys.open(&Place::of(device), &device.sealed)?;
    bytes
        .split_first_chunk()
        .and_then(|(id, key)| Some(Secrets::new(*id, key.try_into().ok()?)))
        .ok_or(SealError::DoesNotOpen)
}

/// Opens the secret of an authenticator.
pub(super) fn totp(keys: &SealingKeys, device: &Device) -> Result<Totp, SealError> {
    let bytes = keys.open(&Place::of(device), &device.sealed)?;
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|uri| Enrolment::parse(uri).ok()?.as_totp().cloned())
        .ok_or(SealError::DoesNotOpen)
}

/// The attempts of a person.
pub(super) fn person_attempts(who: Person<'_>) -> Key {
    Key::new("otp-person", &person(&who))
}

/// The attempts at a device.
pub(super) fn device_attempts(id: &DeviceId) -> Key {
    Key::new("otp-device", &[id.as_str().as_bytes()])
}

/// The attempts of a person at keys that are not theirs.
pub(super) fn stranger_attempts(who: Person<'_>) -> Key {
    Key::new("otp-stranger", &person(&who))
}

fn person<'a>(who: &Person<'a>) -> [&'a [u8]; 2] {
    [who.issuer.as_bytes(), who.subject.as_bytes()]
}

/// The counter of an authenticator. No secret is ever enrolled twice.
pub(super) fn totp_counter(id: &DeviceId) -> Key {
    Key::new("otp-totp", &[id.as_str().as_bytes()])
}

/// A password for which servers vouch, itself.
pub(super) fn vouched(otp: &Otp) -> Key {
    Key::new("otp-vouched", &[otp.expose().as_bytes()])
}

/// The counter of a Yubikey: of the key itself and not of its enrolment, so that
/// nothing can be used again once the key was removed and enrolled anew. One
/// that was programmed anew counts from the beginning.
pub(super) fn yubikey_counter(public_id: &str, secrets: Option<&Secrets>) -> Key {
    match secrets {
        Some(secrets) => Key::new("otp-yubikey", &[public_id.as_bytes(), &of_yubikey(secrets)]),
        None => Key::new("otp-yubikey", &[public_id.as_bytes()]),
    }
}
