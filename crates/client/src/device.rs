//! How a login by the device grant runs (RFC 8628): from the first request to the kept session.
//!
//! Not responsible for the rules of the exchange (`countersign-oauth`), nor for what it looks like.

use std::time::Duration;

use countersign_oauth::{
    AuthorizationRequest, Client, ClientAuthentication, DeviceAuthorization, DeviceFlow, Metadata,
};
use countersign_store::{Lock, Purpose, StoreError};

use crate::browser::{self, Opening};
use crate::drive::{Asleep, Attentive, Waiting, drive};
use crate::refresh::wait_for_lock;
use crate::{
    Clock, Context, DevicePrompt, Error, Login, Notice, Prompt, Provider, Session, SessionName,
    Timestamp,
};

/// How often a waiting person is shown the time and may stop.
const TICK: Duration = Duration::from_millis(200);
/// How long to wait for another process that is signing in to the same session, when the caller has
/// no limit: as long as a device code usually lives.
const OTHER_LOGIN_LIMIT: Duration = Duration::from_secs(600);
/// How long a renewal that is under way may delay the keeping of a finished login.
const RENEWAL_LIMIT: Duration = Duration::from_secs(40);

/// Signs a person in and keeps the session.
pub(crate) fn run(login: &Login, prompt: &mut dyn Prompt) -> Result<Session, Error> {
    let context = login.made_context()?;
    let name = login.name()?;
    let begun = context.clock().now();

    // Taking the lock writes to the directory: if that cannot be done, it shows before a person has
    // approved something that is then lost.
    let (_lock, waited) = take_login_lock(login, &context, &name, prompt)?;
    let existing = look_at_existing(&context, &name, prompt)?;
    let theirs = existing.filter(|session| waited && session.signed_in_at() >= begun);
    if let Some(session) = theirs.filter(|session| is_what_was_asked(login, session)) {
        return Ok(session);
    }

    let session = sign_in(login, &context, prompt)?;

    // A renewal of the session that is being replaced must not write after us. But a login that
    // somebody has just approved is not given up for a process that hangs: without the lock, then.
    let _renewals = wait_for_lock(&context, &name, Purpose::Refresh, RENEWAL_LIMIT).ok();
    context
        .store()
        .save(&name, &session)
        .map_err(Error::Storage)?;
    Ok(session)
}

/// The exchange itself.
fn sign_in(login: &Login, context: &Context, prompt: &mut dyn Prompt) -> Result<Session, Error> {
    let clock = context.clock();
    let mut request = AuthorizationRequest {
        scopes: login.scope_set()?,
        audience: login.request().audience,
        resource: login.checked_resources()?,
        extra: login.extra().to_vec(),
        ..AuthorizationRequest::default()
    };
    let provider = Provider::discover(context, login.issuer().as_str(), login.overrides())?;
    if provider.metadata().countersign_requester_supported == Some(true) {
        add_requester(login, &mut request.extra);
    }
    let client = client(login, provider.metadata());
    let attentive = Attentive::new(context.transport(), clock);

    let mut asking = request.start_device(provider.metadata(), &client)?;
    let authorization = drive(&mut asking, &attentive, clock, &mut Asleep(clock))?;
    // By the time of day, like everything the server's answer is measured by.
    let now = clock.now();
    let opening = show(login, &authorization, now, clock, prompt);
    if let Some((by, ahead)) = attentive.offset().difference() {
        prompt.notice(&Notice::ClockOffset { by, ahead });
    }

    let mut polling = DeviceFlow::new(provider.metadata(), &client, &authorization, now)?;
    let mut person = Person::new(
        prompt,
        clock,
        opening,
        authorization.expires_at.since(now),
        login.limit(),
    );
    let tokens = drive(&mut polling, &attentive, clock, &mut person);
    prompt.finished();
    let tokens = tokens?;

    let id_token = match &tokens.id_token {
        Some(token) => {
            let expected = login.request().expected(&client.client_id, &tokens)?;
            Some(provider.check_id_token(context, token, &expected, attentive.offset())?)
        }
        None => None,
    };
    Ok(Session::begin(
        login.request(),
        &client,
        tokens,
        id_token,
        attentive.last_sent(),
    ))
}

/// Says where and by what command this login was started, for the confirmation page. It is a claim
/// like any other a device makes; it helps a person to recognise what is not theirs.
fn add_requester(login: &Login, parameters: &mut Vec<(String, String)>) {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let claims = [
        ("countersign_host", Some(host)),
        ("countersign_command", login.command_line()),
    ];
    for (name, value) in claims {
        // What the caller says in its own words stays.
        let given = parameters.iter().any(|(known, _)| known == name);
        if let Some(value) = value.filter(|value| !given && !value.is_empty()) {
            parameters.push((name.to_owned(), value));
        }
    }
}

/// The application as the server wants to hear of it.
pub(crate) fn client(login: &Login, metadata: &Metadata) -> Client {
    let authentication = match login.secret() {
        None => ClientAuthentication::None,
        Some(secret) => {
            // Basic is what a server takes that does not say (RFC 8414, section 2).
            let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
            let takes = |name: &str| methods.is_none_or(|all| all.iter().any(|m| m == name));
            if !takes("client_secret_basic") && takes("client_secret_post") {
                ClientAuthentication::SecretPost(secret.clone())
            } else {
                ClientAuthentication::SecretBasic(secret.clone())
            }
        }
    };
    Client::new(login.client_id(), authentication)
}

/// Shows the codes, then opens a browser if there is one.
fn show(
    login: &Login,
    authorization: &DeviceAuthorization,
    now: Timestamp,
    clock: &dyn Clock,
    prompt: &mut dyn Prompt,
) -> Opening {
    let complete = authorization.verification_uri_complete.as_ref();
    prompt.show_device(&DevicePrompt {
        user_code: authorization.user_code.clone(),
        verification_uri: authorization.verification_uri.to_string(),
        verification_uri_complete: complete.map(ToString::to_string),
        expires_in: authorization.expires_at.since(now),
        issuer: login.issuer().as_str().to_owned(),
        client_id: login.client_id().to_owned(),
    });
    let address = complete.unwrap_or(&authorization.verification_uri);
    let opening = browser::open(
        login.browser_wanted(),
        &login.surroundings(),
        address,
        clock,
    );
    prompt.notice(&Notice::Browser(opening.outcome()));
    opening
}

/// Takes the lock of logins, waiting for another process that is at it. Says whether it had to wait.
fn take_login_lock(
    login: &Login,
    context: &Context,
    name: &SessionName,
    prompt: &mut dyn Prompt,
) -> Result<(Lock, bool), Error> {
    let clock = context.clock();
    let start = clock.monotonic();
    let limit = login.limit().unwrap_or(OTHER_LOGIN_LIMIT);
    let mut waited = false;
    loop {
        if let Some(lock) = context
            .store()
            .try_lock(name, Purpose::Login)
            .map_err(Error::Storage)?
        {
            return Ok((lock, waited));
        }
        if !waited {
            prompt.notice(&Notice::WaitingForLogin);
            waited = true;
        }
        if prompt.cancelled() {
            return Err(Error::Cancelled);
        }
        let passed = clock.monotonic().saturating_sub(start);
        if passed >= limit {
            return Err(Error::LockTimeout { waited: passed });
        }
        clock.sleep(TICK);
    }
}

/// Reads the session that is about to be replaced, and stops if it must or could not be.
fn look_at_existing(
    context: &Context,
    name: &SessionName,
    prompt: &mut dyn Prompt,
) -> Result<Option<Session>, Error> {
    match context.store().load::<Session>(name) {
        Ok(existing) => Ok(existing),
        Err(StoreError::Damaged { set_aside, .. }) => {
            prompt.notice(&Notice::SessionSetAside { kept_as: set_aside });
            Ok(None)
        }
        // Writing the new one repairs these.
        Err(StoreError::WrongMode { .. } | StoreError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(Error::Storage(error)),
    }
}

fn is_what_was_asked(login: &Login, session: &Session) -> bool {
    *session.request() == login.request() && session.client_id() == login.client_id()
}

/// The waiting of a person: shown the time that is left, and free to stop.
struct Person<'a> {
    prompt: &'a mut dyn Prompt,
    clock: &'a dyn Clock,
    opening: Opening,
    start: Duration,
    /// How long the code is good for, from `start`.
    life: Duration,
    limit: Option<Duration>,
    last_trouble: String,
}

impl<'a> Person<'a> {
    fn new(
        prompt: &'a mut dyn Prompt,
        clock: &'a dyn Clock,
        opening: Opening,
        life: Duration,
        limit: Option<Duration>,
    ) -> Self {
        Self {
            prompt,
            clock,
            opening,
            start: clock.monotonic(),
            life,
            limit,
            last_trouble: String::new(),
        }
    }

    fn passed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.start)
    }
}

impl Waiting for Person<'_> {
    fn wait(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.passed() + duration;
        loop {
            if self.prompt.cancelled() {
                return Err(Error::Cancelled);
            }
            let passed = self.passed();
            if let Some(limit) = self.limit.filter(|limit| passed >= *limit) {
                return Err(Error::LoginTimedOut { limit });
            }
            if self.opening.look(self.clock) {
                self.prompt.notice(&Notice::Browser(self.opening.outcome()));
            }
            let shown = self.limit.map_or(self.life, |limit| limit.min(self.life));
            self.prompt.waiting(shown.saturating_sub(passed));
            let left = end.saturating_sub(passed);
            if left.is_zero() {
                return Ok(());
            }
            self.clock.sleep(left.min(TICK));
        }
    }

    fn trouble(&mut self, why: &str) {
        // The same trouble at every poll is one piece of news.
        if self.last_trouble != why {
            why.clone_into(&mut self.last_trouble);
            self.prompt.notice(&Notice::Retrying {
                why: why.to_owned(),
            });
        }
    }
}
