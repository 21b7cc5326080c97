//! A code is typed at sign-in: whose it is, whether it is right, and that it is
//! used up.
//!
//! One field takes all three kinds, because they cannot be mistaken for each
//! other: six digits, the letters of a Yubikey, a recovery code. Attempts are
//! counted before they are made, as those with passwords are. Six digits leave
//! a guesser three chances in a million at a time; an account takes five wrong
//! codes in ten minutes and fifty in a day, and only after its password.

use std::net::IpAddr;
use std::time::Duration;

use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use countersign_otp::oath::{Code, Totp};
use countersign_otp::validation::Undecided;
use countersign_otp::yubico::{Keyboard, Otp};

use super::sealing::FactorSecret;
use super::servers::Judged;
use super::{Claimant, Factor, FactorId, recovery};
use crate::core::limits::{Counter, Limited};
use crate::core::sessions::SignedIn;
use crate::core::{Core, Digest, Error, NewSession, Proven, SecondFactor};
use crate::storage::{StorageError, Transaction};

/// The outcome of typing a code.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProvedFactor {
    /// It was right, and is used up; put the token into the session cookie.
    Accepted(NewSession),
    /// It is not a code of this account, or not of this moment.
    Refused,
    /// It was right once, and was used.
    Replayed,
    /// Too many wrong codes.
    Limited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Nobody can tell now: the servers that could are away.
    Undecided(Undecided),
    /// The sign-in that it belongs to is over.
    Gone,
}

/// How a code that was right is used up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// By moving a factor to this position.
    Position(FactorId, u64),
    /// By removing a recovery code.
    RecoveryCode(Digest),
}

/// What was typed, before anybody knows whether it is right.
enum Typed {
    Totp(Code),
    Yubikey(Otp),
    RecoveryCode(Digest),
}

/// What is known of it then.
enum Checked {
    Right(SecondFactor, Use),
    Wrong,
    Replayed,
    Undecided(Undecided),
}

impl Core {
    /// Proves a second factor, and gives the browser a session that says so.
    pub async fn prove_second_factor(
        &self,
        claimant: Claimant<'_>,
        typed: &Secret,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<ProvedFactor, Error> {
        let session = claimant.session();
        let account_id = &session.account.id;
        // What cannot be a code is no guess at one.
        let Some(typed) = self.typed(account_id, typed.expose()) else {
            return Ok(ProvedFactor::Refused);
        };
        let attempt = self.limiter.take(
            [
                Counter::FactorsOf(account_id.clone()),
                Counter::FactorsOfDay(account_id.clone()),
                Counter::FactorsFrom(peer),
            ],
            now,
        );
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(Limited { retry_after }) => return Ok(ProvedFactor::Limited { retry_after }),
        };
        let (factor, spend) = match self.check(account_id, &typed, now).await? {
            Checked::Right(factor, spend) => (factor, spend),
            Checked::Wrong => return Ok(ProvedFactor::Refused),
            Checked::Replayed => return Ok(ProvedFactor::Replayed),
            Checked::Undecided(undecided) => {
                attempt.give_back();
                return Ok(ProvedFactor::Undecided(undecided));
            }
        };
        let proven = Proven { factor, at: now };
        let signed_in = match claimant {
            // The password may be older: what is added to it does not make it
            // younger.
            Claimant::SignedIn(session) => SignedIn {
                at: session.authenticated_at,
                second: Some(proven),
            },
            // One sign-in, which is complete now.
            Claimant::Halfway(_) => SignedIn {
                at: now,
                second: Some(proven),
            },
        };
        let (new, record) = self.new_session(account_id, signed_in, now)?;
        let old = session.id;
        let account_id = account_id.clone();
        let outcome = self.store.write(move |records| {
            let account = records.account(&account_id)?;
            let live = account.is_some_and(|account| !account.disabled)
                && records
                    .session(&old)?
                    .is_some_and(|session| now < session.expires_at);
            if !live {
                return Ok(ProvedFactor::Gone);
            }
            if !use_up(records, &account_id, spend, now)? {
                // Of a recovery code nothing is left that would tell a used one
                // from one that never was.
                return Ok(match spend {
                    Use::Position(..) => ProvedFactor::Replayed,
                    Use::RecoveryCode(_) => ProvedFactor::Refused,
                });
            }
            records.remove_session(&old)?;
            records.add_session(&record)?;
            Ok(ProvedFactor::Accepted(new))
        });
        let outcome = outcome.await?;
        if let ProvedFactor::Accepted(_) = outcome {
            attempt.give_back();
        }
        Ok(outcome)
    }

    fn typed(&self, account_id: &str, typed: &str) -> Option<Typed> {
        if let Ok(code) = Code::parse_typed(typed) {
            return Some(Typed::Totp(code));
        }
        if let Ok(otp) = Otp::parse_typed(typed, Keyboard::Usual) {
            return Some(Typed::Yubikey(otp));
        }
        let code = recovery::normalise(typed)?;
        Some(Typed::RecoveryCode(self.recovery_digest(account_id, &code)))
    }

    /// Whether this is a code of the account, and how it is used up. Whether it
    /// was used before shows only then.
    async fn check(
        &self,
        account_id: &str,
        typed: &Typed,
        now: Timestamp,
    ) -> Result<Checked, Error> {
        if let Typed::RecoveryCode(digest) = typed {
            let spend = Use::RecoveryCode(*digest);
            return Ok(Checked::Right(SecondFactor::RecoveryCode, spend));
        }
        for factor in self.factors(account_id)? {
            let (kind, judged) = match (typed, &factor.kind.public_id()) {
                (Typed::Totp(code), None) => {
                    let position = self.position_of_code(&factor, code, now)?;
                    let judged = position.map_or(Judged::Wrong, Judged::Right);
                    (SecondFactor::Totp, judged)
                }
                (Typed::Yubikey(otp), Some(id)) if *id == otp.public_id().as_str() => {
                    (SecondFactor::Yubikey, self.judge(&factor, otp, now).await?)
                }
                _ => continue,
            };
            return Ok(match judged {
                Judged::Right(position) => Checked::Right(kind, Use::Position(factor.id, position)),
                Judged::Replayed => Checked::Replayed,
                Judged::Undecided(undecided) => Checked::Undecided(undecided),
                // It may be of another one.
                Judged::Wrong => continue,
            });
        }
        Ok(Checked::Wrong)
    }

    fn position_of_code(
        &self,
        factor: &Factor,
        code: &Code,
        now: Timestamp,
    ) -> Result<Option<u64>, Error> {
        let FactorSecret::Totp(secret) = self.open_secret(factor)? else {
            return Err(Error::SealedFactor);
        };
        let unspent = Totp::new(secret).verify(code, since_1970(now), self.otp);
        Ok(unspent.ok().map(|unspent| unspent.position()))
    }
}

/// Uses a code up; whether nobody had done so before.
fn use_up(
    records: &mut dyn Transaction,
    account_id: &str,
    spend: Use,
    now: Timestamp,
) -> Result<bool, StorageError> {
    match spend {
        Use::Position(factor, position) => {
            // It may have been removed meanwhile, or have become another's.
            let own = records.factor(&factor)?.is_some_and(|factor| {
                factor.holder.is_enrolled() && factor.holder.account_id() == Some(account_id)
            });
            Ok(own && records.advance_factor(&factor, position, now)?)
        }
        Use::RecoveryCode(digest) => records.use_recovery_code(account_id, &digest),
    }
}

pub(super) fn since_1970(now: Timestamp) -> Duration {
    now.since(Timestamp::from_secs(0))
}
