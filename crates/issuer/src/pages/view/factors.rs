//! What the templates about second factors are given.

use askama::Template;
use countersign_oauth::Secret;

use super::Frame;
use crate::core::SecondFactorPolicy;
use crate::pages::qr::Qr;
use crate::pages::waiting::Waiting;
use crate::pages::words::Code;

/// Whose account a page is about, for somebody who may not be signed in yet.
#[derive(Debug)]
pub(in crate::pages) struct Who {
    pub(in crate::pages) name: String,
    pub(in crate::pages) username: String,
}

/// The form for a second factor at sign-in.
#[derive(Debug, Template)]
#[template(path = "second_factor.html")]
pub(in crate::pages) struct SecondFactorForm {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) who: Who,
    pub(in crate::pages) has_totp: bool,
    pub(in crate::pages) has_key: bool,
    pub(in crate::pages) waiting: Waiting,
    pub(in crate::pages) problem: Option<&'static str>,
}

/// The second factors of an account.
#[derive(Debug, Template)]
#[template(path = "factors.html")]
pub(in crate::pages) struct Factors {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) lines: Vec<FactorLine>,
    pub(in crate::pages) codes_left: u32,
    /// Whether there is a Yubikey that the person may claim.
    pub(in crate::pages) can_claim: bool,
    pub(in crate::pages) policy: SecondFactorPolicy,
}

/// One of them.
#[derive(Debug)]
pub(in crate::pages) struct FactorLine {
    pub(in crate::pages) id: String,
    /// The public id of a Yubikey; `None` for an authenticator.
    pub(in crate::pages) public_id: Option<String>,
    pub(in crate::pages) since: String,
    pub(in crate::pages) used: Option<String>,
}

/// The page on which an authenticator is set up.
#[derive(Debug, Template)]
#[template(path = "set_up_totp.html")]
pub(in crate::pages) struct SetUpTotp {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) who: Who,
    /// Whether the person cannot sign in without one.
    pub(in crate::pages) halfway: bool,
    pub(in crate::pages) can_claim: bool,
    pub(in crate::pages) qr: Option<Qr>,
    /// The secret in groups of four.
    pub(in crate::pages) groups: Vec<Secret>,
    /// The secret as the form carries it.
    pub(in crate::pages) offer: Secret,
    pub(in crate::pages) waiting: Waiting,
    pub(in crate::pages) problem: Option<&'static str>,
}

/// The page on which a Yubikey is claimed.
#[derive(Debug, Template)]
#[template(path = "set_up_key.html")]
pub(in crate::pages) struct SetUpKey {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) who: Who,
    pub(in crate::pages) halfway: bool,
    /// Whether it need not be one that was imported.
    pub(in crate::pages) any: bool,
    pub(in crate::pages) waiting: Waiting,
    pub(in crate::pages) problem: Option<&'static str>,
}

/// The recovery codes, shown once.
#[derive(Debug, Template)]
#[template(path = "recovery_codes.html")]
pub(in crate::pages) struct RecoveryCodes {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) codes: Vec<Secret>,
    /// Where it goes on, below the issuer's own path.
    pub(in crate::pages) next: String,
}

/// The page that asks before a factor is taken away.
#[derive(Debug, Template)]
#[template(path = "remove_factor.html")]
pub(in crate::pages) struct RemoveFactor {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) factor: FactorLine,
    pub(in crate::pages) is_last: bool,
}

/// The page for somebody who cannot sign in as a terminal asks.
#[derive(Debug, Template)]
#[template(path = "unmet.html")]
pub(in crate::pages) struct Unmet {
    pub(in crate::pages) frame: Frame,
    pub(in crate::pages) code: Code,
    pub(in crate::pages) client_name: String,
    pub(in crate::pages) account_username: String,
}
