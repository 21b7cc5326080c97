//! The sign-in: what a program says about it. How it runs is in `device.rs`.

use std::path::Path;
use std::time::Duration;

use countersign_oauth::{EndpointOverrides, Issuer, ScopeSet};
use countersign_store::StoreError;
use url::Url;

use crate::cache::hash;
use crate::session::Request;
use crate::{
    Browser, Context, Directories, Error, HttpOptions, LoginRequired, Prompt, Secret, Session,
    SessionName, TokenSource, device,
};

/// A sign-in: where, as which application, for what. Built once, run as often as needed.
#[derive(Debug, Clone)]
pub struct Login {
    issuer: Issuer,
    client_id: String,
    client_secret: Option<Secret>,
    scopes: Vec<String>,
    audience: Option<String>,
    resources: Vec<String>,
    trusted_audiences: Vec<String>,
    parameters: Vec<(String, String)>,
    endpoints: EndpointOverrides,
    session: Option<SessionName>,
    context: Option<Context>,
    browser: Browser,
    time_limit: Option<Duration>,
    command: Option<String>,
}

impl Login {
    /// A sign-in at `issuer` (the authorization server's issuer identifier, a URL) as the application
    /// registered there as `client_id`.
    ///
    /// Asks for the scopes `openid profile email offline_access` unless told otherwise.
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
            scopes: ["openid", "profile", "email", "offline_access"]
                .map(str::to_owned)
                .to_vec(),
            audience: None,
            resources: Vec::new(),
            trusted_audiences: Vec::new(),
            parameters: Vec::new(),
            endpoints: EndpointOverrides::default(),
            session: None,
            context: None,
            browser: Browser::Auto,
            time_limit: None,
            command: None,
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

    /// What the person typed, as far as it may be shown: the program and what it was told to do, no
    /// values. A server that says it shows this on its confirmation page is told it, with the name of
    /// this computer, so that a request somebody else made looks foreign. Without it, the program's
    /// name.
    #[must_use]
    pub fn command(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// Gives up after this long, when that is shorter than the life of the device code.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Signs a person in by the device grant (RFC 8628) and keeps the session, replacing the one
    /// there was.
    ///
    /// If another process is signing in to the same session, waits for it and takes over its result.
    ///
    /// # Errors
    /// [`Error::Exchange`] when the server is out of reach, says no, or breaks the protocol;
    /// [`Error::LoginTimedOut`] and [`Error::Cancelled`] when nobody approved;
    /// [`Error::Storage`] when the session cannot be kept, as far as possible before anybody is
    /// bothered.
    pub fn run(&self, prompt: &mut dyn Prompt) -> Result<Session, Error> {
        device::run(self, prompt)
    }

    /// The tokens of the session there is, or of a new login when there is none that can be used.
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`TokenSource::access_token`].
    pub fn ensure(&self, prompt: &mut dyn Prompt) -> Result<TokenSource, Error> {
        let usable = self.token_source().and_then(|tokens| {
            tokens.access_token(Duration::ZERO)?;
            Ok(tokens)
        });
        match usable {
            // A damaged session has been set aside and is in nobody's way.
            Err(Error::LoginRequired { .. } | Error::Storage(StoreError::Damaged { .. })) => {
                self.run(prompt)?;
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
        let session = tokens.session();
        if session.issuer() != self.issuer.as_str() || session.client_id() != self.client_id {
            let reason = LoginRequired::NoSession;
            return Err(Error::LoginRequired {
                session: name.to_string(),
                reason,
            });
        }
        Ok(tokens)
    }

    /// The name the session is kept under.
    pub fn name(&self) -> Result<SessionName, Error> {
        match &self.session {
            Some(name) => Ok(name.clone()),
            None => self.derived_name(),
        }
    }

    /// A name for everything that makes one login another: a readable start, and a hash.
    fn derived_name(&self) -> Result<SessionName, Error> {
        let mut scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let scopes = scopes.join(" ");
        let mut parts = vec![self.issuer.as_str(), &self.client_id, &scopes];
        parts.push(self.audience.as_deref().unwrap_or_default());
        parts.extend(self.resources.iter().map(String::as_str));
        // The separator cannot be part of a part.
        let mut hash = hash(&parts.join("\n"));
        hash.truncate(16);
        let readable: String = self
            .client_id
            .to_ascii_lowercase()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .skip_while(|c| *c == '-')
            .take(40)
            .collect();
        let name = if readable.is_empty() {
            hash
        } else {
            format!("{readable}-{hash}")
        };
        SessionName::new(&name).map_err(|error| Error::Configuration {
            what: "session name",
            why: error.to_string(),
        })
    }

    pub(crate) fn made_context(&self) -> Result<Context, Error> {
        if let Some(context) = &self.context {
            return Ok(context.clone());
        }
        // The client id names a directory here, and might be anything.
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        let name: String = self.client_id.chars().map(safe).collect();
        Ok(Context::new(
            Directories::of_application(&name)?,
            HttpOptions::default(),
        ))
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    pub(crate) fn overrides(&self) -> &EndpointOverrides {
        &self.endpoints
    }

    pub(crate) fn extra(&self) -> &[(String, String)] {
        &self.parameters
    }

    pub(crate) fn command_line(&self) -> Option<String> {
        self.command.clone().or_else(|| {
            let program = std::env::args_os().next()?;
            let name = Path::new(&program).file_name()?;
            Some(name.to_string_lossy().into_owned())
        })
    }

    pub(crate) fn may_open(&self) -> Browser {
        self.browser
    }

    pub(crate) fn limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// What to remember of what was asked for.
    pub(crate) fn request(&self) -> Request {
        Request {
            issuer: self.issuer.as_str().to_owned(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            resources: self.resources.clone(),
            trusted_audiences: self.trusted_audiences.clone(),
            endpoints: self.endpoints.clone(),
        }
    }

    pub(crate) fn scope_set(&self) -> Result<ScopeSet, Error> {
        let mut set = ScopeSet::new();
        for scope in self
            .scopes
            .iter()
            .flat_map(|scope| scope.split_ascii_whitespace())
        {
            set.insert(scope).map_err(|error| Error::Configuration {
                what: "scope",
                why: error.to_string(),
            })?;
        }
        Ok(set)
    }

    /// The resources, which must be absolute URIs without fragment (RFC 8707, section 2). They are
    /// sent as they were given.
    pub(crate) fn checked_resources(&self) -> Result<Vec<String>, Error> {
        let check = |resource: &String| {
            let wrong = |why: String| Error::Configuration {
                what: "resource",
                why,
            };
            let url = Url::parse(resource)
                .map_err(|error| wrong(format!("it is not an absolute URI: {error}")))?;
            match url.fragment() {
                None => Ok(resource.clone()),
                Some(_) => Err(wrong("it has a fragment".to_owned())),
            }
        };
        self.resources.iter().map(check).collect()
    }
}
