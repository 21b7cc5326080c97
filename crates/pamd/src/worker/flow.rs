//! Sign-ins and renewals, each on a thread of its own: the machines of `countersign-oauth`, driven with
//! a limit on every wait and an ear for "forget it".
//!
//! Not responsible for who may ask, nor for what the claims allow.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use countersign_client::{Clock, Timestamp};
use countersign_jose::crypto::ring;
use countersign_oauth::preset::{DevicePkce, Preset};
use countersign_oauth::{
    AuthorizationRequest, CallbackError, Client, ClientAuthentication, CodeFlow, DeviceFlow,
    Endpoint, Error, Flow, IdTokenError, Metadata, PeerMisbehaved, PendingAuthorization,
    RefreshFlow, RevocationFlow, ScopeSet, Secret, Step, SubjectCheck, TokenResponse,
    TokenTypeHint, TransportError, UserInfoFlow, id_token,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::message::{FromWorker, Requester};
use super::provider::{Provider, World};
use crate::conversation::FailureKind;
use crate::prompt::Shown;

/// What a flow is told while it runs.
#[derive(Debug)]
pub(super) enum Told {
    Forget,
    Redeem(Secret),
}

/// Everything that flows have in common.
pub(super) struct Shop {
    pub(super) provider: Provider,
    /// What is known of it.
    pub(super) preset: &'static Preset,
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) scopes: ScopeSet,
    /// The longest that one answer is waited for.
    pub(super) http_timeout: Duration,
}

/// One sign-in.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) id: u64,
    pub(super) redirect_uri: Option<String>,
    pub(super) requester: Requester,
    pub(super) acr_values: Vec<String>,
    pub(super) max_age: Option<Duration>,
    pub(super) renewable: bool,
    pub(super) limit: Duration,
}

/// One renewal.
#[derive(Debug)]
pub(super) struct Renewal {
    pub(super) id: u64,
    pub(super) refresh_token: Secret,
    pub(super) subject: String,
    /// What has to be known of the person.
    pub(super) claims: Vec<String>,
}

/// What people are called by in greetings and the journal. No rule looks at them because they stand here.
const NAMES: [&str; 3] = ["name", "preferred_username", "email"];

/// How long something may take, and whether anybody still wants to know.
pub(super) struct Patience<'p> {
    /// Of the monotonic clock.
    until: Duration,
    /// Times that are given to machines never run backwards.
    wall: Timestamp,
    monotonic: Duration,
    told: Option<&'p Receiver<Told>>,
    forgotten: Cell<bool>,
}

impl<'p> Patience<'p> {
    /// `limit` from now.
    pub(super) fn begin(clock: &dyn Clock, limit: Duration) -> Self {
        Self {
            until: clock.monotonic().saturating_add(limit),
            wall: clock.now(),
            monotonic: clock.monotonic(),
            told: None,
            forgotten: Cell::new(false),
        }
    }

    /// The same, until somebody says that it is not wanted any more.
    fn or_forgotten(mut self, told: &'p Receiver<Told>) -> Self {
        self.told = Some(told);
        self
    }

    pub(super) fn left(&self, clock: &dyn Clock) -> Duration {
        self.until.saturating_sub(clock.monotonic())
    }

    fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.wall + clock.monotonic().saturating_sub(self.monotonic)
    }

    /// Lets `duration` pass, or less.
    fn wait(&self, clock: &dyn Clock, duration: Duration) {
        let duration = duration.min(self.left(clock));
        let Some(told) = self.told else {
            clock.sleep(duration);
            return;
        };
        match told.recv_timeout(duration) {
            Ok(Told::Forget) | Err(RecvTimeoutError::Disconnected) => self.forgotten.set(true),
            // A code that nobody asked for.
            Ok(Told::Redeem(_)) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Runs `flow` to its end, or to that of the patience.
pub(super) fn drive<F: Flow>(
    flow: &mut F,
    world: World<'_>,
    patience: &Patience<'_>,
) -> Result<F::Output, Error> {
    let clock = world.clock;
    let mut last = None;
    loop {
        let left = patience.left(clock);
        let now = patience.now(clock);
        match flow.poll(now)? {
            Step::Done(output) => return Ok(output),
            _ if patience.forgotten.get() => return Err(interrupted()),
            _ if left.is_zero() => return Err(last.unwrap_or_else(timed_out)),
            Step::WaitUntil(at) => patience.wait(clock, at.since(now)),
            Step::Send(request) => match world.transport.send(&request, left) {
                Ok(answer) => flow.handle(&answer, patience.now(clock))?,
                Err(error) => {
                    last = Some(transport(error.clone()));
                    flow.transport_failed(error, patience.now(clock));
                }
            },
        }
    }
}

fn transport(source: TransportError) -> Error {
    Error::Transport {
        endpoint: Endpoint::Token,
        source,
    }
}

fn timed_out() -> Error {
    transport(TransportError::Timeout)
}

fn interrupted() -> Error {
    transport(TransportError::Interrupted)
}

impl Shop {
    /// Who we are at a server that takes these ways to prove it.
    fn client(&self, metadata: &Metadata) -> Client {
        let authentication = match &self.client_secret {
            None => ClientAuthentication::None,
            Some(secret) => {
                let ways = metadata.token_endpoint_auth_methods_supported.as_deref();
                let takes = |way: &str| ways.is_some_and(|ways| ways.iter().any(|one| one == way));
                // A server that says nothing takes the first (RFC 8414, section 2).
                if takes("client_secret_post") && !takes("client_secret_basic") {
                    ClientAuthentication::SecretPost(secret.clone())
                } else {
                    ClientAuthentication::SecretBasic(secret.clone())
                }
            }
        };
        Client::new(self.client_id.as_str(), authentication)
    }

    /// Signs a person in. `say` hears what is to be shown; what comes out is said by whoever called.
    pub(super) fn sign_in(
        &self,
        sign_in: &SignIn,
        world: World<'_>,
        told: &Receiver<Told>,
        say: &dyn Fn(FromWorker),
    ) -> FromWorker {
        let id = sign_in.id;
        let outcome = match &sign_in.redirect_uri {
            None => self.by_device(sign_in, world, told, say),
            Some(redirect_uri) => self.by_paste(sign_in, redirect_uri, world, told, say),
        };
        outcome.unwrap_or_else(|error| self.refused(id, &error))
    }

    /// A failure with what the provider means by it, for the journal. The server's own words come last: they
    /// may be too many.
    fn refused(&self, id: u64, error: &Error) -> FromWorker {
        let meaning = error
            .refusal()
            .and_then(|refusal| self.preset.explain_refusal(refusal));
        let why = match meaning {
            None => why(error),
            Some(meaning) => format!("{} {} ({})", meaning.sentence, meaning.remedy, why(error)),
        };
        FromWorker::Failed {
            id,
            kind: kind(error),
            why,
        }
    }

    fn request(&self, sign_in: &SignIn) -> AuthorizationRequest {
        let mut scopes = self.scopes.clone();
        if !sign_in.renewable {
            scopes.remove("offline_access");
        }
        let mut request = AuthorizationRequest::new(scopes);
        request.acr_values.clone_from(&sign_in.acr_values);
        request.max_age = sign_in.max_age;
        request
    }

    fn by_device(
        &self,
        sign_in: &SignIn,
        world: World<'_>,
        told: &Receiver<Told>,
        say: &dyn Fn(FromWorker),
    ) -> Result<FromWorker, Error> {
        let patience = Patience::begin(world.clock, sign_in.limit).or_forgotten(told);
        let beginning = Patience::begin(world.clock, self.http_timeout);
        let metadata = self.provider.metadata(world, self.http_timeout)?;
        let client = self.client(&metadata);
        let mut request = self.request(sign_in);
        if metadata.countersign_requester_supported == Some(true) {
            let Requester { host, purpose } = &sign_in.requester;
            for (name, value) in [("countersign_host", host), ("countersign_command", purpose)] {
                request.extra.push((name.to_owned(), value.clone()));
            }
        }
        let quirks = &self.preset.quirks;
        let asking_client = quirks.secret.at_device_authorization(&client);
        let mut asking = request.start_device(&metadata, &asking_client)?;
        if quirks.device_pkce == DevicePkce::Taken {
            asking = asking.with_pkce(ring::provider())?;
        }
        let codes = drive(&mut asking, world, &beginning)?;
        let now = patience.now(world.clock);
        let complete = codes.verification_uri_complete.as_ref();
        say(FromWorker::Shown {
            id: sign_in.id,
            shown: Shown::Device {
                user_code: codes.user_code.clone(),
                verification_uri: codes.verification_uri.to_string(),
                verification_uri_complete: complete.map(ToString::to_string),
                expires_in: codes.expires_at.since(now),
            },
        });
        let mut polling = DeviceFlow::new(&metadata, &client, &codes, now)?;
        let tokens = drive(&mut polling, world, &patience)?;
        // The device grant sends no nonce; the device code binds the answer to this request.
        let expected = self.expected(&tokens);
        self.signed(sign_in, &tokens, &expected, world)
    }

    fn by_paste(
        &self,
        sign_in: &SignIn,
        redirect_uri: &str,
        world: World<'_>,
        told: &Receiver<Told>,
        say: &dyn Fn(FromWorker),
    ) -> Result<FromWorker, Error> {
        let patience = Patience::begin(world.clock, sign_in.limit);
        let beginning = Patience::begin(world.clock, self.http_timeout);
        let metadata = self.provider.metadata(world, self.http_timeout)?;
        let client = self.client(&metadata);
        let mut request = self.request(sign_in);
        if sign_in.renewable {
            self.preset.quirks.ask_for_refresh_token(&mut request);
        }
        let mut flow = request.start_code(&metadata, &client, redirect_uri, ring::provider())?;
        let pending = drive(&mut flow, world, &beginning)?;
        say(FromWorker::Shown {
            id: sign_in.id,
            shown: Shown::Paste {
                url: pending.url().to_string(),
            },
        });
        let code = loop {
            let text = match told.recv_timeout(patience.left(world.clock)) {
                Ok(Told::Redeem(text)) => text,
                Ok(Told::Forget) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(interrupted());
                }
                Err(RecvTimeoutError::Timeout) => return Err(timed_out()),
            };
            match accept(&pending, &text) {
                Ok(code) => break code,
                Err(Some(error)) => return Err(error),
                Err(None) => say(FromWorker::NotACode { id: sign_in.id }),
            }
        };
        let mut flow = CodeFlow::new(&metadata, &client, &pending, &code)?;
        let redeeming = Patience::begin(world.clock, self.http_timeout);
        let tokens = drive(&mut flow, world, &redeeming)?;
        let expected = pending.expected_id_token(&tokens);
        self.signed(sign_in, &tokens, &expected, world)
    }

    /// Renews a grant. `say` hears of the new tokens before anything is asked about the person; what comes
    /// of that is said by whoever called.
    pub(super) fn renew(
        &self,
        renewal: &Renewal,
        world: World<'_>,
        say: &dyn Fn(FromWorker),
    ) -> FromWorker {
        let id = renewal.id;
        let renewed = || {
            let metadata = self.provider.metadata(world, self.http_timeout)?;
            let client = self.client(&metadata);
            let mut flow = RefreshFlow::new(&metadata, &client, &renewal.refresh_token)?;
            let patience = Patience::begin(world.clock, self.http_timeout);
            let tokens = drive(&mut flow, world, &patience)?;
            say(FromWorker::Renewed {
                id,
                access_expires_in: tokens.expires_in,
                refresh_token: tokens.refresh_token.clone(),
            });
            let claims = self.about(renewal, &metadata, &tokens, world)?;
            let claims = claims.map(|claims| Value::Object(claims).to_string());
            Ok(FromWorker::About { id, claims })
        };
        renewed().unwrap_or_else(|error| failed(id, &error))
    }

    /// What the server says about the person of a renewed grant: the ID token, and userinfo where the rules
    /// look at more.
    fn about(
        &self,
        renewal: &Renewal,
        metadata: &Metadata,
        tokens: &TokenResponse,
        world: World<'_>,
    ) -> Result<Option<Map<String, Value>>, Error> {
        // OpenID Connect Core 1.0, section 12.2: there need not be an ID token.
        let said = match &tokens.id_token {
            None => None,
            Some(token) => {
                let mut expected = self.expected(tokens);
                expected.subject = Some(renewal.subject.clone());
                let limit = self.http_timeout;
                let verified = self.provider.verify(world, token, &expected, limit)?;
                Some(members(verified.claims()))
            }
        };
        let is_said = |name: &String| said.as_ref().is_some_and(|said| said.contains_key(name));
        let is_enough = renewal.claims.iter().all(is_said);
        // A server without userinfo has said all that it will in the ID token.
        if is_enough || (said.is_some() && metadata.userinfo_endpoint.is_none()) {
            return Ok(said);
        }
        // Section 5.3.2: an answer about anybody else must not be used.
        let subject = SubjectCheck::SameAs(renewal.subject.clone());
        let mut flow = UserInfoFlow::new(metadata, &tokens.access_token, subject)?;
        let patience = Patience::begin(world.clock, self.http_timeout);
        let user_info = members(drive(&mut flow, world, &patience)?.claims());
        let mut claims = said.unwrap_or_default();
        claims.insert("sub".to_owned(), renewal.subject.clone().into());
        for (name, value) in user_info {
            // It cannot say how the person signed in, nor for whom.
            if renewal.claims.contains(&name) || NAMES.contains(&name.as_str()) {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(Some(claims))
    }

    /// Revokes a refresh token, where the server has a place for that.
    pub(super) fn revoke(&self, id: u64, refresh_token: &Secret, world: World<'_>) -> FromWorker {
        let revoked = || {
            let metadata = self.provider.metadata(world, self.http_timeout)?;
            if metadata.revocation_endpoint.is_none() {
                return Ok(FromWorker::Revoked {
                    id,
                    is_taken: false,
                });
            }
            let client = self.client(&metadata);
            let hint = TokenTypeHint::RefreshToken;
            let mut flow = RevocationFlow::new(&metadata, &client, refresh_token, hint)?;
            let patience = Patience::begin(world.clock, self.http_timeout);
            drive(&mut flow, world, &patience)?;
            Ok(FromWorker::Revoked { id, is_taken: true })
        };
        revoked().unwrap_or_else(|error| failed(id, &error))
    }

    fn expected(&self, tokens: &TokenResponse) -> id_token::Expected {
        let issuer = self.provider.issuer().clone();
        let client_id = self.client_id.as_str();
        let mut expected = id_token::Expected::new(issuer, client_id, ring::provider());
        expected.access_token = Some(tokens.access_token.clone());
        expected
    }

    fn signed(
        &self,
        sign_in: &SignIn,
        tokens: &TokenResponse,
        expected: &id_token::Expected,
        world: World<'_>,
    ) -> Result<FromWorker, Error> {
        let token = tokens.id_token.as_ref();
        let token = token.ok_or(Error::IdToken(IdTokenError::Missing))?;
        let verified = self
            .provider
            .verify(world, token, expected, self.http_timeout)?;
        // One that nobody asked for is forgotten: to revoke it could end the session that the person is in.
        let refresh_token = tokens.refresh_token.clone().filter(|_| sign_in.renewable);
        Ok(FromWorker::Signed {
            id: sign_in.id,
            claims: Value::Object(members(verified.claims())).to_string(),
            access_expires_in: tokens.expires_in,
            refresh_token,
        })
    }
}

fn members(claims: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(claims) {
        Ok(Value::Object(members)) => members,
        // Nobody, who is refused.
        _ => Map::new(),
    }
}

/// The code in what was pasted; an error without one when it is worth asking again.
fn accept(
    pending: &PendingAuthorization,
    text: &Secret,
) -> Result<countersign_oauth::AuthorizationCode, Option<Error>> {
    pending
        .accept_pasted(text.expose())
        .map_err(|error| match error {
            CallbackError::Refused(refusal) => Some(Error::AccessDenied(refusal)),
            CallbackError::PeerMisbehaved(what) => Some(Error::PeerMisbehaved {
                endpoint: Endpoint::Authorization,
                what,
            }),
            _ => None,
        })
}

fn failed(id: u64, error: &Error) -> FromWorker {
    FromWorker::Failed {
        id,
        kind: kind(error),
        why: why(error),
    }
}

/// An error with all that is behind it, in one line.
pub(super) fn why(error: &Error) -> String {
    let mut why = vec![error.to_string()];
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let line = error.to_string();
        if why.last() != Some(&line) {
            why.push(line);
        }
        next = error.source();
    }
    why.join(": ")
}

fn kind(error: &Error) -> FailureKind {
    match error {
        Error::AccessDenied(_)
        | Error::CodeRejected(_)
        | Error::RefreshRejected(_)
        // The token of a session that was renewed into another person's is nobody's here.
        | Error::IdToken(IdTokenError::Subject)
        | Error::PeerMisbehaved {
            what: PeerMisbehaved::SubjectMismatch,
            ..
        }
        // Of somebody about whom the server tells us nothing, now or later, nothing can be confirmed.
        | Error::EndpointMissing(Endpoint::UserInfo)
        | Error::PeerMisbehaved {
            what: PeerMisbehaved::UserInfoIsJwt,
            ..
        } => FailureKind::Denied,
        Error::DeviceCodeExpired { .. } | Error::DeviceCodeUnknown(_) => FailureKind::Expired,
        Error::Transport {
            source: TransportError::Interrupted,
            ..
        } => FailureKind::Interrupted,
        Error::Unavailable { .. } => FailureKind::Unreachable,
        Error::Transport { source, .. } if source.is_retryable() => FailureKind::Unreachable,
        Error::Transport { .. }
        | Error::PeerMisbehaved { .. }
        | Error::IdToken(_)
        | Error::Keys(_) => FailureKind::Unbelievable,
        _ => FailureKind::Misconfigured,
    }
}
