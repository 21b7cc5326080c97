//! A sign-in that is under way: sending the browser to the authorization server, and taking what it
//! brings back.
//!
//! All that has to be known when it comes back is in a sealed cookie of the attempt's own, so that any
//! replica can go on, several tabs can sign in at once, and an answer that was begun in another browser
//! is nobody's. It works once.
//!
//! Not responsible for what becomes of the session, nor for writing anything down.

use std::time::Duration;

use countersign_jose::{Timestamp, base64url, crypto};
use countersign_oauth::{
    AuthorizationRequest, CallbackError, CodeFlow, Error, KeptAuthorization, MAX_CALLBACK, Secret,
};
use countersign_resource::state::{Claim, Key, StateError};
use countersign_resource::{Caller, Rejection};
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::cookies::Ours;
use super::page::{discreet, page};
use super::provider::Trouble;
use super::session::{Asked, Session};
use super::{SignIn, redirect};
use crate::config::{Access, Wanted};
use crate::decide::find;
use crate::live::Live;
use crate::proxy::Download;

/// How long a person may take to sign in.
const LIFE: Duration = Duration::from_secs(600);
/// How many may be under way in one browser; the oldest give way.
const MOST: usize = 8;
/// The longest address to come back to, so that the cookie stays below what browsers take.
const LONGEST_BACK: usize = 1500;
/// How many letters of the digest of `state` an attempt is called by.
const NAME: usize = 16;

/// What is sealed in the cookie of an attempt.
#[derive(Debug, Serialize, Deserialize)]
struct Attempt {
    kept: KeptAuthorization,
    /// Path and query to come back to.
    back: String,
    asked: Asked,
    until: i64,
}

/// Why somebody who came back is not signed in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the answer belongs to no sign-in that is under way in this browser")]
    NotHere,
    #[error("the answer was used before")]
    Used,
    #[error(transparent)]
    Answer(#[from] CallbackError),
    #[error(transparent)]
    Server(#[from] Trouble),
    #[error("the access token is of no use here")]
    Token(#[source] Rejection),
    #[error("the access token is of the issuer {0}")]
    OtherIssuer(String),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the tokens are too long for cookies")]
    TooLong,
    #[error("nothing can be sealed")]
    NoSeal,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error.into())
    }
}

impl Failure {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotHere => "sign_in_unknown",
            Self::Used => "sign_in_used",
            Self::Answer(error) => error.code(),
            Self::Server(trouble) => trouble.code(),
            Self::Token(rejection) => rejection.code(),
            Self::OtherIssuer(_) => "wrong_issuer",
            Self::State(error) => error.code(),
            Self::TooLong => "sign_in_too_long",
            Self::NoSeal => "sign_in_no_seal",
        }
    }

    /// What the person reads.
    pub(super) fn page(&self) -> Response<Download> {
        let again = "Open the page that you wanted to see once more to sign in again.";
        match self {
            Self::NotHere | Self::Used => page(
                StatusCode::BAD_REQUEST,
                "This sign-in is over",
                &[
                    "It took too long, was finished already, or was begun in another browser.",
                    again,
                ],
                None,
            ),
            Self::Answer(CallbackError::Refused(refusal)) => {
                let said = refusal
                    .description
                    .as_deref()
                    .map(|text| format!("The sign-in service says: {text}"));
                page(
                    StatusCode::FORBIDDEN,
                    "You are not signed in",
                    &[
                        "The sign-in was refused or broken off.",
                        said.as_deref().unwrap_or_default(),
                        again,
                    ],
                    None,
                )
            }
            Self::Answer(_) => page(
                StatusCode::BAD_REQUEST,
                "This sign-in cannot be used",
                &[
                    "What came back from the sign-in service is no answer to it.",
                    again,
                ],
                None,
            ),
            Self::Server(trouble) if trouble.is_passing() => unreachable_page(),
            Self::State(_) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Signing in does not work at the moment",
                &["Try again in a minute."],
                None,
            ),
            _ => page(
                StatusCode::FORBIDDEN,
                "You are not signed in",
                &[
                    "The sign-in service has let you in, but not in the way that this site asks for.",
                    "If that happens again, tell those who run this site.",
                ],
                None,
            ),
        }
    }
}

/// The page of somebody whom nobody can sign in.
fn unreachable_page() -> Response<Download> {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Signing in does not work at the moment",
        &["The sign-in service cannot be reached. Try again in a minute."],
        None,
    )
}

/// Somebody who has signed in, and what to tell their browser.
pub(super) struct SignedIn {
    pub(super) caller: Caller,
    pub(super) response: Response<Download>,
}

impl SignIn {
    fn request(&self, asked: &Asked) -> AuthorizationRequest {
        let wanted = &self.wanted;
        let mut request = AuthorizationRequest::new(wanted.scopes.clone());
        request.audience.clone_from(&wanted.audience);
        request.resource.extend(wanted.resource.clone());
        request.acr_values.clone_from(&asked.acr);
        request.max_age = asked.max_age.map(Duration::from_secs);
        request
    }

    fn redirect_uri(&self, origin: &Url) -> String {
        let origin = origin.origin().ascii_serialization();
        format!("{origin}{}{}", self.wanted.prefix, super::CALLBACK)
    }

    /// Sends a browser to sign in, as a route wants it, and to come back to this page. Nothing when the
    /// address of the page is too long to be kept.
    pub(super) async fn begin(
        &self,
        ours: &Ours,
        origin: &Url,
        demanded: &Wanted,
        (path, query): (&str, Option<&str>),
        now: Timestamp,
    ) -> Option<Result<Response<Download>, Failure>> {
        let whole = query.map(|query| format!("{path}?{query}"));
        let back = whole
            .filter(|back| back.len() <= LONGEST_BACK)
            .unwrap_or_else(|| path.to_owned());
        if back.len() > LONGEST_BACK {
            return None;
        }
        Some(self.send(ours, origin, demanded, back, now).await)
    }

    async fn send(
        &self,
        ours: &Ours,
        origin: &Url,
        demanded: &Wanted,
        back: String,
        now: Timestamp,
    ) -> Result<Response<Download>, Failure> {
        let metadata = self.provider.metadata().await?;
        let client = self.provider.client(&metadata);
        let asked = Asked::by(demanded);
        let request = self.request(&asked);
        let provider = crypto::aws_lc::provider();
        let flow = request.start_code(&metadata, &client, &self.redirect_uri(origin), provider)?;
        let pending = self.provider.drive(flow).await?;
        let kept = pending.keep();
        let id = name(kept.state());
        let attempt = Attempt {
            kept,
            back,
            asked,
            until: (now + LIFE).as_secs(),
        };
        let sealed = self
            .seals
            .seal(&["attempt", &place(origin), &id], &attempt)
            .ok_or(Failure::NoSeal)?;
        let mut response = redirect(pending.url().as_str()).ok_or(Failure::NoSeal)?;
        let writer = self.writer(origin);
        for old in self.surplus(ours, origin) {
            writer.no_attempt(response.headers_mut(), &old);
        }
        writer.attempt(response.headers_mut(), &id, &sealed, LIFE);
        Ok(response)
    }

    /// Which attempts of this browser have to give way to another one.
    fn surplus(&self, ours: &Ours, origin: &Url) -> Vec<String> {
        let mut attempts: Vec<(i64, &str)> = ours
            .attempts()
            .map(|(id, sealed)| {
                let attempt = self.open(origin, id, sealed);
                (attempt.map_or(0, |attempt| attempt.until), id)
            })
            .collect();
        attempts.sort_unstable();
        let surplus = (attempts.len() + 1).saturating_sub(MOST);
        let oldest = attempts.into_iter().take(surplus);
        oldest.map(|(_, id)| id.to_owned()).collect()
    }

    fn open(&self, origin: &Url, id: &str, sealed: &str) -> Option<Attempt> {
        self.seals.open(&["attempt", &place(origin), id], sealed)
    }

    /// Takes what the browser brings back, and signs the person in.
    pub(super) async fn finish(
        &self,
        live: &Live,
        ours: &Ours,
        origin: &Url,
        query: &str,
        now: Timestamp,
    ) -> Result<SignedIn, Failure> {
        if query.len() > MAX_CALLBACK {
            return Err(Failure::NotHere);
        }
        let state = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "state")
            .map(|(_, value)| Secret::new(value))
            .ok_or(Failure::NotHere)?;
        let id = name(&state);
        let attempt = ours
            .attempt(&id)
            .and_then(|sealed| self.open(origin, &id, sealed))
            .filter(|attempt| now.as_secs() < attempt.until)
            .ok_or(Failure::NotHere)?;

        let metadata = self.provider.metadata().await?;
        let client = self.provider.client(&metadata);
        let pending = self.request(&attempt.asked).resume(
            &metadata,
            &client,
            &self.redirect_uri(origin),
            attempt.kept,
            crypto::aws_lc::provider(),
        )?;
        let code = pending.accept(query)?;
        self.claim(live, &state, attempt.until, now).await?;
        let tokens = self
            .provider
            .drive(CodeFlow::new(&metadata, &client, &pending, &code)?)
            .await?;
        self.provider
            .verify(&metadata, &pending, &tokens, now)
            .await?;
        let caller = self.judge(live, &tokens.access_token).await?;

        let session = Session::begin(tokens, &caller, attempt.asked, now).ok_or(Failure::NoSeal)?;
        let back = Some(attempt.back)
            .filter(|back| admits(live, back))
            .unwrap_or_else(|| "/".to_owned());
        let address = format!("{}{back}", origin.origin().ascii_serialization());
        let mut response = redirect(&address).ok_or(Failure::NoSeal)?;
        self.writer(origin).no_attempt(response.headers_mut(), &id);
        if !self.keep(response.headers_mut(), ours, origin, session, now) {
            return Err(Failure::TooLong);
        }
        Ok(SignedIn { caller, response })
    }

    /// Sees to it that an answer counts once, wherever it comes a second time.
    async fn claim(
        &self,
        live: &Live,
        state: &Secret,
        until: i64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let key = Key::new("sign-in", &[state.expose().as_bytes()]);
        let expires = Timestamp::from_secs(until);
        match live.memory().shared().claim(&key, expires, now).await {
            Ok(Claim::First) => Ok(()),
            Ok(Claim::Again) => Err(Failure::Used),
            // The authorization server takes a code once as well.
            Err(_) if live.config().state.danger_allow_without => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A token that no route would take is no reason to send anybody round and round.
    async fn judge(&self, live: &Live, token: &Secret) -> Result<Caller, Failure> {
        let validator = live.validator().ok_or(Failure::NotHere)?;
        let caller = validator
            .validate(token.expose())
            .await
            .map_err(Failure::Token)?;
        if caller.issuer() == self.provider.issuer().as_str() {
            Ok(caller)
        } else {
            Err(Failure::OtherIssuer(caller.issuer().to_owned()))
        }
    }
}

/// What an attempt is called by: enough to tell it from others, and nothing of `state`.
fn name(state: &Secret) -> String {
    let digest = crypto::aws_lc::provider().sha256(state.expose().as_bytes());
    let mut name = base64url::encode(&digest);
    name.truncate(NAME);
    name
}

pub(super) fn place(origin: &Url) -> String {
    origin.origin().ascii_serialization()
}

/// Whether somebody may be sent back to this page: one of ours that asks for a sign-in, in the form in
/// which it is compared.
fn admits(live: &Live, back: &str) -> bool {
    let path = back.split('?').next().unwrap_or_default();
    find(live, path, &http::Method::GET).is_ok_and(|(form, rule)| {
        form == path && rule.route.sign_in && rule.route.access != Access::Public
    })
}

/// The page in place of an address that leads to a sign-in, when that cannot begin.
pub(super) fn not_begun(failure: &Failure) -> Response<Download> {
    let mut response = failure.page();
    let headers = response.headers_mut();
    headers.remove(LOCATION);
    headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("10"));
    discreet(headers);
    response
}
