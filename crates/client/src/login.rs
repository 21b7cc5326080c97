//! The sign-in.

use std::time::Duration;

use crate::{
    Browser, Context, Directories, EndpointOverrides, Error, HttpOptions, Prompt, Secret, Session,
    SessionName, TokenSource,
};

/// A sign-in: where, as which application, for what. Built once, run as often as needed.
#[derive(Debug, Clone)]
pub struct Login {
    issuer: String,
    client_id: String,
    client_secret: Option<Secret>,
    scopes: Vec<String>,
    audience: Option<String>,
    resources: Vec<String>,
    parameters: Vec<(String, String)>,
    endpoints: EndpointOverrides,
    session: Option<SessionName>,
    context: Option<Context>,
    browser: Browser,
    time_limit: Option<Duration>,
}

impl Login {
    /// A sign-in at `issuer` (the authorization server's issuer identifier, a URL) as the application
    /// registered there as `client_id`.
    ///
    /// Asks for the scopes `openid profile email offline_access` unless told otherwise.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `issuer` is not an `https` URL (or `http` on loopback).
    pub fn new(issuer: &str, client_id: &str) -> Result<Self, Error> {
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            scopes: ["openid", "profile", "email", "offline_access"]
                .map(str::to_owned)
                .to_vec(),
            audience: None,
            resources: Vec::new(),
            parameters: Vec::new(),
            endpoints: EndpointOverrides::default(),
            session: None,
            context: None,
            browser: Browser::Auto,
            time_limit: None,
        })
    }

    /// Asks for one more scope.
    #[must_use]
    pub fn scope(mut self, scope: &str) -> Self {
        self.scopes.push(scope.to_owned());
        self
    }

    /// Asks for exactly these scopes, the defaults included only if named.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The `audience` parameter, which some servers (Auth0) use to choose the API.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audience = Some(audience.to_owned());
        self
    }

    /// One more `resource` (RFC 8707): the API that the token is for.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resources.push(resource.to_owned());
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

    /// Whether a browser may be opened.
    #[must_use]
    pub fn browser(mut self, browser: Browser) -> Self {
        self.browser = browser;
        self
    }

    /// Gives up after this long, when that is shorter than the life of the device code.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Signs a person in and keeps the session, replacing the one there was.
    pub fn run(&self, prompt: &mut dyn Prompt) -> Result<Session, Error> {
        let _ = prompt;
        Err(Error::LoginTimedOut)
    }

    /// The tokens of the session there is, or of a new login when there is none that can be used.
    pub fn ensure(&self, prompt: &mut dyn Prompt) -> Result<TokenSource, Error> {
        self.run(prompt)?;
        self.token_source()
    }

    /// The tokens of the session there is.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] when there is none.
    pub fn token_source(&self) -> Result<TokenSource, Error> {
        let context = match &self.context {
            Some(context) => context.clone(),
            None => Context::new(
                Directories::of_application(&self.client_id)?,
                HttpOptions::default(),
            ),
        };
        let name = self.session.clone().ok_or_else(|| Error::Configuration {
            what: "session name",
            why: "missing".to_owned(),
        })?;
        TokenSource::open(&context, &name)
    }
}
