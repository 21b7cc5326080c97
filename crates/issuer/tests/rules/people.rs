//! What people have beside their password, for tests: an authenticator, a Yubikey, a list of codes.

use std::time::Duration;

use countersign_issuer::core::{
    BrowserSession, Claimant, Enrolled, Enrolment, HalfSession, NewSession, ProvedFactor, SignIn,
};
use countersign_jose::Timestamp;
use countersign_oauth::Secret;
use countersign_otp::crypto::aws_lc;
use countersign_otp::oath::{self, Totp};
use countersign_otp::yubico::sim::SimulatedKey;
use countersign_otp::yubico::{KeyFile, Secrets};

use crate::fixture::{Fixture, PASSWORD, PEER};

/// An authenticator with the secret that was offered to it.
pub(crate) struct Authenticator(Totp);

impl Authenticator {
    pub(crate) fn new(base32: &Secret) -> Self {
        Self(Totp::new(
            oath::Secret::from_base32(base32.expose()).unwrap(),
        ))
    }

    /// What it shows.
    pub(crate) fn code(&self, now: Timestamp) -> Secret {
        let since_1970 = Duration::from_millis(u64::try_from(now.as_millis()).unwrap());
        let code = self.0.code_at(since_1970, aws_lc::provider());
        Secret::from(code.to_string())
    }
}

/// A Yubikey whose public id ends so, and the file that imports it.
pub(crate) fn yubikey(end: &str) -> (SimulatedKey, KeyFile) {
    let public_id = format!("ccccccccbc{end}");
    let own: u8 = end.bytes().fold(0, u8::wrapping_add);
    let (private_id, aes_key) = (
        format!("0102030405{own:02x}"),
        format!("{own:02x}").repeat(16),
    );
    let file = format!("1,{public_id},{private_id},{aes_key},,2026-01-01T00:00:00,");
    let key = SimulatedKey::new(
        public_id.parse().unwrap(),
        Secrets::from_hex(&private_id, &aes_key).unwrap(),
    );
    (key, KeyFile::parse(&file).unwrap())
}

/// The key is touched.
pub(crate) fn touch(key: &mut SimulatedKey) -> Secret {
    Secret::new(key.press(7).expose())
}

impl Fixture {
    /// The sign-in of somebody who has to prove more.
    pub(crate) async fn half(&self, username: &str) -> HalfSession {
        let password = Secret::new(PASSWORD);
        let outcome = self.core.sign_in(username, &password, PEER, self.now());
        let SignIn::Accepted(new) = outcome.await.unwrap() else {
            panic!("the password of {username} is right");
        };
        assert!(new.is_halfway);
        assert!(self.core.session(&new.token, self.now()).unwrap().is_none());
        self.core
            .half_session(&new.token, self.now())
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn prove(&self, claimant: Claimant<'_>, typed: &Secret) -> ProvedFactor {
        self.core
            .prove_second_factor(claimant, typed, PEER, self.now())
            .await
            .unwrap()
    }

    /// A key is touched on the page that sets one up.
    pub(crate) async fn claim(&self, claimant: Claimant<'_>, typed: &Secret) -> Enrolment {
        self.core
            .enrol_yubikey(claimant, typed, PEER, self.now())
            .await
            .unwrap()
    }

    /// The code of an authenticator comes back.
    pub(crate) async fn confirm(
        &self,
        claimant: Claimant<'_>,
        offer: &Secret,
        typed: &Secret,
    ) -> Enrolment {
        self.core
            .enrol_totp(claimant, offer, typed, self.now())
            .await
            .unwrap()
    }

    /// The session of somebody who proves this.
    #[track_caller]
    pub(crate) fn opened(&self, proved: ProvedFactor) -> BrowserSession {
        let ProvedFactor::Accepted(new) = proved else {
            panic!("a session, not {proved:?}");
        };
        self.session_of(&new)
    }

    pub(crate) fn session_of(&self, new: &NewSession) -> BrowserSession {
        assert!(!new.is_halfway);
        self.core.session(&new.token, self.now()).unwrap().unwrap()
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in_with(&self, username: &str, typed: &Secret) -> BrowserSession {
        let half = self.half(username).await;
        let proved = self.prove(Claimant::Halfway(&half), typed).await;
        self.opened(proved)
    }

    /// Sets an authenticator up in a session, which becomes another one.
    pub(crate) async fn set_up(
        &self,
        session: &BrowserSession,
    ) -> (Authenticator, Vec<Secret>, BrowserSession) {
        let claimant = Claimant::SignedIn(session);
        let offer = self.core.offer_totp(claimant, self.now()).unwrap();
        let authenticator = Authenticator::new(&offer.secret);
        let code = authenticator.code(self.now());
        let enrolment = self
            .core
            .enrol_totp(claimant, &offer.sealed, &code, self.now());
        let done = done(enrolment.await.unwrap());
        let session = self.session_of(&done.session);
        (authenticator, done.recovery_codes, session)
    }

    /// `ada` with an authenticator, at a time when it shows a code that was not
    /// used.
    pub(crate) async fn ada_with_authenticator(&self) -> (Authenticator, Vec<Secret>) {
        let session = self.sign_in("ada").await;
        let (authenticator, codes, _) = self.set_up(&session).await;
        self.advance_secs(60);
        (authenticator, codes)
    }
}

#[track_caller]
pub(crate) fn done(enrolment: Enrolment) -> Enrolled {
    match enrolment {
        Enrolment::Done(done) => done,
        other => panic!("set up, not {other:?}"),
    }
}
