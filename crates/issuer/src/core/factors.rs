//! Second factors: what people have beside their password.
//!
//! | module | rules about |
//! |---|---|
//! | `prove` | a code is typed at sign-in, and is good once |
//! | `enrol` | an authenticator is set up, a Yubikey claimed; both are removed |
//! | `recovery` | the codes for the day when everything else is lost |
//! | `administration` | keys are imported, and somebody begins anew |
//! | `servers` | keys whose secrets are elsewhere |
//! | `sealing` | how secrets rest |
//!
//! A code is used up by moving the position of its factor, in the transaction
//! that lets its person in: of two requests with one code, one is late.
//!
//! Not responsible for arithmetic (`countersign-otp`), nor for what a sign-in
//! is worth (`authentication`).

mod administration;
mod enrol;
mod prove;
mod recovery;
mod sealing;
mod servers;

use std::fmt;

use countersign_jose::Timestamp;

use super::{Account, BrowserSession, Core, Error, HalfSession, Missing, SecondFactorPolicy};

pub use administration::{ImportedKeys, KeyInStock};
pub use enrol::{Enrolled, Enrolment, EnrolmentRefused, TotpOffer};
pub use prove::ProvedFactor;
pub use servers::{Asked, KeyServers};

/// The identifier of a factor.
pub type FactorId = [u8; 16];

/// A second factor, or a key that may become one, as it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Its identifier.
    pub id: FactorId,
    /// What it is.
    pub kind: FactorKind,
    /// Whose it is.
    pub holder: Holder,
    /// What its codes are checked with.
    pub secret: SealedSecret,
    /// Where the last code that was accepted stands in the order of its codes.
    /// The next one has to stand behind it.
    pub position: Option<u64>,
    /// Since when it is its holder's.
    pub since: Timestamp,
    /// When a code of it was last accepted.
    pub used_at: Option<Timestamp>,
}

/// What a factor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactorKind {
    /// An authenticator that shows six digits (RFC 6238).
    Totp,
    /// A Yubikey that types one-time passwords.
    Yubikey {
        /// The letters that all of its passwords begin with.
        public_id: String,
    },
}

impl FactorKind {
    /// The name that it rests under.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Yubikey { .. } => "yubikey",
        }
    }

    /// The public id of a Yubikey.
    pub fn public_id(&self) -> Option<&str> {
        match self {
            Self::Totp => None,
            Self::Yubikey { public_id } => Some(public_id),
        }
    }
}

/// Whose a factor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This account proves itself with it.
    Account(String),
    /// A key that this account alone may claim.
    ReservedFor(String),
    /// A key that whoever has it may claim.
    Anyone,
}

impl Holder {
    /// The account, if there is one.
    pub fn account_id(&self) -> Option<&str> {
        match self {
            Self::Account(id) | Self::ReservedFor(id) => Some(id),
            Self::Anyone => None,
        }
    }

    /// Whether its account proves itself with it.
    pub fn is_enrolled(&self) -> bool {
        matches!(self, Self::Account(_))
    }
}

/// A secret under the key of the server (see [`Core`]'s keys).
///
/// `Debug` shows its length alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub(crate) Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({} bytes)", self.0.len())
    }
}

/// Who is at a page about second factors.
#[derive(Clone, Copy, Debug)]
pub enum Claimant<'a> {
    /// Somebody signed in.
    SignedIn(&'a BrowserSession),
    /// Somebody whose password was right, and who has to do more.
    Halfway(&'a HalfSession),
}

impl<'a> Claimant<'a> {
    /// The account.
    pub fn account(self) -> &'a Account {
        &self.session().account
    }

    fn session(self) -> &'a BrowserSession {
        match self {
            Self::SignedIn(session) => session,
            Self::Halfway(half) => &half.0,
        }
    }
}

impl Core {
    /// When second factors are asked for.
    pub fn second_factor_policy(&self) -> SecondFactorPolicy {
        self.second_factor
    }

    /// The second factors of an account, the oldest first.
    pub fn factors(&self, account_id: &str) -> Result<Vec<Factor>, Error> {
        Ok(self.store.read(|records| records.factors_of(account_id))?)
    }

    /// How many recovery codes an account has left.
    pub fn recovery_codes_left(&self, account_id: &str) -> Result<u32, Error> {
        let left = self
            .store
            .read(|records| records.recovery_codes_left(account_id));
        Ok(left?)
    }

    /// Whether there is a Yubikey that an account may claim.
    pub fn has_claimable_key(&self, account_id: &str) -> Result<bool, Error> {
        if self.asks_key_servers() {
            return Ok(true);
        }
        let keys = self.store.read(|records| records.keys())?;
        Ok(keys.iter().any(|key| match &key.holder {
            Holder::Anyone => true,
            Holder::ReservedFor(id) => id == account_id,
            Holder::Account(_) => false,
        }))
    }

    /// Whether an account has a second factor that it could be asked for.
    pub fn has_second_factor(&self, account_id: &str) -> Result<bool, Error> {
        if self.second_factor == SecondFactorPolicy::Off {
            return Ok(false);
        }
        Ok(!self.factors(account_id)?.is_empty())
    }

    /// What somebody has to do before they may change their factors: whoever
    /// finds an open browser must not make it theirs for good.
    pub fn missing_for_factors(
        &self,
        claimant: Claimant<'_>,
        now: Timestamp,
    ) -> Result<Option<Missing>, Error> {
        let session = claimant.session();
        let recent = |at: Timestamp| now.since(at) <= self.lifetimes.factor_change;
        if self.has_second_factor(&session.account.id)? {
            let proven = session.second.is_some_and(|proven| recent(proven.at));
            return Ok((!proven).then_some(Missing::SecondFactor));
        }
        Ok((!recent(session.authenticated_at)).then_some(Missing::SignIn))
    }

    fn random_factor_id(&self) -> Result<FactorId, Error> {
        let mut id = [0_u8; 16];
        self.provider.fill_random(&mut id)?;
        Ok(id)
    }
}
