//! What a login says, in the form in which the rooms below want to hear it.

use std::path::Path;
use std::time::Duration;

use countersign_oauth::{EndpointOverrides, Issuer, ScopeSet};
use url::Url;

use super::Login;
use crate::cache::hash;
use crate::session::Request;
use crate::{Browser, Context, Directories, Environment, Error, HttpOptions, Secret, SessionName};

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
            None => DEFAULT_SCOPES.map(str::to_owned).to_vec(),
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
