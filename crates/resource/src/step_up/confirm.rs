//! The decision about a request that needs a one-time password.
//!
//! The order: the header field is read, the challenge is ours and for this request and not too old, and
//! until here no memory was asked. Then the password: whether there may be another attempt, whether it
//! is right, and only then is the nonce of the challenge used up, and last the password. So a wrong
//! password costs no challenge, and a challenge that was used costs no password. Whatever cannot be
//! asked refuses.
//!
//! Not responsible for the password itself, nor for reading a body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_jose::{Timestamp, crypto};
use countersign_oauth::Secret;
use url::Url;

use super::challenge::{Bound, Sealer, Unfit};
use super::grammar::{Answer, MalformedStepUp};
use super::refusal::{Offer, StepUpRefusal, Unconfirmed, words};
use super::{Confirmed, Per, STEP_UP, StepUp};
use crate::credentials::credentials;
use crate::otp::{Method, OtpError, OtpService, Person, Typed};
use crate::state::{Key, SharedState};
use crate::{Caller, Clock, Error, Presented, Rejection, SystemClock};

/// When what cannot be asked now is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// How far the clocks of replicas may be apart: a nonce is remembered for so much longer, lest a replica
/// that is behind takes one for good that another has forgotten.
const APART: Duration = Duration::from_secs(300);

/// What is known of a request's body.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Seen<'b> {
    /// All of it.
    Whole(&'b [u8]),
    /// Nothing: a password for this request is one for a request with any other body as well.
    DangerUnbound,
}

/// Has requests confirmed by one-time passwords.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Confirmer {
    inner: Arc<Inner>,
}

struct Inner {
    realm: String,
    origin: Option<Url>,
    sealer: Sealer,
    otp: OtpService,
    clock: Arc<dyn Clock>,
}

impl Inner {
    /// What remembers used passwords remembers used challenges.
    fn state(&self) -> &dyn SharedState {
        &**self.otp.state()
    }
}

impl Confirmer {
    /// Begins one for the API of this name, which no other API has: its URL, for example. A challenge
    /// of one name is none of another. `otp` judges passwords; what it remembers by remembers which
    /// challenges were used, too.
    pub fn builder(realm: impl Into<String>, otp: OtpService) -> ConfirmerBuilder {
        ConfirmerBuilder {
            realm: realm.into(),
            origin: None,
            keys: Vec::new(),
            otp,
            clock: None,
        }
    }

    /// Decides about a request of this caller, and uses the password up that it brings. `request` is
    /// the one that the caller was found in.
    ///
    /// # Errors
    ///
    /// [`Rejection::StepUp`]: with a challenge, where a password or another one would do.
    pub async fn confirm(
        &self,
        caller: &Caller,
        request: &Presented<'_>,
        body: Seen<'_>,
        asked: &StepUp,
    ) -> Result<Confirmed, Rejection> {
        let now = self.inner.clock.now();
        let Some(scene) = self.scene(caller, request, body, asked, now) else {
            return Err(StepUpRefusal::final_of(Unconfirmed::NoToken, caller).into());
        };
        let answer = match the_answer(request) {
            Ok(answer) => answer,
            Err(problem) => return Err(StepUpRefusal::final_of(problem.into(), caller).into()),
        };
        let outcome = match answer {
            None => scene.without_password().await,
            Some(answer) => scene.with_password(&answer).await,
        };
        match outcome {
            Ok(confirmed) => Ok(confirmed),
            Err(why) => Err(scene.refuse(why).await.into()),
        }
    }

    fn scene<'s>(
        &'s self,
        caller: &'s Caller,
        request: &Presented<'_>,
        body: Seen<'_>,
        asked: &'s StepUp,
        now: Timestamp,
    ) -> Option<Scene<'s>> {
        let inner = &*self.inner;
        let provider = crypto::aws_lc::provider();
        let token = credentials(request.headers, request.uri).ok()?.token;
        let request = request.origin(request.origin.or(inner.origin.as_ref()));
        let path = request.address();
        let path = path.unwrap_or_else(|| request.uri.path().to_owned());
        Some(Scene {
            inner,
            caller,
            asked,
            now,
            action: asked.action(request.method, request.uri),
            token: provider.sha256(token.as_bytes()),
            method: request.method.to_string(),
            target: match request.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            },
            body: match body {
                Seen::Whole(body) => Some(provider.sha256(body)),
                Seen::DangerUnbound => None,
            },
            methods: words(asked.methods()),
        })
    }
}

/// A request, a rule, and the moment.
struct Scene<'s> {
    inner: &'s Inner,
    caller: &'s Caller,
    asked: &'s StepUp,
    now: Timestamp,
    action: Option<String>,
    token: [u8; 32],
    method: String,
    target: String,
    body: Option<[u8; 32]>,
    methods: String,
}

impl Scene<'_> {
    fn bound(&self) -> Bound<'_> {
        Bound {
            realm: &self.inner.realm,
            issuer: self.caller.issuer(),
            subject: self.caller.subject(),
            token: &self.token,
            method: &self.method,
            target: &self.target,
            body: self.body.as_ref(),
            rule: self.asked.rule(),
            methods: &self.methods,
        }
    }

    fn person(&self) -> Person<'_> {
        Person::new(self.caller.issuer(), self.caller.subject())
    }

    /// What is noted while an earlier password counts.
    fn window(&self) -> Key {
        let inner = &self.inner;
        Key::new(
            "step-up-window",
            &[
                inner.realm.as_bytes(),
                self.caller.issuer().as_bytes(),
                self.caller.subject().as_bytes(),
                &self.token,
                self.asked.rule().as_bytes(),
            ],
        )
    }

    async fn without_password(&self) -> Result<Confirmed, Unconfirmed> {
        if let Per::Window(_) = self.asked.per() {
            let window = self.window();
            match self.inner.state().granted(&window, self.now).await {
                Ok(true) => return Ok(Confirmed::before(self.asked.rule())),
                Ok(false) => {}
                Err(_) => return Err(UNAVAILABLE),
            }
        }
        Err(Unconfirmed::Needed)
    }

    async fn with_password(&self, answer: &Answer<'_>) -> Result<Confirmed, Unconfirmed> {
        let method = Method::from_wire(answer.method)
            .filter(|method| self.asked.methods().contains(method))
            .ok_or(MalformedStepUp::Method)?;
        let inner = self.inner;
        let since = inner.state().remembers_since();
        let opened = inner
            .sealer
            .open(answer.challenge, &self.bound(), since, self.now)
            .map_err(|unfit| match unfit {
                Unfit::Foreign => Unconfirmed::ForeignChallenge,
                Unfit::Expired => Unconfirmed::ExpiredChallenge,
            })?;
        let used = Key::new(
            "step-up-nonce",
            &[inner.realm.as_bytes(), opened.nonce.as_bytes()],
        );
        let claim = async {
            let until = opened.expires + APART;
            inner.state().claim(&used, until, self.now).await
        };
        let typed = Typed::new(method, Secret::new(answer.otp));
        let confirmed = inner.otp.verify(self.person(), &typed, claim).await;
        let confirmed = confirmed.map_err(|error| self.unconfirmed(&error))?;
        if let Per::Window(time) = self.asked.per() {
            // This request is confirmed, whatever becomes of those to come.
            let (window, until) = (self.window(), self.now + time);
            let _ = inner.state().grant(&window, until, self.now).await;
        }
        Ok(Confirmed::now(self.asked.rule(), &confirmed, self.now))
    }

    fn unconfirmed(&self, error: &OtpError) -> Unconfirmed {
        match error {
            OtpError::Wrong => Unconfirmed::WrongOtp,
            OtpError::Replayed => Unconfirmed::ReplayedOtp,
            OtpError::ChallengeUsed => Unconfirmed::UsedChallenge,
            OtpError::NoDevice => Unconfirmed::NoDevice,
            OtpError::Locked { until } => Unconfirmed::Locked {
                retry_after: until.since(self.now),
            },
            OtpError::Unavailable(_) => UNAVAILABLE,
        }
    }

    /// The refusal, with a fresh challenge where another password may do.
    async fn refuse(&self, why: Unconfirmed) -> StepUpRefusal {
        let refusal = |why| StepUpRefusal::final_of(why, self.caller);
        if !why.may_try_again() {
            return refusal(why);
        }
        match self.offer().await {
            Ok(offer) => StepUpRefusal {
                offer: Some(offer),
                ..refusal(why)
            },
            Err(why) => refusal(why),
        }
    }

    async fn offer(&self) -> Result<Offer, Unconfirmed> {
        let theirs = self.inner.otp.methods(self.person()).await;
        let theirs = theirs.map_err(|error| self.unconfirmed(&error))?;
        let asked = self.asked.methods().iter().copied();
        let methods: Vec<Method> = asked.filter(|method| theirs.contains(method)).collect();
        if methods.is_empty() {
            return Err(Unconfirmed::NoDevice);
        }
        let life = self.asked.life();
        let challenge = self.inner.sealer.seal(&self.bound(), self.now, life);
        Ok(Offer {
            challenge: challenge.map_err(|_| UNAVAILABLE)?,
            methods,
            life,
            action: self.action.clone(),
        })
    }
}

const UNAVAILABLE: Unconfirmed = Unconfirmed::Unavailable { retry_after: RETRY };

/// The one `Step-Up` header field.
fn the_answer<'h>(request: &Presented<'h>) -> Result<Option<Answer<'h>>, MalformedStepUp> {
    let mut values = request.headers.get_all(STEP_UP).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(MalformedStepUp::Several),
        (Some(value), None) => Answer::parse(value.as_bytes()).map(Some),
    }
}

/// A [`Confirmer`] being put together.
#[must_use]
pub struct ConfirmerBuilder {
    realm: String,
    origin: Option<Url>,
    keys: Vec<[u8; 32]>,
    otp: OtpService,
    clock: Option<Arc<dyn Clock>>,
}

impl ConfirmerBuilder {
    /// The scheme, host and port under which callers reach the API, where requests do not say it by
    /// [`Presented::origin`].
    pub fn origin(mut self, origin: Url) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The key of the challenges, 32 random bytes that all replicas share. Without one, each makes its
    /// own, which ends with the process, and with it all challenges under way. Said again, an older key
    /// that still opens what it has sealed.
    pub fn key(mut self, key: [u8; 32]) -> Self {
        self.keys.push(key);
        self
    }

    /// Takes the time from this clock, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`Error::StepUp`], [`Error::Origin`] or [`Error::Random`].
    pub fn build(self) -> Result<Confirmer, Error> {
        if self.realm.is_empty() {
            return Err(Error::StepUp("the API has no name".to_owned()));
        }
        if let Some(origin) = &self.origin
            && !(matches!(origin.scheme(), "http" | "https") && origin.has_host())
        {
            return Err(Error::Origin(origin.to_string()));
        }
        Ok(Confirmer {
            inner: Arc::new(Inner {
                realm: self.realm,
                origin: self.origin,
                sealer: Sealer::new(self.keys)?,
                otp: self.otp,
                clock: self
                    .clock
                    .unwrap_or_else(|| Arc::new(SystemClock::default())),
            }),
        })
    }
}

impl fmt::Debug for Confirmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmer")
            .field("realm", &self.inner.realm)
            .field("origin", &self.inner.origin.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ConfirmerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfirmerBuilder")
            .field("realm", &self.realm)
            .field("origin", &self.origin.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}
