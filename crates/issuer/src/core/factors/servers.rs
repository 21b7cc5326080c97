//! Yubikeys whose secrets others have: the operator of validation servers, Yubico for one.
//!
//! Not responsible for the servers, nor for what an answer of them is worth (`countersign-otp`).

use std::pin::Pin;

use countersign_jose::Timestamp;
use countersign_otp::validation::{Nonce, Outcome, Status, Undecided};
use countersign_otp::yubico::Otp;

use super::sealing::FactorSecret;
use super::{Core, Factor};
use crate::core::Error;

/// The future of a [`KeyServers`].
pub type Asked<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Whoever can tell whether a password is right of a Yubikey whose secrets are not here.
pub trait KeyServers: Send + Sync + 'static {
    /// Asks them, and ends in bounded time. `nonce` was made just now.
    fn ask<'a>(&'a self, otp: &'a Otp, nonce: Nonce, now: Timestamp) -> Asked<'a>;
}

/// What is known of a password of a Yubikey.
#[derive(Debug)]
pub(super) enum Judged {
    /// It is right, and stands here in the order of its key.
    Right(u64),
    /// It is not.
    Wrong,
    /// It was right before, somewhere else perhaps.
    Replayed,
    /// Nobody could tell.
    Undecided(Undecided),
}

impl Core {
    /// Whether a Yubikey may be set up that was not imported.
    pub fn asks_key_servers(&self) -> bool {
        self.key_servers.is_some()
    }

    pub(super) async fn judge(
        &self,
        key: &Factor,
        otp: &Otp,
        now: Timestamp,
    ) -> Result<Judged, Error> {
        match self.open_secret(key)? {
            FactorSecret::Yubikey(secrets) => Ok(match secrets.decrypt(otp) {
                Ok(unspent) => Judged::Right(unspent.position()),
                Err(_) => Judged::Wrong,
            }),
            FactorSecret::Elsewhere => self.ask_key_servers(otp, now).await,
            FactorSecret::Totp(_) => Err(Error::SealedFactor),
        }
    }

    async fn ask_key_servers(&self, otp: &Otp, now: Timestamp) -> Result<Judged, Error> {
        // They were taken out of the configuration; nobody vouches for the key any more.
        let Some(servers) = &self.key_servers else {
            return Ok(Judged::Wrong);
        };
        let mut random = [0; 16];
        self.provider.fill_random(&mut random)?;
        let outcome = servers.ask(otp, Nonce::from_random(random), now).await;
        Ok(match outcome {
            Outcome::Accepted(unspent) => Judged::Right(unspent.position()),
            Outcome::Refused(refusal) if refusal.status() == Status::ReplayedOtp => {
                Judged::Replayed
            }
            // Without its counters nobody could say that it counts once; that is never asked for.
            Outcome::Refused(_) | Outcome::AcceptedWithoutCounters(_) => Judged::Wrong,
            Outcome::Undecided(undecided) => Judged::Undecided(undecided),
        })
    }
}
