//! Signed-in browsers, and the values that bind a form to one.
//!
//! A session's cookie rests as a digest; the CSRF value of its forms is a MAC of
//! the cookie and rests nowhere.

use std::time::Duration;

use countersign_jose::{Timestamp, base64url, constant_time_eq};
use countersign_oauth::Secret;

use super::{
    BrowserSession, Core, Error, HalfSession, NewSession, Proven, SecondFactorPolicy, Session,
};

/// A session that is used is not written down at every page of it.
const WORTH_A_WRITE: Duration = Duration::from_secs(60);

const CSRF_DOMAIN: &[u8] = b"countersign form v1\0";

/// What somebody has done to sign in.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedIn {
    pub(super) at: Timestamp,
    pub(super) second: Option<Proven>,
}

impl Core {
    /// The session of a cookie's value; `None` when it is unknown or over, when
    /// its account was disabled or removed, or when its person has to do more
    /// before they are signed in.
    pub fn session(&self, token: &Secret, now: Timestamp) -> Result<Option<BrowserSession>, Error> {
        let found = self.browser(token, now)?;
        Ok(found.and_then(|(session, is_halfway)| (!is_halfway).then_some(session)))
    }

    /// The half of a session of a cookie's value: the password was right, and
    /// a second factor has to be proved or set up.
    pub fn half_session(
        &self,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Option<HalfSession>, Error> {
        let found = self.browser(token, now)?;
        Ok(found.and_then(|(session, is_halfway)| is_halfway.then_some(HalfSession(session))))
    }

    /// Ends what was begun by a password and not brought to an end.
    pub async fn drop_half_session(&self, half: &HalfSession) -> Result<(), Error> {
        self.sign_out(&half.0).await
    }

    /// Whatever is behind a cookie's value, and whether it is halfway.
    fn browser(
        &self,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Option<(BrowserSession, bool)>, Error> {
        let id = self.digest(token.expose());
        let found = self.store.read(|records| {
            let Some(session) = records.session(&id)? else {
                return Ok(None);
            };
            let Some(account) = records.account(&session.account_id)? else {
                return Ok(None);
            };
            // One by password alone, from before more than that was asked for,
            // signs in again.
            let by_password = session.second.is_none() && !session.is_halfway;
            let too_little = by_password
                && match self.second_factor {
                    SecondFactorPolicy::Required => true,
                    SecondFactorPolicy::WhenEnrolled => {
                        !records.factors_of(&account.id)?.is_empty()
                    }
                    SecondFactorPolicy::OnRequest | SecondFactorPolicy::Off => false,
                };
            Ok((!too_little).then_some((session, account)))
        })?;
        let live = found.filter(|(session, account)| now < session.expires_at && !account.disabled);
        Ok(live.map(|(session, account)| {
            let browser = BrowserSession {
                account,
                authenticated_at: session.authenticated_at,
                second: session.second,
                expires_at: session.expires_at,
                csrf_token: self.csrf_token(token),
                id,
            };
            (browser, session.is_halfway)
        }))
    }

    /// Lets a session that is in use last on, up to the end that its sign-in
    /// has set. To be called with every request of its browser.
    pub async fn keep_session(
        &self,
        session: &BrowserSession,
        now: Timestamp,
    ) -> Result<(), Error> {
        let until = self.session_end(session.authenticated_at, now);
        if until.since(session.expires_at) < WORTH_A_WRITE {
            return Ok(());
        }
        let id = session.id;
        let extended = self
            .store
            .write(move |records| records.extend_session(&id, until));
        Ok(extended.await?)
    }

    /// When a session ends that is used `now` and not again.
    fn session_end(&self, authenticated_at: Timestamp, now: Timestamp) -> Timestamp {
        let last = authenticated_at + self.lifetimes.session;
        last.min(now + self.lifetimes.session_idle)
    }

    /// Ends a browser session.
    pub async fn sign_out(&self, session: &BrowserSession) -> Result<(), Error> {
        let id = session.id;
        Ok(self
            .store
            .write(move |records| records.remove_session(&id))
            .await?)
    }

    /// Ends every session and every login of a session's account.
    pub async fn sign_out_everywhere(&self, session: &BrowserSession) -> Result<(), Error> {
        let account_id = session.account.id.clone();
        let ended = self
            .store
            .write(move |records| records.end_logins_of(&account_id));
        Ok(ended.await?)
    }

    /// A fresh value for a cookie that marks a browser before sign-in, so that
    /// the sign-in and set-up forms can be bound to it.
    pub fn browser_mark(&self) -> Result<Secret, Error> {
        Ok(self.random_secret()?)
    }

    /// The form value that belongs to a browser's mark or session cookie.
    pub fn csrf_token(&self, cookie: &Secret) -> String {
        let mut message = CSRF_DOMAIN.to_vec();
        message.extend_from_slice(cookie.expose().as_bytes());
        base64url::encode(&self.provider.hmac_sha256(self.keys().token_key(), &message))
    }

    /// Whether a form value belongs to a browser's mark or session cookie, in
    /// constant time.
    pub fn csrf_matches(&self, cookie: &Secret, token: &str) -> bool {
        constant_time_eq(self.csrf_token(cookie).as_bytes(), token.as_bytes())
    }

    /// Begins a session after a right password, as far as that goes here.
    pub(super) async fn begin_session(
        &self,
        account_id: &str,
        now: Timestamp,
    ) -> Result<NewSession, Error> {
        let needs_more = match self.second_factor {
            SecondFactorPolicy::Required => true,
            SecondFactorPolicy::WhenEnrolled => self.has_second_factor(account_id)?,
            SecondFactorPolicy::OnRequest | SecondFactorPolicy::Off => false,
        };
        let signed_in = SignedIn {
            at: now,
            second: None,
        };
        let (mut new, mut session) = self.new_session(account_id, signed_in, now)?;
        if needs_more {
            new.is_halfway = true;
            session.is_halfway = true;
            new.expires_at = now + self.lifetimes.half_session;
            session.expires_at = new.expires_at;
        }
        self.store
            .write(move |records| records.add_session(&session))
            .await?;
        Ok(new)
    }

    /// A session for somebody who has signed in, to be stored.
    pub(super) fn new_session(
        &self,
        account_id: &str,
        signed_in: SignedIn,
        now: Timestamp,
    ) -> Result<(NewSession, Session), Error> {
        let token = self.random_secret()?;
        let session = Session {
            id: self.digest(token.expose()),
            account_id: account_id.to_owned(),
            authenticated_at: signed_in.at,
            second: signed_in.second,
            is_halfway: false,
            expires_at: self.session_end(signed_in.at, now),
        };
        let new = NewSession {
            token,
            expires_at: session.expires_at,
            is_halfway: false,
        };
        Ok((new, session))
    }
}
