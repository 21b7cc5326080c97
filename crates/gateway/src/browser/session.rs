//! A person who has signed in, as their browser keeps it for us: the token that is checked at every
//! request, and how long this may go on.
//!
//! Not responsible for whether the token is good: it goes the way of every other token.

use std::time::Duration;

use countersign_jose::{Timestamp, base64url, crypto};
use countersign_oauth::{Secret, TokenResponse, secret};
use countersign_resource::Caller;
use countersign_resource::state::{Issued, Key, SharedState, StateError};
use serde::{Deserialize, Serialize};

use super::renewal::{Fresh, renew_at};
use crate::config::{SignIn as Wanted, Wanted as Demanded};

/// Whoever has just signed in and is still refused would be refused again.
const JUST_NOW: i64 = 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// By which it can be ended before its time. A new one at every sign-in.
    id: String,
    #[serde(with = "secret::exposed")]
    pub(super) access_token: Secret,
    /// For the provider's page to sign out at, if there is room for it.
    #[serde(default, with = "secret::exposed")]
    pub(super) id_token: Option<Secret>,
    /// For the next access token, if the server gives one for that, and when to ask.
    #[serde(default, with = "secret::exposed")]
    refresh_token: Option<Secret>,
    renew_at: i64,
    /// Whose it is.
    subject: String,
    began: i64,
    seen: i64,
    asked: Asked,
}

/// How a person was asked to sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) acr: Vec<String>,
    /// In seconds.
    pub(super) max_age: Option<u64>,
}

impl Asked {
    /// As a route wants it.
    pub(super) fn by(wanted: &Demanded) -> Self {
        Self {
            acr: wanted.acr.clone(),
            max_age: wanted.max_age.map(|age| age.as_secs()),
        }
    }
}

/// A session whose token is to be renewed.
pub(super) struct Due<'s> {
    pub(super) refresh_token: &'s Secret,
    pub(super) subject: &'s str,
}

impl Session {
    pub(super) fn begin(
        tokens: TokenResponse,
        caller: &Caller,
        asked: Asked,
        now: Timestamp,
    ) -> Option<Self> {
        let mut id = [0; 16];
        crypto::aws_lc::provider().fill_random(&mut id).ok()?;
        Some(Self {
            id: base64url::encode(&id),
            access_token: tokens.access_token,
            id_token: tokens.id_token,
            refresh_token: tokens.refresh_token,
            renew_at: renew_at(caller.expires_at(), now),
            subject: caller.subject().to_owned(),
            began: now.as_secs(),
            seen: now.as_secs(),
            asked,
        })
    }

    /// Whether it may still be used, as far as its own limits go.
    pub(super) fn is_alive(&self, wanted: &Wanted, now: Timestamp) -> bool {
        let now = now.as_secs();
        let within = |since: i64, limit: Duration| {
            let age = now.saturating_sub(since);
            age < i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)
        };
        within(self.began, wanted.longest) && within(self.seen, wanted.idle)
    }

    /// How long a browser is to keep it.
    pub(super) fn life(&self, wanted: &Wanted, now: Timestamp) -> Duration {
        let end = Timestamp::from_secs(self.began) + wanted.longest;
        end.since(now).min(wanted.idle)
    }

    /// Notes that it was used, if it was not noted lately: then the browser is to keep the new one.
    pub(super) fn touch(&mut self, wanted: &Wanted, now: Timestamp) -> bool {
        let often = (wanted.idle / 10).as_secs().clamp(1, 300);
        let is_due = now.as_secs().saturating_sub(self.seen) >= i64::try_from(often).unwrap_or(300);
        if is_due {
            self.seen = now.as_secs();
        }
        is_due
    }

    /// What a renewal needs of it, if it is time for one.
    pub(super) fn due(&self, now: Timestamp) -> Option<Due<'_>> {
        let refresh_token = self.refresh_token.as_ref()?;
        (now.as_secs() >= self.renew_at).then_some(Due {
            refresh_token,
            subject: &self.subject,
        })
    }

    /// Goes on with other tokens.
    pub(super) fn renew(&mut self, fresh: &Fresh, now: Timestamp) {
        self.access_token = fresh.access_token.clone();
        if let Some(token) = &fresh.refresh_token {
            self.refresh_token = Some(token.clone());
        }
        self.renew_at = fresh.renew_at;
        self.seen = now.as_secs();
    }

    /// The token that would go on bringing others when the session has ended.
    pub(super) fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Whether to sign in once more would change nothing about a refusal: one that wants a stronger or
    /// more recent sign-in like this, or one for another reason.
    pub(super) fn would_be_in_vain(&self, stronger: Option<&Asked>, now: Timestamp) -> bool {
        let just_now = now.as_secs().saturating_sub(self.began) < JUST_NOW;
        match stronger {
            None => just_now,
            // An age that is wanted is exceeded sooner or later; a class stays what it is.
            Some(asked) => *asked == self.asked && (just_now || asked.max_age.is_none()),
        }
    }

    fn key(&self) -> Key {
        Key::new("sign-in-session", &[self.id.as_bytes()])
    }

    /// Whether its owner has signed out, here or at another replica.
    pub(super) async fn is_ended(
        &self,
        state: &dyn SharedState,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        if state.denies_nothing() {
            return Ok(false);
        }
        let keys = [self.key()];
        let began = Some(Timestamp::from_secs(self.began));
        match state.denied_now(&keys, began, now) {
            Some(denied) => Ok(denied),
            None => state.denied(&keys, began, now).await,
        }
    }

    /// Ends it everywhere, whoever has a copy.
    pub(super) async fn end(
        &self,
        state: &dyn SharedState,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let until = Timestamp::from_secs(self.began) + wanted.longest;
        state
            .deny(&self.key(), Issued::Whenever, until.max(now), now)
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    use super::*;

    /// Sessions that last an hour unused, and twelve.
    fn wanted() -> Wanted {
        let text = r#"
[listen]
address = "127.0.0.1:0"
origin = "https://app.example"

[[issuer]]
url = "https://id.example"
audience = "https://app.example"

[sign_in]
issuer = "https://id.example"
client_id = "app"
cookie_key_file = "cookie.key"
"#;
        let config = Config::parse(text, "gateway.toml", Path::new("")).unwrap();
        config.sign_in.unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn session(began: i64, seen: i64) -> Session {
        Session {
            id: "id".to_owned(),
            access_token: Secret::new("access"),
            id_token: None,
            refresh_token: Some(Secret::new("refresh")),
            renew_at: 1_000,
            subject: "ada".to_owned(),
            began,
            seen,
            asked: Asked::default(),
        }
    }

    #[test]
    fn a_session_ends_unused_after_an_hour_and_in_any_case_after_twelve() {
        let wanted = wanted();
        for (began, seen, now, alive) in [
            (0, 0, 0, true),
            (0, 0, 3_599, true),
            (0, 0, 3_600, false),
            (0, 40_000, 43_199, true),
            (0, 43_000, 43_200, false),
            // A clock that was set back ends nothing.
            (100, 100, 50, true),
        ] {
            let session = session(began, seen);
            assert_eq!(
                session.is_alive(&wanted, at(now)),
                alive,
                "{began} {seen} {now}"
            );
        }
        assert_eq!(session(0, 0).life(&wanted, at(40_000)).as_secs(), 3_200);
        assert_eq!(session(0, 0).life(&wanted, at(0)).as_secs(), 3_600);
    }

    #[test]
    fn a_browser_gets_a_new_cookie_now_and_then_and_not_each_time() {
        let (wanted, mut session) = (wanted(), session(0, 0));
        assert!(!session.touch(&wanted, at(299)));
        assert!(session.touch(&wanted, at(300)));
        assert!(!session.touch(&wanted, at(301)));
        assert!(session.is_alive(&wanted, at(3_800)));
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_not_at_once() {
        let due = |now| session(0, 0).due(at(now)).is_some();
        assert!(!due(999) && due(1_000) && due(5_000));
        for (expires, renewed) in [(300, 225), (3_600, 3_480), (4, 3), (0, -1)] {
            assert_eq!(renew_at(at(expires), at(0)), renewed, "{expires}");
        }
    }

    #[test]
    fn who_has_just_signed_in_or_was_asked_the_same_is_not_asked_again() {
        let mut session = session(1_000, 1_000);
        let asked = |acr: &[&str], max_age| Asked {
            acr: acr.iter().map(ToString::to_string).collect(),
            max_age,
        };
        assert!(session.would_be_in_vain(None, at(1_009)));
        assert!(!session.would_be_in_vain(None, at(1_010)));
        // Another way of signing in may help at once.
        let mfa = asked(&["mfa"], None);
        assert!(!session.would_be_in_vain(Some(&mfa), at(1_001)));
        session.asked = mfa.clone();
        assert!(session.would_be_in_vain(Some(&mfa), at(2_000)));
        assert!(!session.would_be_in_vain(Some(&asked(&["hsm"], None)), at(1_001)));
        // The same way, after some time, is what an age wants.
        let recent = asked(&["mfa"], Some(300));
        session.asked = recent.clone();
        assert!(session.would_be_in_vain(Some(&recent), at(1_009)));
        assert!(!session.would_be_in_vain(Some(&recent), at(1_400)));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", session(0, 0));
        assert!(
            !shown.contains("access\"") && !shown.contains("refresh\""),
            "{shown}"
        );
    }
}
