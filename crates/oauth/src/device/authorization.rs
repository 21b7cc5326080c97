//! The codes, and where to take them (RFC 8628, section 3.2).

use std::time::Duration;

use countersign_jose::Timestamp;
use url::Url;

use crate::answer::Object;
use crate::text::is_printable;
use crate::{Error, Issuer, PeerMisbehaved, Secret};

/// The interval of a server that names none (RFC 8628, section 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// No server is polled faster than this, whatever it says.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Nobody approves a code that is older than this.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than any code that a person would type.
const MAX_USER_CODE: usize = 64;

/// A successful device authorization response (RFC 8628, section 3.2).
///
/// Tolerated, because real servers do it: no `interval` (then five seconds), an `interval` of zero
/// (then one second), numbers as strings, no `verification_uri_complete`, and `verification_url`
/// (Google's draft-age spelling).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAuthorization {
    /// What the client polls with.
    pub device_code: Secret,
    /// What the person types, to be shown exactly like this.
    pub user_code: String,
    /// Where the person goes.
    pub verification_uri: Url,
    /// The same with the code in it, for links and QR codes. The user code is shown all the same
    /// (section 3.3.1).
    pub verification_uri_complete: Option<Url>,
    /// When both codes stop working.
    pub expires_at: Timestamp,
    /// The least time between two polls.
    pub interval: Duration,
    /// What the device code was bound to, if it was; see
    /// [`DeviceAuthorizationFlow::with_pkce`](super::DeviceAuthorizationFlow::with_pkce).
    pub code_verifier: Option<Secret>,
}

impl DeviceAuthorization {
    pub(super) fn from_object(
        object: &Object,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let device_code = object.required_token("device_code")?;
        let user_code = object.required_str("user_code")?;
        if !is_printable(user_code) || user_code.chars().count() > MAX_USER_CODE {
            return Err(object.fail(PeerMisbehaved::UnusableUserCode));
        }
        let verification_uri = match object.url("verification_uri", issuer)? {
            Some(url) => url,
            None => object.url("verification_url", issuer)?.ok_or_else(|| {
                object.fail(PeerMisbehaved::MissingMember {
                    name: "verification_uri",
                })
            })?,
        };
        let verification_uri_complete = match object.url("verification_uri_complete", issuer)? {
            Some(url) => Some(url),
            None => object.url("verification_url_complete", issuer)?,
        };
        let expires_in = object
            .seconds("expires_in")?
            .ok_or_else(|| object.fail(PeerMisbehaved::MissingMember { name: "expires_in" }))?
            .min(MAX_LIFETIME);
        let interval = object
            .seconds("interval")?
            .unwrap_or(DEFAULT_INTERVAL)
            .max(MIN_INTERVAL);
        if expires_in <= interval {
            return Err(object.fail(PeerMisbehaved::NoTimeToPoll {
                expires_in: expires_in.as_secs(),
                interval: interval.as_secs(),
            }));
        }
        Ok(Self {
            device_code,
            user_code: user_code.to_owned(),
            verification_uri,
            verification_uri_complete,
            expires_at: now + expires_in,
            interval,
            code_verifier: None,
        })
    }
}
