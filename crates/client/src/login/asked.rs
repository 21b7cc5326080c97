//! What a login says, in the form in which the rooms below want to hear it.

use std::path::Path;
use std::time::Duration;

use countersign_oauth::preset::{Preset, RedirectPorts};
use countersign_oauth::{AuthorizationRequest, EndpointOverrides, Issuer, ScopeSet, StepUp};
use url::Url;

use super::{Dpop, Login};
use crate::accounts::Placing;
use crate::cache::hash;
use crate::session::{KeyFile, Request};
use crate::step_up::younger;
use crate::{
    Browser, Context, Directories, Environment, Error, HttpOptions, Redirect, Secret, Session,
    SessionName, SignIn,
};

/// What is asked for when nobody says otherwise: who it is, and a session that can be renewed.
const DEFAULT_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

impl Login {
    /// The name the session is kept under.
    pub fn name(&self) -> Result<SessionName, Error> {
        match &self.session {
            Some(name) => Ok(name.clone()),
            None => self.derived_name(),
        }
    }

    /// A name for everything that makes one login another: a readable start, and a hash.
    fn derived_name(&self) -> Result<SessionName, Error> {
        let mut scopes = self.all_scopes();
        scopes.sort_unstable();
        scopes.dedup();
        let scopes = scopes.join(" ");
        let mut parts = vec![self.issuer.as_str(), &self.client_id, &scopes];
        parts.push(self.audience.as_deref().unwrap_or_default());
        parts.extend(self.resources.iter().map(String::as_str));
        // What older versions did not know is left out where it says what they did.
        if self.flow == SignIn::ClientCredentials {
            parts.push(SignIn::ClientCredentials.as_str());
        }
        if self.dpop != Dpop::No {
            parts.push("dpop");
        }
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

    /// What is known about the provider.
    ///
    /// # Errors
    /// When there is no preset of the name.
    pub(crate) fn known_preset(&self) -> Result<Option<&'static Preset>, Error> {
        let Some(name) = &self.preset else {
            return Ok(None);
        };
        let preset = Preset::by_name(name).ok_or_else(|| Error::Configuration {
            what: "provider",
            why: format!("there is no preset `{name}`"),
        })?;
        Ok(Some(preset))
    }

    /// What is asked of the server, whichever way the person signs in.
    pub(crate) fn authorization_request(&self) -> Result<AuthorizationRequest, Error> {
        let words = |text: &String| text.split_ascii_whitespace().map(str::to_owned).collect();
        Ok(AuthorizationRequest {
            scopes: self.scope_set()?,
            audience: self.audience.clone(),
            resource: self.checked_resources()?,
            prompt: self.prompt.clone(),
            login_hint: self.hint.clone(),
            acr_values: self.acr_values.as_ref().map(words).unwrap_or_default(),
            max_age: self.max_age,
            extra: self.parameters.clone(),
            ..AuthorizationRequest::default()
        })
    }

    /// Who is about to sign in, unless the caller has said so.
    pub(crate) fn hinted(mut self, hint: Option<&str>) -> Self {
        self.hint = self.hint.or_else(|| hint.map(str::to_owned));
        self
    }

    /// Whether the server is to let somebody sign in beside who is signed in there, unless the caller has
    /// said what it is to ask.
    pub(crate) fn beside_another(mut self, beside: bool) -> Self {
        if beside && self.prompt.is_none() {
            let preset = self.preset.as_deref().and_then(Preset::by_name);
            let prompt = preset.map_or("login", |preset| preset.quirks.another_account);
            self.prompt = Some(prompt.to_owned());
        }
        self
    }

    /// For the same things as a session, and with tokens that are bound if its are.
    pub(crate) fn repeating(mut self, session: &Session) -> Self {
        let request = session.request();
        self.scopes = Some(request.scopes.clone());
        self.further_scopes.clear();
        self.audience.clone_from(&request.audience);
        self.resources.clone_from(&request.resources);
        self.trusted_audiences
            .clone_from(&request.trusted_audiences);
        if session.is_bound() && self.dpop == Dpop::No {
            self.dpop = Dpop::Required;
        }
        self
    }

    /// With at least what an API demands of the sign-in.
    pub(crate) fn demanding(mut self, wanted: &StepUp) -> Self {
        if !wanted.acr_values.is_empty() {
            self.acr_values = Some(wanted.acr_values.join(" "));
        }
        self.max_age = younger(self.max_age, wanted.max_age_to_ask());
        self
    }

    /// Has `placing` decide where the session is kept.
    pub(crate) fn placed_by(mut self, placing: Placing) -> Self {
        self.placing = Some(placing);
        self
    }

    pub(crate) fn placing(&self) -> Option<&Placing> {
        self.placing.as_ref()
    }

    /// Where the browser is sent back to: as the caller says, as the provider can, or as anybody can.
    pub(crate) fn redirect_wanted(
        &self,
        preset: Option<&'static Preset>,
    ) -> Result<Redirect, Error> {
        if let Some(redirect) = &self.redirect {
            return Ok(redirect.clone());
        }
        let Some(known) = preset.map(|preset| preset.quirks.redirect) else {
            return Ok(Redirect::loopback());
        };
        let redirect = Redirect::parse(&format!("http://{}{}", known.host, known.path))?;
        match known.ports {
            RedirectPorts::Registered(ports) => redirect.with_ports(ports.iter().copied()),
            _ => Ok(redirect),
        }
    }

    pub(crate) fn key_file(&self) -> Option<KeyFile> {
        let path = self.client_key.clone()?;
        let kid = self.client_key_id.clone();
        Some(KeyFile { path, kid })
    }

    pub(crate) fn dpop_wanted(&self) -> Dpop {
        self.dpop
    }

    pub(crate) fn flow_wanted(&self) -> SignIn {
        self.flow
    }

    pub(crate) fn flows_allowed(&self) -> Option<Vec<SignIn>> {
        self.allowed_flows.clone()
    }

    pub(crate) fn overrides(&self) -> &EndpointOverrides {
        &self.endpoints
    }

    pub(crate) fn command_line(&self) -> Option<String> {
        self.command.clone().or_else(|| {
            let program = std::env::args_os().next()?;
            let name = Path::new(&program).file_name()?;
            Some(name.to_string_lossy().into_owned())
        })
    }

    pub(crate) fn browser_wanted(&self) -> &Browser {
        &self.browser
    }

    /// The place, as the caller has it or as it looks.
    pub(crate) fn surroundings(&self) -> Environment {
        self.environment.clone().unwrap_or_else(Environment::detect)
    }

    /// The scopes, those of the caller or the usual ones, and what was added to them.
    fn all_scopes(&self) -> Vec<String> {
        let base = match &self.scopes {
            Some(scopes) => scopes.clone(),
            // No person, no claims about one.
            None if self.flow == SignIn::ClientCredentials => Vec::new(),
            None => match self.preset.as_deref().and_then(Preset::by_name) {
                Some(preset) => preset
                    .scopes
                    .iter()
                    .map(|scope| (*scope).to_owned())
                    .collect(),
                None => DEFAULT_SCOPES.map(str::to_owned).to_vec(),
            },
        };
        [base, self.further_scopes.clone()].concat()
    }

    pub(crate) fn limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// What to remember of what was asked for.
    pub(crate) fn request(&self) -> Request {
        Request {
            issuer: self.issuer.as_str().to_owned(),
            scopes: self.all_scopes(),
            audience: self.audience.clone(),
            resources: self.resources.clone(),
            trusted_audiences: self.trusted_audiences.clone(),
            endpoints: self.endpoints.clone(),
            preset: self.preset.clone(),
            parameters: match self.flow {
                SignIn::ClientCredentials => self.parameters.clone(),
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn scope_set(&self) -> Result<ScopeSet, Error> {
        let mut set = ScopeSet::new();
        let scopes = self.all_scopes();
        for scope in scopes
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
