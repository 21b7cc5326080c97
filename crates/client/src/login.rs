//! The sign-in: what a program says about it. How it runs is in `run.rs`.

mod asked;

use std::path::PathBuf;
use std::time::Duration;

use countersign_oauth::{EndpointOverrides, Issuer};
use countersign_store::StoreError;

use crate::accounts::Placing;
use crate::run::{self, Occasion};
use crate::{
    Browser, Context, Environment, Error, LoginRequired, Prompt, Redirect, Secret, Session,
    SessionName, SignIn, TokenSource,
};

/// Whether tokens are bound to a key (RFC 9449).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dpop {
    /// They are not, unless the server gives this client no others.
    #[default]
    No,
    /// They are if the server does it; otherwise whoever holds them may use them.
    Preferred,
    /// They are, or there are none.
    Required,
}

/// A sign-in: where, as which application, for what. Built once, run as often as needed.
#[derive(Debug, Clone)]
pub struct Login {
    issuer: Issuer,
    client_id: String,
    client_secret: Option<Secret>,
    client_key: Option<PathBuf>,
    client_key_id: Option<String>,
    dpop: Dpop,
    preset: Option<String>,
    flow: SignIn,
    allowed_flows: Option<Vec<SignIn>>,
    redirect: Option<Redirect>,
    prompt: Option<String>,
    hint: Option<String>,
    acr_values: Option<String>,
    max_age: Option<Duration>,
    scopes: Option<Vec<String>>,
    further_scopes: Vec<String>,
    audience: Option<String>,
    resources: Vec<String>,
    trusted_audiences: Vec<String>,
    parameters: Vec<(String, String)>,
    endpoints: EndpointOverrides,
    session: Option<SessionName>,
    context: Option<Context>,
    environment: Option<Environment>,
    browser: Browser,
    time_limit: Option<Duration>,
    command: Option<String>,
    /// Where the session is kept, if that depends on who it is.
    placing: Option<Placing>,
}

impl Login {
    /// A sign-in at `issuer` (the authorization server's issuer identifier, a URL) as the application
    /// registered there as `client_id`.
    ///
    /// Asks for the scopes `openid profile email offline_access` unless told otherwise, and signs in
    /// the way that fits the place ([`SignIn::Auto`]).
    ///
    /// # Errors
    /// [`Error::Exchange`] when `issuer` is not an `https` URL (or `http` on loopback),
    /// [`Error::Configuration`] when `client_id` is empty.
    pub fn new(issuer: &str, client_id: &str) -> Result<Self, Error> {
        if client_id.is_empty() {
            return Err(Error::Configuration {
                what: "client id",
                why: "it is empty".to_owned(),
            });
        }
        Ok(Self {
            issuer: Issuer::parse(issuer).map_err(countersign_oauth::Error::from)?,
            client_id: client_id.to_owned(),
            client_secret: None,
            client_key: None,
            client_key_id: None,
            dpop: Dpop::default(),
            preset: None,
            flow: SignIn::Auto,
            allowed_flows: None,
            redirect: None,
            prompt: None,
            hint: None,
            acr_values: None,
            max_age: None,
            scopes: None,
            further_scopes: Vec::new(),
            audience: None,
            resources: Vec::new(),
            trusted_audiences: Vec::new(),
            parameters: Vec::new(),
            endpoints: EndpointOverrides::default(),
            session: None,
            context: None,
            environment: None,
            browser: Browser::Auto,
            time_limit: None,
            command: None,
            placing: None,
        })
    }

    /// Asks for one more scope.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.further_scopes.push(scope.to_owned());
        self
    }

    /// Asks for exactly these scopes, the defaults included only if named.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self.further_scopes.clear();
        self
    }

    /// The way to sign in. Without it, whichever fits the place and the server.
    #[must_use]
    pub fn flow(mut self, flow: SignIn) -> Self {
        self.flow = flow;
        self
    }

    /// The ways that may be used at all, whatever is asked for or offered.
    #[must_use]
    pub fn allowed_flows(mut self, flows: impl IntoIterator<Item = SignIn>) -> Self {
        self.allowed_flows = Some(flows.into_iter().collect());
        self
    }

    /// What is known about the provider, by the name of its preset: its scopes, its peculiarities, and
    /// what its errors mean.
    #[must_use]
    pub fn preset(mut self, name: &str) -> Self {
        self.preset = Some(name.to_owned());
        self
    }

    /// Where the browser is sent back to. Without it, a free port of this computer.
    #[must_use]
    pub fn redirect(mut self, redirect: Redirect) -> Self {
        self.redirect = Some(redirect);
        self
    }

    /// What the server should ask the person, whatever it remembers: `none`, `login`, `consent`,
    /// `select_account` (`OpenID` Connect Core, section 3.1.2.1).
    #[must_use]
    pub fn prompt(mut self, prompt: &str) -> Self {
        self.prompt = Some(prompt.to_owned());
        self
    }

    /// Who is about to sign in, as the server's page might suggest (`OpenID` Connect Core, section
    /// 3.1.2.1).
    #[must_use]
    pub fn login_hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// The kinds of authentication that will do, best first, separated by spaces (`OpenID` Connect Core,
    /// section 3.1.2.1). The ID token must then say which it was.
    #[must_use]
    pub fn acr_values(mut self, values: &str) -> Self {
        self.acr_values = Some(values.to_owned());
        self
    }

    /// How long ago the person may have authenticated (`OpenID` Connect Core, section 3.1.2.1).
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The `audience` parameter, which some servers (Auth0) use to choose the API.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.to_owned());
        self
    }

    /// One more `resource` (RFC 8707, section 2): the API that the token is for, an absolute URI.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resources.push(resource.to_owned());
        self
    }

    /// An audience that may stand in the ID token beside the client, for servers that put their
    /// project there (`OpenID` Connect Core, section 3.1.3.7, rule 3).
    #[must_use]
    pub fn trusted_audience(mut self, audience: &str) -> Self {
        self.trusted_audiences.push(audience.to_owned());
        self
    }

    /// One more parameter of the authorization request, for servers with their own.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The client's secret, when the server gave it one. A program that is installed on people's
    /// computers cannot keep a secret and should be registered without.
    #[must_use]
    pub fn client_secret(mut self, secret: Secret) -> Self {
        self.client_secret = Some(secret);
        self
    }

    /// The file of the key that the client proves itself with (`private_key_jwt`, RFC 7523): PKCS#8, PEM
    /// or DER, and private to its owner. The session keeps the path, and reads the key again for each
    /// renewal.
    #[must_use]
    pub fn client_key(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_key = Some(path.into());
        self
    }

    /// The `kid` under which the server knows the client's key. Without it, the key's thumbprint
    /// (RFC 7638).
    #[must_use]
    pub fn client_key_id(mut self, kid: &str) -> Self {
        self.client_key_id = Some(kid.to_owned());
        self
    }

    /// Whether the tokens are bound to a key of this session (RFC 9449), so that nobody else can use
    /// them. The API has to know about it too.
    #[must_use]
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        self.dpop = dpop;
        self
    }

    /// Endpoints that the server does not publish, or publishes wrongly.
    #[must_use]
    pub fn endpoints(mut self, endpoints: EndpointOverrides) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The name to keep the session under. Without it, a name made of the client, issuer, scopes and
    /// audience, so that different sign-ins do not overwrite each other.
    #[must_use]
    pub fn session_name(mut self, name: SessionName) -> Self {
        self.session = Some(name);
        self
    }

    /// Files, network and clock. Without it: the directories of the application called like the
    /// client, the system's network and clock.
    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.context = Some(context);
        self
    }

    /// What kind of place this is, for who knows better than [`Environment::detect`].
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Whether a browser may be opened, and which.
    #[must_use]
    pub fn browser(mut self, browser: Browser) -> Self {
        self.browser = browser;
        self
    }

    /// What the person typed, as far as it may be shown: the program and what it was told to do, no
    /// values. A server that says it shows this on its confirmation page is told it, with the name of
    /// this computer, so that a request somebody else made looks foreign. Without it, the program's
    /// name.
    #[must_use]
    pub fn command(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// Gives up after this long, when that is shorter than the life of the device code. Without it, a
    /// sign-in in the browser may take five minutes.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Signs a person in and keeps the session, replacing the one there was.
    ///
    /// The way to sign in is the one asked for, or the first that is open here ([`SignIn::Auto`]). If it
    /// turns out to be closed and another is open, [`Prompt::offer`] is asked.
    ///
    /// If another process is signing in to the same session, waits for it and takes over its result; if
    /// there is none, signs in itself.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the server is out of reach, says no, or breaks the protocol;
    /// [`Error::LoginTimedOut`] and [`Error::Cancelled`] when nobody approved;
    /// [`Error::NoWayToSignIn`] when none is open here, [`Error::AnotherWay`] when one was declined;
    /// [`Error::Storage`] when the session cannot be kept, as far as possible before anybody is
    /// bothered.
    pub fn run(&self, prompt: &mut dyn Prompt) -> Result<Session, Error> {
        run::run(self, prompt, Occasion::Asked)
    }

    /// The tokens of the session there is, or of a new login when there is none that can be used.
    ///
    /// Of any number of callers and processes that need one at the same time, one signs a person in, and
    /// the others wait for the result. If there is none, they end with [`Error::LoginRequired`]: nobody
    /// who did not answer the first window wants to see the others.
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`TokenSource::access_token`].
    pub fn ensure(&self, prompt: &mut dyn Prompt) -> Result<TokenSource, Error> {
        let tokens = self.token_source();
        let found = tokens.as_ref().ok().map(|it| it.session().signed_in_at());
        let usable = tokens.and_then(|tokens| {
            tokens.access_token(Duration::ZERO)?;
            Ok(tokens)
        });
        match usable {
            // A damaged session has been set aside and is in nobody's way.
            Err(
                why @ (Error::LoginRequired { .. } | Error::Storage(StoreError::Damaged { .. })),
            ) => {
                run::run(self, prompt, Occasion::Needed { found, why })?;
                self.token_source()
            }
            decided => decided,
        }
    }

    /// The tokens of the session there is.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when there is none, or when the one of this name belongs to another
    /// issuer or client: its tokens are not for here.
    pub fn token_source(&self) -> Result<TokenSource, Error> {
        let name = self.name()?;
        let tokens = TokenSource::open(&self.made_context()?, &name)?;
        if !tokens.is_for(self.issuer.as_str(), &self.client_id) {
            let reason = LoginRequired::NoSession;
            return Err(Error::LoginRequired {
                session: name.to_string(),
                reason,
            });
        }
        Ok(tokens)
    }
}
