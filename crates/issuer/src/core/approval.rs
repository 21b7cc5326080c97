//! The person's side of a device login: the code is looked up, the login
//! approved or denied (RFC 8628, section 3.3).
//!
//! Only a signed-in browser may try codes, and looking one up changes nothing:
//! a login moves by `approve` and `deny` alone.

use std::net::IpAddr;

use countersign_jose::Timestamp;

use super::limits::{Counter, Limited};
use super::{
    BrowserSession, CodeLookup, Core, Decision, Device, DeviceState, Error, Missing, PendingDevice,
    user_code,
};
use crate::storage::{Records, StorageError};

impl Core {
    /// Looks up a typed user code: any case, with or without dash and spaces
    /// (RFC 8628, section 6.1). Wrong codes are counted and limited.
    pub fn lookup_user_code(
        &self,
        input: &str,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<CodeLookup, Error> {
        let counters = [
            Counter::CodesOfSession(session.id),
            Counter::CodesFrom(peer),
            Counter::CodesEverywhere,
        ];
        let attempt = match self.limiter.take(counters, now) {
            Ok(attempt) => attempt,
            Err(Limited { retry_after }) => return Ok(CodeLookup::Limited { retry_after }),
        };
        let Some(code) = user_code::normalise(input) else {
            // A slip of the keyboard, or somebody feeling for the rules: it
            // counts, as it costs a person at most one of five attempts.
            return Ok(CodeLookup::Unknown);
        };
        let found = self
            .store
            .read(|records| match records.device_with_user_code(&code)? {
                Some(device) => Ok(Some((standing(records, &device, now)?, device))),
                None => Ok(None),
            })?;
        let found = match found {
            Some((CodeLookup::Found(pending), device)) => CodeLookup::Found(PendingDevice {
                missing: self.missing(&device.demands, device.created_at, session, now)?,
                ..pending
            }),
            Some((found, _)) => found,
            None => CodeLookup::Unknown,
        };
        if !matches!(found, CodeLookup::Unknown) {
            // A code that exists is no guess, also when it comes late: a page
            // that is reloaded after its time must not lock its reader out.
            attempt.give_back();
        }
        Ok(found)
    }

    /// Approves the login of a user code in the name of the session's account.
    /// Codes are counted as when they are looked up.
    pub async fn approve(
        &self,
        user_code: &str,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        self.decide(user_code, Verdict::Approve, session, peer, now)
            .await
    }

    /// Denies the login of a user code.
    pub async fn deny(
        &self,
        user_code: &str,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        self.decide(user_code, Verdict::Deny, session, peer, now)
            .await
    }

    /// Has the login of a user code told that this person cannot sign in as it
    /// asks; denies it when they could.
    pub async fn cannot_meet(
        &self,
        user_code: &str,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        self.decide(user_code, Verdict::CannotMeet, session, peer, now)
            .await
    }

    async fn decide(
        &self,
        user_code: &str,
        verdict: Verdict,
        session: &BrowserSession,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        // The same limits as for looking up, or this would be the way to guess.
        let missing = match self.lookup_user_code(user_code, session, peer, now)? {
            CodeLookup::Found(pending) => pending.missing,
            CodeLookup::Limited { retry_after } => return Ok(Decision::Limited { retry_after }),
            CodeLookup::Expired | CodeLookup::Decided | CodeLookup::Unknown => {
                return Ok(Decision::Gone);
            }
        };
        if let (Verdict::Approve, Some(missing)) = (verdict, missing) {
            return Ok(Decision::Missing(missing));
        }
        let Some(code) = user_code::normalise(user_code) else {
            return Ok(Decision::Gone);
        };
        let account_id = session.account.id.clone();
        let authentication = session.authentication();
        let decided = self.store.write(move |records| {
            // The account as it is now: a page may have been open for long.
            let account = records.account(&account_id)?;
            if account.is_none_or(|account| account.disabled) {
                return Ok(false);
            }
            let Some(device) = records.device_with_user_code(&code)? else {
                return Ok(false);
            };
            let CodeLookup::Found(_) = standing(records, &device, now)? else {
                return Ok(false);
            };
            let state = match verdict {
                Verdict::Approve => DeviceState::Approved {
                    account_id,
                    authentication: authentication.told_to(&device.demands),
                },
                Verdict::CannotMeet if missing == Some(Missing::Unmet) => DeviceState::Unmet,
                Verdict::CannotMeet | Verdict::Deny => DeviceState::Denied,
            };
            records.set_device_state(&device.code, &state)?;
            Ok(true)
        });
        Ok(if decided.await? {
            Decision::Recorded
        } else {
            Decision::Gone
        })
    }
}

/// What a person does about a device login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Approve,
    Deny,
    CannotMeet,
}

/// What there is to say about a device login to the one who has its code.
fn standing(
    records: &(impl Records + ?Sized),
    device: &Device,
    now: Timestamp,
) -> Result<CodeLookup, StorageError> {
    if device.state != DeviceState::Pending {
        return Ok(CodeLookup::Decided);
    }
    if now >= device.expires_at {
        return Ok(CodeLookup::Expired);
    }
    let Some(client) = records.client(&device.client_id)? else {
        return Ok(CodeLookup::Unknown);
    };
    Ok(CodeLookup::Found(PendingDevice {
        user_code: user_code::display(&device.user_code),
        client_id: client.id,
        client_name: client.name,
        scopes: device.scopes.iter().map(str::to_owned).collect(),
        audiences: device.audiences.clone(),
        requested_from: device.requested_from,
        claimed_host: device.claimed_host.clone(),
        claimed_command: device.claimed_command.clone(),
        created_at: device.created_at,
        expires_at: device.expires_at,
        missing: None,
    }))
}
